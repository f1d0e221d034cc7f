"""The one fixture: a mall with its own migrated database; and a PostgreSQL server of our own."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from app import migrate
from app.bus import MemoryBus
from app.db import Database
from tests.factories import Hands, Mall

POSTGRES_PROGRAMS = ("initdb", "pg_ctl")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In CI a failure is shown at once: a run that is cut off says nothing at its end."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if report.failed and os.environ.get("CI") and not is_worker:
        sys.stderr.write(f"\n{report.nodeid}\n{report.longreprtext}\n")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database as the migrations make it, to be copied by each test."""
    file = tmp_path_factory.mktemp("migrated") / "mall.db"
    migrate.upgrade(f"sqlite+aiosqlite:///{file}")
    return file


@pytest.fixture
async def mall(migrated: Path, tmp_path: Path) -> AsyncGenerator[Mall]:
    file = tmp_path / "mall.db"
    shutil.copy(migrated, file)
    async with opened(f"sqlite+aiosqlite:///{file}") as one:
        yield one


@pytest.fixture
async def postgres_mall(postgres_database: str) -> AsyncGenerator[Mall]:
    async with opened(postgres_database) as one:
        yield one


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_mall(request: pytest.FixtureRequest) -> Mall:
    """The same test on both databases."""
    name = "mall" if request.param == "sqlite" else "postgres_mall"
    chosen: Mall = request.getfixturevalue(name)
    return chosen


@pytest.fixture(scope="session")
def postgres_url() -> Generator[str]:
    """The address of a PostgreSQL server of our own, migrated database `jishi_template` in it.

    Ends in `/`: add a database name. On loopback and a socket in its own folder; nothing is
    flushed to disk, for nothing outlives the tests.
    """
    programs = {name: _program(name) for name in POSTGRES_PROGRAMS}
    folder = Path(tempfile.mkdtemp(prefix="jishi-pg-"))
    try:
        with _postgres(programs, folder) as url:
            asyncio.run(_execute(url, 'CREATE DATABASE "jishi_template"'))
            migrate.upgrade(f"{url}jishi_template")
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def postgres_database(postgres_url: str) -> AsyncGenerator[str]:
    """The address of a migrated database of the test's own."""
    name = f"test_{os.urandom(6).hex()}"
    await _execute(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "jishi_template"')
    yield f"{postgres_url}{name}"
    await _execute(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Mall]:
    bus, clock = MemoryBus(), Hands()
    database = Database(url, bus=bus, clock=clock)
    yield Mall(database, bus, clock)
    # an answer that ends with an error leaves its neighbours' reads under way
    reads = asyncio.all_tasks() - {asyncio.current_task()}
    if reads:
        await asyncio.wait(reads, timeout=1)
    await database.close()


def _program(name: str) -> str:
    """Where a PostgreSQL program is. Where CI should have installed it, missing is a failure."""
    found = shutil.which(name)
    if found is None:
        installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = str(installed[-1]) if installed else None
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def _postgres(programs: dict[str, str], folder: Path) -> Generator[str]:
    """Starts a server in `folder` and stops it; its address without a database."""
    port = _free_port()
    as_owner: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]
    files = str(folder / "files")
    log = str(folder / "log")
    options = (
        f"-c listen_addresses=127.0.0.1 -p {port} -k {folder}"
        " -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
    )

    def run(*command: str) -> None:
        subprocess.run(
            [*as_owner, *command], check=True, capture_output=True, cwd=folder, timeout=60
        )

    run(
        programs["initdb"],
        "-D",
        files,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-N",
        "--no-locale",
        "-E",
        "UTF8",
    )
    control = programs["pg_ctl"]
    run(control, "-D", files, "-l", log, "-w", "-o", options, "start")
    try:
        yield f"postgresql+asyncpg://postgres@127.0.0.1:{port}/"
    finally:
        run(control, "-D", files, "-m", "immediate", "-w", "stop")


async def _execute(url: str, statement: str) -> None:
    plain = url.replace("+asyncpg", "") + "postgres"
    connection = await asyncpg.connect(plain)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
