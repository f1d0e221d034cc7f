"""Per-customer limits: how many more units of a product a shopper may still buy."""

from collections.abc import Mapping

from sqlalchemy import func, select

from app.db import Reader, Unit
from app.errors import LimitExceeded
from app.rules.orders import OrderStatus
from app.tables.accounts import AccountRow
from app.tables.columns import table
from app.tables.orders import OrderLineRow, OrderRow
from app.tables.products import ProductRow

ACCOUNTS = table(AccountRow)
ORDERS = table(OrderRow)
LINES = table(OrderLineRow)
PRODUCTS = table(ProductRow)


async def left(db: Reader, account_id: int | None, limits: Mapping[int, int]) -> dict[int, int]:
    """{product_id: units that may still be bought} of {product_id: limit}; guests bought none."""
    if account_id is None or not limits:
        return dict(limits)
    rows = await db.all(
        select(LINES.c.product_id, func.sum(LINES.c.quantity).label("units"))
        .join_from(LINES, ORDERS, ORDERS.c.id == LINES.c.order_id)
        .where(
            ORDERS.c.buyer_id == account_id,
            ORDERS.c.status.not_in((OrderStatus.CANCELLED, OrderStatus.CLOSED)),
            LINES.c.product_id.in_(limits),
        )
        .group_by(LINES.c.product_id)
    )
    bought = {row.product_id: int(row.units) for row in rows}
    return {key: max(0, limit - bought.get(key, 0)) for key, limit in limits.items()}


async def check(unit: Unit, account_id: int, units: Mapping[int, int]) -> None:
    """Raises LimitExceeded when {product_id: quantity} is more than the shopper may still buy.

    Holds the shopper's row, so that two orders of one person are counted one after the other.
    """
    rows = await unit.db.all(
        select(PRODUCTS.c.id, PRODUCTS.c.customer_limit).where(
            PRODUCTS.c.id.in_(units), PRODUCTS.c.customer_limit.is_not(None)
        )
    )
    if not rows:
        return
    me = select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account_id)
    await unit.db.first(me.with_for_update(key_share=True))
    allowed = await left(unit.db, account_id, {row.id: row.customer_limit for row in rows})
    for product_id, most in sorted(allowed.items()):
        if units[product_id] > most:
            raise LimitExceeded(most)
