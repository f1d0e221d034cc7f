"""Orders: who sees which, what may be done with one, and the moves of its state machine."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import NotFound, WrongState
from app.events import LiveFiguresMoved
from app.rules import orders as rules
from app.rules.notifications import Kind
from app.rules.orders import (
    SEEN_BY_SUPPLIER,
    Action,
    Cause,
    Move,
    OrderStatus,
    Side,
    TradeStatus,
)
from app.services import notifications, orders_tell, stocks
from app.services.pages import Listing
from app.services.sight import leads_to
from app.statements import Prepared, Shaped, among, bind
from app.tables.columns import table
from app.tables.orders import OrderEventRow, OrderLineRow, OrderRow, TradeRow
from app.tables.products import ProductRow

TRADES = table(TradeRow)
ORDERS = table(OrderRow)
LINES = table(OrderLineRow)
EVENTS = table(OrderEventRow)
PRODUCTS = table(ProductRow)

SYSTEM = Viewer()  # the actor of what time or a provider does: a guest without a key

_IS_UNPAID = TRADES.c.id == bind("trade"), TRADES.c.status == TradeStatus.PENDING_PAYMENT
_OF_TRADE = Prepared(
    select(*ORDERS.c).where(ORDERS.c.trade_id == bind("trade")).order_by(ORDERS.c.id)
)
_TRADE_LOCKED = Prepared(
    select(*TRADES.c).where(TRADES.c.id == bind("trade")).with_for_update(key_share=True)
)
_SEEN = Shaped(lambda viewer, order_id: visible_to(viewer).where(ORDERS.c.id == order_id))
_NOTE = Prepared(
    insert(EVENTS).values(
        order_id=bind("order"),
        actor_role=bind("role"),
        actor_id=bind("actor"),
        kind=bind("what"),
        from_status=bind("old_status"),
        to_status=bind("new_status"),
        created_at=bind("now"),
    )
)
_PAY_TRADE = Prepared(
    update(TRADES)
    .where(*_IS_UNPAID, TRADES.c.payable_fen == bind("paid"))
    .values(
        status=TradeStatus.PAID,
        paid_fen=bind("paid"),
        paid_at=bind("now"),
        version=TRADES.c.version + 1,
    )
)
_PAY_LINES = Prepared(
    update(LINES).where(LINES.c.order_id == bind("order")).values(paid_fen=LINES.c.payable_fen)
)
_CLOSE_TRADE = Prepared(
    update(TRADES)
    .where(*_IS_UNPAID)
    .values(status=TradeStatus.CANCELLED, version=TRADES.c.version + 1)
)
_SOLD = Prepared(
    select(LINES.c.product_id, func.sum(LINES.c.quantity).label("units"))
    .where(among(LINES.c.order_id, "orders"))
    .group_by(LINES.c.product_id)
    .order_by(LINES.c.product_id)
)
_COUNT_SOLD = Prepared(
    update(PRODUCTS)
    .where(PRODUCTS.c.id == bind("product"))
    .values(sold_count=PRODUCTS.c.sold_count + bind("units"))
)
_NOTIFIED = {
    Move.GROUP_FILLED: Kind.GROUP_BUY_FILLED,
    Move.GROUP_FAILED: Kind.GROUP_BUY_FAILED,
    Move.RECEIVED: Kind.ORDER_RECEIVED,
}
"""What the buyer is notified of when it was not the buyer's own deed."""
_DUE = Prepared(
    select(*ORDERS.c)
    .where(ORDERS.c.status == OrderStatus.SHIPPED, ORDERS.c.auto_receive_at <= bind("now"))
    .order_by(ORDERS.c.auto_receive_at)
    .limit(bind("most"))
)
_NEXT_DUE = Prepared(
    select(ORDERS.c.auto_receive_at)
    .where(ORDERS.c.status == OrderStatus.SHIPPED, ORDERS.c.auto_receive_at.is_not(None))
    .order_by(ORDERS.c.auto_receive_at)
    .limit(1)
)
_ROOMS_OF = Prepared(
    select(LINES.c.live_room_id)
    .where(among(LINES.c.order_id, "orders"), LINES.c.live_room_id.is_not(None))
    .distinct()
    .order_by(LINES.c.live_room_id)
)
_SKUS_OF = Prepared(select(LINES.c.sku_id).where(among(LINES.c.order_id, "orders")).distinct())


def visible_to(viewer: Viewer) -> Select[Any]:
    """Buyers and distributors see their own, suppliers what they have to ship, staff all."""
    return select(*ORDERS.c).where(_may_see(viewer))


def lines_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*LINES.c).where(leads_to(LINES.c.order_id, visible_to(viewer)))


def events_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*EVENTS.c).where(leads_to(EVENTS.c.order_id, visible_to(viewer)))


def trades_visible_to(viewer: Viewer) -> Select[Any]:
    """A trade joins the orders of several suppliers, so it is the buyer's and the staff's alone."""
    query = select(*TRADES.c)
    if viewer.is_staff:
        return query
    return query.where(false() if viewer.id is None else TRADES.c.buyer_id == viewer.id)


def side_of(order: Any, viewer: Viewer) -> Side:
    """How the viewer stands to an order."""
    if viewer.role is Role.SUPPLIER and order.supplier_id == viewer.subject_id:
        return Side.SUPPLIER
    return Side.BUYER if viewer.id is not None and order.buyer_id == viewer.id else Side.OTHER


def available_actions(order: Any, viewer: Viewer) -> list[Action]:
    """What the viewer may do with an order now, from the table that the moves use."""
    return rules.actions(order.status, side_of(order, viewer))


def listing(viewer: Viewer, *, status: OrderStatus | None) -> Listing:
    """The viewer's orders, newest first."""
    query = visible_to(viewer)
    if status is not None:
        query = query.where(ORDERS.c.status == status)
    return Listing(query, [(ORDERS.c.id, True)])


async def receivers(
    db: Reader,  # noqa: ARG001
    viewer: Viewer,
    rows: Sequence[Any],
) -> list[dict[str, str] | None]:
    """Where each order goes, as far as the viewer may know it; None for other people."""
    known = []
    for row in rows:
        side = side_of(row, viewer)
        may_know = viewer.is_staff or side is not Side.OTHER
        known.append(rules.receiver_for(row.receiver, side, row.status) if may_know else None)
    return known


async def actions(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[list[Action]]:  # noqa: ARG001
    """`available_actions` of each row."""
    return [available_actions(row, viewer) for row in rows]


async def confirm(unit: Unit, viewer: Viewer, *, order_id: int) -> None:
    """The buyer has the goods. Raises NotFound, WrongState."""
    order = await seen(unit.db, viewer, order_id)
    if side_of(order, viewer) is not Side.BUYER:
        raise NotFound("Order")
    if order.status == OrderStatus.COMPLETED:
        return
    now = unit.clock()
    if not await move(unit, order, Move.RECEIVED, viewer, completed_at=now):
        raise WrongState("Order", order.status)


async def receive_due(unit: Unit, *, limit: int = 50) -> int:
    """Completes shipped orders that nobody confirmed in time. How many."""
    now = unit.clock()
    due = await unit.db.all(_DUE, {"now": now, "most": limit})
    return sum([await move(unit, row, Move.RECEIVED, SYSTEM, completed_at=now) for row in due])


async def next_due(db: Reader) -> datetime | None:
    """When the next shipped order counts as received."""
    due: datetime | None = await db.value(_NEXT_DUE)
    return due


async def of_trade(db: Reader, trade_id: int) -> list[Row[Any]]:
    return await db.all(_OF_TRADE, {"trade": trade_id})


async def seen(db: Reader, viewer: Viewer, order_id: int) -> Row[Any]:
    """One order that the viewer may see, else NotFound."""
    order = await db.first(*_SEEN.of(viewer=viewer, order_id=order_id))
    if order is None:
        raise NotFound("Order")
    return order


async def locked_trade(unit: Unit, trade_id: int) -> Row[Any]:
    """The trade, held until the unit ends: paying, cancelling and expiring go in turn."""
    trade = await unit.db.first(_TRADE_LOCKED, {"trade": trade_id})
    if trade is None:
        raise NotFound("Trade")
    return trade


async def move(unit: Unit, order: Row[Any], kind: Move, actor: Viewer, **values: Any) -> bool:
    """Makes one move of the state machine; False when the order is not where it may start.

    The guard is in the statement, so that of two racing moves exactly one is made and told.
    """
    new = {f"new_{name}": value for name, value in values.items()}
    if not await unit.changed(_move(kind, tuple(values)), {"order": order.id, **new}):
        return False
    await note(unit, order, kind, actor, from_status=order.status)
    return True


async def note(
    unit: Unit, order: Any, kind: Move, actor: Viewer, *, from_status: str | None
) -> None:
    """Writes the event row of a move and tells whoever listens."""
    to = rules.target(kind) if from_status is not None else OrderStatus.PENDING_PAYMENT
    noted = {
        "order": order.id,
        "role": actor.role if actor.id is not None else "SYSTEM",
        "actor": actor.id,
        "what": kind,
        "old_status": from_status,
        "new_status": to,
        "now": unit.clock(),
    }
    await unit.insert(_NOTE, noted)
    orders_tell.announce(unit, order, Cause(kind), status=to, previous=from_status)
    if kind in _NOTIFIED and actor.id is None:
        target = ("Order", order.id)
        await notifications.note(unit, order.buyer_id, _NOTIFIED[kind], {"no": order.no}, target)


async def pay(unit: Unit, trade: Row[Any], paid_fen: int) -> list[Row[Any]]:
    """Moves a trade and its orders on after their payment; the orders, [] when it is too late.

    Lines take what they were to pay, stock turns from reserved to allocated.
    """
    now = unit.clock()
    bill = {"trade": trade.id, "paid": paid_fen, "now": now}
    if not await unit.changed(_PAY_TRADE, bill):
        return []
    paid = await of_trade(unit.db, trade.id)
    await lock_stock_of(unit, [order.id for order in paid])
    for order in paid:
        kind = Move.PAID if order.group_id is None else Move.PAID_FOR_GROUP
        await move(unit, order, kind, SYSTEM, paid_fen=order.payable_fen, paid_at=now)
        await unit.changed(_PAY_LINES, {"order": order.id})
        await stocks.allocate(unit, stocks.ORDER, order.id)
    await count_sold(unit, [order.id for order in paid if order.group_id is None])
    await _tell_rooms(unit, [order.id for order in paid if order.live_room_id is not None])
    return paid


async def close(unit: Unit, trade_id: int, *, actor: Viewer, reason: str) -> bool:
    """Cancels an unpaid trade and its orders and frees the stock; False when it is not unpaid."""
    if not await unit.changed(_CLOSE_TRADE, {"trade": trade_id}):
        return False
    cancelled = await of_trade(unit.db, trade_id)
    await lock_stock_of(unit, [order.id for order in cancelled])
    for order in cancelled:
        await move(
            unit, order, Move.CANCELLED, actor, cancelled_at=unit.clock(), cancel_reason=reason
        )
        await stocks.release(unit, stocks.ORDER, order.id)
    return True


async def cancel_paid(unit: Unit, order: Row[Any], kind: Move, actor: Viewer) -> bool:
    """Cancels a paid order that has lost its group and frees its stock; the refund is apart."""
    values = {"cancelled_at": unit.clock(), "cancel_reason": kind}
    if not await move(unit, order, kind, actor, **values):
        return False
    await stocks.release(unit, stocks.ORDER, order.id)
    return True


async def count_sold(unit: Unit, order_ids: Sequence[int]) -> None:
    """Adds the units of orders that are certain now to their products' sales."""
    for row in await unit.db.all(_SOLD, {"orders": order_ids}):
        await unit.changed(_COUNT_SOLD, {"product": row.product_id, "units": int(row.units)})


async def lock_stock_of(unit: Unit, order_ids: Sequence[int]) -> None:
    """Takes the stock rows of several orders in one order: see `stocks.lock`."""
    if len(order_ids) > 1:
        rows = await unit.db.all(_SKUS_OF, {"orders": order_ids})
        await stocks.lock(unit, [row.sku_id for row in rows])


async def _tell_rooms(unit: Unit, order_ids: Sequence[int]) -> None:
    """Tells the hosts of the rooms in which these orders were sold."""
    if order_ids:
        rooms = await unit.db.all(_ROOMS_OF, {"orders": order_ids})
        unit.emit(*(LiveFiguresMoved(row.live_room_id) for row in rooms))


@cache
def _move(kind: Move, columns: tuple[str, ...]) -> Prepared:
    """The guarded update of a move that also gives these columns the values `new_...`."""
    new = {name: bind(f"new_{name}") for name in columns}
    return Prepared(
        update(ORDERS)
        .where(ORDERS.c.id == bind("order"), ORDERS.c.status.in_(rules.origins(kind)))
        .values(status=rules.target(kind), version=ORDERS.c.version + 1, **new)
    )


def _may_see(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_staff:
        return true()
    if viewer.id is None:
        return false()
    bought = ORDERS.c.buyer_id == viewer.id
    if viewer.role is Role.SUPPLIER:
        return or_(
            bought,
            and_(ORDERS.c.supplier_id == viewer.subject_id, ORDERS.c.status.in_(SEEN_BY_SUPPLIER)),
        )
    if viewer.role is Role.DISTRIBUTOR:
        return or_(bought, ORDERS.c.distributor_id == viewer.subject_id)
    return bought
