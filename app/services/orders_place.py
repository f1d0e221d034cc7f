"""Placing orders: one trade for the buyer, one order per supplier, stock kept until it is paid."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import CartEmpty, NotFound, PriceChanged, SkuUnavailable
from app.ids import receipt_no
from app.rules.orders import PAYMENT_WINDOW, Address, Move, OrderStatus, TradeStatus
from app.rules.pricing import Item, Parcel, Quote, QuotedLine, quote
from app.rules.stock import is_on_sale
from app.services import addresses, carts, carts_pricing, idempotency, limits, orders, stocks
from app.services.orders import LINES, ORDERS, TRADES
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.products import ProductRow, SkuRow
from app.tables.suppliers import SupplierRow

SKUS = table(SkuRow)
PRODUCTS = table(ProductRow)
SUPPLIERS = table(SupplierRow)

PLACE = "placeTrade"

_SKU = Prepared(
    select(
        SKUS.c.product_id,
        SKUS.c.supplier_id,
        SKUS.c.options,
        SKUS.c.supply_price_fen,
        SKUS.c.status,
        PRODUCTS.c.title,
        PRODUCTS.c.status.label("product_status"),
        SUPPLIERS.c.status.label("supplier_status"),
        SUPPLIERS.c.shipping_fen,
        SUPPLIERS.c.remote_surcharge_fen,
        SUPPLIERS.c.free_shipping_from_fen,
    )
    .join_from(SKUS, PRODUCTS, PRODUCTS.c.id == SKUS.c.product_id)
    .join(SUPPLIERS, SUPPLIERS.c.id == SKUS.c.supplier_id)
    .where(SKUS.c.id == bind("sku"))
)
_TRADE = Prepared(
    insert(TRADES).values(
        no=bind("receipt"),
        buyer_id=bind("buyer"),
        status=TradeStatus.PENDING_PAYMENT,
        goods_fen=bind("goods"),
        shipping_fen=bind("shipping"),
        discount_fen=bind("discount"),
        payable_fen=bind("payable"),
        paid_fen=0,
        refunded_fen=0,
        expires_at=bind("until"),
        version=0,
        created_at=bind("now"),
    )
)
_ORDER = Prepared(
    insert(ORDERS)
    .values(
        no=bind("receipt"),
        trade_id=bind("trade"),
        supplier_id=bind("supplier"),
        buyer_id=bind("buyer"),
        status=OrderStatus.PENDING_PAYMENT,
        group_id=bind("group_buy"),
        live_room_id=bind("room"),
        goods_fen=bind("goods"),
        shipping_fen=bind("shipping"),
        discount_fen=bind("discount"),
        payable_fen=bind("payable"),
        paid_fen=0,
        refunded_fen=0,
        receiver=bind("goes_to"),
        version=0,
        created_at=bind("now"),
    )
    .returning(ORDERS.c.id, ORDERS.c.buyer_id, ORDERS.c.supplier_id, ORDERS.c.distributor_id)
)
_LINE = Prepared(
    insert(LINES).values(
        order_id=bind("order"),
        sku_id=bind("sku"),
        product_id=bind("product"),
        live_room_id=bind("room"),
        title=bind("called"),
        options=bind("chosen"),
        quantity=bind("units"),
        unit_price_fen=bind("unit_price"),
        supply_price_fen=bind("supply_price"),
        discount_fen=bind("discount"),
        shipping_fen=bind("shipping"),
        payable_fen=bind("payable"),
        paid_fen=0,
        refunded_fen=0,
        shipped_quantity=0,
    )
)


@dataclass(frozen=True, slots=True)
class Goods:
    """What an order line remembers of its SKU, whatever becomes of the product."""

    product_id: int
    title: str
    options: Mapping[str, str]
    supply_price_fen: int
    live_room_id: int | None = None


@dataclass(frozen=True, slots=True)
class Basket:
    """What is ordered and for how much; `goods` by SKU."""

    quote: Quote
    goods: Mapping[int, Goods]

    @property
    def items(self) -> list[Item]:
        return [line.item for parcel in self.quote.parcels for line in parcel.lines]

    def units_by_product(self) -> dict[int, int]:
        units: dict[int, int] = {}
        for item in self.items:
            product_id = self.goods[item.sku_id].product_id
            units[product_id] = units.get(product_id, 0) + item.quantity
        return units


@dataclass(frozen=True, slots=True)
class Placed:
    trade_id: int
    order_ids: tuple[int, ...]


async def place(
    unit: Unit,
    viewer: Viewer,
    *,
    expected_payable_fen: int,
    idempotency_key: str,
    address: Address | None = None,
) -> int:
    """Orders what is selected in the viewer's cart; the trade's id, also for a repetition.

    Raises CartEmpty, SkuUnavailable, LimitExceeded, PriceChanged, OutOfStock, InvalidInput and
    IdempotencyKeyReused.
    """
    viewer.must_be(Role.CONSUMER, Role.DISTRIBUTOR)
    body = {"payable": expected_payable_fen, "address": asdict(address) if address else None}
    earlier = await idempotency.begin(unit, viewer, PLACE, idempotency_key, body)
    if earlier is not None:
        return earlier
    to = await addresses.chosen(unit.db, viewer, address)
    cart = await carts.locked(unit, viewer)
    if cart is None:
        raise CartEmpty
    priced = await carts_pricing.read(unit.db, viewer.id, cart.id, province=to.province)
    basket = _selected(priced)
    if priced.payable_fen != expected_payable_fen:
        raise PriceChanged(expected_payable_fen, priced.payable_fen)
    until = unit.clock() + PAYMENT_WINDOW
    placed = await _create(unit, viewer, basket, address=to, expires_at=until)
    await carts.remove_ordered(unit, cart.id, [line.line_id for line in priced.selected])
    await idempotency.finish(unit, viewer, PLACE, idempotency_key, placed.trade_id)
    return placed.trade_id


async def group_basket(
    unit: Unit, *, sku_id: int, quantity: int, unit_price_fen: int, province: str
) -> Basket:
    """One SKU at the group price. Raises NotFound, SkuUnavailable."""
    sku = await _sku(unit, sku_id)
    item = Item(sku_id, sku_id, sku.supplier_id, quantity, unit_price_fen)
    terms = {sku.supplier_id: carts_pricing.shipping_terms(sku)}
    return Basket(
        quote([item], terms, province=province),
        {sku_id: Goods(sku.product_id, sku.title, sku.options, sku.supply_price_fen)},
    )


async def place_group(
    unit: Unit,
    viewer: Viewer,
    basket: Basket,
    *,
    group_id: int,
    address: Address,
    expires_at: datetime,
) -> Placed:
    """One order for a group; it is paid before `expires_at` or not at all.

    Raises LimitExceeded, OutOfStock.
    """
    return await _create(
        unit, viewer, basket, address=address, expires_at=expires_at, group_id=group_id
    )


def _selected(priced: carts_pricing.PricedCart) -> Basket:
    if not priced.selected:
        raise CartEmpty
    for line in priced.selected:
        if not line.is_on_sale:
            raise SkuUnavailable(line.sku_id)
    return Basket(
        priced.quote,
        {
            line.sku_id: Goods(
                line.product_id,
                line.title,
                line.options,
                line.supply_price_fen,
                line.live_room_id,
            )
            for line in priced.selected
        },
    )


async def _sku(unit: Unit, sku_id: int) -> Row[Any]:
    sku = await unit.db.first(_SKU, {"sku": sku_id})
    if sku is None:
        raise NotFound("Sku")
    if not is_on_sale(sku.status, sku.product_status, sku.supplier_status):
        raise SkuUnavailable(sku_id)
    return sku


async def _create(
    unit: Unit,
    viewer: Viewer,
    basket: Basket,
    *,
    address: Address,
    expires_at: datetime,
    group_id: int | None = None,
) -> Placed:
    """Writes trade, orders and lines with their frozen shares, and reserves the stock."""
    await limits.check(unit, viewer.account_id, basket.units_by_product())
    trade_id = await _insert_trade(unit, viewer, basket.quote, expires_at)
    await stocks.lock(unit, [item.sku_id for item in basket.items])
    order_ids = []
    for parcel in basket.quote.parcels:
        order_id = await _insert_order(
            unit, viewer, parcel, basket.goods, trade_id=trade_id, group_id=group_id, to=address
        )
        units = _units_by_sku(parcel)
        await stocks.reserve(unit, stocks.ORDER, order_id, units, expires_at)
        order_ids.append(order_id)
    return Placed(trade_id, tuple(order_ids))


def _units_by_sku(parcel: Parcel) -> dict[int, int]:
    """Each line alone could pass where together they oversell (DOMAIN 3.3)."""
    units: dict[int, int] = {}
    for line in parcel.lines:
        units[line.item.sku_id] = units.get(line.item.sku_id, 0) + line.item.quantity
    return units


async def _insert_trade(unit: Unit, viewer: Viewer, total: Quote, expires_at: datetime) -> int:
    now = unit.clock()
    values = {
        "receipt": receipt_no(now, "T"),
        "buyer": viewer.account_id,
        "until": expires_at,
        "now": now,
    }
    return await unit.insert(_TRADE, values | _amounts(total))


async def _insert_order(
    unit: Unit,
    viewer: Viewer,
    parcel: Parcel,
    goods: Mapping[int, Goods],
    *,
    trade_id: int,
    group_id: int | None,
    to: Address,
) -> int:
    now = unit.clock()
    rooms = [goods[line.item.sku_id].live_room_id for line in parcel.lines]
    values = {
        "receipt": receipt_no(now, "O"),
        "trade": trade_id,
        "supplier": parcel.supplier_id,
        "buyer": viewer.account_id,
        "group_buy": group_id,
        "room": next((room for room in rooms if room is not None), None),
        "goes_to": asdict(to),
        "now": now,
    }
    made = await unit.returned(_ORDER, values | _amounts(parcel))
    for line in parcel.lines:
        await unit.insert(_LINE, _line_values(made.id, line, goods[line.item.sku_id]))
    await orders.note(unit, made, Move.PLACED, viewer, from_status=None)
    return int(made.id)


def _amounts(total: Quote | Parcel) -> dict[str, int]:
    return {
        "goods": total.goods_fen,
        "shipping": total.shipping_fen,
        "discount": total.discount_fen,
        "payable": total.payable_fen,
    }


def _line_values(order_id: int, line: QuotedLine, sold: Goods) -> dict[str, Any]:
    return {
        "order": order_id,
        "sku": line.item.sku_id,
        "product": sold.product_id,
        "room": sold.live_room_id,
        "called": sold.title,
        "chosen": dict(sold.options),
        "units": line.item.quantity,
        "unit_price": line.item.unit_price_fen,
        "supply_price": sold.supply_price_fen,
        "discount": line.discount_fen,
        "shipping": line.shipping_fen,
        "payable": line.payable_fen,
    }
