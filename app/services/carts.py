"""Carts of shoppers and guests: what lies in them, and how guests' carts find their owner."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, case, delete, false, func, select, update

from app.auth import Viewer
from app.db import Reader, Unit
from app.errors import LimitExceeded, NotFound, OutOfStock, SkuUnavailable, Unauthenticated
from app.rules.pricing import honoured_price
from app.rules.stock import MOST_UNITS, check_quantity, is_on_sale
from app.services import addresses, carts_pricing, limits, stocks
from app.services.carts_pricing import PricedCart
from app.tables.carts import CartLineRow, CartRow
from app.tables.columns import table
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.tables.products import ProductRow, SkuRow
from app.tables.suppliers import SupplierRow

CARTS = table(CartRow)
LINES = table(CartLineRow)
SKUS = table(SkuRow)
PRODUCTS = table(ProductRow)
SUPPLIERS = table(SupplierRow)
LIVE_ROOMS = table(LiveRoomRow)
LIVE_PRODUCTS = table(LiveProductRow)

ACTIVE = "ACTIVE"


def visible_to(viewer: Viewer) -> Select[Any]:
    """A cart is seen by its owner alone; staff has no business in it."""
    query = select(*CARTS.c).where(CARTS.c.status == ACTIVE)
    if viewer.id is not None:
        return query.where(CARTS.c.account_id == viewer.id)
    if viewer.guest_key is not None:
        return query.where(CARTS.c.guest_key == viewer.guest_key)
    return query.where(false())


def lines_visible_to(viewer: Viewer) -> Select[Any]:
    mine = visible_to(viewer).with_only_columns(CARTS.c.id)
    return select(*LINES.c).where(LINES.c.cart_id.in_(mine))


async def current(db: Reader, viewer: Viewer) -> Row[Any] | None:
    """The viewer's cart, None before anything was put into it."""
    return await db.first(visible_to(viewer))


async def locked(unit: Unit, viewer: Viewer) -> Row[Any] | None:
    """The viewer's cart, held until the unit ends: two checkouts of one cart go in turn."""
    return await unit.db.first(visible_to(viewer).with_for_update(key_share=True))


async def priced(
    db: Reader, viewer: Viewer, cart_id: int, *, province: str | None = None
) -> PricedCart:
    """What the cart costs now and what has changed since; NotFound for a cart of somebody else.

    Shipping goes to `province`, else to the viewer's default address, else near by.
    """
    if await db.first(visible_to(viewer).where(CARTS.c.id == cart_id)) is None:
        raise NotFound("Cart")
    if province is None:
        address = await addresses.default(db, viewer)
        province = address.province if address is not None else None
    return await carts_pricing.read(db, viewer.id, cart_id, province=province)


async def priced_many(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[PricedCart]:
    """`priced` for each of these carts; a viewer has one."""
    return [await priced(db, viewer, row.id) for row in rows]


async def unit_prices(
    db: Reader,
    viewer: Viewer,  # noqa: ARG001  the rows are the viewer's already
    rows: Sequence[Any],
) -> list[int | None]:
    """Today's unit price in fen of each of these cart lines."""
    prices = await carts_pricing.unit_prices(db, [row.id for row in rows])
    return [prices.get(row.id) for row in rows]


async def add_line(
    unit: Unit,
    viewer: Viewer,
    *,
    sku_id: int,
    quantity: int,
    live_room_id: int | None = None,
) -> int:
    """Puts units into the viewer's cart, on top of those already there; the cart's id.

    Raises NotFound, SkuUnavailable, OutOfStock, LimitExceeded, InvalidInput.
    """
    check_quantity(quantity)
    sku = await _sellable(unit.db, sku_id)
    live_room_id, price_fen = await _live_offer(unit.db, sku, live_room_id)
    cart_id = await _own_cart(unit, viewer)
    statement = unit.upsert(LINES).values(
        cart_id=cart_id,
        sku_id=sku_id,
        quantity=quantity,
        price_when_added_fen=price_fen,
        live_room_id=live_room_id,
        added_at=unit.clock(),
        is_selected=True,
    )
    await unit.execute(
        statement.on_conflict_do_update(
            index_elements=[LINES.c.cart_id, LINES.c.sku_id],
            set_={
                "quantity": LINES.c.quantity + statement.excluded.quantity,
                "price_when_added_fen": statement.excluded.price_when_added_fen,
                "live_room_id": func.coalesce(
                    statement.excluded.live_room_id, LINES.c.live_room_id
                ),
                "is_selected": True,
            },
        )
    )
    await _check_line(unit, viewer, cart_id, sku_id)
    return cart_id


async def update_line(
    unit: Unit,
    viewer: Viewer,
    *,
    line_id: int,
    quantity: int | None = None,
    is_selected: bool | None = None,
) -> int:
    """Changes a line of the viewer's cart; the cart's id. Raises as `add_line` does."""
    line = await _own_line(unit.db, viewer, line_id)
    if quantity is not None:
        check_quantity(quantity)
        changed = update(LINES).where(LINES.c.id == line_id).values(quantity=quantity)
        await unit.changed(changed)
        if quantity > line.quantity:
            await _check_line(unit, viewer, line.cart_id, line.sku_id)
    if is_selected is not None:
        changed = update(LINES).where(LINES.c.id == line_id).values(is_selected=is_selected)
        await unit.changed(changed)
    await _touch(unit, line.cart_id)
    return int(line.cart_id)


async def remove_line(unit: Unit, viewer: Viewer, *, line_id: int) -> int:
    """Takes a line out of the viewer's cart; the cart's id."""
    line = await _own_line(unit.db, viewer, line_id)
    await unit.changed(delete(LINES).where(LINES.c.id == line_id))
    await _touch(unit, line.cart_id)
    return int(line.cart_id)


async def remove_ordered(unit: Unit, cart_id: int, line_ids: list[int]) -> None:
    """Takes the lines out that became an order."""
    await unit.changed(delete(LINES).where(LINES.c.cart_id == cart_id, LINES.c.id.in_(line_ids)))
    await _touch(unit, cart_id)


async def merge_guest(unit: Unit, *, guest_key: str, account_id: int) -> None:
    """Moves a guest's lines into the account's cart; quantities of the same SKU add up.

    A sum beyond what a line holds stops there; limits show as problems of the merged cart.
    """
    guest = Viewer(guest_key=guest_key)
    old = await current(unit.db, guest)
    if old is None:
        return
    merged = update(CARTS).where(CARTS.c.id == old.id, CARTS.c.status == ACTIVE)
    if not await unit.changed(merged.values(status="MERGED")):
        return
    cart_id = await _own_cart(unit, Viewer(id=account_id))
    for line in await unit.db.all(select(*LINES.c).where(LINES.c.cart_id == old.id)):
        values = {**line._mapping, "cart_id": cart_id}  # noqa: SLF001  the row as a dict
        del values["id"]
        statement = unit.upsert(LINES).values(**values)
        total = LINES.c.quantity + statement.excluded.quantity
        await unit.execute(
            statement.on_conflict_do_update(
                index_elements=[LINES.c.cart_id, LINES.c.sku_id],
                set_={"quantity": case((total > MOST_UNITS, MOST_UNITS), else_=total)},
            )
        )
    await unit.changed(delete(LINES).where(LINES.c.cart_id == old.id))


async def _sellable(db: Reader, sku_id: int) -> Row[Any]:
    sku = await db.first(
        select(
            SKUS.c.id,
            SKUS.c.price_fen,
            SKUS.c.status,
            PRODUCTS.c.status.label("product_status"),
            SUPPLIERS.c.status.label("supplier_status"),
        )
        .join_from(SKUS, PRODUCTS, PRODUCTS.c.id == SKUS.c.product_id)
        .join(SUPPLIERS, SUPPLIERS.c.id == SKUS.c.supplier_id)
        .where(SKUS.c.id == sku_id)
    )
    if sku is None:
        raise NotFound("Sku")
    if not is_on_sale(sku.status, sku.product_status, sku.supplier_status):
        raise SkuUnavailable(sku_id)
    return sku


async def _live_offer(
    db: Reader, sku: Row[Any], live_room_id: int | None
) -> tuple[int | None, int]:
    """(room, price in fen): the room's price while it is live, else no room and the list price."""
    if live_room_id is None:
        return None, sku.price_fen
    offer = await db.first(
        select(LIVE_PRODUCTS.c.live_price_fen, LIVE_ROOMS.c.status)
        .join_from(LIVE_PRODUCTS, LIVE_ROOMS, LIVE_ROOMS.c.id == LIVE_PRODUCTS.c.room_id)
        .where(LIVE_PRODUCTS.c.room_id == live_room_id, LIVE_PRODUCTS.c.sku_id == sku.id)
    )
    if offer is None:
        raise NotFound("LiveRoom")
    price_fen = honoured_price(sku.price_fen, offer.live_price_fen, offer.status)
    return (live_room_id if offer.status == "LIVE" else None), price_fen


async def _own_cart(unit: Unit, viewer: Viewer) -> int:
    """The viewer's cart, made when there is none, and noted as changed."""
    if viewer.id is None and viewer.guest_key is None:
        raise Unauthenticated
    await unit.insert_new(
        CARTS,
        account_id=viewer.id,
        guest_key=None if viewer.id is not None else viewer.guest_key,
        status=ACTIVE,
        version=0,
        updated_at=unit.clock(),
    )
    cart = await current(unit.db, viewer)
    assert cart is not None
    await _touch(unit, cart.id)
    return int(cart.id)


async def _own_line(db: Reader, viewer: Viewer, line_id: int) -> Row[Any]:
    line = await db.first(lines_visible_to(viewer).where(LINES.c.id == line_id))
    if line is None:
        raise NotFound("CartLine")
    return line


async def _touch(unit: Unit, cart_id: int) -> None:
    await unit.changed(
        update(CARTS)
        .where(CARTS.c.id == cart_id)
        .values(version=CARTS.c.version + 1, updated_at=unit.clock())
    )


async def _check_line(unit: Unit, viewer: Viewer, cart_id: int, sku_id: int) -> None:
    """Refuses a line that could not be ordered: too many for a line, a customer, or the stock."""
    line = await unit.db.first(
        select(LINES.c.quantity, SKUS.c.product_id, PRODUCTS.c.customer_limit)
        .join_from(LINES, SKUS, SKUS.c.id == LINES.c.sku_id)
        .join(PRODUCTS, PRODUCTS.c.id == SKUS.c.product_id)
        .where(LINES.c.cart_id == cart_id, LINES.c.sku_id == sku_id)
    )
    assert line is not None
    check_quantity(line.quantity)
    if line.customer_limit is not None:
        in_cart = await unit.db.value(
            select(func.sum(LINES.c.quantity))
            .join_from(LINES, SKUS, SKUS.c.id == LINES.c.sku_id)
            .where(LINES.c.cart_id == cart_id, SKUS.c.product_id == line.product_id)
        )
        wanted = {line.product_id: line.customer_limit}
        most = (await limits.left(unit.db, viewer.id, wanted))[line.product_id]
        if in_cart > most:
            raise LimitExceeded(most)
    free = (await stocks.available(unit.db, [sku_id]))[sku_id]
    if line.quantity > free:
        raise OutOfStock(sku_id, free)
