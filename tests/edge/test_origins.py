"""Pages of other origins: what a browser is told, and which websockets are never opened."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from app.origins import Origins
from tests.serving import Server, served

SHOP, EVIL = "https://shop.example", "https://evil.example"
VIEWER = {"query": "{ viewer { role } }"}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    file = tmp_path_factory.mktemp("origins") / "mall.db"
    shutil.copy(migrated, file)
    listed = Origins((SHOP, "https://*.mall.example", "weapp://*"))
    async with served(f"sqlite+aiosqlite:///{file}", origins=listed) as one:
        yield one


def asking(origin: str, headers: str = "authorization, content-type") -> dict[str, str]:
    """A preflight of a POST."""
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": headers,
    }


@pytest.mark.parametrize("origin", [SHOP, "https://h5.mall.example"])
async def test_a_page_that_is_listed_may_ask_and_read(server: Server, origin: str) -> None:
    preflight = await server.client.options("/graphql", headers=asking(origin))
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == origin
    assert preflight.headers["access-control-max-age"] == "7200"
    answer = await server.client.post("/graphql", json=VIEWER, headers={"origin": origin})
    assert answer.json()["data"] == {"viewer": {"role": "GUEST"}}
    assert answer.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", [EVIL, "null", "https://mall.example", f"{SHOP}.evil.example"])
async def test_any_other_page_gets_no_preflight_and_reads_nothing(
    server: Server, origin: str
) -> None:
    preflight = await server.client.options("/graphql", headers=asking(origin))
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    answer = await server.client.post("/graphql", json=VIEWER, headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_header_that_nobody_needs_gets_no_preflight(server: Server) -> None:
    preflight = await server.client.options("/graphql", headers=asking(SHOP, "x-other"))
    assert preflight.status_code == 400


async def test_a_refusal_can_be_read_by_a_page_that_is_listed(server: Server) -> None:
    answer = await server.client.post("/graphql", content=b"x" * 300_000, headers={"origin": SHOP})
    assert answer.status_code == 413
    assert answer.headers["access-control-allow-origin"] == SHOP


async def test_without_an_origin_nothing_is_added(server: Server) -> None:
    answer = await server.client.post("/graphql", json=VIEWER)
    assert answer.json()["data"] == {"viewer": {"role": "GUEST"}}
    assert [name for name in answer.headers if name.startswith("access-control")] == []


async def test_a_public_answer_says_that_it_hangs_on_the_origin(server: Server) -> None:
    """Else a cache could hand a page an answer without leave to read it."""
    headers = {"graphql-require-preflight": "1"}
    asked = {"query": "{ products { nodes { title } } }"}
    answer = await server.client.get("/graphql", params=asked, headers=headers)
    assert answer.headers["cache-control"].startswith("public")
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", [EVIL, "null", "file://", "http://127.0.0.1:1"])
async def test_a_websocket_of_another_site_is_refused_before_it_opens(
    server: Server, origin: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with server.raw_socket(origin=origin):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", [SHOP, "weapp://wx0123456789", "own", None])
async def test_a_websocket_of_ours_opens(server: Server, origin: str | None) -> None:
    """So are mini-programs, which send none or their own scheme, and the pages of the server."""
    async with server.socket(origin=server.url if origin == "own" else origin) as socket:
        await socket.start("1", VIEWER["query"])
        assert await socket.data("1", "viewer") == {"role": "GUEST"}
