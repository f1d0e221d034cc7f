"""POST /upload takes a picture, GET /assets/{link} shows it.

Mini-programs cannot send GraphQL multipart, only `uploadFile`: one file in a form.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive

from app import ids
from app.auth import Viewer
from app.context import Resources
from app.edge.refusals import locale_for, refusal
from app.errors import (
    BadUpload,
    InvalidToken,
    NotFound,
    QuotaExceeded,
    RequestError,
    Unauthenticated,
    UnsupportedMedia,
    UploadTooLarge,
    UploadTooSlow,
)
from app.gateways.files import Files
from app.pictures import Picture, redrawn
from app.rules.assets import LONGEST_SIDE, MOST_BYTES, MOST_PIXELS
from app.services import assets
from schema.assets import url_of

PATH = "/upload"
FIELD = "file"
FORM_BYTES = 16 * 1024  # what a form may have besides the file
READ_S = 60.0
AT_ONCE = 8  # uploads of one account
_LINK = re.compile(r"[A-Za-z0-9_-]{22}")
_STATUS: dict[type[RequestError], int] = {
    BadUpload: 400,
    Unauthenticated: 401,
    InvalidToken: 401,
    UploadTooSlow: 408,
    UploadTooLarge: 413,
    UnsupportedMedia: 415,
    QuotaExceeded: 429,
}
_SHOWN = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png"}


class Uploads:
    def __init__(self, files: Files) -> None:
        self._files = files
        self._drawing = asyncio.Semaphore(1)  # a picture takes 100 MB while it is decoded
        self._under_way: Counter[int] = Counter()

    def routes(self) -> list[BaseRoute]:
        return [
            Route(PATH, self.take, methods=["POST"]),
            Route("/assets/{link}", self.show, methods=["GET"]),
        ]

    async def take(self, request: Request) -> Response:
        locale = locale_for(request.headers.get("accept-language", ""))
        try:
            row = await self._taken(request, request.state.resources)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        except RequestError as refused:
            return refusal(refused, locale, _STATUS[type(refused)])
        shown = {
            "id": ids.encode("Asset", row.id),
            "mediaType": row.media_type,
            "bytes": row.size_bytes,
            "width": row.width,
            "height": row.height,
            "url": url_of(row.link),
        }
        return JSONResponse(shown, 201, {"Cache-Control": "no-store"})

    async def show(self, request: Request) -> Response:
        link, resources = request.path_params["link"], request.state.resources
        row = None
        if _LINK.fullmatch(link):
            async with resources.database.read() as db:
                row = await assets.linked(db, link)
        if row is None:
            locale = locale_for(request.headers.get("accept-language", ""))
            return refusal(NotFound("picture"), locale, 404)
        name = f"{link}.{_ENDINGS[row.media_type]}"
        path = self._files.path(row.sha256)
        return FileResponse(path, media_type=row.media_type, filename=name, headers=_SHOWN)

    async def _taken(self, request: Request, resources: Resources) -> Any:
        """Everything that needs no body is looked at before the body is read."""
        viewer = _viewer(request, resources)
        async with resources.database.read() as db:
            await assets.check(db, viewer, resources.clock())
        with self._one_more(viewer.account_id):
            picture = await self._picture(request)
        # the file first: a crash here leaves a file without a row, and never the other way round
        await asyncio.to_thread(self._files.put, picture.sha256, picture.data)
        return await resources.database.change(assets.add, viewer, picture)

    @contextmanager
    def _one_more(self, account_id: int) -> Generator[None]:
        """Raises QuotaExceeded for too many at once."""
        if self._under_way[account_id] >= AT_ONCE:
            raise QuotaExceeded
        self._under_way[account_id] += 1
        try:
            yield
        finally:
            self._under_way -= Counter([account_id])  # forgets who has none left

    async def _picture(self, request: Request) -> Picture:
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise UnsupportedMedia
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 9 or int(length) > MOST_BYTES + FORM_BYTES:
            raise UploadTooLarge
        counted = Request(request.scope, _counted(request.receive))
        try:
            async with asyncio.timeout(READ_S):
                form = await counted.form(max_files=1, max_fields=8, max_part_size=FORM_BYTES)
        except TimeoutError:
            raise UploadTooSlow from None
        except HTTPException:  # so Starlette tells of a form that is none
            raise BadUpload from None
        try:
            return await self._redrawn(form.get(FIELD))
        finally:
            await form.close()

    async def _redrawn(self, file: UploadFile | str | None) -> Picture:
        if not isinstance(file, UploadFile):
            raise BadUpload
        if (file.size or 0) > MOST_BYTES:
            raise UploadTooLarge
        async with self._drawing:
            return await asyncio.to_thread(
                redrawn, file.file, most_pixels=MOST_PIXELS, longest_side=LONGEST_SIDE
            )


def _viewer(request: Request, resources: Resources) -> Viewer:
    """Raises Unauthenticated without a bearer token, InvalidToken for a bad one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise Unauthenticated
    if scheme.lower() != "bearer":
        raise InvalidToken
    return resources.tokens.read(token.strip())


def _counted(receive: Receive) -> Receive:
    """Raises UploadTooLarge as soon as more has come than may come."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BYTES + FORM_BYTES:
            raise UploadTooLarge
        return message

    return counted
