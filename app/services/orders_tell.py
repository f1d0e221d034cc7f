"""Who is told of an order: its buyer, and its supplier and shop as far as they see it."""

from typing import Any

from sqlalchemy import Row, select

from app.db import Unit
from app.events import DistributorOrderMoved, OrderMoved, SupplierOrderMoved
from app.rules.orders import SEEN_BY_SUPPLIER, Cause
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.orders import OrderRow

ORDERS = table(OrderRow)

_ONE = Prepared(select(*ORDERS.c).where(ORDERS.c.id == bind("order")))
_OF_TRADE = Prepared(
    select(*ORDERS.c).where(ORDERS.c.trade_id == bind("trade")).order_by(ORDERS.c.id)
)


def announce(
    unit: Unit, order: Any, cause: Cause, *, status: str, previous: str | None = None
) -> None:
    """Tells of an order that is in `status` now and was in `previous` before a move.

    Its supplier hears of it from the moment it is to be shipped, its shop always.
    """
    told: dict[str, Any] = {
        "order_id": order.id,
        "status": status,
        "cause": cause,
        "previous": previous,
    }
    unit.emit(OrderMoved(buyer_id=order.buyer_id, **told))
    if SEEN_BY_SUPPLIER & {status, previous}:
        unit.emit(SupplierOrderMoved(supplier_id=order.supplier_id, **told))
    if order.distributor_id is not None:
        unit.emit(DistributorOrderMoved(distributor_id=order.distributor_id, **told))


async def of_order(unit: Unit, order_id: int, cause: Cause) -> Row[Any]:
    """Tells of what befell an order without moving it; the order."""
    order = await unit.db.first(_ONE, {"order": order_id})
    assert order is not None
    announce(unit, order, cause, status=order.status)
    return order


async def of_trade(unit: Unit, trade_id: int, cause: Cause) -> None:
    """Tells the buyer, at each of its orders, of what befell a trade as a whole.

    How a trade is paid is no matter of those who sell a part of it.
    """
    for order in await unit.db.all(_OF_TRADE, {"trade": trade_id}):
        unit.emit(
            OrderMoved(order_id=order.id, buyer_id=order.buyer_id, status=order.status, cause=cause)
        )
