"""Payments: attempts to pay a trade, what providers said of them, and money on its way back."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, false, func, insert, or_, select, update

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import NotFound, PaymentFailed, TradeExpired, WrongState
from app.ids import receipt_no
from app.rules.orders import Cause, TradeStatus
from app.services import orders_tell
from app.services.sight import leads_to
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.orders import OrderRow, TradeRow
from app.tables.payments import PaymentEventRow, PaymentRow, RefundRow

PAYMENTS = table(PaymentRow)
EVENTS = table(PaymentEventRow)
REFUNDS = table(RefundRow)
TRADES = table(TradeRow)
ORDERS = table(OrderRow)


class PaymentStatus(StrEnum):
    CREATED = "CREATED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CLOSED = "CLOSED"


class RefundStatus(StrEnum):
    REQUESTED = "REQUESTED"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class RefundReason(StrEnum):
    """The cause; with its `ref_id` (an order or a payment) it is unique: one refund per cause."""

    GROUP_FAILED = "GROUP_FAILED"
    LEFT_GROUP = "LEFT_GROUP"
    LATE_PAYMENT = "LATE_PAYMENT"
    DUPLICATE_PAYMENT = "DUPLICATE_PAYMENT"
    AFTERSALE = "AFTERSALE"


class PaymentRole(StrEnum):
    """PRIMARY pays the trade; DUPLICATE is money beyond it and goes back."""

    PRIMARY = "PRIMARY"
    DUPLICATE = "DUPLICATE"


_OWN_TRADE_LOCKED = Prepared(
    select(*TRADES.c)
    .where(TRADES.c.id == bind("trade"), TRADES.c.buyer_id == bind("buyer"))
    .with_for_update(key_share=True)
)
_LAST_ATTEMPT = Prepared(
    select(func.max(PAYMENTS.c.attempt_no).label("attempt_no")).where(
        PAYMENTS.c.trade_id == bind("trade")
    )
)
_START = Prepared(
    insert(PAYMENTS).values(
        trade_id=bind("trade"),
        attempt_no=bind("attempt"),
        provider=bind("from_provider"),
        provider_no=bind("number"),
        amount_fen=bind("amount"),
        status=PaymentStatus.CREATED,
        role=PaymentRole.PRIMARY,
        created_at=bind("now"),
    )
)
_PAYMENT = Prepared(select(*PAYMENTS.c).where(PAYMENTS.c.id == bind("payment")))
_PRIMARY = Prepared(
    select(*PAYMENTS.c).where(
        PAYMENTS.c.trade_id == bind("trade"),
        PAYMENTS.c.status == PaymentStatus.SUCCEEDED,
        PAYMENTS.c.role == PaymentRole.PRIMARY,
    )
)
_SUCCEED = Prepared(
    update(PAYMENTS)
    .where(PAYMENTS.c.id == bind("payment"), PAYMENTS.c.status != PaymentStatus.SUCCEEDED)
    .values(status=PaymentStatus.SUCCEEDED, role=bind("new_role"), finished_at=bind("now"))
)
_PAY_ANOTHER = Prepared(
    update(PAYMENTS)
    .where(PAYMENTS.c.id == bind("payment"), PAYMENTS.c.trade_id == bind("lost"))
    .values(trade_id=bind("trade"), attempt_no=1)
)
_CLOSE_OPEN = Prepared(
    update(PAYMENTS)
    .where(PAYMENTS.c.trade_id == bind("trade"), PAYMENTS.c.status == PaymentStatus.CREATED)
    .values(status=PaymentStatus.CLOSED, finished_at=bind("now"))
)
_NOTE = Prepared(
    lambda insert: (
        insert(EVENTS)
        .values(
            payment_id=bind("payment"),
            provider_event_id=bind("event"),
            kind=bind("what"),
            created_at=bind("now"),
        )
        .on_conflict_do_nothing()
        .returning(EVENTS.c.id)
    )
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to pay, as the provider gets to know it."""

    payment_id: int
    provider_no: str
    amount_fen: int


def visible_to(viewer: Viewer) -> Select[Any]:
    """Payments of the viewer's own trades; staff sees all."""
    query = select(*PAYMENTS.c)
    if viewer.is_staff:
        return query
    return query.where(leads_to(PAYMENTS.c.trade_id, _bought_by(viewer)))


def refunds_visible_to(viewer: Viewer) -> Select[Any]:
    """Refunds of the viewer's own trades, a supplier's of its orders; staff sees all."""
    query = select(*REFUNDS.c)
    if viewer.is_staff:
        return query
    may_see = leads_to(REFUNDS.c.trade_id, _bought_by(viewer))
    if viewer.role is Role.SUPPLIER:
        sold = select(ORDERS.c.id).where(
            ORDERS.c.supplier_id == viewer.subject_id, ORDERS.c.status != "CANCELLED"
        )
        may_see = or_(may_see, leads_to(REFUNDS.c.order_id, sold))
    return query.where(may_see)


async def start(
    unit: Unit, viewer: Viewer, *, trade_id: int, provider: str = "SIMULATED"
) -> Attempt:
    """Notes a new attempt, before the provider is asked outside of the unit.

    Raises NotFound, TradeExpired, and WrongState for a trade that is paid.
    """
    mine = {"trade": trade_id, "buyer": viewer.account_id}
    trade = await unit.db.first(_OWN_TRADE_LOCKED, mine)
    now = unit.clock()
    if trade is None:
        raise NotFound("Trade")
    if trade.status == TradeStatus.PAID:
        raise WrongState("Trade", trade.status)
    if trade.status == TradeStatus.CANCELLED or trade.expires_at <= now:
        raise TradeExpired
    last = await unit.db.value(_LAST_ATTEMPT, {"trade": trade_id})
    provider_no = receipt_no(now, "P")
    started = {
        "trade": trade_id,
        "attempt": (last or 0) + 1,
        "from_provider": provider,
        "number": provider_no,
        "amount": trade.payable_fen,
        "now": now,
    }
    payment_id = await unit.insert(_START, started)
    return Attempt(payment_id, provider_no, trade.payable_fen)


async def get(db: Reader, payment_id: int) -> Row[Any]:
    row = await db.first(_PAYMENT, {"payment": payment_id})
    if row is None:
        raise NotFound("Payment")
    return row


async def succeed(
    unit: Unit,
    *,
    payment_id: int,
    provider_event_id: str,
    amount_fen: int,
    role: PaymentRole,
) -> bool:
    """Writes down that the money came, once; False when that is known already.

    The trade is held by the caller, who knows the `role`. Raises PaymentFailed when the provider
    names another amount than we asked for.
    """
    payment = await get(unit.db, payment_id)
    if payment.amount_fen != amount_fen:
        raise PaymentFailed
    is_new = await _note(unit, payment_id, provider_event_id, "SUCCEEDED")
    if not is_new or payment.status == PaymentStatus.SUCCEEDED:
        return False
    came = {"payment": payment_id, "new_role": role, "now": unit.clock()}
    return bool(await unit.changed(_SUCCEED, came))


async def fail(unit: Unit, *, payment_id: int, provider_event_id: str) -> bool:
    """Writes down that an attempt failed, once; money that came is never un-come."""
    payment = await get(unit.db, payment_id)
    if not await _note(unit, payment_id, provider_event_id, "FAILED"):
        return False
    failed = await unit.changed(
        update(PAYMENTS)
        .where(PAYMENTS.c.id == payment_id, PAYMENTS.c.status == PaymentStatus.CREATED)
        .values(status=PaymentStatus.FAILED, finished_at=unit.clock())
    )
    if failed:
        await orders_tell.of_trade(unit, payment.trade_id, Cause.PAYMENT_FAILED)
    return bool(failed)


async def close_open(unit: Unit, *, trade_id: int) -> int:
    """Closes the attempts of a trade that is cancelled; money that comes all the same is late."""
    return await unit.changed(_CLOSE_OPEN, {"trade": trade_id, "now": unit.clock()})


async def primary(unit: Unit, *, trade_id: int) -> Row[Any] | None:
    """The payment that paid the trade (or came late for it); every other one is beyond it."""
    return await unit.db.first(_PRIMARY, {"trade": trade_id})


async def pay_another(unit: Unit, payment: Row[Any], trade_id: int) -> None:
    """Makes money that came for a lost trade the first payment of a new one."""
    given = {"payment": payment.id, "lost": payment.trade_id, "trade": trade_id}
    moved = await unit.changed(_PAY_ANOTHER, given)
    assert moved == 1


async def request_refund(
    unit: Unit,
    *,
    trade_id: int,
    payment_id: int | None,
    reason: RefundReason,
    ref_id: int,
    amount_fen: int,
    order_id: int | None = None,
) -> int | None:
    """Asks for money to go back, once per cause; None when that was asked for already."""
    refund_id = await unit.insert_new(
        REFUNDS,
        trade_id=trade_id,
        order_id=order_id,
        payment_id=payment_id,
        reason_kind=reason,
        ref_id=ref_id,
        amount_fen=amount_fen,
        status=RefundStatus.REQUESTED,
        attempts=0,
        created_at=unit.clock(),
    )
    if refund_id is None:
        return None
    if order_id is None:
        await orders_tell.of_trade(unit, trade_id, Cause.REFUND_REQUESTED)
    else:
        await orders_tell.of_order(unit, order_id, Cause.REFUND_REQUESTED)
    return refund_id


def _bought_by(viewer: Viewer) -> Select[Any]:
    mine = false() if viewer.id is None else TRADES.c.buyer_id == viewer.id
    return select(TRADES.c.id).where(mine)


async def _note(unit: Unit, payment_id: int, provider_event_id: str, kind: str) -> bool:
    noted = {
        "payment": payment_id,
        "event": provider_event_id,
        "what": kind,
        "now": unit.clock(),
    }
    return await unit.returned(_NOTE, noted) is not None
