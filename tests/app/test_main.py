"""The start: servers that do not answer are named before anything begins."""

import socket
from pathlib import Path

import pytest

from app.main import check_servers
from app.settings import BadSetting, Settings


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_the_embedded_default_answers(tmp_path: Path) -> None:
    await check_servers(Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/mall.db"))


async def test_a_redis_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/mall.db",
        redis_url=f"redis://127.0.0.1:{closed_port()}/0",
    )
    with pytest.raises(BadSetting, match="JISHI_REDIS_URL"):
        await check_servers(settings)
    assert not (tmp_path / "mall.db").exists()


async def test_a_database_that_is_not_there_is_named() -> None:
    url = f"postgresql+asyncpg://me@127.0.0.1:{closed_port()}/mall"
    with pytest.raises(BadSetting, match="JISHI_DATABASE_URL"):
        await check_servers(Settings(database_url=url))
