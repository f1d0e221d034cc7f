"""Live rooms: who may see what, going on air, pinning goods, chatter and likes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, func, insert, or_, select, update

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import (
    Forbidden,
    InvalidInput,
    MessageRefused,
    NotFound,
    RoomNotLive,
    TooOften,
    WrongState,
)
from app.events import LiveLikesTallied, LiveMessagePosted, LiveProductPinned, LiveRoomMoved
from app.rules import live_rooms as rules
from app.rules.audit import Action
from app.rules.live_rooms import RoomStatus
from app.services import audit, group_buys, products
from app.services.pages import Listing
from app.services.sight import leads_to
from app.statements import Prepared, Shaped, among, bind
from app.tables.accounts import AccountRow
from app.tables.columns import table
from app.tables.live_rooms import LiveMessageRow, LiveProductRow, LiveRoomRow
from app.tables.products import ProductRow, SkuRow

ROOMS = table(LiveRoomRow)
LIVE_PRODUCTS = table(LiveProductRow)
MESSAGES = table(LiveMessageRow)
ACCOUNTS = table(AccountRow)
PRODUCTS = table(ProductRow)
SKUS = table(SkuRow)
MAX_GOODS = 100
HOSTS = (Role.DISTRIBUTOR, Role.SUPPLIER, Role.ADMIN)

_SEEN = Shaped(lambda viewer, room_id: visible_to(viewer).where(ROOMS.c.id == room_id))
_NICKNAMES = Prepared(
    select(ACCOUNTS.c.id, ACCOUNTS.c.nickname).where(among(ACCOUNTS.c.id, "accounts"))
)
_LIKE = Prepared(
    update(ROOMS)
    .where(ROOMS.c.id == bind("room"), ROOMS.c.status == RoomStatus.LIVE)
    .values(like_count=ROOMS.c.like_count + bind("likes"))
    .returning(ROOMS.c.like_count)
)
_ME_LOCKED = Prepared(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == bind("me")).with_for_update())
_RECENT = Prepared(
    select(func.count().label("number"), func.min(MESSAGES.c.created_at).label("oldest")).where(
        MESSAGES.c.room_id == bind("room"),
        MESSAGES.c.account_id == bind("me"),
        MESSAGES.c.created_at > bind("since"),
    )
)
_NEXT_SEQ = Prepared(
    update(ROOMS)
    .where(ROOMS.c.id == bind("room"), ROOMS.c.status.in_(rules.ON_AIR))
    .values(message_seq=ROOMS.c.message_seq + 1)
    .returning(ROOMS.c.message_seq)
)
_POST = Prepared(
    insert(MESSAGES).values(
        room_id=bind("room"),
        account_id=bind("me"),
        seq=bind("number"),
        kind="TEXT",
        text=bind("words"),
        is_hidden=bind("is_held_back"),
        created_at=bind("now"),
    )
)


def visible_to(viewer: Viewer) -> Select[Any]:
    """Cancelled, expired and banned rooms are for their host and for staff."""
    query = select(*ROOMS.c)
    if viewer.is_staff:
        return query
    public = ROOMS.c.status.in_(rules.PUBLIC)
    if viewer.id is None:
        return query.where(public)
    return query.where(or_(public, ROOMS.c.host_id == viewer.id))


def products_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*LIVE_PRODUCTS.c).where(leads_to(LIVE_PRODUCTS.c.room_id, visible_to(viewer)))


def messages_visible_to(viewer: Viewer) -> Select[Any]:
    """Messages that were held back are for their author, the host and staff."""
    query = select(*MESSAGES.c).where(leads_to(MESSAGES.c.room_id, visible_to(viewer)))
    if viewer.is_staff:
        return query
    if viewer.id is None:
        return query.where(~MESSAGES.c.is_hidden)
    hosted = select(ROOMS.c.id).where(ROOMS.c.host_id == viewer.id)
    return query.where(
        or_(
            ~MESSAGES.c.is_hidden,
            MESSAGES.c.account_id == viewer.id,
            leads_to(MESSAGES.c.room_id, hosted),
        )
    )


def listing(viewer: Viewer, *, status: RoomStatus | None) -> Listing:
    """Rooms, newest first."""
    query = visible_to(viewer)
    if status is not None:
        query = query.where(ROOMS.c.status == status)
    return Listing(query, [(ROOMS.c.id, True)])


async def get(db: Reader, viewer: Viewer, room_id: int) -> Row[Any]:
    """Raises NotFound for a room that is not there or not shown to the viewer."""
    row = await db.first(*_SEEN.of(viewer=viewer, room_id=room_id))
    if row is None:
        raise NotFound("LiveRoom")
    return row


async def nicknames(db: Reader, _viewer: Viewer, rows: Sequence[Any]) -> list[str]:
    """The names of who wrote these messages, masked."""
    names = await _names(db, {row.account_id for row in rows})
    return [group_buys.masked(names[row.account_id]) for row in rows]


async def host_names(db: Reader, _viewer: Viewer, rows: Sequence[Any]) -> list[str]:
    names = await _names(db, {row.host_id for row in rows})
    return [names[row.host_id] for row in rows]


async def schedule(
    unit: Unit,
    viewer: Viewer,
    *,
    title: str,
    starts_at: datetime,
    goods: Sequence[tuple[int, int | None]] = (),
    cover: str = "",
) -> int:
    """Announces a room with its first goods, (SKU, live price or None); the key of the room."""
    viewer.must_be(*HOSTS)
    title = rules.cleaned(title)
    if not 0 < len(title) <= rules.MAX_TITLE_CHARS:
        raise InvalidInput(
            "title",
            f"标题须为 1-{rules.MAX_TITLE_CHARS} 个字",
            f"1 to {rules.MAX_TITLE_CHARS} characters",
        )
    if starts_at < unit.clock() - timedelta(minutes=5):
        raise InvalidInput("startsAt", "开播时间已过", "lies in the past")
    room_id = await unit.insert(
        insert(ROOMS).values(
            host_id=viewer.account_id,
            supplier_id=viewer.subject_id if viewer.role is Role.SUPPLIER else None,
            title=title,
            cover=cover,
            status=RoomStatus.SCHEDULED,
            starts_at=starts_at,
            message_seq=0,
            like_count=0,
            version=0,
            created_at=unit.clock(),
        )
    )
    for sku_id, price_fen in goods[:MAX_GOODS]:
        await add_product(unit, viewer, room_id=room_id, sku_id=sku_id, live_price_fen=price_fen)
    await audit.note(unit, viewer, Action.SCHEDULE_LIVE_ROOM, ("LiveRoom", room_id))
    return room_id


async def add_product(
    unit: Unit, viewer: Viewer, *, room_id: int, sku_id: int, live_price_fen: int | None = None
) -> int:
    """Puts a SKU on the room's shelf, at the end; a SKU that is there keeps its place and price.

    The price of the room lies between the distributor's price and the shop's; by default it is
    the shop's.
    """
    room = await _hosted(unit, viewer, room_id)
    if room.status not in {RoomStatus.SCHEDULED, *rules.ON_AIR}:
        raise RoomNotLive(room.status)
    seen = products.skus_visible_to(viewer).with_only_columns(SKUS.c.id)
    sku = await unit.db.first(select(*SKUS.c).where(SKUS.c.id == sku_id, SKUS.c.id.in_(seen)))
    if sku is None:
        raise NotFound("Sku")
    price = sku.price_fen if live_price_fen is None else live_price_fen
    if not sku.distributor_price_fen <= price <= sku.price_fen:
        raise InvalidInput("livePrice", "直播价超出允许范围", "outside the allowed range")
    there = await unit.db.value(
        select(LIVE_PRODUCTS.c.id).where(
            LIVE_PRODUCTS.c.room_id == room_id, LIVE_PRODUCTS.c.sku_id == sku_id
        )
    )
    if there is not None:
        return int(there)
    last = await unit.db.value(
        select(func.coalesce(func.max(LIVE_PRODUCTS.c.position), 0)).where(
            LIVE_PRODUCTS.c.room_id == room_id
        )
    )
    key = await unit.insert(
        insert(LIVE_PRODUCTS).values(
            room_id=room_id,
            product_id=sku.product_id,
            sku_id=sku_id,
            live_price_fen=price,
            position=last + 1,
            is_pinned=False,
        )
    )
    detail = f"{price} fen"
    target = "LiveProduct", key
    await audit.note(unit, viewer, Action.SHELVE_LIVE_PRODUCT, target, detail=detail)
    return key


async def start(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    """Goes on air, or back on air after a pause."""
    await _move(unit, viewer, room_id, RoomStatus.LIVE)


async def pause(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    await _move(unit, viewer, room_id, RoomStatus.PAUSED)


async def end(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    """Ends the show for good; nothing stays pinned."""
    await _move(unit, viewer, room_id, RoomStatus.ENDED)
    if await _unpin(unit, room_id):
        unit.emit(LiveProductPinned(room_id, None))


async def offer_replay(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    await _move(unit, viewer, room_id, RoomStatus.REPLAY_READY)


async def pin_product(
    unit: Unit, viewer: Viewer, *, room_id: int, live_product_id: int | None
) -> None:
    """Shows one product above the others, or none; only on air."""
    room = await _hosted(unit, viewer, room_id)
    if room.status not in rules.ON_AIR:
        raise RoomNotLive(room.status)
    await _unpin(unit, room_id)
    if live_product_id is not None:
        pinned = await unit.changed(
            update(LIVE_PRODUCTS)
            .where(LIVE_PRODUCTS.c.id == live_product_id, LIVE_PRODUCTS.c.room_id == room_id)
            .values(is_pinned=True)
        )
        if not pinned:
            raise NotFound("LiveProduct")
    target = ("LiveRoom", room_id) if live_product_id is None else ("LiveProduct", live_product_id)
    await audit.note(unit, viewer, Action.PIN_LIVE_PRODUCT, target)
    unit.emit(LiveProductPinned(room_id, live_product_id))


async def post_message(unit: Unit, viewer: Viewer, *, room_id: int, text: str) -> int:
    """The key of the message. One with sensitive words is stored, but only its host sees it.

    Raises MessageRefused for an empty or long text, TooOften past 5 messages in 10 seconds.
    """
    account_id = viewer.account_id
    if len(text) > 4 * rules.MAX_MESSAGE_CHARS:
        raise MessageRefused
    text = rules.cleaned(text)
    if not 0 < len(text) <= rules.MAX_MESSAGE_CHARS:
        raise MessageRefused
    # one message of a person at a time: the rate is counted under this lock
    await unit.db.first(_ME_LOCKED, {"me": account_id})
    await _check_rate(unit, account_id, room_id)
    seq = await _next_seq(unit, viewer, room_id)
    is_hidden = rules.is_sensitive(text)
    posted = {
        "room": room_id,
        "me": account_id,
        "number": seq,
        "words": text,
        "is_held_back": is_hidden,
        "now": unit.clock(),
    }
    message_id = await unit.insert(_POST, posted)
    if not is_hidden:
        unit.emit(LiveMessagePosted(room_id, seq, message_id))
    return message_id


async def like(unit: Unit, viewer: Viewer, *, room_id: int, count: int = 1) -> int:
    """Adds `count` likes (1 to 100); how many the room has now. Guests may like too."""
    if not 1 <= count <= rules.MAX_LIKES_AT_ONCE:
        raise InvalidInput("count", "点赞数须为 1-100", "1 to 100")
    row = await unit.returned(_LIKE, {"room": room_id, "likes": count})
    if row is None:
        raise RoomNotLive((await get(unit.db, viewer, room_id)).status)
    unit.emit(LiveLikesTallied(room_id, row.like_count))
    return int(row.like_count)


async def messages_after(
    db: Reader, viewer: Viewer, room_id: int, seq: int, *, limit: int = 100
) -> list[Row[Any]]:
    """What was said past `seq`, oldest first. Raises NotFound like `get`."""
    await get(db, viewer, room_id)
    return await db.all(
        messages_visible_to(viewer)
        .where(MESSAGES.c.room_id == room_id, MESSAGES.c.seq > seq)
        .order_by(MESSAGES.c.seq)
        .limit(limit)
    )


async def _names(db: Reader, account_ids: set[int]) -> dict[int, str]:
    rows = await db.all(_NICKNAMES, {"accounts": account_ids})
    return {row.id: row.nickname for row in rows}


async def _hosted(unit: Unit, viewer: Viewer, room_id: int) -> Row[Any]:
    """The room under lock, for its host or an admin; others get NotFound or Forbidden."""
    viewer.must_be(*HOSTS)
    await get(unit.db, viewer, room_id)
    row = await unit.db.first(select(*ROOMS.c).where(ROOMS.c.id == room_id).with_for_update())
    assert row is not None
    if row.host_id != viewer.id and viewer.role is not Role.ADMIN:
        raise Forbidden
    return row


async def _move(unit: Unit, viewer: Viewer, room_id: int, target: RoomStatus) -> None:
    """A move to the state that the room is in changes nothing; a forbidden one is WrongState."""
    room = await _hosted(unit, viewer, room_id)
    if room.status == target:
        return
    now = unit.clock()
    values: dict[str, Any] = {"status": target, "version": ROOMS.c.version + 1}
    if target is RoomStatus.LIVE:
        values["started_at"] = func.coalesce(ROOMS.c.started_at, now)
    if target is RoomStatus.ENDED:
        values["ended_at"] = now
    moved = await unit.changed(
        update(ROOMS)
        .where(ROOMS.c.id == room_id, ROOMS.c.status.in_(rules.sources_of(target)))
        .values(**values)
    )
    if not moved:
        raise WrongState("LiveRoom", room.status)
    await audit.note(unit, viewer, Action.MOVE_LIVE_ROOM, ("LiveRoom", room_id), detail=target)
    unit.emit(LiveRoomMoved(room_id, target))


async def _unpin(unit: Unit, room_id: int) -> int:
    return await unit.changed(
        update(LIVE_PRODUCTS)
        .where(LIVE_PRODUCTS.c.room_id == room_id, LIVE_PRODUCTS.c.is_pinned)
        .values(is_pinned=False)
    )


async def _check_rate(unit: Unit, account_id: int, room_id: int) -> None:
    since = unit.clock() - timedelta(seconds=rules.RATE_WINDOW_S)
    recent = await unit.db.first(_RECENT, {"room": room_id, "me": account_id, "since": since})
    assert recent is not None
    if recent.number >= rules.MESSAGES_PER_WINDOW:
        raise TooOften(round((recent.oldest - since).total_seconds(), 1))


async def _next_seq(unit: Unit, viewer: Viewer, room_id: int) -> int:
    """The next number of the room's messages, only while it is on air."""
    row = await unit.returned(_NEXT_SEQ, {"room": room_id})
    if row is None:
        raise RoomNotLive((await get(unit.db, viewer, room_id)).status)
    return int(row.message_seq)
