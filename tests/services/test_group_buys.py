"""拼团: seats, payments and endings, also when many come at once."""

from asyncio import gather
from collections import Counter
from datetime import timedelta

import pytest

from app.auth import Viewer
from app.bus import Delivery
from app.errors import (
    ActivityNotRunning,
    AlreadyInGroupBuy,
    GroupBuyExpired,
    GroupBuyFull,
    IdempotencyKeyReused,
    LimitExceeded,
    MallError,
    NotFound,
    OutOfStock,
    SkuUnavailable,
    Unauthenticated,
)
from app.events import group_buy_topic
from app.services import checkout, group_buys, orders_cancel, payments
from app.services.checkout import Settlement
from app.tables.group_buys import GroupBuyActivityRow, GroupBuyMemberRow, GroupBuyRow
from app.tables.orders import OrderRow, TradeRow
from app.tables.payments import RefundRow
from app.tables.products import ProductRow
from app.workers import expiries, refunds
from tests.factories import START, Group, Mall


async def open_group(mall: Mall, viewer: Viewer, activity_id: int, sku_id: int, **more):
    values = {"quantity": 1, "idempotency_key": mall.key()} | more
    async with mall.unit() as unit:
        return await group_buys.open_group(
            unit, viewer, activity_id=activity_id, sku_id=sku_id, **values
        )


async def join(mall: Mall, viewer: Viewer, group: Group, **more):
    values = {"quantity": 1, "sku_id": group.sku_id, "idempotency_key": mall.key()} | more
    async with mall.unit() as unit:
        return await group_buys.join(unit, viewer, group_buy_id=group.id, **values)


async def counts(mall: Mall, group_id: int) -> tuple[str, int, int]:
    row = await mall.row(GroupBuyRow, group_id)
    return row.status, row.held_count, row.paid_count


async def seats(mall: Mall, group_id: int) -> list[tuple[int, str]]:
    return [
        (one.seat_no, one.status) for one in await mall.rows(GroupBuyMemberRow, group_id=group_id)
    ]


async def seen_by(mall: Mall, viewer: Viewer) -> list[int]:
    async with mall.database.read() as db:
        return [row.id for row in await db.all(group_buys.visible_to(viewer))]


async def test_forty_shoppers_never_share_five_seats(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=6)
    outcomes = await gather(*(mall.join(group, one) for one in await mall.shoppers(40)))
    assert Counter(outcomes) == {"joined": 5, "GROUP_BUY_FULL": 35}
    assert await counts(mall, group.id) == ("FILLED", 6, 6)
    assert sorted(await seats(mall, group.id)) == [(no, "SUCCEEDED") for no in range(1, 7)]


async def test_forty_shoppers_in_one_hop_each_never_share_five_seats(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=6)

    async def in_one_hop(shopper: Viewer) -> str:
        _, trade_id = await mall.database.change(
            lambda unit: group_buys.join(
                unit,
                shopper,
                group_buy_id=group.id,
                sku_id=group.sku_id,
                quantity=1,
                idempotency_key="once",
            )
        )
        await mall.pay(shopper, trade_id)
        return "joined"

    outcomes = await gather(
        *(mall.outcome(in_one_hop(shopper)) for shopper in await mall.shoppers(40))
    )
    assert Counter(outcomes) == {"joined": 5, "GROUP_BUY_FULL": 35}
    assert await counts(mall, group.id) == ("FILLED", 6, 6)
    assert sorted(await seats(mall, group.id)) == [(no, "SUCCEEDED") for no in range(1, 7)]


async def test_sixty_shoppers_fill_twenty_groups_exactly(any_mall: Mall) -> None:
    mall = any_mall
    groups = [await mall.group_buy(size=3) for _ in range(20)]
    shoppers = await mall.shoppers(60)
    outcomes = await gather(
        *(mall.join(groups[number % 20], one) for number, one in enumerate(shoppers))
    )
    assert Counter(outcomes) == {"joined": 40, "GROUP_BUY_FULL": 20}
    assert {await counts(mall, one.id) for one in groups} == {("FILLED", 3, 3)}


async def test_groups_that_share_their_stock_do_not_deadlock(any_mall: Mall) -> None:
    mall = any_mall
    product = await mall.product(stock=100)
    activity_id = await mall.activity(product, size=3)
    groups = [await mall.opened(activity_id, product.sku_id) for _ in range(5)]
    shoppers = await mall.shoppers(20)
    outcomes = await gather(
        *(mall.join(groups[number % 5], one) for number, one in enumerate(shoppers))
    )
    assert Counter(outcomes) == {"joined": 10, "GROUP_BUY_FULL": 10}
    assert await mall.stock(product.sku_id) == (100, 15, 0)


async def test_a_group_is_the_leaders_secret_until_it_is_paid(mall: Mall) -> None:
    product, leader, other = await mall.product(), await mall.consumer(), await mall.consumer()
    activity_id = await mall.activity(product)
    group_id, trade_id = await open_group(mall, leader, activity_id, product.sku_id)
    assert await counts(mall, group_id) == ("PENDING", 1, 0)
    assert (await seen_by(mall, leader), await seen_by(mall, other)) == ([group_id], [])
    group = Group(group_id, activity_id, product.sku_id, 3, leader, trade_id)
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await join(mall, other, group)
    await mall.pay(leader, trade_id)
    assert await counts(mall, group_id) == ("OPEN", 1, 1)
    assert await seen_by(mall, other) == await seen_by(mall, Viewer()) == [group_id]


async def test_a_groups_time_begins_with_the_leaders_payment(mall: Mall) -> None:
    product, leader = await mall.product(), await mall.consumer()
    activity_id = await mall.activity(product, duration_s=3600)
    group_id, trade_id = await open_group(mall, leader, activity_id, product.sku_id)
    mall.clock.advance(minutes=5)
    await mall.pay(leader, trade_id)
    assert (await mall.row(GroupBuyRow, group_id)).expires_at == START + timedelta(minutes=65)


async def test_a_group_ends_no_later_than_its_activity(mall: Mall) -> None:
    group = await mall.group_buy(ends_at=START + timedelta(minutes=20))
    assert (await mall.row(GroupBuyRow, group.id)).expires_at == START + timedelta(minutes=20)
    mall.clock.advance(minutes=15)
    shopper = await mall.consumer()
    trade_id = await mall.hold(group, shopper)  # ten minutes would be too long
    assert (await mall.row(TradeRow, trade_id)).expires_at == START + timedelta(minutes=20)


async def test_an_order_waits_for_its_group_out_of_the_suppliers_sight(mall: Mall) -> None:
    group = await mall.group_buy(size=2, price_fen=1990)
    (order,) = await mall.rows(OrderRow)
    assert (order.status, order.group_id) == ("AWAITING_GROUP", group.id)
    assert (order.goods_fen, order.payable_fen) == (1990, 2790)
    sold = (await mall.rows(ProductRow))[0]
    assert sold.sold_count == 0
    assert await mall.join(group, await mall.consumer()) == "joined"
    assert {one.status for one in await mall.rows(OrderRow)} == {"AWAITING_SHIPMENT"}
    assert (await mall.row(ProductRow, sold.id)).sold_count == 2


async def test_a_held_seat_counts_before_it_is_paid(mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    await mall.hold(group, await mall.consumer())
    assert await counts(mall, group.id) == ("OPEN", 2, 1)
    shopper = await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(GroupBuyFull) as refusal:
            await join(mall, shopper, group)
    assert refusal.value.data == {"group_buy_id": group.id, "size": 2}


async def test_an_unpaid_seat_is_free_again_after_ten_minutes(mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    late = await mall.consumer()
    trade_id = await mall.hold(group, late)
    mall.clock.advance(minutes=9, seconds=59)
    assert await expiries.once(mall.database) == 0
    mall.clock.advance(seconds=1)
    assert await expiries.once(mall.database) == 1
    assert await counts(mall, group.id) == ("OPEN", 1, 1)
    assert (await mall.row(TradeRow, trade_id)).status == "CANCELLED"
    assert await mall.stock(group.sku_id) == (100, 1, 0)
    assert await mall.join(group, late) == "joined"
    assert sorted(await seats(mall, group.id)) == [
        (1, "SUCCEEDED"),
        (2, "RELEASED"),
        (2, "SUCCEEDED"),
    ]


async def test_a_freed_seat_is_the_next_one_taken(mall: Mall) -> None:
    group = await mall.group_buy(size=4)
    leaver, stayer, comer = await mall.shoppers(3)
    trade_id = await mall.hold(group, leaver)
    await mall.hold(group, stayer)
    async with mall.unit() as unit:
        await orders_cancel.cancel_trade(unit, leaver, trade_id=trade_id)
    await mall.hold(group, comer)
    assert await seats(mall, group.id) == [
        (1, "JOINED"),
        (2, "RELEASED"),
        (3, "HELD"),
        (2, "HELD"),
    ]


async def test_money_for_a_seat_that_was_given_up_goes_back(mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=2), await mall.consumer()
    trade_id = await mall.hold(group, shopper)
    async with mall.unit() as unit:
        attempt = await payments.start(unit, shopper, trade_id=trade_id)
    mall.clock.advance(minutes=10)
    await expiries.once(mall.database)
    async with mall.unit() as unit:
        settled = await checkout.settle(
            unit,
            payment_id=attempt.payment_id,
            provider_event_id="late",
            amount_fen=attempt.amount_fen,
        )
    assert settled is Settlement.LATE
    assert await counts(mall, group.id) == ("OPEN", 1, 1)
    assert [one.reason_kind for one in await mall.rows(RefundRow)] == ["LATE_PAYMENT"]


async def test_a_leader_who_does_not_pay_leaves_no_group(mall: Mall) -> None:
    product, leader = await mall.product(), await mall.consumer()
    activity_id = await mall.activity(product)
    group_id, _ = await open_group(mall, leader, activity_id, product.sku_id)
    mall.clock.advance(minutes=10)
    await expiries.once(mall.database)
    row = await mall.row(GroupBuyRow, group_id)
    assert (row.status, row.fail_reason, row.held_count) == ("FAILED", "LEADER_LEFT", 0)
    assert await seen_by(mall, Viewer()) == []
    assert await mall.rows(RefundRow) == []
    assert await mall.stock(product.sku_id) == (10, 0, 0)


async def test_a_group_that_does_not_fill_pays_everybody_back_once(mall: Mall) -> None:
    group = await mall.group_buy(size=4)
    payer, holder = await mall.consumer(), await mall.consumer()
    assert await mall.join(group, payer) == "joined"
    mall.clock.advance(minutes=55)
    held_trade_id = await mall.hold(group, holder)
    mall.clock.advance(minutes=5)
    assert await expiries.once(mall.database) == 1
    assert await counts(mall, group.id) == ("FAILED", 2, 2)
    assert [status for _, status in await seats(mall, group.id)] == [
        "REFUNDED",
        "REFUNDED",
        "RELEASED",
    ]
    assert {one.status for one in await mall.rows(OrderRow)} == {"CANCELLED"}
    assert (await mall.row(TradeRow, held_trade_id)).status == "CANCELLED"
    asked = await mall.rows(RefundRow)
    assert [(one.reason_kind, one.amount_fen) for one in asked] == [("GROUP_FAILED", 2790)] * 2
    assert await mall.stock(group.sku_id) == (100, 0, 0)
    async with mall.unchanged():
        assert await expiries.once(mall.database) == 0
    assert await refunds.once(mall.database, mall.payments) == 2
    paid_orders = [one for one in await mall.rows(OrderRow) if one.paid_fen]
    assert [(one.paid_fen, one.refunded_fen) for one in paid_orders] == [(2790, 2790)] * 2
    assert sum(mall.payments.refunded.values()) == sum(mall.payments.charged.values()) == 5580


async def test_expiry_and_the_last_join_have_one_winner(any_mall: Mall) -> None:
    mall = any_mall
    groups = [await mall.group_buy(size=2) for _ in range(6)]
    shoppers = await mall.shoppers(6)
    trades = [await mall.hold(*one) for one in zip(groups, shoppers, strict=True)]
    attempts = []
    for shopper, trade_id in zip(shoppers, trades, strict=True):
        async with mall.unit() as unit:
            attempts.append(await payments.start(unit, shopper, trade_id=trade_id))
    mall.clock.advance(hours=1)

    async def pay(attempt: payments.Attempt) -> Settlement:
        async with mall.unit() as unit:
            return await checkout.settle(
                unit,
                payment_id=attempt.payment_id,
                provider_event_id="evt",
                amount_fen=attempt.amount_fen,
            )

    settled = await gather(
        *(pay(one) for one in attempts[:3]),
        expiries.once(mall.database),
        *(pay(one) for one in attempts[3:]),
    )
    outcomes = [one for one in settled if isinstance(one, Settlement)]
    for group, outcome in zip(groups, outcomes, strict=True):
        found = await counts(mall, group.id)
        if outcome is Settlement.PAID:
            assert found == ("FILLED", 2, 2)
        else:
            assert (outcome, found) == (Settlement.LATE, ("FAILED", 1, 1))
    late = outcomes.count(Settlement.LATE)
    back = Counter(one.reason_kind for one in await mall.rows(RefundRow))
    assert (back["GROUP_FAILED"], back["LATE_PAYMENT"]) == (late, late)


async def test_a_repetition_takes_one_seat(any_mall: Mall) -> None:
    mall = any_mall
    group, shopper = await mall.group_buy(size=5), await mall.consumer()
    answers = await gather(*(join(mall, shopper, group, idempotency_key="k") for _ in range(6)))
    assert len(set(answers)) == 1
    assert await counts(mall, group.id) == ("OPEN", 2, 1)


async def test_opening_twice_with_one_key_opens_one_group(any_mall: Mall) -> None:
    mall = any_mall
    product, leader = await mall.product(), await mall.consumer()
    activity_id = await mall.activity(product)
    answers = await gather(
        *(
            open_group(mall, leader, activity_id, product.sku_id, idempotency_key="k")
            for _ in range(6)
        )
    )
    assert len(set(answers)) == 1
    assert len(await mall.rows(GroupBuyRow)) == 1


async def test_one_person_has_one_open_seat_in_an_activity(any_mall: Mall) -> None:
    mall = any_mall
    product, shopper = await mall.product(), await mall.consumer()
    activity_id = await mall.activity(product, size=3)
    groups = [await mall.opened(activity_id, product.sku_id) for _ in range(4)]
    outcomes = await gather(*(mall.outcome(mall.hold(one, shopper)) for one in groups))
    refused = [one for one in outcomes if isinstance(one, str)]
    assert refused == ["ALREADY_IN_GROUP_BUY"] * 3
    members = await mall.rows(GroupBuyMemberRow, account_id=shopper.id)
    assert [one.status for one in members] == ["HELD"]
    assert sum([(await counts(mall, one.id))[1] for one in groups]) == 5


async def test_a_key_of_another_request_is_refused(mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=5), await mall.consumer()
    await join(mall, shopper, group, idempotency_key="k")
    async with mall.unchanged():
        with pytest.raises(IdempotencyKeyReused):
            await join(mall, shopper, group, idempotency_key="k", quantity=2)


async def test_after_a_filled_group_one_may_join_the_next(mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=2), await mall.consumer()
    assert await mall.join(group, shopper) == "joined"
    following = await mall.opened(group.activity_id, group.sku_id)
    assert await mall.join(following, shopper) == "joined"


async def refused_join(mall: Mall, group: Group, shopper: Viewer, **more) -> MallError:
    async with mall.unchanged():
        with pytest.raises(MallError) as refusal:
            await join(mall, shopper, group, **more)
    return refusal.value


async def test_every_reason_not_to_join_is_told_and_changes_nothing(mall: Mall) -> None:
    group, shopper = await mall.group_buy(size=3, stock=2), await mall.consumer()
    other_sku = (await mall.product()).sku_id
    assert isinstance(await refused_join(mall, group, group.leader), AlreadyInGroupBuy)
    assert isinstance(await refused_join(mall, group, shopper, quantity=2), LimitExceeded)
    assert isinstance(await refused_join(mall, group, shopper, quantity=0), MallError)
    assert isinstance(await refused_join(mall, group, shopper, sku_id=other_sku), NotFound)
    assert isinstance(await refused_join(mall, group, Viewer(guest_key="g")), Unauthenticated)
    nowhere = Group(404, group.activity_id, group.sku_id, 3, group.leader, 1)
    assert isinstance(await refused_join(mall, nowhere, shopper), NotFound)
    await mall.bought(await mall.consumer(), group.sku_id)
    assert isinstance(await refused_join(mall, group, shopper), OutOfStock)
    (product,) = await mall.rows(ProductRow, id=(await mall.row(GroupBuyRow, group.id)).product_id)
    await mall.change(ProductRow, product.id, status="DELISTED")
    assert isinstance(await refused_join(mall, group, shopper), SkuUnavailable)
    await mall.change(GroupBuyActivityRow, group.activity_id, status="STOPPED")
    assert isinstance(await refused_join(mall, group, shopper), ActivityNotRunning)
    mall.clock.advance(hours=1)
    assert isinstance(await refused_join(mall, group, shopper), GroupBuyExpired)
    await expiries.once(mall.database)
    assert isinstance(await refused_join(mall, group, shopper), GroupBuyExpired)


@pytest.mark.parametrize("status", ["DRAFT", "SCHEDULED", "ENDED", "STOPPED"])
async def test_no_group_opens_outside_of_a_running_activity(mall: Mall, status: str) -> None:
    product, leader = await mall.product(), await mall.consumer()
    activity_id = await mall.activity(product, status=status)
    async with mall.unchanged():
        with pytest.raises(NotFound if status == "DRAFT" else ActivityNotRunning):
            await open_group(mall, leader, activity_id, product.sku_id)


async def test_drafts_are_seen_by_their_supplier_and_staff(mall: Mall) -> None:
    product = await mall.product()
    draft = await mall.activity(product, status="DRAFT")
    supplier = await mall.supplier_viewer(product.supplier_id)
    stranger = await mall.supplier_viewer(await mall.supplier())
    found = []
    for viewer in (supplier, await mall.staff(), stranger, await mall.consumer(), Viewer()):
        async with mall.database.read() as db:
            rows = await db.all(group_buys.activities_visible_to(viewer))
            skus = await db.all(group_buys.activity_skus_visible_to(viewer))
        found.append(([row.id for row in rows], len(skus)))
    assert found == [([draft], 1), ([draft], 1), ([], 0), ([], 0), ([], 0)]


async def test_unpaid_seats_are_seen_by_their_holder_and_staff_alone(mall: Mall) -> None:
    group, holder = await mall.group_buy(size=3), await mall.consumer()
    await mall.hold(group, holder)
    found = []
    for viewer in (holder, await mall.staff(), await mall.consumer(), Viewer()):
        async with mall.database.read() as db:
            rows = await db.all(group_buys.members_visible_to(viewer))
        found.append([row.status for row in rows])
    assert found == [["JOINED", "HELD"], ["JOINED", "HELD"], ["JOINED"], ["JOINED"]]


async def test_others_names_are_masked(mall: Mall) -> None:
    group = await mall.group_buy(size=3)
    rows = await mall.rows(GroupBuyMemberRow)
    async with mall.database.read() as db:
        (own,) = await group_buys.nicknames(db, group.leader, rows)
        (masked,) = await group_buys.nicknames(db, await mall.consumer(), rows)
    assert masked == f"{own[0]}**{own[-1]}"
    assert group_buys.masked("小林") == "小**"


async def test_every_change_is_announced_in_order(mall: Mall) -> None:
    group = await mall.group_buy(size=3)
    first, second, third = await mall.shoppers(3)
    async with mall.bus.subscribe(group_buy_topic(group.id)) as changes:
        trade_id = await mall.hold(group, first)
        async with mall.unit() as unit:
            await orders_cancel.cancel_trade(unit, first, trade_id=trade_id)
        await mall.join(group, second)
        await mall.join(group, third)
        told = [one.message.payload for one in changes.queue if isinstance(one, Delivery)]
    assert [(one["cause"], one["held"], one["paid"]) for one in told] == [
        ("HELD", 2, 1),
        ("RELEASED", 1, 1),
        ("HELD", 2, 1),
        ("JOINED", 2, 2),
        ("HELD", 3, 2),
        ("JOINED", 3, 3),
        ("FILLED", 3, 3),
    ]


async def test_a_refused_join_announces_nothing(mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    await mall.join(group, await mall.consumer())
    async with mall.bus.subscribe(group_buy_topic(group.id)) as changes:
        assert await mall.join(group, await mall.consumer()) == "GROUP_BUY_FULL"
        assert list(changes.queue) == []
