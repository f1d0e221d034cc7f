"""Late money goes where its buyer chose: back, to another group, or to a group of his own."""

from asyncio import gather
from collections import Counter
from datetime import timedelta

import pytest

from app.auth import Viewer
from app.bus import Delivery
from app.events import order_topic
from app.gateways.payments import Charged, SimulatedPayments
from app.rules.group_buys import Overflow
from app.services import orders_cancel
from app.services.checkout import Settlement
from app.tables.group_buys import GroupBuyActivityRow, GroupBuyMemberRow, GroupBuyRow
from app.tables.notifications import NotificationRow
from app.tables.orders import OrderRow, TradeRow
from app.tables.payments import PaymentRow, RefundRow
from app.tables.products import ProductRow, SkuRow
from app.tables.suppliers import SupplierRow
from app.workers import expiries, refunds
from tests import invariants
from tests.factories import START, Group, Late, Mall

OTHER, NEW = Overflow.OTHER_GROUP, Overflow.OPEN_NEW


async def late(mall: Mall, group: Group, overflow: Overflow) -> tuple[Viewer, Late]:
    """A shopper whose seat was given back, and the news of the money that comes after that."""
    shopper = await mall.consumer()
    trade_id = await mall.hold(group, shopper, overflow=overflow)
    tell = await mall.told_late(shopper, trade_id, minutes=10)
    assert await expiries.once(mall.database) == 1
    return shopper, tell


async def fill(mall: Mall, group: Group) -> None:
    row = await mall.row(GroupBuyRow, group.id)
    for shopper in await mall.shoppers(row.size - row.held_count):
        assert await mall.join(group, shopper) == "joined"


async def groups_of(mall: Mall, shopper: Viewer) -> list[tuple[int, str]]:
    rows = await mall.rows(GroupBuyMemberRow, account_id=shopper.id)
    return [(one.group_id, one.status) for one in rows]


async def causes(mall: Mall) -> Counter[str]:
    return Counter(one.reason_kind for one in await mall.rows(RefundRow))


async def test_the_fullest_other_group_that_ends_first_takes_the_buyer(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=3)
    empty = await mall.opened(group.activity_id, group.sku_id)
    shopper, tell = await late(mall, group, OTHER)
    later, sooner = [await mall.opened(group.activity_id, group.sku_id) for _ in range(2)]
    for one in (later, sooner, group):
        await mall.hold(one, await mall.consumer())
    await fill(mall, group)
    await mall.change(GroupBuyRow, sooner.id, expires_at=START + timedelta(minutes=30))
    assert await tell() is Settlement.MOVED
    assert await groups_of(mall, shopper) == [(group.id, "RELEASED"), (sooner.id, "JOINED")]
    lost, found = await mall.rows(GroupBuyMemberRow, account_id=shopper.id)
    assert (lost.moved_to_id, found.moved_to_id) == (found.id, None)
    assert (await mall.row(GroupBuyRow, empty.id)).held_count == 1
    assert await causes(mall) == {}
    await invariants.check(mall)


async def test_the_lost_seats_own_group_comes_first_while_it_has_room(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=3)
    fuller = await mall.opened(group.activity_id, group.sku_id)
    await mall.join(fuller, await mall.consumer())
    shopper, tell = await late(mall, group, OTHER)
    assert await tell() is Settlement.MOVED
    assert await groups_of(mall, shopper) == [(group.id, "RELEASED"), (group.id, "JOINED")]
    assert await mall.rows(NotificationRow, account_id=shopper.id) == []
    await invariants.check(mall)


async def test_a_moved_buyer_fills_the_last_seat(mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    shopper, tell = await late(mall, group, OTHER)
    await fill(mall, group)
    other = await mall.opened(group.activity_id, group.sku_id)
    assert await tell() is Settlement.MOVED
    assert (await mall.row(GroupBuyRow, other.id)).status == "FILLED"
    assert await groups_of(mall, shopper) == [(group.id, "RELEASED"), (other.id, "SUCCEEDED")]
    told = await mall.rows(NotificationRow, account_id=shopper.id)
    assert [one.kind for one in told] == ["GROUP_BUY_SEAT_MOVED", "GROUP_BUY_FILLED"]
    assert (told[0].target_kind, told[0].target_id) == ("GroupBuy", other.id)
    await invariants.check(mall)


async def test_without_another_group_the_money_goes_back(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=2)
    shopper, tell = await late(mall, group, OTHER)
    await fill(mall, group)
    elsewhere = await mall.group_buy(size=2)
    assert await tell() is Settlement.LATE
    assert await groups_of(mall, shopper) == [(group.id, "RELEASED")]
    assert (await mall.row(GroupBuyRow, elsewhere.id)).held_count == 1
    assert await causes(mall) == {"LATE_PAYMENT": 1}
    await invariants.check(mall)


async def test_a_group_of_ones_own_opens_with_time_of_its_own(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=2, duration_s=1800)
    shopper, tell = await late(mall, group, NEW)
    await fill(mall, group)
    mall.clock.advance(minutes=5)
    assert await tell() is Settlement.MOVED
    own = (await mall.rows(GroupBuyRow))[-1]
    assert (own.status, own.leader_id) == ("OPEN", shopper.id)
    assert (own.held_count, own.paid_count) == (1, 1)
    assert own.expires_at == START + timedelta(minutes=45)
    await invariants.check(mall)
    mall.clock.advance(minutes=30)
    assert await expiries.once(mall.database) == 1
    await refunds.once(mall.database, mall.payments)
    await invariants.check(mall)
    await invariants.check_settled(mall)
    (trade,) = await mall.rows(TradeRow, buyer_id=shopper.id, status="PAID")
    assert trade.refunded_fen == trade.paid_fen == 2790


async def test_another_group_comes_before_one_of_ones_own(mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    shopper, tell = await late(mall, group, NEW)
    await fill(mall, group)
    other = await mall.opened(group.activity_id, group.sku_id)
    assert await tell() is Settlement.MOVED
    assert (await groups_of(mall, shopper))[1] == (other.id, "SUCCEEDED")


async def test_an_own_group_ends_with_the_activity_at_the_latest(mall: Mall) -> None:
    group = await mall.group_buy(size=2, ends_at=START + timedelta(minutes=20))
    _, tell = await late(mall, group, NEW)
    await fill(mall, group)
    assert await tell() is Settlement.MOVED
    own = (await mall.rows(GroupBuyRow))[-1]
    assert own.expires_at == START + timedelta(minutes=20)


async def test_money_for_an_ended_group_moves_as_well(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=3, duration_s=600)
    other = await mall.group_buy(size=3)
    shopper = await mall.consumer()
    tell = await mall.told_late(shopper, await mall.hold(group, shopper, overflow=NEW), minutes=10)
    await expiries.once(mall.database)
    assert (await mall.row(GroupBuyRow, group.id)).status == "FAILED"
    assert await tell() is Settlement.MOVED
    own = (await mall.rows(GroupBuyRow))[-1]
    assert own.id not in {group.id, other.id}
    assert (own.status, own.leader_id) == ("OPEN", shopper.id)
    await invariants.check(mall)


async def test_the_buyer_is_told_of_the_order_that_takes_the_lost_ones_place(mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    shopper, tell = await late(mall, group, NEW)
    await fill(mall, group)
    async with mall.bus.subscribe(order_topic(shopper.account_id)) as moves:
        await tell()
        told = [one.message.payload for one in moves.queue if isinstance(one, Delivery)]
    lost, found = await mall.rows(OrderRow, buyer_id=shopper.id)
    assert [(one["order_id"], one["status"]) for one in told] == [
        (found.id, "PENDING_PAYMENT"),
        (found.id, "AWAITING_GROUP"),
    ]
    assert (lost.status, lost.paid_fen, found.paid_fen) == ("CANCELLED", 0, 2790)
    assert found.receiver == lost.receiver


async def test_news_that_comes_again_or_of_a_second_payment_moves_nobody_twice(
    any_mall: Mall,
) -> None:
    mall = any_mall
    group = await mall.group_buy(size=2)
    shopper = await mall.consumer()
    trade_id = await mall.hold(group, shopper, overflow=NEW)
    first, second = [await mall.told_late(shopper, trade_id) for _ in range(2)]
    mall.clock.advance(minutes=10)
    await expiries.once(mall.database)
    told = await gather(first(), second(), first(), second(), first())
    assert Counter(told) == {
        Settlement.MOVED: 1,
        Settlement.LATE: 1,
        Settlement.REPLAYED: 3,
    }
    assert await causes(mall) == {"LATE_PAYMENT": 1}
    assert len(await groups_of(mall, shopper)) == 2
    await refunds.once(mall.database, mall.payments)
    await invariants.check(mall)
    await invariants.check_settled(mall)


async def test_who_has_cancelled_is_not_moved(mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=3), await mall.consumer()
    trade_id = await mall.hold(group, shopper, overflow=NEW)
    tell = await mall.told_late(shopper, trade_id)
    async with mall.unit() as unit:
        await orders_cancel.cancel_trade(unit, shopper, trade_id=trade_id)
    assert await tell() is Settlement.LATE
    assert await groups_of(mall, shopper) == [(group.id, "RELEASED")]


async def seated_again(mall: Mall, group: Group, shopper: Viewer) -> None:
    await mall.opened(group.activity_id, group.sku_id, shopper)


async def limit_reached(mall: Mall, group: Group, shopper: Viewer) -> None:
    (product,) = {one.product_id for one in await mall.rows(SkuRow, id=group.sku_id)}
    await mall.change(ProductRow, product, customer_limit=1)
    await mall.bought(shopper, group.sku_id)


async def sold_out(mall: Mall, group: Group, shopper: Viewer) -> None:
    on_hand, allocated, reserved = await mall.stock(group.sku_id)
    await mall.bought(await mall.consumer(), group.sku_id, on_hand - allocated - reserved)


async def delisted(mall: Mall, group: Group, shopper: Viewer) -> None:
    await mall.change(SkuRow, group.sku_id, status="DELISTED")


async def stopped(mall: Mall, group: Group, shopper: Viewer) -> None:
    await mall.change(GroupBuyActivityRow, group.activity_id, status="STOPPED")


async def over(mall: Mall, group: Group, shopper: Viewer) -> None:
    await mall.change(GroupBuyActivityRow, group.activity_id, ends_at=mall.clock())


async def dearer_to_ship(mall: Mall, group: Group, shopper: Viewer) -> None:
    (sku,) = await mall.rows(SkuRow, id=group.sku_id)
    await mall.change(SupplierRow, sku.supplier_id, shipping_fen=900)


@pytest.mark.parametrize(
    "obstacle", [seated_again, limit_reached, sold_out, delisted, stopped, over, dearer_to_ship]
)
async def test_what_no_shopper_could_order_now_goes_back(mall: Mall, obstacle) -> None:
    group = await mall.group_buy(size=3, stock=20)
    await mall.opened(group.activity_id, group.sku_id)
    shopper, tell = await late(mall, group, NEW)
    await obstacle(mall, group, shopper)
    before = await mall.everything()
    assert await tell() is Settlement.LATE
    after = await mall.everything()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"payments", "payment_events", "refunds", "outbox"}
    assert await causes(mall) == {"LATE_PAYMENT": 1}
    await invariants.check(mall)


async def test_late_money_of_many_shares_the_last_seats(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=9)
    late_ones = []
    for shopper in await mall.shoppers(8):
        trade_id = await mall.hold(group, shopper, overflow=OTHER)
        late_ones.append(await mall.told_late(shopper, trade_id))
    mall.clock.advance(minutes=10)
    assert await expiries.once(mall.database) == 8
    await mall.change(GroupBuyActivityRow, group.activity_id, size=3)
    others = [await mall.opened(group.activity_id, group.sku_id) for _ in range(2)]
    await fill(mall, group)
    outcomes = Counter(await gather(*(tell() for tell in late_ones)))
    assert outcomes == {Settlement.MOVED: 4, Settlement.LATE: 4}
    for one in others:
        assert (await mall.row(GroupBuyRow, one.id)).status == "FILLED"
    assert await causes(mall) == {"LATE_PAYMENT": 4}
    await refunds.once(mall.database, mall.payments)
    await invariants.check(mall)
    await invariants.check_settled(mall)


async def test_late_money_between_two_groups_both_ways_does_not_deadlock(any_mall: Mall) -> None:
    mall = any_mall
    product = await mall.product(stock=100)
    activity_id = await mall.activity(product, size=8)
    groups = [await mall.opened(activity_id, product.sku_id) for _ in range(4)]
    late_ones = []
    for number, shopper in enumerate(await mall.shoppers(16)):
        trade_id = await mall.hold(groups[number % 4], shopper, overflow=NEW)
        late_ones.append(await mall.told_late(shopper, trade_id))
    mall.clock.advance(minutes=10)
    assert await expiries.once(mall.database) == 16
    outcomes = await gather(
        *(tell() for tell in late_ones),
        *(mall.join(groups[number % 4], one) for number, one in enumerate(await mall.shoppers(8))),
    )
    assert Counter(outcomes) == {Settlement.MOVED: 16, "joined": 8}
    await invariants.check(mall)


class Slow(SimulatedPayments):
    """A provider that answers when the hold of the seat is over."""

    mall: Mall

    async def charge(self, *, provider_no: str, amount_fen: int) -> Charged:
        charged = await super().charge(provider_no=provider_no, amount_fen=amount_fen)
        self.mall.clock.advance(minutes=10)
        await expiries.once(self.mall.database)
        return charged


async def test_paying_late_answers_the_trade_that_was_paid(mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=3), await mall.consumer()
    trade_id = await mall.hold(group, shopper, overflow=OTHER)
    mall.payments = slow = Slow()
    slow.mall = mall
    paid = await mall.pay(shopper, trade_id, key="k")
    lost, found = await mall.rows(TradeRow, buyer_id=shopper.id)
    assert (lost.id, lost.status) == (trade_id, "CANCELLED")
    assert (found.id, found.status, found.paid_fen) == (paid, "PAID", 2790)
    (payment,) = await mall.rows(PaymentRow, trade_id=paid)
    assert (payment.attempt_no, payment.role, payment.status) == (1, "PRIMARY", "SUCCEEDED")
    async with mall.unchanged():
        assert await mall.pay(shopper, trade_id, key="k") == paid


async def test_late_money_and_a_new_seat_of_the_same_person_make_one_seat(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=9)
    others = [await mall.opened(group.activity_id, group.sku_id) for _ in range(2)]
    shoppers = await mall.shoppers(6)
    trades = [await mall.hold(group, one, overflow=NEW) for one in shoppers]
    tells = [await mall.told_late(*one) for one in zip(shoppers, trades, strict=True)]
    mall.clock.advance(minutes=10)
    assert await expiries.once(mall.database) == 6
    holds = [mall.hold(others[number % 2], one) for number, one in enumerate(shoppers)]
    raced = await gather(*(mall.outcome(one) for one in [*(tell() for tell in tells), *holds]))
    for tell, outcome, held in zip(tells, raced[:6], raced[6:], strict=True):
        if outcome == "ALREADY_IN_GROUP_BUY":  # nothing was written: whoever told tells again
            assert isinstance(held, int)
            assert await tell() is Settlement.LATE
        else:
            assert (outcome is Settlement.MOVED) == (held == "ALREADY_IN_GROUP_BUY")
    await invariants.check(mall)
    for shopper in shoppers:
        states = [status for _, status in await groups_of(mall, shopper)]
        assert len([one for one in states if one in {"HELD", "JOINED"}]) == 1
