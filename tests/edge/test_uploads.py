"""Uploads: what is taken, what is kept of it, who sees it, and what changes nothing."""

import asyncio
import itertools
import shutil
import struct
import zlib
from collections.abc import AsyncGenerator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from app.auth import Role
from app.edge import uploads
from app.gateways.files import Files
from app.rules import assets as rules
from app.rules.assets import Quota
from app.tables.assets import AssetRow
from tests.conftest import _execute
from tests.serving import Server, served

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = itertools.count(1000)
SCRIPT = b"<script>alert(document.domain)</script>"
GPS = {0x0110: "Jishi Phone", 0x0112: 6, 0x8825: {1: "N", 2: (30.0, 14.0, 0.0)}}


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def database_url(
    request: pytest.FixtureRequest, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """An empty database for the tests of this file, one of each kind."""
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("uploads") / "mall.db"
        shutil.copy(migrated, file)
        return f"sqlite+aiosqlite:///{file}"
    base: str = request.getfixturevalue("postgres_url")
    asyncio.run(_execute(base, 'CREATE DATABASE "jishi_uploads" TEMPLATE "jishi_template"'))
    return f"{base}jishi_uploads"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    folder = tmp_path_factory.mktemp("files")
    async with served(database_url, uploads=folder / "kept") as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def token(server: Server) -> str:
    """Of a consumer of the test's own."""
    return await server.sign_in(f"consumer-{next(NUMBERS)}")


def picture(
    kind: str = "JPEG",
    *,
    size: tuple[int, int] = (40, 30),
    mode: str = "RGB",
    number: int | None = None,
    **options: Any,
) -> bytes:
    """A file whose pixels nobody else's has."""
    shade = next(NUMBERS) if number is None else number
    colour = (shade * 7 % 256, shade // 3 % 256, shade % 256, 128)[: len(mode)]
    output = BytesIO()
    made = Image.new(mode, size, colour)
    if "exif" in options:
        exif = made.getexif()
        exif.update(options["exif"])
        options["exif"] = exif
    made.save(output, kind, **options)
    return output.getvalue()


def kept(server: Server) -> list[Path]:
    folder = server.resources.settings.uploads
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def send(
    server: Server,
    token: str,
    data: bytes,
    *,
    name: str = "a.jpg",
    kind: str = "image/jpeg",
    **more: Any,
) -> httpx.Response:
    """As `uploadFile` of a mini-program does it."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    files = more.pop("files", {"file": (name, data, kind)})
    return await server.client.post("/upload", headers=headers, files=files, **more)


async def refused(server: Server, answer: Any, status: int, code: str) -> None:
    """Asserts a refusal that has kept nothing."""
    files = kept(server)
    async with server.mall.unchanged():
        given = await answer
    assert given.status_code == status, given.text
    assert given.json()["errors"][0]["extensions"]["code"] == code
    assert kept(server) == files


async def test_a_picture_is_taken_kept_and_shown(server: Server, token: str) -> None:
    answer = await send(server, token, picture(size=(40, 30)))
    assert answer.status_code == 201
    asset = answer.json()
    assert (asset["mediaType"], asset["width"], asset["height"]) == ("image/jpeg", 40, 30)
    query = """query($id: ID!) { node(id: $id) { ... on Asset {
        id mediaType bytes width height url } } }"""
    assert (await server.ask(query, {"id": asset["id"]}, token=token))["node"] == asset
    shown = await server.client.get(asset["url"])
    assert (shown.status_code, len(shown.content)) == (200, asset["bytes"])
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["content-disposition"].startswith("attachment;")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    ("kind", "mode", "media_type"),
    [
        ("PNG", "RGB", "image/jpeg"),
        ("PNG", "RGBA", "image/png"),
        ("WEBP", "RGB", "image/jpeg"),
        ("WEBP", "RGBA", "image/png"),
        ("GIF", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
    ],
)
async def test_the_content_tells_what_it_is(
    server: Server, token: str, kind: str, mode: str, media_type: str
) -> None:
    answer = await send(server, token, picture(kind, mode=mode), name="x.html", kind="text/html")
    assert answer.json()["mediaType"] == media_type
    shown = await server.client.get(answer.json()["url"])
    assert shown.headers["content-type"] == media_type


async def test_place_and_camera_are_forgotten_and_the_top_stays_up(
    server: Server, token: str
) -> None:
    data = picture(size=(40, 30), exif=GPS)
    assert b"Jishi Phone" in data
    asset = (await send(server, token, data)).json()
    assert (asset["width"], asset["height"]) == (30, 40)
    shown = (await server.client.get(asset["url"])).content
    assert b"Jishi Phone" not in shown
    assert dict(Image.open(BytesIO(shown)).getexif()) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
async def test_what_is_two_things_at_once_becomes_a_picture_only(
    server: Server, token: str, kind: str
) -> None:
    asset = (await send(server, token, picture(kind) + SCRIPT)).json()
    shown = (await server.client.get(asset["url"])).content
    assert SCRIPT not in shown


async def test_large_pictures_are_made_smaller(server: Server, token: str) -> None:
    asset = (await send(server, token, picture(size=(5000, 1000)))).json()
    assert (asset["width"], asset["height"]) == (2560, 512)


async def test_the_same_picture_is_one_row_of_its_owner_and_one_file(
    server: Server, token: str
) -> None:
    data, files = picture(), len(kept(server))
    first = (await send(server, token, data)).json()
    async with server.mall.unchanged():
        assert (await send(server, token, data, name="b.jpg")).json() == first
    other = await server.sign_in(f"consumer-{next(NUMBERS)}")
    second = (await send(server, other, data)).json()
    assert second["id"] != first["id"]
    assert second["url"] != first["url"]
    assert len(kept(server)) == files + 1


@pytest.mark.parametrize(
    "name",
    ["../../../evil.jpg", "/etc/passwd", "..\\evil.jpg", "a\x00.jpg", "图片.svg", "x" * 5000, ""],
)
async def test_a_name_leads_nowhere(server: Server, token: str, name: str) -> None:
    """Only the content names the file; without a name, or with an endless one, it is none."""
    before, folder = set(kept(server)), server.resources.settings.uploads
    outside = set(folder.parent.iterdir())
    answer = await send(server, token, picture(), name=name)
    if len(name) in {0, 5000}:
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_UPLOAD"
        return
    assert answer.status_code == 201
    (made,) = set(kept(server)) - before
    assert len(made.name) == 64
    assert made.parent.name == made.name[:2]
    assert set(folder.parent.iterdir()) == outside


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        b"<!doctype html>" + SCRIPT,
        b"%PDF-1.7\n",
        b"PK\x03\x04" + bytes(100),
        b"GIF89a" + SCRIPT,
        b"\xff\xd8\xff\xe0" + SCRIPT,
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(64),
        picture("BMP"),
        picture("TIFF"),
        picture("JPEG", size=(400, 300))[:-200],
        picture("PNG", size=(400, 300))[:-40],
    ],
)
async def test_what_is_no_whole_picture_is_refused(server: Server, token: str, data: bytes) -> None:
    await refused(server, send(server, token, data), 415, "UNSUPPORTED_MEDIA")


def bomb() -> bytes:
    """A PNG of 900 million pixels in less than a megabyte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_000 * 3751), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("make", [bomb, lambda: picture("PNG", size=(6000, 5000), mode="L")])
async def test_a_bomb_of_pixels_is_never_unpacked(server: Server, token: str, make: Any) -> None:
    data = make()
    assert len(data) < 1_000_000
    await refused(server, send(server, token, data), 413, "UPLOAD_TOO_LARGE")


async def test_a_file_that_is_too_large_is_refused_by_its_length(
    server: Server, token: str
) -> None:
    await refused(server, send(server, token, bytes(5_300_000)), 413, "UPLOAD_TOO_LARGE")


async def test_a_body_without_a_length_is_counted_while_it_comes(
    server: Server, token: str
) -> None:
    """The refusal comes after 5 MB, not at the end, which never comes."""
    files, sent = kept(server), 0
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    writer.write(head.encode() + b"%x\r\n%b\r\n" % (len(part), part))
    status = asyncio.create_task(reader.readline())
    while not status.done() and sent < 50_000_000:
        writer.write(b"10000\r\n%b\r\n" % bytes(65536))
        await writer.drain()
        sent += 65536
    assert await status == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    assert rules.MOST_BYTES < sent < 50_000_000
    assert kept(server) == files
    writer.close()


async def test_nothing_else_may_be_that_large(server: Server) -> None:
    answer = await server.client.post("/graphql", content=bytes(300_000))
    assert answer.status_code == 413


FORMS: Mapping[str, Any] = {
    "no file": {"files": {"other": ("a.jpg", b"x", "image/jpeg")}},
    "two files": {"files": [("file", ("a.jpg", b"x")), ("file", ("b.jpg", b"y"))]},
    "text for a file": {"files": {"note": (None, "x")}},
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_without_its_one_file_is_refused(
    server: Server, token: str, form: str
) -> None:
    await refused(server, send(server, token, b"", **FORMS[form]), 400, "BAD_UPLOAD")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"'),
        ("multipart/form-data; boundary=" + "x" * 400, b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 3000 + b"\r\n--x--"),
    ],
)
async def test_a_broken_form_is_refused(server: Server, token: str, kind: str, body: bytes) -> None:
    headers = {"authorization": f"Bearer {token}", "content-type": kind}
    asked = server.client.post("/upload", headers=headers, content=body)
    await refused(server, asked, 400, "BAD_UPLOAD")


@pytest.mark.parametrize("kind", ["application/json", "image/jpeg", ""])
async def test_a_body_that_is_no_form_is_refused(server: Server, token: str, kind: str) -> None:
    headers = {"authorization": f"Bearer {token}", "content-type": kind}
    asked = server.client.post("/upload", headers=headers, content=picture())
    await refused(server, asked, 415, "UNSUPPORTED_MEDIA")


async def test_strangers_may_not_upload(server: Server) -> None:
    await refused(server, send(server, "", picture()), 401, "UNAUTHENTICATED")
    await refused(server, send(server, "no.such.token", picture()), 401, "INVALID_TOKEN")


async def test_the_words_of_a_refusal_follow_the_language(server: Server) -> None:
    for language, words in (("zh", "请先登录"), ("en", "please sign in first")):
        headers = {"accept-language": language}
        answer = await server.client.post("/upload", headers=headers)
        assert answer.json()["errors"][0]["message"] == words


async def half_sent(
    server: Server, token: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a form has begun and does not go on."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )
    writer.write(head.encode() + picture()[:200])
    await writer.drain()
    return reader, writer


async def test_a_body_that_ends_too_soon_leaves_nothing(server: Server, token: str) -> None:
    files = kept(server)
    async with server.mall.unchanged():
        _, writer = await half_sent(server, token)
        writer.close()
        await asyncio.sleep(0.2)
    assert kept(server) == files
    assert (await server.client.get("/healthz")).status_code == 200


async def test_a_body_that_takes_forever_is_given_up(
    server: Server, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "READ_S", 0.2)
    async with server.mall.unchanged():
        reader, writer = await half_sent(server, token)
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
    assert b"UPLOAD_TOO_SLOW" in await reader.read(4000)
    writer.close()


async def test_quotas_hold_for_uploads_at_the_same_time(
    server: Server, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "QUOTAS", {Role.CONSUMER: Quota(10_000_000, 3)})
    answers = await asyncio.gather(*(send(server, token, picture()) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [201] * 3 + [429] * 5
    await refused(server, send(server, token, picture()), 429, "QUOTA_EXCEEDED")


async def test_one_account_uploads_eight_at_once(server: Server, token: str) -> None:
    """The ninth is told so while the others have sent half of theirs."""
    halves = [await half_sent(server, token) for _ in range(8)]
    await asyncio.sleep(0.3)
    await refused(server, send(server, token, picture()), 429, "QUOTA_EXCEEDED")
    for _, writer in halves:
        writer.close()
    await asyncio.sleep(0.3)
    assert (await send(server, token, picture())).status_code == 201


async def test_bytes_are_counted_too(
    server: Server, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (await send(server, token, picture())).json()
    monkeypatch.setattr(rules, "QUOTAS", {Role.CONSUMER: Quota(first["bytes"] + 9, 99)})
    answer = await send(server, token, picture())
    assert answer.status_code == 429


@pytest.mark.parametrize("link", ["x" * 22, "x", "..%2f..%2fmall.db", "%00" * 22, "图" * 22])
async def test_a_link_that_leads_nowhere_is_not_found(server: Server, link: str) -> None:
    answer = await server.client.get(f"/assets/{link}")
    assert answer.status_code == 404


async def test_every_row_has_its_file(server: Server) -> None:
    files = Files(server.resources.settings.uploads)
    rows = await server.mall.rows(AssetRow)
    assert len(rows) > 20
    assert [row.sha256 for row in rows if not files.path(row.sha256).is_file()] == []
