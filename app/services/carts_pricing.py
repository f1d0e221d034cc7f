"""What a cart costs now, and what changed since its lines were added."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Integer, Row, and_, select, type_coerce

from app.db import Reader
from app.rules.pricing import (
    Item,
    Quote,
    ShippingTerms,
    honoured_price,
    is_offered,
    quote,
    shipping_fee,
)
from app.rules.stock import is_on_sale
from app.services import addresses, limits, stocks
from app.services.stocks import STOCKS
from app.statements import Prepared, among, bind
from app.tables.carts import CartLineRow
from app.tables.columns import table
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.tables.products import ProductRow, SkuRow
from app.tables.suppliers import SupplierRow

LINES = table(CartLineRow)
SKUS = table(SkuRow)
PRODUCTS = table(ProductRow)
SUPPLIERS = table(SupplierRow)
LIVE_ROOMS = table(LiveRoomRow)
LIVE_PRODUCTS = table(LiveProductRow)

PRICE_CHANGED = "PRICE_CHANGED"
SKU_UNAVAILABLE = "SKU_UNAVAILABLE"
STOCK_SHORT = "STOCK_SHORT"
LIMIT_EXCEEDED = "LIMIT_EXCEEDED"

_IN_ROOM = and_(
    LIVE_PRODUCTS.c.room_id == LINES.c.live_room_id, LIVE_PRODUCTS.c.sku_id == LINES.c.sku_id
)
_LINES = Prepared(
    select(
        LINES.c.id,
        LINES.c.sku_id,
        LINES.c.quantity,
        LINES.c.is_selected,
        LINES.c.price_when_added_fen,
        LINES.c.live_room_id,
        SKUS.c.product_id,
        SKUS.c.supplier_id,
        SKUS.c.options,
        SKUS.c.price_fen,
        SKUS.c.supply_price_fen,
        SKUS.c.status.label("sku_status"),
        *stocks.COUNTS,
        PRODUCTS.c.title,
        PRODUCTS.c.customer_limit,
        PRODUCTS.c.status.label("product_status"),
        SUPPLIERS.c.status.label("supplier_status"),
        SUPPLIERS.c.shipping_fen,
        SUPPLIERS.c.remote_surcharge_fen,
        SUPPLIERS.c.free_shipping_from_fen,
        LIVE_ROOMS.c.status.label("room_status"),
        LIVE_PRODUCTS.c.live_price_fen,
    )
    .join_from(LINES, SKUS, SKUS.c.id == LINES.c.sku_id)
    .join(PRODUCTS, PRODUCTS.c.id == SKUS.c.product_id)
    .join(SUPPLIERS, SUPPLIERS.c.id == SKUS.c.supplier_id)
    .outerjoin(STOCKS, STOCKS.c.sku_id == SKUS.c.id)
    .outerjoin(LIVE_ROOMS, LIVE_ROOMS.c.id == LINES.c.live_room_id)
    .outerjoin(LIVE_PRODUCTS, _IN_ROOM)
    .where(LINES.c.cart_id == bind("cart"))
    .order_by(LINES.c.id)
)
_COSTS = Prepared(
    select(
        LINES.c.id,
        LINES.c.sku_id,
        LINES.c.quantity,
        type_coerce(LINES.c.is_selected, Integer).label("is_selected"),  # spares a look at each
        SKUS.c.supplier_id,
        SKUS.c.price_fen,
        SKUS.c.status.label("sku_status"),
        PRODUCTS.c.status.label("product_status"),
        SUPPLIERS.c.status.label("supplier_status"),
        SUPPLIERS.c.shipping_fen,
        SUPPLIERS.c.remote_surcharge_fen,
        SUPPLIERS.c.free_shipping_from_fen,
        LIVE_ROOMS.c.status.label("room_status"),
        LIVE_PRODUCTS.c.live_price_fen,
        addresses.province_of(bind("account")).label("province"),
    )
    .join_from(LINES, SKUS, SKUS.c.id == LINES.c.sku_id)
    .join(PRODUCTS, PRODUCTS.c.id == SKUS.c.product_id)
    .join(SUPPLIERS, SUPPLIERS.c.id == SKUS.c.supplier_id)
    .outerjoin(LIVE_ROOMS, LIVE_ROOMS.c.id == LINES.c.live_room_id)
    .outerjoin(LIVE_PRODUCTS, _IN_ROOM)
    .where(LINES.c.cart_id == bind("cart"))
    .order_by(LINES.c.id)
)
_PRICES = Prepared(
    select(
        LINES.c.id,
        SKUS.c.price_fen,
        LIVE_ROOMS.c.status.label("room_status"),
        LIVE_PRODUCTS.c.live_price_fen,
    )
    .join_from(LINES, SKUS, SKUS.c.id == LINES.c.sku_id)
    .outerjoin(LIVE_ROOMS, LIVE_ROOMS.c.id == LINES.c.live_room_id)
    .outerjoin(LIVE_PRODUCTS, _IN_ROOM)
    .where(among(LINES.c.id, "lines"))
)


class PricedLine(NamedTuple):
    """A cart line at today's price; `live_room_id` is None once the room's price is void."""

    line_id: int
    sku_id: int
    product_id: int
    supplier_id: int
    title: str
    options: Mapping[str, str]
    quantity: int
    is_selected: bool
    unit_price_fen: int
    price_when_added_fen: int
    supply_price_fen: int
    available: int
    live_room_id: int | None
    is_on_sale: bool


class PricedGroup(NamedTuple):
    """All lines of one supplier; amounts are those of the selected ones."""

    supplier_id: int
    goods_fen: int
    shipping_fen: int


@dataclass(frozen=True, slots=True)
class CartProblem:
    """PRICE_CHANGED {before_fen, price_fen}, STOCK_SHORT {available}, LIMIT_EXCEEDED {limit}."""

    kind: str
    line_id: int
    data: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Costs:
    """What the selected lines that are on sale come to.

    `unit_prices` are today's in fen by line, of all lines.
    """

    unit_prices: Mapping[int, int]
    groups: tuple[PricedGroup, ...]

    @property
    def goods_fen(self) -> int:
        return sum(group.goods_fen for group in self.groups)

    @property
    def shipping_fen(self) -> int:
        return sum(group.shipping_fen for group in self.groups)

    @property
    def payable_fen(self) -> int:
        return self.goods_fen + self.shipping_fen


@dataclass(frozen=True, slots=True)
class PricedCart(Costs):
    """A cart with all that an order takes from it, and what stands in the way of one.

    `quote` splits the same amounts over the lines.
    """

    quote: Quote
    cart_id: int
    lines: tuple[PricedLine, ...]
    problems: tuple[CartProblem, ...]

    @property
    def selected(self) -> tuple[PricedLine, ...]:
        return tuple(line for line in self.lines if line.is_selected)


async def read(
    db: Reader, account_id: int | None, cart_id: int, *, province: str | None
) -> PricedCart:
    """The cart at today's prices; whether the reader may see it is the caller's to know."""
    rows = await db.all(_LINES, {"cart": cart_id})
    known = _costs(rows, province)
    lines = tuple(_line(row, known.unit_prices[row.id]) for row in rows)
    items = [
        Item(line.line_id, line.sku_id, line.supplier_id, line.quantity, line.unit_price_fen)
        for line in lines
        if line.is_selected and line.is_on_sale
    ]
    quoted = quote(items, {row.supplier_id: shipping_terms(row) for row in rows}, province=province)
    most = {row.product_id: row.customer_limit for row in rows if row.customer_limit is not None}
    left = await limits.left(db, account_id, most)
    return PricedCart(
        known.unit_prices, known.groups, quoted, cart_id, lines, _problems(lines, left)
    )


async def costs(db: Reader, account_id: int | None, cart_id: int) -> Costs:
    """What of `read` is about money alone, at half its price; goods go to the default address."""
    rows = await db.all(_COSTS, {"cart": cart_id, "account": account_id})
    return _costs(rows, rows[0].province if rows else None)


async def unit_prices(db: Reader, line_ids: Collection[int]) -> dict[int, int]:
    """{line_id: today's unit price in fen}."""
    rows = await db.all(_PRICES, {"lines": line_ids})
    return {
        row.id: honoured_price(row.price_fen, row.live_price_fen, row.room_status) for row in rows
    }


def shipping_terms(row: Row[Any]) -> ShippingTerms:
    """The terms in a row that carries a supplier's shipping columns."""
    return ShippingTerms(row.shipping_fen, row.remote_surcharge_fen, row.free_shipping_from_fen)


def _costs(rows: Sequence[Row[Any]], province: str | None) -> Costs:
    unit_prices: dict[int, int] = {}
    goods_fen: dict[int, int] = {}
    terms: dict[int, Row[Any]] = {}
    for row in rows:
        price_fen = honoured_price(row.price_fen, row.live_price_fen, row.room_status)
        unit_prices[row.id] = price_fen
        supplier_id = row.supplier_id
        worth_fen = goods_fen.get(supplier_id, 0)
        if row.is_selected and is_on_sale(row.sku_status, row.product_status, row.supplier_status):
            worth_fen += row.quantity * price_fen
        goods_fen[supplier_id], terms[supplier_id] = worth_fen, row
    groups = [
        PricedGroup(key, worth, shipping_fee(shipping_terms(terms[key]), worth, province))
        for key, worth in sorted(goods_fen.items())
    ]
    return Costs(unit_prices, tuple(groups))


def _line(row: Row[Any], unit_price_fen: int) -> PricedLine:
    return PricedLine(
        row.id,
        row.sku_id,
        row.product_id,
        row.supplier_id,
        row.title,
        row.options,
        row.quantity,
        row.is_selected,
        unit_price_fen,
        row.price_when_added_fen,
        row.supply_price_fen,
        stocks.free_in(row),
        row.live_room_id if is_offered(row.live_price_fen, row.room_status) else None,
        is_on_sale(row.sku_status, row.product_status, row.supplier_status),
    )


def _problems(lines: Sequence[PricedLine], left: Mapping[int, int]) -> tuple[CartProblem, ...]:
    """By line. A limit is told on every selected line of its product, for they share it."""
    wanted: Counter[int] = Counter()
    for line in lines:
        wanted[line.product_id] += line.quantity if line.is_selected else 0
    problems = []
    for line in lines:
        if not line.is_on_sale:
            problems.append(CartProblem(SKU_UNAVAILABLE, line.line_id))
            continue
        if line.unit_price_fen != line.price_when_added_fen:
            prices = {"before_fen": line.price_when_added_fen, "price_fen": line.unit_price_fen}
            problems.append(CartProblem(PRICE_CHANGED, line.line_id, prices))
        if line.quantity > line.available:
            problems.append(CartProblem(STOCK_SHORT, line.line_id, {"available": line.available}))
        most = left.get(line.product_id)
        if most is not None and line.is_selected and wanted[line.product_id] > most:
            problems.append(CartProblem(LIMIT_EXCEEDED, line.line_id, {"limit": most}))
    return tuple(problems)
