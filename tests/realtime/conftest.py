"""A room on air on either database, to be served by processes of their own."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.app.conftest import redis_url
from tests.realtime.rooms import Room, on_air

__all__ = ["redis_url"]


@pytest.fixture
async def room(migrated: Path, tmp_path: Path) -> AsyncGenerator[Room]:
    shutil.copy(migrated, tmp_path / "mall.db")
    async with on_air(f"sqlite+aiosqlite:///{tmp_path}/mall.db") as one:
        yield one


@pytest.fixture
async def postgres_room(postgres_database: str) -> AsyncGenerator[Room]:
    async with on_air(postgres_database) as one:
        yield one


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_room(request: pytest.FixtureRequest) -> Room:
    name = "room" if request.param == "sqlite" else "postgres_room"
    chosen: Room = request.getfixturevalue(name)
    return chosen
