"""What a live room has come to: counted while it runs, written once when it leaves the air.

A sale counts for the room whose price was paid (`order_lines.live_room_id`), once it is paid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from app.auth import Viewer
from app.db import Reader, Unit
from app.services import orders
from app.services.live_rooms_seen import ROOMS, runs
from app.statements import Prepared, among
from app.tables.columns import table
from app.tables.live_rooms import LiveMessageRow, LiveRoomFiguresRow

FIGURES = table(LiveRoomFiguresRow)
MESSAGES = table(LiveMessageRow)
LINES = orders.LINES

_WRITTEN = Prepared(select(*FIGURES.c).where(among(FIGURES.c.room_id, "rooms")))
_COUNTED = Prepared(
    select(
        ROOMS.c.id,
        select(func.count())
        .select_from(MESSAGES)
        .where(MESSAGES.c.room_id == ROOMS.c.id)
        .scalar_subquery()
        .label("messages"),
        ROOMS.c.like_count,
        ROOMS.c.viewer_peak,
        ROOMS.c.viewer_total,
    ).where(among(ROOMS.c.id, "rooms"))
)
_SOLD = Prepared(
    select(
        LINES.c.live_room_id.label("room_id"),
        func.count(LINES.c.order_id.distinct()).label("orders"),
        func.sum(LINES.c.quantity).label("units"),
        func.sum(LINES.c.paid_fen).label("turnover_fen"),
    )
    .where(among(LINES.c.live_room_id, "rooms"), LINES.c.paid_fen > 0)
    .group_by(LINES.c.live_room_id)
)


@dataclass(frozen=True, slots=True)
class Figures:
    """`is_final` once they are written; what is paid or refunded later is not in them."""

    messages: int
    likes: int
    viewers_total: int
    viewers_peak: int
    orders: int
    units: int
    turnover_fen: int
    is_final: bool


async def of_rooms(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[Figures | None]:
    """The figures of each of these rooms, None for a viewer who does not run it."""
    own = [row.id for row in rows if runs(viewer, row)]
    known = await of(db, own) if own else {}
    return [known.get(row.id) for row in rows]


async def of(db: Reader, room_ids: Sequence[int]) -> dict[int, Figures]:
    """Figures by room: those that are written, for others those of now."""
    written = {row.room_id: row for row in await db.all(_WRITTEN, {"rooms": room_ids})}
    known = {
        key: Figures(
            row.messages,
            row.likes,
            row.viewers_total,
            row.viewers_peak,
            row.orders,
            row.units,
            row.turnover_fen,
            is_final=True,
        )
        for key, row in written.items()
    }
    open_ones = [key for key in room_ids if key not in known]
    if open_ones:
        known |= await _counted(db, open_ones)
    return known


async def write(unit: Unit, room_id: int) -> None:
    """Writes a room's figures as they are now; whoever comes second changes nothing.

    Whoever ends the room holds it, so that no like comes between its figures and its end.
    """
    figures = (await _counted(unit.db, [room_id]))[room_id]
    await unit.insert_new(
        FIGURES,
        room_id=room_id,
        messages=figures.messages,
        likes=figures.likes,
        viewers_total=figures.viewers_total,
        viewers_peak=figures.viewers_peak,
        orders=figures.orders,
        units=figures.units,
        turnover_fen=figures.turnover_fen,
        created_at=unit.clock(),
    )


async def _counted(db: Reader, room_ids: Sequence[int]) -> dict[int, Figures]:
    sold = {row.room_id: row for row in await db.all(_SOLD, {"rooms": room_ids})}
    return {
        row.id: Figures(
            row.messages,
            row.like_count,
            row.viewer_total,
            row.viewer_peak,
            *_sums(sold.get(row.id)),
            is_final=False,
        )
        for row in await db.all(_COUNTED, {"rooms": room_ids})
    }


def _sums(row: Any) -> tuple[int, int, int]:
    return (0, 0, 0) if row is None else (row.orders, int(row.units), int(row.turnover_fen))
