"""The outbox: marks what the bus has taken, and repeats what a crash kept from it."""

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select

from app.bus import BusDown, Hole, Message
from app.db import Database, Unit
from app.outbox import OUTBOX, TOPICS
from app.statements import Prepared, bind

INTERVAL_S = 2.0
GRACE = timedelta(seconds=3)  # younger rows are being published, or marked, by whoever wrote them
KEPT = timedelta(days=1)
BATCH = 200

_IS_OLD = OUTBOX.c.published_at.is_not(None), OUTBOX.c.published_at <= bind("before")
_FORGOTTEN = Prepared(
    select(*OUTBOX.c)
    .where(OUTBOX.c.published_at.is_(None), OUTBOX.c.created_at <= bind("before"))
    .order_by(OUTBOX.c.id)
    .limit(BATCH)
)
_BETWEEN = Prepared(
    select(*OUTBOX.c)
    .where(
        OUTBOX.c.topic == bind("topic"),
        OUTBOX.c.seq > bind("after"),
        OUTBOX.c.seq < bind("before"),
    )
    .order_by(OUTBOX.c.seq)
    .limit(BATCH)
)
_OLD = Prepared(select(OUTBOX.c.id).where(*_IS_OLD).limit(1))
_oldest = select(OUTBOX.c.topic, func.max(OUTBOX.c.seq).label("seq"))
_KEEP_COUNT = Prepared(
    lambda insert: (
        made := insert(TOPICS).from_select(
            ["topic", "seq"], _oldest.where(*_IS_OLD).group_by(OUTBOX.c.topic)
        )
    ).on_conflict_do_update(
        index_elements=[TOPICS.c.topic],
        set_={"seq": made.excluded.seq},
        where=made.excluded.seq > TOPICS.c.seq,
    )
)
_DROP_OLD = Prepared(delete(OUTBOX).where(*_IS_OLD))
_log = logging.getLogger(__name__)


async def once(database: Database, *, grace: timedelta = GRACE) -> int:
    """Marks published events, publishes forgotten ones again, fills holes and drops old rows.

    How many were published again: an event that the bus has already is not told twice.
    """
    await database.mark_published()
    repeated = 0
    while True:
        taken = await database.announce(await _forgotten(database, grace))
        await database.mark_published()
        repeated += taken
        if taken < BATCH:
            break
    with contextlib.suppress(BusDown):
        for hole in await database.bus.holes():
            await _fill(database, hole)
    await _drop_old(database)
    return repeated


async def run(database: Database, stop: asyncio.Event, *, interval_s: float = INTERVAL_S) -> None:
    """Looks every `interval_s` seconds until `stop` is set; marks once more before it ends.

    The first time without grace: what a process that crashed has left is told at once.
    """
    grace = timedelta()
    while not stop.is_set():
        repeated = await once(database, grace=grace)
        grace = GRACE
        if repeated:
            _log.info("published again", extra={"count": repeated})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_s)
    await database.mark_published()


async def _forgotten(database: Database, grace: timedelta) -> list[Message]:
    before = database.clock() - grace
    rows = await database.look(lambda db: db.all(_FORGOTTEN, {"before": before}))
    return [_message(row) for row in rows]


async def _fill(database: Database, hole: Hole) -> None:
    """Publishes what the events behind a hole wait for.

    Numbers are committed in their order, so those that have no row will never come: they were
    published and dropped before the bus lost its memory, or somebody has taken them away.
    """
    values = {"topic": hole.topic, "after": hole.after, "before": hole.before}
    rows = await database.look(lambda db: db.all(_BETWEEN, values))
    if not rows:
        _log.warning("events are gone, the topic goes on", extra={"topic": hole.topic})
        await database.bus.skip(hole)
    await database.announce([_message(row) for row in rows])


def _message(row: Any) -> Message:
    return Message(row.topic, row.kind, row.payload, row.id, row.seq)


async def _drop_old(database: Database) -> None:
    before = {"before": database.clock() - KEPT}
    if await database.look(lambda db: db.first(_OLD, before)) is not None:
        await database.change(_drop, before)


async def _drop(unit: Unit, before: dict[str, Any]) -> None:
    """How far the topics have counted stays, so that no number comes again."""
    await unit.execute(_KEEP_COUNT, before)
    await unit.changed(_DROP_OLD, before)
