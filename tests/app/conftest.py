"""What the tests of the edge need: a Redis server of our own and a mall behind a real socket."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from app.bus import Bus, MemoryBus
from app.redis_bus import RedisBus
from tests.app.hearing import emptied
from tests.serving import Server, free_port, served


@pytest.fixture(scope="session")
def redis_url() -> Generator[str]:
    """The address of a Redis server that keeps nothing; missing in CI is a failure."""
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="jishi-redis-") as folder:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        server = subprocess.Popen(
            [program, "--port", str(port), *options], stdout=subprocess.DEVNULL
        )
        try:
            _wait_for_redis(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def bus(request: pytest.FixtureRequest) -> AsyncGenerator[Bus]:
    one: Bus
    if request.param == "memory":
        one = MemoryBus()
    else:
        one = RedisBus(await emptied(request.getfixturevalue("redis_url")))
    await one.open()
    yield one
    await one.close()


@pytest.fixture
async def processes(redis_url: str) -> AsyncGenerator[Callable[[], Awaitable[RedisBus]]]:
    """Opens one more bus over the same Redis, as another process would."""
    await emptied(redis_url)
    async with AsyncExitStack() as stack:

        async def opened() -> RedisBus:
            one = RedisBus(redis_url)
            await one.open()
            stack.push_async_callback(one.close)
            return one

        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    """The whole application on a free port, over one mall for the tests of a file."""
    file = tmp_path_factory.mktemp("served") / "mall.db"
    shutil.copy(migrated, file)
    async with served(f"sqlite+aiosqlite:///{file}") as one:
        yield one


def _wait_for_redis(port: int) -> None:
    asks = [shutil.which("redis-cli") or "redis-cli", "-p", str(port), "ping"]
    until = time.monotonic() + 10
    while subprocess.run(asks, capture_output=True, check=False).stdout != b"PONG\n":
        if time.monotonic() > until:
            pytest.fail("the Redis server does not answer")
        time.sleep(0.05)
