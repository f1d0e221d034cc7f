"""Per-customer limits: how many more units of a product a shopper may still buy."""

from collections.abc import Mapping

from sqlalchemy import func, select

from app.db import Reader, Unit
from app.errors import LimitExceeded
from app.rules.orders import OrderStatus
from app.statements import Prepared, among, bind
from app.tables.accounts import AccountRow
from app.tables.columns import table
from app.tables.orders import OrderLineRow, OrderRow
from app.tables.products import ProductRow

ACCOUNTS = table(AccountRow)
ORDERS = table(OrderRow)
LINES = table(OrderLineRow)
PRODUCTS = table(ProductRow)

_BOUGHT = Prepared(
    select(LINES.c.product_id, func.sum(LINES.c.quantity).label("units"))
    .join_from(LINES, ORDERS, ORDERS.c.id == LINES.c.order_id)
    .where(
        ORDERS.c.buyer_id == bind("buyer"),
        ORDERS.c.status.not_in((OrderStatus.CANCELLED, OrderStatus.CLOSED)),
        among(LINES.c.product_id, "products"),
    )
    .group_by(LINES.c.product_id)
)
_LIMITED = Prepared(
    select(PRODUCTS.c.id, PRODUCTS.c.customer_limit).where(
        among(PRODUCTS.c.id, "products"), PRODUCTS.c.customer_limit.is_not(None)
    )
)
_ME_LOCKED = Prepared(
    select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == bind("me")).with_for_update(key_share=True)
)


async def left(db: Reader, account_id: int | None, limits: Mapping[int, int]) -> dict[int, int]:
    """{product_id: units that may still be bought} of {product_id: limit}; guests bought none."""
    if account_id is None or not limits:
        return dict(limits)
    rows = await db.all(_BOUGHT, {"buyer": account_id, "products": limits})
    bought = {row.product_id: int(row.units) for row in rows}
    return {key: max(0, limit - bought.get(key, 0)) for key, limit in limits.items()}


async def check(unit: Unit, account_id: int, units: Mapping[int, int]) -> None:
    """Raises LimitExceeded when {product_id: quantity} is more than the shopper may still buy.

    Holds the shopper's row, so that two orders of one person are counted one after the other.
    """
    rows = await unit.db.all(_LIMITED, {"products": units})
    if not rows:
        return
    await unit.db.first(_ME_LOCKED, {"me": account_id})
    allowed = await left(unit.db, account_id, {row.id: row.customer_limit for row in rows})
    for product_id, most in sorted(allowed.items()):
        if units[product_id] > most:
            raise LimitExceeded(most)
