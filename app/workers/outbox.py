"""The outbox: marks what the bus has taken, and repeats what a crash kept from it."""

import asyncio
import contextlib
import logging
from datetime import timedelta

from sqlalchemy import delete, select

from app.bus import Message
from app.db import Database
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.outbox import OutboxRow

INTERVAL_S = 2.0
GRACE = timedelta(seconds=10)  # younger rows are still being published by whoever wrote them
KEPT = timedelta(days=1)
BATCH = 200

OUTBOX = table(OutboxRow)
_IS_OLD = OUTBOX.c.published_at.is_not(None), OUTBOX.c.published_at <= bind("before")
_FORGOTTEN = Prepared(
    select(*OUTBOX.c)
    .where(OUTBOX.c.published_at.is_(None), OUTBOX.c.created_at <= bind("before"))
    .order_by(OUTBOX.c.id)
    .limit(BATCH)
)
_OLD = Prepared(select(OUTBOX.c.id).where(*_IS_OLD).limit(1))
_DROP_OLD = Prepared(delete(OUTBOX).where(*_IS_OLD))
_log = logging.getLogger(__name__)


async def once(database: Database) -> int:
    """Marks published events, publishes forgotten ones again and drops old ones.

    How many were published again; subscribers may see such an event twice.
    """
    await database.mark_published()
    repeated = 0
    while True:
        taken = await database.announce(await _forgotten(database))
        await database.mark_published()
        repeated += taken
        if taken < BATCH:
            break
    await _drop_old(database)
    return repeated


async def run(database: Database, stop: asyncio.Event, *, interval_s: float = INTERVAL_S) -> None:
    """Looks every `interval_s` seconds until `stop` is set; marks once more before it ends."""
    while not stop.is_set():
        repeated = await once(database)
        if repeated:
            _log.warning("published again", extra={"count": repeated})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_s)
    await database.mark_published()


async def _forgotten(database: Database) -> list[Message]:
    before = database.clock() - GRACE
    rows = await database.look(lambda db: db.all(_FORGOTTEN, {"before": before}))
    return [Message(row.topic, row.kind, row.payload, outbox_id=row.id) for row in rows]


async def _drop_old(database: Database) -> None:
    before = {"before": database.clock() - KEPT}
    if await database.look(lambda db: db.first(_OLD, before)) is not None:
        await database.change(lambda unit: unit.changed(_DROP_OLD, before))
