"""What leaves after a commit: events, numbered per topic in the transaction of the change."""

from hashlib import blake2b

from sqlalchemy import func, insert, select, text, union_all

from app.bus import Message
from app.doors import Reader, Unit
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.outbox import OutboxRow, TopicRow

OUTBOX = table(OutboxRow)
TOPICS = table(TopicRow)

# a topic's rows are dropped in time, its number stays
_seen = union_all(
    select(func.max(OUTBOX.c.seq).label("seq")).where(OUTBOX.c.topic == bind("event_topic")),
    select(TOPICS.c.seq).where(TOPICS.c.topic == bind("event_topic")),
).subquery()
_newest = select(func.coalesce(func.max(_seen.c.seq), 0).label("seq"))
_NEWEST = Prepared(_newest)
_STORE = Prepared(
    insert(OUTBOX)
    .values(
        topic=bind("event_topic"),
        seq=_newest.scalar_subquery() + 1,
        kind=bind("event_kind"),
        payload=bind("event_payload"),
        created_at=bind("stored_at"),
    )
    .returning(OUTBOX.c.id, OUTBOX.c.seq)
)
_TURNS = text("SELECT pg_advisory_xact_lock(turn) FROM unnest(CAST(:turns AS bigint[])) AS turn")


async def store(unit: Unit) -> list[Message]:
    """Writes the unit's events to the outbox, each with the next number of its topic.

    A topic's numbers are in the order of the commits: on SQLite there is one writer, on PostgreSQL
    the topics of a unit are locked, always in the same order, from here to its commit.
    """
    if unit.events and unit.db.dialect == "postgresql":
        turns = sorted({_turn_of(one.topic) for one in unit.events})
        await unit.execute(_TURNS, {"turns": turns})
    messages = []
    now = unit.clock()
    for one in unit.events:
        kind, payload = type(one).__name__, one.payload()
        event = {
            "event_topic": one.topic,
            "event_kind": kind,
            "event_payload": payload,
            "stored_at": now,
        }
        row = await unit.returned(_STORE, event)
        messages.append(Message(one.topic, kind, payload, outbox_id=row.id, seq=row.seq))
    return messages


async def newest(db: Reader, topic: str) -> int:
    """The number of the last event of a topic, 0 before the first."""
    return int(await db.value(_NEWEST, {"event_topic": topic}))


def _turn_of(topic: str) -> int:
    return int.from_bytes(blake2b(topic.encode(), digest_size=8).digest(), signed=True)
