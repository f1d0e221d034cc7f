"""The rushes against a server process of our own, on both databases."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.load import rush
from tests.serving import free_port

SMALLER = rush.Size(groups=5, shoppers=15, buyers=24, units=6)

pytestmark = pytest.mark.slow


@contextmanager
def running(database_url: str, folder: Path) -> Generator[str]:
    """`jishi serve` in `folder`; its address."""
    port = free_port()
    env = {
        **os.environ,
        "JISHI_DEV": "1",
        "JISHI_MODEL": "none",
        "JISHI_PORT": str(port),
        "JISHI_DATABASE_URL": database_url,
        "JISHI_LOG_LEVEL": "WARNING",
        "JISHI_SIGN_INS_PER_MINUTE": "100000",  # the shoppers share one address
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "app.cli", "serve"]
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, server, log)
            yield url
        finally:
            server.terminate()
            status = server.wait(15)
    assert status == -signal.SIGTERM, log.read_text()  # uvicorn stops, then ends as it was told
    assert "Traceback" not in log.read_text(), log.read_text()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the server does not get ready")


def rushed(url: str, database_url: str) -> None:
    done = asyncio.run(rush.run(url, database_url, SMALLER))
    lines: list[str] = []
    rush.report(done, lines.append)
    assert done.is_good, "\n".join(lines)


def test_on_sqlite_nobody_gets_a_seat_or_unit_that_is_not_there(
    migrated: Path, tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'mall.db'}"
    (tmp_path / "mall.db").write_bytes(migrated.read_bytes())
    with running(url, tmp_path) as address:
        rushed(address, url)


@pytest.mark.postgres
def test_on_postgresql_nobody_gets_a_seat_or_unit_that_is_not_there(
    postgres_database: str, tmp_path: Path
) -> None:
    with running(postgres_database, tmp_path) as address:
        rushed(address, postgres_database)
