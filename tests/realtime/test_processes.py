"""Two servers on one Redis and one database: whoever changes something, everybody hears it."""

import asyncio
from pathlib import Path

import pytest

from tests.app.hearing import emptied
from tests.realtime.rooms import Room, published
from tests.realtime.watchers import Watcher, sse, websocket
from tests.serving import running

pytestmark = pytest.mark.redis


async def test_two_servers_that_work_at_once_are_heard_in_one_order_in_both(
    any_room: Room, tmp_path: Path, redis_url: str
) -> None:
    room, settings = any_room, {**any_room.settings, "redis_url": await emptied(redis_url)}
    watchers = [Watcher(room.id, speaks) for speaks in (websocket, sse, websocket, sse)]
    with (
        running(room.url, tmp_path, **settings) as here,
        running(room.url, tmp_path, **settings) as there,
    ):
        servers = [here, here, there, there]
        for watcher, server in zip(watchers, servers, strict=True):
            await watcher.begin(server.port)
        listening = [
            asyncio.create_task(watcher.follow(server.port))
            for watcher, server in zip(watchers, servers, strict=True)
        ]
        async with published(room, here.url, there.url, hands=3, pause_s=0):
            await room.has_told(120)
        told = await room.told()
        await asyncio.gather(*(watcher.has_heard(told[-1]) for watcher in watchers))
        for task in listening:
            task.cancel()
        await asyncio.wait(listening)
    assert told == list(range(1, len(told) + 1))
    for watcher in watchers:
        assert watcher.seqs == told
        assert watcher.gaps == 0


async def test_a_cursor_of_one_server_is_good_in_the_other(
    room: Room, tmp_path: Path, redis_url: str
) -> None:
    settings = {**room.settings, "redis_url": await emptied(redis_url)}
    watcher = Watcher(room.id, websocket)
    with (
        running(room.url, tmp_path, **settings) as here,
        running(room.url, tmp_path, **settings) as there,
    ):
        await watcher.begin(here.port)
        for count in (10, 20, 30):
            async with published(room, here.url):
                await room.has_told(count)
            last = (await room.told())[-1]
            await watcher.catch_up((there if count == 20 else here).port, last)
    assert watcher.seqs == await room.told()
    assert watcher.gaps == 0
