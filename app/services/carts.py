"""Carts of shoppers and guests: what lies in them, and how guests' carts find their owner."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Row, Select, case, delete, false, func, select, text, update

from app.auth import Viewer
from app.db import Reader, Unit
from app.errors import LimitExceeded, NotFound, OutOfStock, SkuUnavailable, Unauthenticated
from app.rules.pricing import honoured_price
from app.rules.stock import MOST_UNITS, check_quantity, is_on_sale
from app.services import addresses, carts_pricing, limits, stocks
from app.services.carts_pricing import Costs, PricedCart
from app.services.pages import Listing
from app.services.sight import leads_to
from app.services.stocks import STOCKS
from app.statements import Prepared, Shaped, among, bind
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
    return select(*LINES.c).where(leads_to(LINES.c.cart_id, visible_to(viewer)))


def mine(viewer: Viewer) -> Listing:
    """The viewer's cart; there is one at most, so no order is needed."""
    return Listing(visible_to(viewer), ())


def _own(owner: Column[Any]) -> Prepared:
    """The cart of one owner, made or noted as changed."""

    def statement(insert: Any) -> Any:
        new = insert(CARTS).values(
            account_id=bind("account"),
            guest_key=bind("guest"),
            status=ACTIVE,
            version=1,
            updated_at=bind("now"),
        )
        return new.on_conflict_do_update(
            index_elements=[owner],
            index_where=text("status = 'ACTIVE'"),  # as the index spells it
            set_={"version": CARTS.c.version + 1, "updated_at": new.excluded.updated_at},
        ).returning(CARTS.c.id)

    return Prepared(statement)


def _put(insert: Any) -> Any:
    """Units on top of those in the line of a SKU, at today's price."""
    new = insert(LINES).values(
        cart_id=bind("cart"),
        sku_id=bind("sku"),
        quantity=bind("units"),
        price_when_added_fen=bind("price"),
        live_room_id=bind("room"),
        added_at=bind("now"),
        is_selected=True,
    )
    return new.on_conflict_do_update(
        index_elements=[LINES.c.cart_id, LINES.c.sku_id],
        set_={
            "quantity": LINES.c.quantity + new.excluded.quantity,
            "price_when_added_fen": new.excluded.price_when_added_fen,
            "live_room_id": func.coalesce(new.excluded.live_room_id, LINES.c.live_room_id),
            "is_selected": new.excluded.is_selected,
        },
    ).returning(LINES.c.quantity)


_CURRENT = Shaped(visible_to)
_LOCKED = Shaped(lambda viewer: visible_to(viewer).with_for_update(key_share=True))
_SEEN = Shaped(lambda viewer, cart_id: visible_to(viewer).where(CARTS.c.id == cart_id))
_LINE = Shaped(lambda viewer, line_id: lines_visible_to(viewer).where(LINES.c.id == line_id))
_OWN_BY_ACCOUNT = _own(CARTS.c.account_id)
_OWN_BY_GUEST = _own(CARTS.c.guest_key)
_TOUCH = Prepared(
    update(CARTS)
    .where(CARTS.c.id == bind("cart"))
    .values(version=CARTS.c.version + 1, updated_at=bind("now"))
)
_PUT = Prepared(_put)
_SET_QUANTITY = Prepared(
    update(LINES).where(LINES.c.id == bind("line")).values(quantity=bind("units"))
)
_SET_SELECTED = Prepared(
    update(LINES).where(LINES.c.id == bind("line")).values(is_selected=bind("is_chosen"))
)
_REMOVE = Prepared(delete(LINES).where(LINES.c.id == bind("line")))
_REMOVE_MANY = Prepared(
    delete(LINES).where(LINES.c.cart_id == bind("cart"), among(LINES.c.id, "lines"))
)
_UNITS_OF_PRODUCT = Prepared(
    select(func.sum(LINES.c.quantity).label("units"))
    .join_from(LINES, SKUS, SKUS.c.id == LINES.c.sku_id)
    .where(LINES.c.cart_id == bind("cart"), SKUS.c.product_id == bind("product"))
)
_SKU = Prepared(
    select(
        SKUS.c.id,
        SKUS.c.product_id,
        SKUS.c.price_fen,
        SKUS.c.status,
        PRODUCTS.c.customer_limit,
        PRODUCTS.c.status.label("product_status"),
        SUPPLIERS.c.status.label("supplier_status"),
        *stocks.COUNTS,
    )
    .join_from(SKUS, PRODUCTS, PRODUCTS.c.id == SKUS.c.product_id)
    .join(SUPPLIERS, SUPPLIERS.c.id == SKUS.c.supplier_id)
    .outerjoin(STOCKS, STOCKS.c.sku_id == SKUS.c.id)
    .where(SKUS.c.id == bind("sku"))
)
_LIVE_OFFER = Prepared(
    select(LIVE_PRODUCTS.c.live_price_fen, LIVE_ROOMS.c.status)
    .join_from(LIVE_PRODUCTS, LIVE_ROOMS, LIVE_ROOMS.c.id == LIVE_PRODUCTS.c.room_id)
    .where(LIVE_PRODUCTS.c.room_id == bind("room"), LIVE_PRODUCTS.c.sku_id == bind("sku"))
)


async def current(db: Reader, viewer: Viewer) -> Row[Any] | None:
    """The viewer's cart, None before anything was put into it."""
    return await db.first(*_CURRENT.of(viewer=viewer))


async def locked(unit: Unit, viewer: Viewer) -> Row[Any] | None:
    """The viewer's cart, held until the unit ends: two checkouts of one cart go in turn."""
    return await unit.db.first(*_LOCKED.of(viewer=viewer))


async def priced(
    db: Reader, viewer: Viewer, cart_id: int, *, province: str | None = None
) -> PricedCart:
    """What the cart costs now and what has changed since; NotFound for a cart of somebody else.

    Shipping goes to `province`, else to the viewer's default address, else near by.
    """
    if await db.first(*_SEEN.of(viewer=viewer, cart_id=cart_id)) is None:
        raise NotFound("Cart")
    if province is None:
        province = await addresses.province(db, viewer)
    return await carts_pricing.read(db, viewer.id, cart_id, province=province)


async def priced_many(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[PricedCart]:
    """`priced` for each of these carts, which are the viewer's already; there is one at most."""
    province = await addresses.province(db, viewer) if rows else None
    return [await carts_pricing.read(db, viewer.id, row.id, province=province) for row in rows]


async def costs_many(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[Costs]:
    """What each of these carts costs now, which are the viewer's already."""
    for row in rows:
        db.kept[Costs, row.id] = await carts_pricing.costs(db, viewer.id, row.id)
    return [db.kept[Costs, row.id] for row in rows]


async def unit_prices(
    db: Reader,
    viewer: Viewer,  # noqa: ARG001  the rows are the viewer's already
    rows: Sequence[Any],
) -> list[int | None]:
    """Today's unit price in fen of each of these cart lines."""
    known: list[Any] = [db.kept.get((Costs, cart_id)) for cart_id in {row.cart_id for row in rows}]
    if None not in known:
        found = {key: price for one in known for key, price in one.unit_prices.items()}
        return [found.get(row.id) for row in rows]
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
    added = {
        "cart": cart_id,
        "sku": sku_id,
        "units": quantity,
        "price": price_fen,
        "room": live_room_id,
        "now": unit.clock(),
    }
    line = await unit.returned(_PUT, added)
    await _check_line(unit, viewer, cart_id, sku, line.quantity)
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
        await unit.changed(_SET_QUANTITY, {"line": line_id, "units": quantity})
        if quantity > line.quantity:
            sku = await unit.db.first(_SKU, {"sku": line.sku_id})
            await _check_line(unit, viewer, line.cart_id, sku, quantity)
    if is_selected is not None:
        await unit.changed(_SET_SELECTED, {"line": line_id, "is_chosen": is_selected})
    await _touch(unit, line.cart_id)
    return int(line.cart_id)


async def remove_line(unit: Unit, viewer: Viewer, *, line_id: int) -> int:
    """Takes a line out of the viewer's cart; the cart's id."""
    line = await _own_line(unit.db, viewer, line_id)
    await unit.changed(_REMOVE, {"line": line_id})
    await _touch(unit, line.cart_id)
    return int(line.cart_id)


async def remove_ordered(unit: Unit, cart_id: int, line_ids: list[int]) -> None:
    """Takes the lines out that became an order."""
    await unit.changed(_REMOVE_MANY, {"cart": cart_id, "lines": line_ids})
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
    sku = await db.first(_SKU, {"sku": sku_id})
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
    offer = await db.first(_LIVE_OFFER, {"room": live_room_id, "sku": sku.id})
    if offer is None:
        raise NotFound("LiveRoom")
    price_fen = honoured_price(sku.price_fen, offer.live_price_fen, offer.status)
    return (live_room_id if offer.status == "LIVE" else None), price_fen


async def _own_cart(unit: Unit, viewer: Viewer) -> int:
    """The viewer's cart, made when there is none, and noted as changed."""
    owner: dict[str, Any] = {"account": viewer.id, "guest": None, "now": unit.clock()}
    if viewer.id is not None:
        cart = await unit.returned(_OWN_BY_ACCOUNT, owner)
    elif viewer.guest_key is not None:
        cart = await unit.returned(_OWN_BY_GUEST, owner | {"guest": viewer.guest_key})
    else:
        raise Unauthenticated
    return int(cart.id)


async def _own_line(db: Reader, viewer: Viewer, line_id: int) -> Row[Any]:
    line = await db.first(*_LINE.of(viewer=viewer, line_id=line_id))
    if line is None:
        raise NotFound("CartLine")
    return line


async def _touch(unit: Unit, cart_id: int) -> None:
    await unit.changed(_TOUCH, {"cart": cart_id, "now": unit.clock()})


async def _check_line(unit: Unit, viewer: Viewer, cart_id: int, sku: Any, quantity: int) -> None:
    """Refuses a line that could not be ordered: too many for a line, a customer, or the stock."""
    check_quantity(quantity)
    if sku.customer_limit is not None:
        in_cart = await unit.db.value(
            _UNITS_OF_PRODUCT, {"cart": cart_id, "product": sku.product_id}
        )
        wanted = {sku.product_id: sku.customer_limit}
        most = (await limits.left(unit.db, viewer.id, wanted))[sku.product_id]
        if in_cart > most:
            raise LimitExceeded(most)
    free = stocks.free_in(sku)
    if quantity > free:
        raise OutOfStock(sku.id, free)
