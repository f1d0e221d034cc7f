"""Keeps a process's tokens true: sessions that end elsewhere are heard of, and looked for."""

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta

from app.auth import Tokens
from app.bus import Bus, BusDown, Delivery, Lagging
from app.db import Database
from app.events import SESSIONS
from app.services import sessions

INTERVAL_S = 5.0
FORGET_EVERY = timedelta(hours=1)
OVERLAP = timedelta(seconds=60)  # clocks of processes differ, and a commit takes its time
RETRY_S = 1.0
_log = logging.getLogger(__name__)


async def once(database: Database, tokens: Tokens, since: datetime) -> None:
    """Lets no token of a session that ended after `since` be read."""
    tokens.end(await database.look(lambda db: sessions.ended_since(db, since)))


async def run(
    database: Database, tokens: Tokens, stop: asyncio.Event, *, interval_s: float = INTERVAL_S
) -> None:
    """Looks at the start for all whose tokens may live, then for news, until `stop` is set.

    What a bus that is down keeps back, and processes without one, are late by no more than that.
    """
    since = database.clock() - tokens.access_life
    forget_at = database.clock()
    while not stop.is_set():
        now = database.clock()
        await once(database, tokens, since)
        since = now - OVERLAP
        if now >= forget_at:
            await database.change(sessions.forget)
            forget_at = now + FORGET_EVERY
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_s)


async def follow(bus: Bus, tokens: Tokens) -> None:
    """Hears of sessions as they end, until the bus closes."""
    while True:
        try:
            async with bus.subscribe(SESSIONS) as heard:
                async for item in heard:
                    if isinstance(item, Delivery):
                        tokens.end(item.message.payload["session_ids"])
                return
        except Lagging:
            continue
        except BusDown:
            _log.warning("no word of sessions that end elsewhere: they are looked for instead")
            await asyncio.sleep(RETRY_S)
