"""A server that is killed, a Redis that is emptied: nothing is lost, or the gap is told, once."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from tests.app.hearing import emptied
from tests.realtime.rooms import Room, published
from tests.realtime.watchers import Watcher, sse, websocket
from tests.serving import Process, started


@contextmanager
def served(room: Room, folder: Path, redis_url: str = "") -> Generator[Process]:
    settings = {"redis_url": redis_url} if redis_url else {}
    with started(room.url, folder, **room.settings, **settings) as one:
        yield one


@asynccontextmanager
async def caller(server: Process) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        yield client


@asynccontextmanager
async def following(watcher: Watcher, server: Process) -> AsyncGenerator[None]:
    """Listens in the background, from where the watcher stands."""
    listening = asyncio.create_task(watcher.follow(server.port))
    await asyncio.sleep(0.2)
    try:
        yield
    finally:
        listening.cancel()
        await asyncio.wait([listening])


async def killed_before_it_publishes(
    room: Room, server: Process, redis_url: str, *, pins: int
) -> None:
    """Redis takes no event while `pins` changes are committed; then the server is killed."""
    redis = Redis.from_url(redis_url)
    before = len(await room.told())
    async with caller(server) as host:
        await redis.client_pause(60_000, all=False)
        asking = [asyncio.create_task(room.pin(host)) for _ in range(pins)]
        await room.has_told(before + pins)
        server.kill()
        await redis.client_unpause()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    await redis.aclose()
    assert any(isinstance(one, httpx.TransportError) for one in outcomes), outcomes


@pytest.mark.redis
async def test_what_was_committed_before_a_kill_is_told_after_the_restart(
    room: Room, tmp_path: Path, redis_url: str
) -> None:
    await emptied(redis_url)
    watchers = [Watcher(room.id, websocket), Watcher(room.id, sse)]
    with served(room, tmp_path, redis_url) as server:
        server.ready()
        async with caller(server) as host:
            for watcher in watchers:
                await watcher.begin(server.port)
            await room.pins(host, 3)
            await watchers[0].catch_up(server.port, 3)
        await killed_before_it_publishes(room, server, redis_url, pins=5)
    with served(room, tmp_path, redis_url) as server:
        server.ready()
        async with caller(server) as host:
            await room.pins(host, 2)
            for watcher in watchers:
                await watcher.catch_up(server.port, 10)
    assert await room.told() == list(range(1, 11))
    for watcher in watchers:
        assert watcher.seqs == list(range(1, 11))
        assert watcher.gaps == 0


@pytest.mark.redis
async def test_another_server_tells_what_a_killed_one_has_committed(
    room: Room, tmp_path: Path, redis_url: str
) -> None:
    """Whose own events wait for it in the meantime."""
    await emptied(redis_url)
    watcher = Watcher(room.id, websocket)
    with (
        served(room, tmp_path, redis_url) as doomed,
        served(room, tmp_path, redis_url) as server,
    ):
        doomed.ready()
        server.ready()
        async with caller(server) as host:
            await watcher.begin(server.port)
            async with following(watcher, server):
                await room.pins(host, 2)
                await killed_before_it_publishes(room, doomed, redis_url, pins=3)
                await room.pins(host, 2)
                await watcher.has_heard(7)
    assert watcher.seqs == await room.told() == list(range(1, 8))
    assert watcher.gaps == 0


async def killed_in_the_midst(room: Room, watcher: Watcher, server: Process) -> None:
    async with published(room, server.url, pause_s=0, likes=False):
        await watcher.catch_up(server.port, 10)
        server.kill()


async def test_a_restart_without_redis_is_one_gap_and_then_no_hole(
    room: Room, tmp_path: Path
) -> None:
    """Killed in the midst of its work; the bus in memory is gone with it."""
    watcher, away = Watcher(room.id, websocket), Watcher(room.id, sse)
    with served(room, tmp_path) as server:
        server.ready()
        await watcher.begin(server.port)
        await away.begin(server.port)
        with suppress(httpx.TransportError):  # of those who are asking at this moment
            await killed_in_the_midst(room, watcher, server)
    before, known = len(await room.told()), watcher.seqs[:]
    with served(room, tmp_path) as server:
        server.ready()
        await watcher.follow(server.port, lambda: watcher.gaps == 1)
        async with caller(server) as host:
            await room.pins(host, 3)
            await watcher.catch_up(server.port, before + 3)
            await away.follow(server.port, lambda: away.gaps == 1)
            await room.pins(host, 2)
            for one in (watcher, away):
                await one.catch_up(server.port, before + 5)
    assert await room.told() == list(range(1, before + 6))
    assert known == list(range(1, 11))
    assert watcher.seqs == [*known, *range(before + 1, before + 6)]
    assert away.seqs == [before + 4, before + 5]
    assert (watcher.gaps, away.gaps) == (1, 1)


@pytest.mark.redis
async def test_a_redis_that_was_emptied_is_exactly_one_gap_for_everybody(
    room: Room, tmp_path: Path, redis_url: str
) -> None:
    await emptied(redis_url)
    listening, away = Watcher(room.id, websocket), Watcher(room.id, sse)
    newcomer = Watcher(room.id, websocket)
    with served(room, tmp_path, redis_url) as server:
        server.ready()
        async with caller(server) as host:
            await listening.begin(server.port)
            await away.begin(server.port)
            async with following(listening, server):
                await room.pins(host, 3)
                await away.catch_up(server.port, 3)
                await emptied(redis_url)
                await room.pins(host, 2)
                await listening.has_heard(5)
            await newcomer.begin(server.port)
            await away.follow(server.port, lambda: away.gaps == 1)
            await room.pins(host, 2)
            for watcher in (listening, away, newcomer):  # and come back once more
                await watcher.catch_up(server.port, 7)
            await room.pin(host)
            for watcher in (listening, away, newcomer):
                await watcher.catch_up(server.port, 8)
    assert (listening.seqs, listening.gaps) == (list(range(1, 9)), 1)
    assert (away.seqs, away.gaps) == ([1, 2, 3, 6, 7, 8], 1)
    assert (newcomer.seqs, newcomer.gaps) == ([6, 7, 8], 0)
