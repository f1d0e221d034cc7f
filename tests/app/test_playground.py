"""The playground's files: only what was built, nothing beside it, and help when nothing was."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from app.edge import playground

PAGE = "<!doctype html><title>集市</title>"
SCRIPT = "console.log('集市')"
SECRET = "not for the web"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A built playground, with files beside it that must never leave."""
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text(PAGE, encoding="utf-8")
    (built / "assets" / "main-1a2b.js").write_text(SCRIPT, encoding="utf-8")
    (built / "private.txt").write_text(SECRET, encoding="utf-8")
    (tmp_path / "secret.txt").write_text(SECRET, encoding="utf-8")
    return built


@pytest.fixture
async def client(dist: Path) -> AsyncGenerator[AsyncClient]:
    app = Starlette(routes=playground.routes(dist))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://mall") as client:
        yield client


async def _raw(dist: Path, path: str) -> tuple[int, bytes]:
    """Status and body for a path that no client library has tidied up."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await Starlette(routes=playground.routes(dist))(scope, receive, send)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in sent)
    return status, body


@pytest.mark.parametrize("path", ["/playground", "/playground/"])
async def test_the_page_is_served_and_always_asked_for_again(
    client: AsyncClient, path: str
) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_page_may_load_from_this_server_only(client: AsyncClient) -> None:
    policy = (await client.get("/playground")).headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    assert "*" not in policy


async def test_an_asset_may_be_kept_for_ever(client: AsyncClient) -> None:
    answer = await client.get("/playground/assets/main-1a2b.js")
    assert (answer.status_code, answer.text) == (200, SCRIPT)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_asset_that_has_not_changed_is_not_sent_again(client: AsyncClient) -> None:
    first = await client.get("/playground/assets/main-1a2b.js")
    again = await client.get(
        "/playground/assets/main-1a2b.js", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/playground/assets/../private.txt",
        "/playground/assets/../../secret.txt",
        "/playground/assets//../../secret.txt",
        "/playground/assets/..\\..\\secret.txt",
        "/playground/../secret.txt",
        "/playground/private.txt",
        "/playground/assets/\0",
        "/playground/assets/",
        "/playground/assets/unknown.js",
    ],
)
async def test_nothing_but_assets_leaves_the_folder(dist: Path, path: str) -> None:
    status, body = await _raw(dist, path)
    assert status == 404
    assert SECRET.encode() not in body


async def test_a_link_out_of_the_folder_is_refused(dist: Path, client: AsyncClient) -> None:
    (dist / "assets" / "out.txt").symlink_to(dist.parent / "secret.txt")
    answer = await client.get("/playground/assets/out.txt")
    assert answer.status_code == 404
    assert SECRET not in answer.text


@pytest.mark.parametrize("path", ["/playground", "/playground/assets/main-1a2b.js"])
async def test_files_cannot_be_written(dist: Path, client: AsyncClient, path: str) -> None:
    assert (await client.post(path, content=b"x")).status_code == 405
    assert (dist / "index.html").read_text(encoding="utf-8") == PAGE
    assert (dist / "assets" / "main-1a2b.js").read_text(encoding="utf-8") == SCRIPT


async def test_without_a_build_the_page_says_how_in_chinese_first(tmp_path: Path) -> None:
    answer = await _page_of(tmp_path / "missing")
    assert answer.status_code == 200
    assert answer.text.count("make playground") == 2
    assert answer.text.index("还没有构建") < answer.text.index("not built yet")
    assert "http" not in answer.text
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_build_shows_without_a_restart(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    app = Starlette(routes=playground.routes(dist))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://mall") as client:
        assert (await client.get("/playground/assets/a.js")).status_code == 404
        (dist / "assets").mkdir(parents=True)
        (dist / "index.html").write_text(PAGE, encoding="utf-8")
        (dist / "assets" / "a.js").write_text(SCRIPT, encoding="utf-8")
        assert (await client.get("/playground")).text == PAGE
        assert (await client.get("/playground/assets/a.js")).text == SCRIPT


async def _page_of(dist: Path) -> Response:
    app = Starlette(routes=playground.routes(dist))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://mall") as client:
        return await client.get("/playground")
