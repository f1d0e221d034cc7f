"""Clients that are cut off at any byte and come back lose nothing and hear nothing twice."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.app.hearing import emptied
from tests.realtime.rooms import Room, published
from tests.realtime.watchers import Watcher, sse, websocket
from tests.serving import started

SOCKETS, STREAMS, CUTS_EACH = 20, 6, 20
OPENING = 900  # bytes until the first event, about


@pytest.mark.parametrize("bus", ["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def test_whoever_is_cut_off_five_hundred_times_hears_everything_once(
    bus: str, room: Room, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = room.settings
    if bus == "redis":
        settings["redis_url"] = await emptied(request.getfixturevalue("redis_url"))
    watchers = [
        Watcher(room.id, speaks)
        for speaks, count in ((websocket, SOCKETS), (sse, STREAMS))
        for _ in range(count)
    ]
    with started(room.url, tmp_path, **settings) as server:
        server.ready()
        for watcher in watchers:
            await watcher.begin(server.port)
        async with asyncio.timeout(300), published(room, server.url):
            await asyncio.gather(
                *(cut_off(watcher, server.port, seed) for seed, watcher in enumerate(watchers))
            )
        told = await room.told()
        await asyncio.gather(*(watcher.catch_up(server.port, told[-1]) for watcher in watchers))
    assert told == list(range(1, len(told) + 1))
    assert sum(watcher.cuts for watcher in watchers) >= 500
    for watcher in watchers:
        assert watcher.seqs == told
        assert watcher.gaps == 0


async def cut_off(watcher: Watcher, port: int, seed: int) -> None:
    """In a quarter of the cases before the stream has begun."""
    chance = random.Random(seed)
    while watcher.cuts < CUTS_EACH:
        least, most = (0, OPENING) if chance.random() < 0.25 else (OPENING, 2 * OPENING)
        await watcher.follow(port, budget=chance.randint(least, most))
