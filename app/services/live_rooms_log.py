"""The log of a room: every event a row, numbered densely, written with the change it tells of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update

from app.auth import Viewer
from app.db import Reader, Unit
from app.rules.live_rooms import HOST_ONLY, RoomEventKind
from app.services import group_buys
from app.services.live_rooms_seen import ROOMS, names, run_by
from app.services.live_rooms_seen import visible_to as rooms_visible_to
from app.services.pages import Listing
from app.services.sight import leads_to
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.live_rooms import LiveMessageRow, LiveRoomEventRow

EVENTS = table(LiveRoomEventRow)
MESSAGES = table(LiveMessageRow)


@dataclass(frozen=True, slots=True)
class Line:
    """A message in a replay; the name is masked."""

    seq: int
    nickname: str
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Details:
    """What an event tells of: the facts of its row, and the messages of a batch."""

    facts: Mapping[str, Any]
    lines: Sequence[Line]


_SAID = Prepared(
    select(MESSAGES.c.seq, MESSAGES.c.account_id, MESSAGES.c.text, MESSAGES.c.created_at)
    .where(
        MESSAGES.c.room_id == bind("room"),
        MESSAGES.c.seq >= bind("first"),
        MESSAGES.c.seq <= bind("last"),
        ~MESSAGES.c.is_hidden,
    )
    .order_by(MESSAGES.c.seq)
)
_NEXT = Prepared(
    update(ROOMS)
    .where(ROOMS.c.id == bind("room"))
    .values(event_seq=ROOMS.c.event_seq + 1)
    .returning(ROOMS.c.event_seq)
)
_WRITE = Prepared(
    insert(EVENTS).values(
        room_id=bind("room"),
        seq=bind("number"),
        kind=bind("what"),
        sku_id=bind("sku"),
        lottery_id=bind("lottery"),
        message_id=bind("message"),
        data=bind("facts"),
        is_host_only=bind("is_private"),
        created_at=bind("now"),
    )
)


def visible_to(viewer: Viewer) -> Select[Any]:
    """The audience sees what it was told; the rest is for the host and staff."""
    query = select(*EVENTS.c).where(leads_to(EVENTS.c.room_id, rooms_visible_to(viewer)))
    if viewer.is_staff:
        return query
    return query.where(~EVENTS.c.is_host_only | run_by(viewer, EVENTS.c.room_id))


def listing(viewer: Viewer, *, room_id: int, after_seq: int) -> Listing:
    """What happened in a room past `after_seq`, oldest first, also when it has ended."""
    query = visible_to(viewer).where(EVENTS.c.room_id == room_id, EVENTS.c.seq > after_seq)
    return Listing(query, [(EVENTS.c.seq, False)])


async def details(db: Reader, _viewer: Viewer, rows: Sequence[Any]) -> list[Details]:
    """What each of these events tells of; messages as the audience sees them."""
    spans = [row for row in rows if row.kind == RoomEventKind.MESSAGES_POSTED]
    said: dict[int, list[Any]] = {}
    for room_id in {row.room_id for row in spans}:
        own = [row.data for row in spans if row.room_id == room_id]
        span = {
            "room": room_id,
            "first": min(one["first"] for one in own),
            "last": max(one["last"] for one in own),
        }
        said[room_id] = await db.all(_SAID, span)
    called = await names(db, {one.account_id for lines in said.values() for one in lines})
    return [
        Details(
            row.data,
            [
                Line(one.seq, group_buys.masked(called[one.account_id]), one.text, one.created_at)
                for one in (said[row.room_id] if row.kind == RoomEventKind.MESSAGES_POSTED else ())
                if row.data["first"] <= one.seq <= row.data["last"]
            ],
        )
        for row in rows
    ]


async def note(
    unit: Unit,
    room_id: int,
    kind: RoomEventKind,
    *,
    sku_id: int | None = None,
    lottery_id: int | None = None,
    message_id: int | None = None,
    **facts: Any,
) -> int:
    """Writes one event of the unit's change; its number in the room.

    Holds the room's row until the unit ends: events of a room are numbered as they are committed.
    """
    row = await unit.returned(_NEXT, {"room": room_id})
    written = {
        "room": room_id,
        "number": row.event_seq,
        "what": kind,
        "sku": sku_id,
        "lottery": lottery_id,
        "message": message_id,
        "facts": facts,
        "is_private": kind in HOST_ONLY,
        "now": unit.clock(),
    }
    await unit.insert(_WRITE, written)
    return int(row.event_seq)
