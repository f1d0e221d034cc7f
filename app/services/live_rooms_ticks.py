"""What a live room tells several times a second: messages, likes, viewers and stock in batches."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, case, func, select, update

from app.db import Reader, Unit
from app.events import (
    LiveFiguresMoved,
    LiveLikesTallied,
    LiveMessagesPosted,
    LiveStockChanged,
    LiveViewersChanged,
)
from app.rules.live_rooms import (
    MESSAGES_AT_ONCE,
    MESSAGES_LOGGED_AT_ONCE,
    ON_AIR,
    RoomEventKind,
)
from app.services import live_rooms_log
from app.services.live_rooms_seen import ROOMS
from app.services.live_rooms_shelf import LIVE_PRODUCTS
from app.services.live_rooms_talk import MESSAGES
from app.services.stocks import STOCKS
from app.statements import Prepared, bind

TALLIED_EVERY = timedelta(seconds=10)  # in the log, and for the host; the audience hears sooner

_WITH_NEWS = Prepared(select(ROOMS.c.id).where(ROOMS.c.has_news).order_by(ROOMS.c.id))
_TAKEN = Prepared(
    select(*ROOMS.c)
    .where(ROOMS.c.id == bind("room"), ROOMS.c.has_news)
    .with_for_update(key_share=True)
)
_TOLD = Prepared(
    update(ROOMS)
    .where(ROOMS.c.id == bind("room"), ROOMS.c.has_news)
    .values(
        has_news=ROOMS.c.message_seq > bind("last"),
        told_message_seq=bind("last"),
        told_likes=ROOMS.c.like_count,
        told_viewers=ROOMS.c.viewer_count,
    )
)
_TALLIED = Prepared(update(ROOMS).where(ROOMS.c.id == bind("room")).values(tallied_at=bind("now")))
_IS_NEW = (
    MESSAGES.c.room_id == bind("room"),
    MESSAGES.c.seq > bind("told"),
    MESSAGES.c.seq <= bind("last"),
    ~MESSAGES.c.is_hidden,
)
_HOW_MANY = Prepared(select(func.count().label("number")).where(*_IS_NEW))
_NEWEST = Prepared(
    select(MESSAGES.c.id).where(*_IS_NEW).order_by(MESSAGES.c.seq.desc()).limit(MESSAGES_AT_ONCE)
)


def _available() -> ColumnElement[int]:
    """Units free to sell, as `stocks.free_in` counts them."""
    free = STOCKS.c.on_hand - STOCKS.c.allocated - STOCKS.c.reserved
    return case((STOCKS.c.sku_id.is_(None), 0), (STOCKS.c.shortfall > 0, 0), else_=free)


_SHELVES = (
    select(
        LIVE_PRODUCTS.c.id,
        LIVE_PRODUCTS.c.room_id,
        LIVE_PRODUCTS.c.sku_id,
        LIVE_PRODUCTS.c.told_available,
        _available().label("available"),
    )
    .join_from(ROOMS, LIVE_PRODUCTS, LIVE_PRODUCTS.c.room_id == ROOMS.c.id)
    .outerjoin(STOCKS, STOCKS.c.sku_id == LIVE_PRODUCTS.c.sku_id)
)
_HAS_CHANGED = LIVE_PRODUCTS.c.told_available.is_(None) | (
    LIVE_PRODUCTS.c.told_available != _available()
)
_NEWS = _SHELVES.where(ROOMS.c.status.in_(ON_AIR), _HAS_CHANGED).order_by(LIVE_PRODUCTS.c.id)
_STOCK_NEWS = Prepared(_NEWS)
_STOCK_TAKEN = Prepared(_NEWS.with_for_update(key_share=True, of=LIVE_PRODUCTS, skip_locked=True))
_STOCK_TOLD = Prepared(
    update(LIVE_PRODUCTS)
    .where(
        LIVE_PRODUCTS.c.id == bind("key"),
        LIVE_PRODUCTS.c.told_available.is_not_distinct_from(bind("before")),
    )
    .values(told_available=bind("units"))
)


async def with_news(db: Reader) -> list[int]:
    """Rooms that have something to tell; an index holds nothing but these."""
    return [row.id for row in await db.all(_WITH_NEWS)]


async def tick(unit: Unit, room_id: int) -> int:
    """Tells what is new in a room since its last tick; 0 when another process has told it.

    The room is held, so what is numbered up to its counters is committed and told once.
    """
    room = await unit.db.first(_TAKEN, {"room": room_id})
    if room is None:
        return 0
    last = min(room.message_seq, room.told_message_seq + MESSAGES_LOGGED_AT_ONCE)
    if not await unit.changed(_TOLD, {"room": room_id, "last": last}):
        return 0
    await _tell_messages(unit, room, last)
    if room.like_count != room.told_likes:
        unit.emit(LiveLikesTallied(room_id, room.like_count))
    if room.viewer_count != room.told_viewers:
        unit.emit(LiveViewersChanged(room_id, room.viewer_count, room.viewer_peak))
    await _tally(unit, room)
    return 1


async def stock_news(db: Reader) -> list[Row[Any]]:
    """Goods on the shelves of all rooms on air whose stock is not what was last told."""
    return await db.all(_STOCK_NEWS)


async def tell_stock(unit: Unit) -> int:
    """Tells the rooms on air what is left of their goods, where that has changed; how many goods.

    The guard makes one of several processes tell a change. What is told first, when a room goes
    on air, is where its goods begin. Goods that somebody else is changing wait for the next look.
    """
    told: dict[int, list[tuple[int, int]]] = {}
    for row in await unit.db.all(_STOCK_TAKEN):
        known = {"key": row.id, "before": row.told_available, "units": row.available}
        if await unit.changed(_STOCK_TOLD, known):
            told.setdefault(row.room_id, []).append((row.sku_id, row.available))
    for room_id, stock in sorted(told.items()):
        unit.emit(LiveStockChanged(room_id, stock))
    return sum(len(stock) for stock in told.values())


async def _tell_messages(unit: Unit, room: Row[Any], last: int) -> None:
    """The newest messages of the tick; older ones beyond the bound are in the log alone."""
    span = {"room": room.id, "told": room.told_message_seq, "last": last}
    number = await unit.db.value(_HOW_MANY, span) if span["told"] < span["last"] else 0
    if not number:
        return
    shown = [row.id for row in await unit.db.all(_NEWEST, span)][::-1]
    skipped = number - len(shown)
    kind = RoomEventKind.MESSAGES_POSTED
    first = room.told_message_seq + 1
    await live_rooms_log.note(unit, room.id, kind, first=first, last=last)
    unit.emit(LiveMessagesPosted(room.id, shown, skipped))


async def _tally(unit: Unit, room: Row[Any]) -> None:
    """Every ten seconds at most the log gets likes and viewers, and the host figures."""
    now = unit.clock()
    if room.tallied_at is not None and now - room.tallied_at < TALLIED_EVERY:
        return
    await unit.changed(_TALLIED, {"room": room.id, "now": now})
    unit.emit(LiveFiguresMoved(room.id))
    tallies = {"likes": room.like_count, "viewers": room.viewer_count}
    await live_rooms_log.note(unit, room.id, RoomEventKind.TALLIED, **tallies)
