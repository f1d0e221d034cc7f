"""Two servers on one Redis and one database: whoever changes something, everybody hears it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.app.hearing import emptied
from tests.realtime.rooms import Room, published
from tests.realtime.watchers import Watcher, sse, websocket
from tests.serving import Process, started


@asynccontextmanager
async def following(watchers: list[Watcher], servers: list[Process]) -> AsyncGenerator[None]:
    """Each watcher listens to its server."""
    listening = [
        asyncio.create_task(watcher.follow(server.port))
        for watcher, server in zip(watchers, servers, strict=True)
    ]
    yield
    for task in listening:
        task.cancel()
    await asyncio.wait(listening)


@pytest.mark.redis
async def test_two_servers_that_work_at_once_are_heard_in_one_order_in_both(
    any_room: Room, tmp_path: Path, redis_url: str
) -> None:
    """In the middle the watchers change places: a cursor of one server is good in the other."""
    room, settings = any_room, {**any_room.settings, "redis_url": await emptied(redis_url)}
    watchers = [Watcher(room.id, speaks) for speaks in (websocket, sse, websocket, sse)]
    with (
        started(room.url, tmp_path, **settings) as here,
        started(room.url, tmp_path, **settings) as there,
    ):
        here.ready()
        there.ready()
        servers = [here, here, there, there]
        for watcher, server in zip(watchers, servers, strict=True):
            await watcher.begin(server.port)
        for count, places in ((60, servers), (120, servers[::-1])):
            async with following(watchers, places):
                async with published(room, here.url, there.url, hands=3, pause_s=0.02):
                    await room.has_told(count)
                told = await room.told()
                await asyncio.gather(*(watcher.has_heard(told[-1]) for watcher in watchers))
    assert told == list(range(1, len(told) + 1))
    for watcher in watchers:
        assert watcher.seqs == told
        assert watcher.gaps == 0
