"""What time ends: unpaid seats and trades, groups not filled, parcels received, shows, draws."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from app.db import Database, Unit
from app.services import group_buys, live_rooms, live_rooms_lottery, orders, orders_cancel

INTERVAL_S = 1.0

_SWEEPS: tuple[Callable[[Unit], Coroutine[Any, Any, int]], ...] = (
    group_buys.expire_due,
    group_buys.release_due_holds,
    orders_cancel.expire_due,
    orders.receive_due,
    live_rooms.move_due,
    live_rooms_lottery.draw_due,
)
_log = logging.getLogger(__name__)


async def once(database: Database) -> int:
    """Ends everything that is due, one thing a unit; how many things."""
    ended = 0
    for sweep in _SWEEPS:
        while True:
            swept = await database.change(sweep)
            if not swept:
                break
            ended += swept
    return ended


async def run(database: Database, stop: asyncio.Event, *, interval_s: float = INTERVAL_S) -> None:
    """Looks every `interval_s` seconds until `stop` is set."""
    while not stop.is_set():
        ended = await once(database)
        if ended:
            _log.info("expired", extra={"count": ended})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_s)
