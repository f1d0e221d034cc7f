"""/healthz and /readyz, and the way in."""

import pytest

from llm.protocol import ScriptedEngine
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_process_lives(server: Server) -> None:
    answer = await server.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_all_that_is_needed_answers(server: Server) -> None:
    answer = await server.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": True, "bus": True, "model": "ready"}


async def test_a_database_that_is_away_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.mall.database, "read", _away)
    answer = await server.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert answer.json()["database"] is False
    assert (await server.client.get("/healthz")).status_code == 200


async def test_a_bus_that_is_away_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> bool:
        return False

    monkeypatch.setattr(server.mall.bus, "is_healthy", silent)
    answer = await server.client.get("/readyz")
    assert (answer.status_code, answer.json()["bus"]) == (503, False)


async def test_the_shop_is_ready_without_its_model(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: ScriptedEngine = server.resources.engine
    monkeypatch.setattr(engine, "state", "unavailable")
    answer = await server.client.get("/readyz")
    assert (answer.status_code, answer.json()["model"]) == (200, "unavailable")


async def test_the_root_leads_to_the_playground(server: Server) -> None:
    answer = await server.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/playground")


def _away() -> object:
    raise OSError
