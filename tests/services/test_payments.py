"""Payments: once, late, twice, refused, and money on its way back."""

from asyncio import gather
from collections import Counter

import pytest

from app.auth import Viewer
from app.errors import (
    IdempotencyKeyReused,
    NotFound,
    PaymentFailed,
    TradeExpired,
    Unauthenticated,
    WrongState,
)
from app.services import checkout, orders_cancel, payments
from app.services.checkout import Settlement
from app.tables.orders import OrderEventRow, OrderRow, TradeRow
from app.tables.payments import PaymentRow, RefundRow
from app.workers import expiries, refunds
from tests.factories import Mall


async def start(mall: Mall, viewer: Viewer, trade_id: int) -> payments.Attempt:
    async with mall.unit() as unit:
        return await payments.start(unit, viewer, trade_id=trade_id)


async def settle(mall: Mall, attempt: payments.Attempt, event: str = "evt") -> Settlement:
    async with mall.unit() as unit:
        return await checkout.settle(
            unit,
            payment_id=attempt.payment_id,
            provider_event_id=event,
            amount_fen=attempt.amount_fen,
        )


async def unpaid(mall: Mall) -> tuple[Viewer, int, int]:
    """(shopper, trade, SKU) of one order over 3790 fen."""
    shopper, product = await mall.consumer(), await mall.product(price_fen=2990)
    return shopper, await mall.order(shopper, product.sku_id), product.sku_id


async def test_a_paid_trade_moves_its_orders_lines_and_stock(mall: Mall) -> None:
    shopper, trade_id, sku_id = await unpaid(mall)
    assert await mall.pay(shopper, trade_id) == trade_id
    trade = await mall.row(TradeRow, trade_id)
    assert (trade.status, trade.paid_fen, trade.paid_at) == ("PAID", 3790, mall.clock())
    (order,) = await mall.rows(OrderRow)
    assert (order.status, order.paid_fen) == ("AWAITING_SHIPMENT", 3790)
    assert await mall.stock(sku_id) == (10, 1, 0)
    assert [one.kind for one in await mall.rows(OrderEventRow)] == ["PLACED", "PAID"]
    assert list(mall.payments.charged.values()) == [3790]


async def test_a_repetition_with_the_same_key_changes_nothing(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    await mall.pay(shopper, trade_id, key="k")
    async with mall.unchanged():
        assert await mall.pay(shopper, trade_id, key="k") == trade_id
    assert len(mall.payments.charged) == 1


async def test_a_double_click_pays_once(any_mall: Mall) -> None:
    mall = any_mall
    shopper, trade_id, sku_id = await unpaid(mall)
    await gather(*(mall.pay(shopper, trade_id, key="k") for _ in range(8)))
    assert list(mall.payments.charged.values()) == [3790]
    assert [one.status for one in await mall.rows(PaymentRow)] == ["SUCCEEDED"]
    assert await mall.rows(RefundRow) == []
    assert await mall.stock(sku_id) == (10, 1, 0)


async def test_a_key_of_another_trade_is_refused(mall: Mall) -> None:
    shopper, first, sku_id = await unpaid(mall)
    second = await mall.order(shopper, sku_id)
    await mall.pay(shopper, first, key="k")
    async with mall.unchanged():
        with pytest.raises(IdempotencyKeyReused):
            await mall.pay(shopper, second, key="k")


async def test_a_paid_trade_is_not_paid_again(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    await mall.pay(shopper, trade_id)
    async with mall.unchanged():
        with pytest.raises(WrongState):
            await mall.pay(shopper, trade_id)


async def test_nobody_pays_for_somebody_else(mall: Mall) -> None:
    _, trade_id, _ = await unpaid(mall)
    other = await mall.consumer()
    guest = Viewer(guest_key="g")
    for viewer, refusal in ((other, NotFound), (guest, Unauthenticated)):
        async with mall.unchanged():
            with pytest.raises(refusal):
                await mall.pay(viewer, trade_id)
    assert mall.payments.charged == {}


async def test_an_expired_trade_is_not_charged(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    mall.clock.advance(minutes=30)
    async with mall.unchanged():
        with pytest.raises(TradeExpired):
            await mall.pay(shopper, trade_id)
    await expiries.once(mall.database)
    async with mall.unchanged():
        with pytest.raises(TradeExpired):
            await mall.pay(shopper, trade_id)
    assert mall.payments.charged == {}


async def test_a_declined_charge_leaves_the_trade_to_be_paid(mall: Mall) -> None:
    shopper, trade_id, sku_id = await unpaid(mall)
    attempt = await start(mall, shopper, trade_id)
    async with mall.unit() as unit:
        assert await payments.fail(unit, payment_id=attempt.payment_id, provider_event_id="no")
    async with mall.unchanged(), mall.unit() as unit:
        assert not await payments.fail(unit, payment_id=attempt.payment_id, provider_event_id="no")
    assert (await mall.row(TradeRow, trade_id)).status == "PENDING_PAYMENT"
    assert await mall.stock(sku_id) == (10, 0, 1)
    await mall.pay(shopper, trade_id)
    assert [one.status for one in await mall.rows(PaymentRow)] == ["FAILED", "SUCCEEDED"]


class Declining:
    """A provider that declines everything."""

    name = "DECLINING"

    def __init__(self, mall: Mall) -> None:
        self._books = mall.payments

    async def charge(self, *, provider_no: str, amount_fen: int):
        self._books.declined.add(provider_no)
        return await self._books.charge(provider_no=provider_no, amount_fen=amount_fen)


async def test_a_declined_payment_says_so_each_time(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    for _ in range(2):
        with pytest.raises(PaymentFailed):
            await checkout.pay(
                mall.database, Declining(mall), shopper, trade_id=trade_id, idempotency_key="k"
            )
    assert [one.status for one in await mall.rows(PaymentRow)] == ["FAILED"]


async def test_a_provider_that_was_down_is_asked_again_for_the_same_attempt(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    mall.payments.is_down = True
    with pytest.raises(PaymentFailed):
        await mall.pay(shopper, trade_id, key="k")
    assert (await mall.row(TradeRow, trade_id)).status == "PENDING_PAYMENT"
    mall.payments.is_down = False
    await mall.pay(shopper, trade_id, key="k")
    assert [one.status for one in await mall.rows(PaymentRow)] == ["SUCCEEDED"]


async def test_the_same_success_told_twice_changes_nothing(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    attempt = await start(mall, shopper, trade_id)
    assert await settle(mall, attempt) is Settlement.PAID
    async with mall.unchanged():
        assert await settle(mall, attempt) is Settlement.REPLAYED


async def test_another_event_of_the_same_success_moves_nothing(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    attempt = await start(mall, shopper, trade_id)
    await settle(mall, attempt)
    before = await mall.everything()
    assert await settle(mall, attempt, "again") is Settlement.REPLAYED
    after = await mall.everything()
    assert {name for name in after if after[name] != before[name]} == {"payment_events"}


async def test_a_wrong_amount_is_refused(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    attempt = await start(mall, shopper, trade_id)
    async with mall.unchanged():
        with pytest.raises(PaymentFailed):
            async with mall.unit() as unit:
                await checkout.settle(
                    unit, payment_id=attempt.payment_id, provider_event_id="e", amount_fen=1
                )


async def test_money_for_a_cancelled_trade_goes_back(mall: Mall) -> None:
    shopper, trade_id, sku_id = await unpaid(mall)
    attempt = await start(mall, shopper, trade_id)
    mall.clock.advance(minutes=31)
    await expiries.once(mall.database)
    assert [one.status for one in await mall.rows(PaymentRow)] == ["CLOSED"]
    assert await settle(mall, attempt) is Settlement.LATE
    async with mall.unchanged():
        assert await settle(mall, attempt) is Settlement.REPLAYED
    assert (await mall.row(TradeRow, trade_id)).status == "CANCELLED"
    assert await mall.stock(sku_id) == (10, 0, 0)
    (refund,) = await mall.rows(RefundRow)
    assert (refund.reason_kind, refund.ref_id, refund.amount_fen, refund.status) == (
        "LATE_PAYMENT",
        attempt.payment_id,
        3790,
        "REQUESTED",
    )


async def test_a_trade_cancelled_while_the_provider_works_tells_the_shopper(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)

    class Slow:
        name = "SLOW"

        async def charge(self, *, provider_no: str, amount_fen: int):
            async with mall.unit() as unit:
                await orders_cancel.cancel_trade(unit, shopper, trade_id=trade_id)
            return await mall.payments.charge(provider_no=provider_no, amount_fen=amount_fen)

    for _ in range(2):
        with pytest.raises(TradeExpired):
            await checkout.pay(
                mall.database, Slow(), shopper, trade_id=trade_id, idempotency_key="k"
            )
    assert [one.reason_kind for one in await mall.rows(RefundRow)] == ["LATE_PAYMENT"]


async def test_the_second_of_two_successes_goes_back(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    first, second = [await start(mall, shopper, trade_id) for _ in range(2)]
    assert await settle(mall, second) is Settlement.PAID
    assert await settle(mall, first) is Settlement.DUPLICATE
    assert [one.role for one in await mall.rows(PaymentRow)] == ["DUPLICATE", "PRIMARY"]
    (refund,) = await mall.rows(RefundRow)
    assert (refund.reason_kind, refund.payment_id) == ("DUPLICATE_PAYMENT", first.payment_id)
    assert (await mall.row(TradeRow, trade_id)).paid_fen == 3790


async def test_many_successes_at_once_have_one_primary(any_mall: Mall) -> None:
    mall = any_mall
    shopper, trade_id, sku_id = await unpaid(mall)
    attempts = [await start(mall, shopper, trade_id) for _ in range(6)]
    outcomes = await gather(*(settle(mall, one) for one in attempts for _ in range(2)))
    assert Counter(outcomes) == {
        Settlement.PAID: 1,
        Settlement.DUPLICATE: 5,
        Settlement.REPLAYED: 6,
    }
    assert len(await mall.rows(RefundRow)) == 5
    assert await mall.stock(sku_id) == (10, 1, 0)


async def test_refunds_are_paid_out_once(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    attempts = [await start(mall, shopper, trade_id) for _ in range(2)]
    for one in attempts:
        await mall.payments.charge(provider_no=one.provider_no, amount_fen=one.amount_fen)
        await settle(mall, one)
    assert await refunds.once(mall.database, mall.payments) == 1
    (refund,) = await mall.rows(RefundRow)
    assert (refund.status, refund.finished_at) == ("SUCCEEDED", mall.clock())
    async with mall.unchanged():
        assert await refunds.once(mall.database, mall.payments) == 0
    assert list(mall.payments.refunded.values()) == [3790]


async def test_a_refund_waits_for_a_provider_that_is_down(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    first, second = [await start(mall, shopper, trade_id) for _ in range(2)]
    await settle(mall, first)
    await settle(mall, second)
    mall.payments.is_down = True
    async with mall.unchanged():
        assert await refunds.once(mall.database, mall.payments) == 0
    mall.payments.is_down = False
    assert await refunds.once(mall.database, mall.payments) == 1


async def test_a_refund_refused_three_times_waits_for_a_person(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    first, second = [await start(mall, shopper, trade_id) for _ in range(2)]
    await settle(mall, first)
    await settle(mall, second)
    mall.payments.charged[second.provider_no] = 1  # the provider knows of less money
    for attempts, status in ((1, "REQUESTED"), (2, "REQUESTED"), (3, "FAILED")):
        assert await refunds.once(mall.database, mall.payments) == 0
        (refund,) = await mall.rows(RefundRow)
        assert (refund.attempts, refund.status) == (attempts, status)


async def test_payments_and_refunds_are_the_buyers(mall: Mall) -> None:
    shopper, trade_id, _ = await unpaid(mall)
    for one in [await start(mall, shopper, trade_id) for _ in range(2)]:
        await settle(mall, one)
    stranger, agent = await mall.consumer(), await mall.staff()
    counts = []
    for viewer in (shopper, stranger, Viewer(), agent):
        async with mall.database.read() as db:
            seen = await db.all(payments.visible_to(viewer))
            back = await db.all(payments.refunds_visible_to(viewer))
        counts.append((len(seen), len(back)))
    assert counts == [(2, 1), (0, 0), (0, 0), (2, 1)]
