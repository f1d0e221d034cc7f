"""A filled mall on each database, made once and copied where a test spoils it."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.context import Context
from tests.conftest import _execute, opened
from tests.factories import Mall
from tests.plan.bazaar import Bazaar, fill
from tests.plan.executors import Executors, Json, the_executors
from tests.resolvers.conftest import Api, asked

SQLITE = "sqlite+aiosqlite:///"
TEMPLATE = "jishi_bazaar"
REPORT: list[str] = []


@dataclass(repr=False)
class Fair:
    """A filled mall and both ways to ask it."""

    mall: Mall
    api: Api
    bazaar: Bazaar

    @property
    def executors(self) -> Executors:
        return self.api.executors

    async def both(self, query: str, who: str = "guest", **variables: Any) -> Json:
        """What both executors answer. Raises Different and Dearer."""
        return await self.executors.compare(query, lambda: self.context(who), variables)

    def context(self, who: str) -> Context:
        return self.api.context(self.bazaar.viewers[who])


@dataclass(frozen=True)
class Made:
    """A filled database: a SQLite file or a PostgreSQL template."""

    url: str
    bazaar: Bazaar


@pytest.fixture(scope="session")
def executors() -> Executors:
    return the_executors()


@pytest.fixture(scope="session")
def sqlite_made(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    file = tmp_path_factory.mktemp("bazaar") / "mall.db"
    shutil.copy(migrated, file)
    return _filled(f"{SQLITE}{file}")


@pytest.fixture(scope="session")
def postgres_made(postgres_url: str) -> Made:
    asyncio.run(_execute(postgres_url, f'CREATE DATABASE "{TEMPLATE}" TEMPLATE "jishi_template"'))
    return _filled(f"{postgres_url}{TEMPLATE}")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def made(request: pytest.FixtureRequest) -> Made:
    """The same test on both databases."""
    chosen: Made = request.getfixturevalue(f"{request.param}_made")
    return chosen


@pytest.fixture
async def fair(made: Made, executors: Executors) -> AsyncGenerator[Fair]:
    """The filled mall, to be looked at only: all tests share it."""
    async with opened_fair(made.url, made.bazaar, executors) as one:
        yield one


@pytest.fixture
async def own_fair(made: Made, executors: Executors, tmp_path: Path) -> AsyncGenerator[Fair]:
    """A copy of the filled mall, to be spoilt."""
    async with copied(made.url, tmp_path) as url, opened_fair(url, made.bazaar, executors) as one:
        yield one


@asynccontextmanager
async def copied(url: str, folder: Path) -> AsyncGenerator[str]:
    """The address of a copy of a filled database."""
    if url.startswith("sqlite"):
        file = folder / f"{os.urandom(6).hex()}.db"
        shutil.copy(url.removeprefix(SQLITE), file)
        yield f"{SQLITE}{file}"
        return
    server = url.removesuffix(TEMPLATE)
    name = f"own_{os.urandom(6).hex()}"
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    yield f"{server}{name}"
    await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def opened_fair(url: str, bazaar: Bazaar, executors: Executors) -> AsyncGenerator[Fair]:
    async with opened(url) as mall, asked(mall, executors, executor="planned") as api:
        yield Fair(mall, api, bazaar)


def _filled(url: str) -> Made:
    async def make() -> Bazaar:
        async with opened(url) as mall:
            return await fill(mall)

    return Made(url, asyncio.run(make()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints how much was compared."""
    for line in REPORT:
        terminalreporter.write_line(line)
