"""Paying a trade: ask the provider between two units, then move orders and groups on."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from app.auth import Viewer
from app.db import Database, Unit
from app.errors import AlreadyInGroupBuy, PaymentFailed, TradeExpired
from app.gateways.payments import Outcome, PaymentGateway, ProviderDown
from app.rules.orders import TradeStatus
from app.services import group_buys_overflow as overflow
from app.services import group_buys_seats as seats
from app.services import idempotency, orders, payments
from app.services.payments import PaymentRole, PaymentStatus, RefundReason

PAY = "payTrade"


class Settlement(StrEnum):
    """What a success of the provider meant: PAID moved the trade, LATE and DUPLICATE go back.

    MOVED came late as well, and pays a new trade for a seat in another group.
    """

    PAID = "PAID"
    MOVED = "MOVED"
    LATE = "LATE"
    DUPLICATE = "DUPLICATE"
    REPLAYED = "REPLAYED"


async def pay(
    database: Database,
    gateway: PaymentGateway,
    viewer: Viewer,
    *,
    trade_id: int,
    idempotency_key: str,
) -> int:
    """Pays the viewer's trade; the provider is asked while no transaction is open.

    The trade that is paid: another one when money came late and was moved to another group.
    A repetition with the same key goes on with the same attempt, so it never charges twice.
    Raises PaymentFailed, TradeExpired, WrongState, NotFound, InvalidInput, IdempotencyKeyReused.
    """
    payment, is_settled = await database.change(
        lambda unit: _attempt(unit, viewer, trade_id, idempotency_key, gateway.name)
    )
    if is_settled:
        return int(payment.trade_id)
    try:
        charged = await gateway.charge(
            provider_no=payment.provider_no, amount_fen=payment.amount_fen
        )
    except ProviderDown:
        raise PaymentFailed from None  # the attempt stays open: the same key asks again
    if charged.outcome is Outcome.FAILED:
        await database.change(
            lambda unit: payments.fail(
                unit, payment_id=payment.id, provider_event_id=charged.event_id
            )
        )
        raise PaymentFailed
    told: dict[str, Any] = {
        "payment_id": payment.id,
        "provider_event_id": charged.event_id,
        "amount_fen": charged.amount_fen,
    }
    try:
        settlement = await database.change(settle, **told)
    except AlreadyInGroupBuy:  # late money of who takes another seat just now: seen this time
        settlement = await database.change(settle, **told)
    if settlement is Settlement.LATE:
        raise TradeExpired
    if settlement is Settlement.MOVED:
        payment = await database.look(lambda db: payments.get(db, payment.id))
    return int(payment.trade_id)


async def settle(
    unit: Unit, *, payment_id: int, provider_event_id: str, amount_fen: int
) -> Settlement:
    """Takes over a provider's success, however often and however late it is told.

    The first one pays the trade; money for a cancelled trade or beyond the first goes back, unless
    its buyer wants another group and there is one. Raises NotFound, PaymentFailed for an amount
    that we did not ask for, AlreadyInGroupBuy when the buyer takes another seat at this moment.
    """
    payment = await payments.get(unit.db, payment_id)
    await overflow.lock(unit, payment.trade_id)
    trade = await orders.locked_trade(unit, payment.trade_id)
    earlier = await payments.primary(unit, trade_id=trade.id)
    role = PaymentRole.PRIMARY if earlier is None else PaymentRole.DUPLICATE
    is_news = await payments.succeed(
        unit,
        payment_id=payment_id,
        provider_event_id=provider_event_id,
        amount_fen=amount_fen,
        role=role,
    )
    if not is_news:
        return Settlement.REPLAYED
    if role is PaymentRole.DUPLICATE:
        await _send_back(unit, payment, RefundReason.DUPLICATE_PAYMENT)
        return Settlement.DUPLICATE
    if await _pay(unit, trade, amount_fen):
        return Settlement.PAID
    other_id = await overflow.move(unit, payment)
    if other_id is None:
        await _send_back(unit, payment, RefundReason.LATE_PAYMENT)
        return Settlement.LATE
    is_paid = await _pay(unit, await orders.locked_trade(unit, other_id), amount_fen)
    assert is_paid
    return Settlement.MOVED


async def _pay(unit: Unit, trade: Row[Any], amount_fen: int) -> bool:
    """Moves trade, orders and groups on; False when the trade is not unpaid any more."""
    paid = await orders.pay(unit, trade, amount_fen)
    if not paid:
        return False
    await payments.close_open(unit, trade_id=trade.id)
    for order in paid:
        if order.group_id is not None:
            await seats.paid(unit, order)
    return True


async def _attempt(
    unit: Unit, viewer: Viewer, trade_id: int, key: str, provider: str
) -> tuple[Row[Any], bool]:
    """The attempt that this key stands for, and whether its trade is paid already."""
    known = await idempotency.begin(unit, viewer, PAY, key, {"trade": trade_id})
    if known is None:
        attempt = await payments.start(unit, viewer, trade_id=trade_id, provider=provider)
        known = attempt.payment_id
        await idempotency.finish(unit, viewer, PAY, key, known)
    payment = await payments.get(unit.db, known)
    if payment.status == PaymentStatus.FAILED:
        raise PaymentFailed
    if payment.status == PaymentStatus.CREATED:
        return payment, False
    trade = await orders.locked_trade(unit, payment.trade_id)
    if trade.status != TradeStatus.PAID:
        raise TradeExpired
    return payment, True


async def _send_back(unit: Unit, payment: Row[Any], reason: RefundReason) -> None:
    await payments.request_refund(
        unit,
        trade_id=payment.trade_id,
        payment_id=payment.id,
        reason=reason,
        ref_id=payment.id,
        amount_fen=payment.amount_fen,
    )
