"""What a cart costs now, and what changed since its lines were added."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, select

from app.db import Reader
from app.rules.pricing import Item, Parcel, Quote, ShippingTerms, honoured_price, quote
from app.rules.stock import is_on_sale
from app.services import limits, stocks
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
        SUPPLIERS.c.name.label("supplier_name"),
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
    supplier_name: str
    line_ids: tuple[int, ...]
    goods_fen: int
    shipping_fen: int


@dataclass(frozen=True, slots=True)
class CartProblem:
    """PRICE_CHANGED {before_fen, price_fen}, STOCK_SHORT {available}, LIMIT_EXCEEDED {limit}."""

    kind: str
    line_id: int
    data: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PricedCart:
    """`quote` and the amounts count the selected lines that are on sale."""

    cart_id: int
    lines: tuple[PricedLine, ...]
    groups: tuple[PricedGroup, ...]
    problems: tuple[CartProblem, ...]
    quote: Quote

    @property
    def goods_fen(self) -> int:
        return self.quote.goods_fen

    @property
    def shipping_fen(self) -> int:
        return self.quote.shipping_fen

    @property
    def payable_fen(self) -> int:
        return self.quote.payable_fen

    @property
    def selected(self) -> tuple[PricedLine, ...]:
        return tuple(line for line in self.lines if line.is_selected)


async def read(
    db: Reader, account_id: int | None, cart_id: int, *, province: str | None
) -> PricedCart:
    """The cart at today's prices; whether the reader may see it is the caller's to know."""
    rows = await db.all(_LINES, {"cart": cart_id})
    lines = tuple(_line(row) for row in rows)
    most = {row.product_id: row.customer_limit for row in rows if row.customer_limit is not None}
    left = await limits.left(db, account_id, most)
    terms = {row.supplier_id: shipping_terms(row) for row in rows}
    counted = quote(
        [_item(line) for line in lines if line.is_selected and line.is_on_sale],
        terms,
        province=province,
    )
    names = {row.supplier_id: row.supplier_name for row in rows}
    return PricedCart(
        cart_id,
        lines,
        _groups(lines, names, {parcel.supplier_id: parcel for parcel in counted.parcels}),
        _problems(lines, left),
        counted,
    )


async def unit_prices(db: Reader, line_ids: Collection[int]) -> dict[int, int]:
    """{line_id: today's unit price in fen}."""
    rows = await db.all(_PRICES, {"lines": line_ids})
    return {
        row.id: honoured_price(row.price_fen, row.live_price_fen, row.room_status) for row in rows
    }


def shipping_terms(row: Row[Any]) -> ShippingTerms:
    """The terms in a row that carries a supplier's shipping columns."""
    return ShippingTerms(row.shipping_fen, row.remote_surcharge_fen, row.free_shipping_from_fen)


def _line(row: Row[Any]) -> PricedLine:
    room_status = row.room_status
    return PricedLine(
        row.id,
        row.sku_id,
        row.product_id,
        row.supplier_id,
        row.title,
        row.options,
        row.quantity,
        row.is_selected,
        honoured_price(row.price_fen, row.live_price_fen, room_status),
        row.price_when_added_fen,
        row.supply_price_fen,
        stocks.free_in(row),
        row.live_room_id if room_status == "LIVE" else None,
        is_on_sale(row.sku_status, row.product_status, row.supplier_status),
    )


def _item(line: PricedLine) -> Item:
    return Item(line.line_id, line.sku_id, line.supplier_id, line.quantity, line.unit_price_fen)


def _groups(
    lines: Sequence[PricedLine], names: Mapping[int, str], parcels: Mapping[int, Parcel]
) -> tuple[PricedGroup, ...]:
    return tuple(
        PricedGroup(
            supplier_id,
            name,
            tuple(line.line_id for line in lines if line.supplier_id == supplier_id),
            parcels[supplier_id].goods_fen if supplier_id in parcels else 0,
            parcels[supplier_id].shipping_fen if supplier_id in parcels else 0,
        )
        for supplier_id, name in sorted(names.items())
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
