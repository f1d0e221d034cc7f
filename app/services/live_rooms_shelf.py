"""The shelf of a live room: goods at their live prices, their order, and what is shown now."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update

from app.auth import Viewer
from app.db import Unit
from app.errors import InvalidInput, NotFound, RoomNotLive
from app.events import LiveProductPinned, LiveShelfChanged
from app.rules import live_rooms as rules
from app.rules.audit import Action
from app.rules.live_rooms import RoomEventKind, RoomStatus
from app.services import audit, live_rooms_log, products
from app.services.live_rooms_seen import HOSTS, hosted, visible_to
from app.services.sight import leads_to
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.live_rooms import LiveProductRow
from app.tables.products import SkuRow

LIVE_PRODUCTS = table(LiveProductRow)
SKUS = table(SkuRow)
MAX_GOODS = 100
_OPEN = (RoomStatus.SCHEDULED, *rules.ON_AIR)

_SHELF = Prepared(
    select(LIVE_PRODUCTS.c.id, LIVE_PRODUCTS.c.position)
    .where(LIVE_PRODUCTS.c.room_id == bind("room"))
    .order_by(LIVE_PRODUCTS.c.position, LIVE_PRODUCTS.c.id)
)
_PLACE = Prepared(
    update(LIVE_PRODUCTS).where(LIVE_PRODUCTS.c.id == bind("key")).values(position=bind("place"))
)


def products_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*LIVE_PRODUCTS.c).where(leads_to(LIVE_PRODUCTS.c.room_id, visible_to(viewer)))


async def add(
    unit: Unit, viewer: Viewer, *, room_id: int, sku_id: int, live_price_fen: int | None = None
) -> int:
    """Puts a SKU on the room's shelf, at the end; a SKU that is there keeps its place and price.

    The price of the room lies between the distributor's price and the shop's; by default it is
    the shop's.
    """
    room = await _open_shelf(unit, viewer, room_id)
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
    count, last = await _room_left(unit, room_id)
    if count >= MAX_GOODS:
        raise InvalidInput("skuId", f"至多 {MAX_GOODS} 件", f"at most {MAX_GOODS} goods")
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
    target = "LiveProduct", key
    await audit.note(unit, viewer, Action.SHELVE_LIVE_PRODUCT, target, detail=f"{price} fen")
    await _tell(unit, room, sku_id, price_fen=price, is_shelved=True)
    return key


async def remove(unit: Unit, viewer: Viewer, *, live_product_id: int) -> int:
    """Takes goods off the shelf; the room. Their price holds no more, carts show the shop's."""
    viewer.must_be(*HOSTS)
    shown = await _shown(unit, viewer, live_product_id)
    room = await _open_shelf(unit, viewer, shown.room_id)
    if shown.is_pinned:
        await _pin(unit, shown.room_id, None)
    if await unit.changed(delete(LIVE_PRODUCTS).where(LIVE_PRODUCTS.c.id == live_product_id)):
        target = "LiveProduct", live_product_id
        await audit.note(unit, viewer, Action.SHELVE_LIVE_PRODUCT, target, detail="taken away")
        await _tell(unit, room, shown.sku_id, is_shelved=False)
    return int(shown.room_id)


async def reorder(
    unit: Unit, viewer: Viewer, *, room_id: int, live_product_ids: Sequence[int]
) -> None:
    """Puts the named goods first, in this order; the others keep theirs behind them."""
    room = await _open_shelf(unit, viewer, room_id)
    there = [row.id for row in await unit.db.all(_SHELF, {"room": room_id})]
    named = list(dict.fromkeys(live_product_ids))
    if not set(named) <= set(there):
        raise NotFound("LiveProduct")
    order = [*named, *(one for one in there if one not in set(named))]
    for key in sorted(order):  # rows of a room are always taken in one order
        await unit.changed(_PLACE, {"key": key, "place": order.index(key) + 1})
    target = "LiveRoom", room_id
    await audit.note(unit, viewer, Action.SHELVE_LIVE_PRODUCT, target, detail="new order")
    await _tell(unit, room, None)


async def pin(unit: Unit, viewer: Viewer, *, room_id: int, live_product_id: int | None) -> None:
    """Shows one product above the others, or none; only on air."""
    room = await hosted(unit, viewer, room_id)
    if room.status not in rules.ON_AIR:
        raise RoomNotLive(room.status)
    await _pin(unit, room_id, live_product_id)
    target = ("LiveRoom", room_id) if live_product_id is None else ("LiveProduct", live_product_id)
    await audit.note(unit, viewer, Action.PIN_LIVE_PRODUCT, target)


async def unpin(unit: Unit, room_id: int) -> int:
    return await unit.changed(
        update(LIVE_PRODUCTS)
        .where(LIVE_PRODUCTS.c.room_id == room_id, LIVE_PRODUCTS.c.is_pinned)
        .values(is_pinned=False)
    )


async def _pin(unit: Unit, room_id: int, live_product_id: int | None) -> None:
    await unpin(unit, room_id)
    facts: dict[str, Any] = {}
    if live_product_id is not None:
        ours = LIVE_PRODUCTS.c.id == live_product_id, LIVE_PRODUCTS.c.room_id == room_id
        if not await unit.changed(update(LIVE_PRODUCTS).where(*ours).values(is_pinned=True)):
            raise NotFound("LiveProduct")
        shown = await unit.db.first(select(*LIVE_PRODUCTS.c).where(*ours))
        assert shown is not None
        facts = {"sku_id": shown.sku_id, "price_fen": shown.live_price_fen}
    await live_rooms_log.note(unit, room_id, RoomEventKind.PINNED, **facts)
    unit.emit(LiveProductPinned(room_id, live_product_id))


async def _tell(unit: Unit, room: Row[Any], sku_id: int | None, **facts: Any) -> None:
    """Tells the audience of a room on air; before the show nobody follows what is laid out."""
    if room.status in rules.ON_AIR:
        kind = RoomEventKind.SHELF_CHANGED
        await live_rooms_log.note(unit, room.id, kind, sku_id=sku_id, **facts)
        unit.emit(LiveShelfChanged(room.id))


async def _open_shelf(unit: Unit, viewer: Viewer, room_id: int) -> Row[Any]:
    """Holds the room, for its host or an admin. Raises RoomNotLive once it is over."""
    room = await hosted(unit, viewer, room_id)
    if room.status not in _OPEN:
        raise RoomNotLive(room.status)
    return room


async def _room_left(unit: Unit, room_id: int) -> tuple[int, int]:
    """(goods on the shelf, the last position)."""
    counted = select(
        func.count().label("goods"),
        func.coalesce(func.max(LIVE_PRODUCTS.c.position), 0).label("last"),
    ).where(LIVE_PRODUCTS.c.room_id == room_id)
    row = await unit.db.first(counted)
    assert row is not None
    return int(row.goods), int(row.last)


async def _shown(unit: Unit, viewer: Viewer, live_product_id: int) -> Row[Any]:
    row = await unit.db.first(
        products_visible_to(viewer).where(LIVE_PRODUCTS.c.id == live_product_id)
    )
    if row is None:
        raise NotFound("LiveProduct")
    return row
