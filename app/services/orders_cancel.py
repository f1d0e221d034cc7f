"""Ending trades that nobody paid: by their buyer or by time; stock and seats become free."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from app.auth import Viewer
from app.db import Reader, Unit
from app.errors import NotFound, WrongState
from app.rules.orders import TradeStatus
from app.services import group_buys_seats as seats
from app.services import orders, payments
from app.services.orders import SYSTEM, TRADES
from app.statements import Prepared, bind

BUYER = "BUYER"
TIMEOUT = "TIMEOUT"

_DUE = Prepared(
    select(TRADES.c.id)
    .where(TRADES.c.status == TradeStatus.PENDING_PAYMENT, TRADES.c.expires_at <= bind("now"))
    .order_by(TRADES.c.expires_at)
    .limit(bind("most"))
)
_NEXT_DUE = Prepared(
    select(TRADES.c.expires_at)
    .where(TRADES.c.status == TradeStatus.PENDING_PAYMENT)
    .order_by(TRADES.c.expires_at)
    .limit(1)
)


async def cancel_trade(unit: Unit, viewer: Viewer, *, trade_id: int) -> None:
    """Cancels the viewer's own unpaid trade; a repetition changes nothing.

    Money that comes all the same is refunded. Raises NotFound, and WrongState for a paid trade.
    """
    mine = TRADES.c.id == trade_id, TRADES.c.buyer_id == viewer.account_id
    if await unit.db.first(select(TRADES.c.id).where(*mine)) is None:
        raise NotFound("Trade")
    trade = await _locked(unit, trade_id)
    if trade.status == TradeStatus.PAID:
        raise WrongState("Trade", trade.status)
    await _cancel(unit, trade, actor=viewer, reason=BUYER)


async def expire(unit: Unit, trade_id: int) -> bool:
    """Cancels one trade whose time is up; False when it was paid or ended meanwhile."""
    trade = await _locked(unit, trade_id)
    if trade.expires_at > unit.clock():
        return False
    return await _cancel(unit, trade, actor=SYSTEM, reason=TIMEOUT)


async def expire_due(unit: Unit, *, limit: int = 1) -> int:
    """Cancels unpaid trades whose time is up, `limit` at most in this unit. How many.

    One trade a unit, so that units of two processes never hold each other's stock.
    """
    due = await unit.db.all(_DUE, {"now": unit.clock(), "most": limit})
    return sum([await expire(unit, row.id) for row in due])


async def next_due(db: Reader) -> datetime | None:
    """When the next unpaid trade ends."""
    due: datetime | None = await db.value(_NEXT_DUE)
    return due


async def _locked(unit: Unit, trade_id: int) -> Row[Any]:
    """The trade, held after its group: everybody takes them in this order."""
    await seats.lock_of_trade(unit, trade_id)
    return await orders.locked_trade(unit, trade_id)


async def _cancel(unit: Unit, trade: Row[Any], *, actor: Viewer, reason: str) -> bool:
    if not await orders.close(unit, trade.id, actor=actor, reason=reason):
        return False
    await payments.close_open(unit, trade_id=trade.id)
    for order in await orders.of_trade(unit.db, trade.id):
        if order.group_id is not None:
            await seats.give_back(unit, order_id=order.id)
    return True
