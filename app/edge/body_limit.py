"""Refuses bodies that are too large, by their length header and by counting."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.edge.operations import heads
from app.edge.refusals import BodyTooLarge, locale_of, refusal

_LONGEST_NUMBER = 18  # digits of a length that is worth reading


class _TooLarge(Exception):
    pass


class BodyLimit:
    """`exempt` is a path that counts for itself."""

    def __init__(self, app: ASGIApp, limit: int, exempt: str = "") -> None:
        self._app, self._limit, self._exempt = app, limit, exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == self._exempt:
            await self._app(scope, receive, send)
            return
        has_length = is_chunked = False
        for name, value in scope["headers"]:
            if name == b"content-length":
                has_length = True
                if not self._allows(value):
                    await self._refuse(scope, receive, send)
                    return
            elif name == b"transfer-encoding":
                is_chunked = True
        if has_length and not is_chunked:  # the server lets no more through than was said
            await self._app(scope, receive, send)
        else:
            await self._count(scope, receive, send)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise _TooLarge
            return message

        try:
            await self._app(scope, counted, send)
        except _TooLarge:
            await self._refuse(scope, receive, send)

    def _allows(self, length: bytes) -> bool:
        return length.isdigit() and len(length) <= _LONGEST_NUMBER and int(length) <= self._limit

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = refusal(BodyTooLarge(limit=self._limit), locale_of(heads(scope)))
        await answer(scope, receive, send)
