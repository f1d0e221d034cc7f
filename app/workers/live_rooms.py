"""The ticks of live rooms: what is new several times a second, stock and viewers less often."""

import asyncio
import contextlib

from app.db import Database
from app.services import live_rooms_ticks as ticks
from app.services import live_rooms_viewers as viewers
from app.services.live_rooms_viewers import Presence

INTERVAL_S = 0.25  # so that a message reaches everybody within half a second
STOCK_EVERY_S = 1.0


async def once(database: Database) -> int:
    """Tells the news of every room that has some, one room a unit; of how many rooms."""
    told = 0
    for room_id in await database.look(ticks.with_news):
        told += await database.change(ticks.tick, room_id)
    return told


async def tell_stock(database: Database) -> int:
    """Tells of stock that has changed; takes the write lock only when some has. How many goods."""
    if not await database.look(ticks.stock_news):
        return 0
    return await database.change(ticks.tell_stock)


async def count_viewers(database: Database, presence: Presence) -> int:
    """Writes who watches in this process, then counts; in how many rooms the number changed."""
    if there := presence.take():
        await database.change(viewers.note, there)
    on_air = await database.look(viewers.on_air)
    return await database.change(viewers.count, on_air) if on_air else 0


async def run(
    database: Database,
    presence: Presence,
    stop: asyncio.Event,
    *,
    interval_s: float = INTERVAL_S,
) -> None:
    """Looks every `interval_s` seconds until `stop` is set; tells once more before it ends."""
    loop = asyncio.get_running_loop()
    stock_at = viewers_at = loop.time()
    while not stop.is_set():
        now = loop.time()
        await once(database)
        if now >= stock_at:
            await tell_stock(database)
            stock_at = now + STOCK_EVERY_S
        if now >= viewers_at:
            await count_viewers(database, presence)
            viewers_at = now + viewers.FLUSH.total_seconds()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_s)
    await once(database)
