"""Refunds on their way: taken one by one, asked for outside, then counted on the order."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update

from app import money
from app.db import Unit
from app.rules.notifications import Kind
from app.rules.orders import Cause
from app.services import notifications, orders, orders_tell
from app.services.orders import LINES, ORDERS, TRADES
from app.services.payments import PAYMENTS, REFUNDS, RefundStatus

ATTEMPTS = 3  # refusals of the provider before a person has to look


@dataclass(frozen=True, slots=True)
class Task:
    """One refund to ask the provider for; `refund_no` makes asking twice harmless."""

    refund_id: int
    refund_no: str
    provider_no: str
    amount_fen: int


async def take(unit: Unit, *, besides: Collection[int] = ()) -> Task | None:
    """Claims the oldest requested refund that is not among `besides`; None when none is left."""
    row = await unit.db.first(
        select(*REFUNDS.c, PAYMENTS.c.provider_no)
        .join_from(REFUNDS, PAYMENTS, PAYMENTS.c.id == REFUNDS.c.payment_id)
        .where(REFUNDS.c.status == RefundStatus.REQUESTED, REFUNDS.c.id.not_in(besides))
        .order_by(REFUNDS.c.id)
        .limit(1)
        .with_for_update(of=REFUNDS, skip_locked=True)
    )
    if row is None or not await _move(
        unit, row.id, RefundStatus.REQUESTED, RefundStatus.PROCESSING
    ):
        return None
    return Task(row.id, f"{row.provider_no}-R{row.id}", row.provider_no, row.amount_fen)


async def complete(unit: Unit, refund_id: int) -> bool:
    """The money is back: counts it on lines, order and trade; False for a repetition."""
    row = await unit.db.first(select(*REFUNDS.c).where(REFUNDS.c.id == refund_id))
    assert row is not None
    trade = await orders.locked_trade(unit, row.trade_id)
    done = await _move(
        unit,
        refund_id,
        RefundStatus.PROCESSING,
        RefundStatus.SUCCEEDED,
        finished_at=unit.clock(),
    )
    if not done:
        return False
    if row.order_id is not None:
        await _count(unit, row)
    told = await _tell(unit, row, Cause.REFUND_MADE)
    kind, of = ("Trade", trade) if told is None else ("Order", told)
    facts = {"no": of.no, "amount_fen": row.amount_fen}
    await notifications.note(unit, trade.buyer_id, Kind.REFUND_MADE, facts, (kind, of.id))
    return True


async def put_back(unit: Unit, refund_id: int) -> bool:
    """The provider did not answer: the refund waits for its next turn."""
    return await _move(unit, refund_id, RefundStatus.PROCESSING, RefundStatus.REQUESTED)


async def refuse(unit: Unit, refund_id: int) -> bool:
    """The provider said no: another turn, or FAILED for a person to settle; whether it is over."""
    row = await unit.db.first(select(*REFUNDS.c).where(REFUNDS.c.id == refund_id))
    assert row is not None
    is_over: bool = row.attempts + 1 >= ATTEMPTS
    to = RefundStatus.FAILED if is_over else RefundStatus.REQUESTED
    attempts = REFUNDS.c.attempts + 1
    if await _move(unit, refund_id, RefundStatus.PROCESSING, to, attempts=attempts) and is_over:
        await _tell(unit, row, Cause.REFUND_FAILED)
    return is_over


async def put_back_abandoned(unit: Unit) -> int:
    """Refunds that a crash left claimed wait again; asking the provider twice is harmless."""
    return await unit.changed(
        update(REFUNDS)
        .where(REFUNDS.c.status == RefundStatus.PROCESSING)
        .values(status=RefundStatus.REQUESTED)
    )


async def _move(
    unit: Unit, refund_id: int, start: RefundStatus, to: RefundStatus, **values: Any
) -> bool:
    return bool(
        await unit.changed(
            update(REFUNDS)
            .where(REFUNDS.c.id == refund_id, REFUNDS.c.status == start)
            .values(status=to, **values)
        )
    )


async def _count(unit: Unit, refund: Row[Any]) -> None:
    """Spreads a refund over what is left of each line, in the shares frozen at placement."""
    lines = await unit.db.all(
        select(*LINES.c).where(LINES.c.order_id == refund.order_id).order_by(LINES.c.id)
    )
    left = [line.paid_fen - line.refunded_fen for line in lines]
    for line, share_fen in zip(lines, money.split(refund.amount_fen, left), strict=True):
        await unit.changed(
            update(LINES)
            .where(LINES.c.id == line.id)
            .values(refunded_fen=LINES.c.refunded_fen + share_fen)
        )
    for target, key in ((ORDERS, refund.order_id), (TRADES, refund.trade_id)):
        await unit.changed(
            update(target)
            .where(target.c.id == key)
            .values(
                refunded_fen=target.c.refunded_fen + refund.amount_fen,
                version=target.c.version + 1,
            )
        )


async def _tell(unit: Unit, refund: Row[Any], cause: Cause) -> Row[Any] | None:
    """Tells of a refund at its order, which is returned, or at every order of the trade."""
    if refund.order_id is not None:
        return await orders_tell.of_order(unit, refund.order_id, cause)
    await orders_tell.of_trade(unit, refund.trade_id, cause)
    return None
