"""What time ends: unpaid seats and trades, groups not filled, parcels received, shows, lotteries.

The worker sleeps until the first of them is due. It looks again when this process has written to
one of their tables, and after `AT_MOST_S` whatever happened: what another process wrote is that
process's to end, unless it has died since. Guarded updates decide who ends a thing.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from app.db import Database, Reader, Unit
from app.services import group_buys_end, live_rooms, live_rooms_lottery, orders, orders_cancel

AT_MOST_S = 5.0
GATHER_S = 0.05  # many writes close together are one reason to look
AGAIN_S = 1.0  # after which a due thing that could not be ended is tried again
TIMED = frozenset(
    {"group_buy_groups", "group_buy_members", "trades", "orders", "live_lotteries"}
)  # not the rooms: they are written all the time, and due half a minute later at the earliest

_SWEEPS: tuple[
    tuple[
        Callable[[Unit], Coroutine[Any, Any, int]],
        Callable[[Reader], Coroutine[Any, Any, datetime | None]],
    ],
    ...,
] = (
    (group_buys_end.expire_due, group_buys_end.next_due),
    (group_buys_end.release_due_holds, group_buys_end.next_due_hold),
    (orders_cancel.expire_due, orders_cancel.next_due),
    (orders.receive_due, orders.next_due),
    (live_rooms.move_due, live_rooms.next_due),
    (live_rooms_lottery.draw_due, live_rooms_lottery.next_due),
)
_log = logging.getLogger(__name__)


async def once(database: Database) -> int:
    """Ends everything that is due, one thing a unit; how many things."""
    ended = 0
    for sweep, next_due in _SWEEPS:
        while await _is_due(database, next_due):
            swept = await database.change(sweep)
            if not swept:
                break
            ended += swept
    return ended


async def run(database: Database, stop: asyncio.Event, *, at_most_s: float = AT_MOST_S) -> None:
    """Ends what is due, and sleeps `at_most_s` seconds at most, until `stop` is set."""
    written = asyncio.Event()

    def look_again(tags: frozenset[str]) -> None:
        if not TIMED.isdisjoint(tags):
            written.set()

    forget = database.on_commit(look_again)
    try:
        while not stop.is_set():
            written.clear()
            left_s = await _seconds_left(database)
            if left_s <= 0:
                ended = await once(database)
                if ended:
                    _log.info("expired", extra={"count": ended})
                    continue
                left_s = AGAIN_S
            await _sleep(stop, written, min(left_s, at_most_s))
    finally:
        forget()


async def _sleep(stop: asyncio.Event, written: asyncio.Event, most_s: float) -> None:
    """Until `stop`, or a moment after something is `written`, but never longer than `most_s`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + most_s
    waiting = [asyncio.ensure_future(one.wait()) for one in (stop, written)]
    try:
        await asyncio.wait(waiting, timeout=most_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    if written.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0, min(GATHER_S, until - loop.time())))


async def _is_due(
    database: Database, next_due: Callable[[Reader], Coroutine[Any, Any, datetime | None]]
) -> bool:
    """A look before the write lock is taken."""
    due = await database.look(next_due)
    return due is not None and due <= database.clock()


async def _seconds_left(database: Database) -> float:
    """Until the next thing is due; none or less when one is."""

    async def soonest(db: Reader) -> datetime | None:
        dues = [await next_due(db) for _, next_due in _SWEEPS]
        return min((due for due in dues if due is not None), default=None)

    due = await database.look(soonest)
    return math.inf if due is None else (due - database.clock()).total_seconds()
