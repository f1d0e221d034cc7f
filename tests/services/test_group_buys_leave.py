"""Leaving a group before it is full, and groups that end with their leader or activity."""

from asyncio import gather
from collections import Counter
from datetime import timedelta

import pytest

from app.auth import Role, Viewer
from app.bus import Delivery
from app.errors import Forbidden, NotFound, WrongState
from app.events import group_buy_topic
from app.services import group_buys, group_buys_end
from app.tables.group_buys import GroupBuyActivityRow, GroupBuyMemberRow, GroupBuyRow
from app.tables.orders import OrderRow, TradeRow
from app.tables.payments import RefundRow
from app.workers import expiries, refunds
from tests import invariants
from tests.factories import START, Group, Mall


async def seats(mall: Mall, group_id: int) -> set[tuple[int, int, str]]:
    rows = await mall.rows(GroupBuyMemberRow, group_id=group_id)
    return {(one.account_id, one.seat_no, one.status) for one in rows}


async def told(mall: Mall, group: Group, deed) -> list[tuple[str, str, int, int]]:
    """(cause, status, held, paid) of the events of a deed."""
    async with mall.bus.subscribe(group_buy_topic(group.id)) as changes:
        await deed()
        payloads = [one.message.payload for one in changes.queue if isinstance(one, Delivery)]
    return [(one["cause"], one["status"], one["held"], one["paid"]) for one in payloads]


async def test_a_leader_hands_the_group_to_whoever_paid_first(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=4, duration_s=3600)
    slow, first, second = await mall.shoppers(3)
    await mall.hold(group, slow)
    for shopper in (first, second):
        mall.clock.advance(minutes=1)
        await mall.join(group, shopper)
    causes = await told(mall, group, lambda: mall.leave(group, group.leader))
    assert causes == [("RELEASED", "OPEN", 3, 2), ("LEADER_CHANGED", "OPEN", 3, 2)]
    row = await mall.row(GroupBuyRow, group.id)
    assert (row.leader_id, row.held_count, row.paid_count) == (first.id, 3, 2)
    assert row.expires_at == START + timedelta(hours=1)
    assert await seats(mall, group.id) == {
        (group.leader.id, 1, "LEFT"),
        (slow.id, 2, "HELD"),
        (first.id, 1, "JOINED"),
        (second.id, 4, "JOINED"),
    }
    (refund,) = await mall.rows(RefundRow)
    assert (refund.reason_kind, refund.amount_fen) == ("LEFT_GROUP", 2790)
    comer = await mall.consumer()
    await mall.hold(group, comer)
    assert (comer.id, 3, "HELD") in await seats(mall, group.id)
    await invariants.check(mall)


async def test_a_member_who_leaves_gets_the_money_back_once(any_mall: Mall) -> None:
    mall = any_mall
    group, member = await mall.group_buy(size=3), await mall.consumer()
    await mall.join(group, member)
    assert await mall.stock(group.sku_id) == (100, 2, 0)
    outcomes = await gather(*(mall.leave(group, member, key="k") for _ in range(4)))
    assert outcomes == ["left"] * 4
    async with mall.unchanged():
        assert await mall.leave(group, member) == "NOT_FOUND"
    row = await mall.row(GroupBuyRow, group.id)
    assert (row.status, row.leader_id, row.held_count) == ("OPEN", group.leader.id, 1)
    assert await mall.stock(group.sku_id) == (100, 1, 0)
    assert await refunds.once(mall.database, mall.payments) == 1
    (order,) = await mall.rows(OrderRow, buyer_id=member.id)
    assert (order.status, order.cancel_reason) == ("CANCELLED", "LEFT_GROUP")
    assert (order.paid_fen, order.refunded_fen) == (2790, 2790)
    assert await mall.join(group, member) == "joined"
    await invariants.check(mall)


async def test_a_leader_alone_closes_the_group(any_mall: Mall) -> None:
    mall = any_mall
    group, holder = await mall.group_buy(size=3), await mall.consumer()
    trade_id = await mall.hold(group, holder)
    causes = await told(mall, group, lambda: mall.leave(group, group.leader))
    assert causes == [("RELEASED", "FAILED", 1, 1)]
    row = await mall.row(GroupBuyRow, group.id)
    assert (row.status, row.fail_reason) == ("FAILED", "LEADER_LEFT")
    assert (await mall.row(TradeRow, trade_id)).status == "CANCELLED"
    assert [one.reason_kind for one in await mall.rows(RefundRow)] == ["GROUP_FAILED"]
    assert await mall.stock(group.sku_id) == (100, 0, 0)
    await invariants.check(mall)


async def test_an_unpaid_seat_is_left_without_a_refund(mall: Mall) -> None:
    group, holder = await mall.group_buy(size=3), await mall.consumer()
    trade_id = await mall.hold(group, holder)
    assert await told(mall, group, lambda: mall.leave(group, holder)) == [
        ("RELEASED", "OPEN", 1, 1)
    ]
    assert (await mall.row(TradeRow, trade_id)).status == "CANCELLED"
    assert await mall.rows(RefundRow) == []


async def test_nobody_leaves_a_group_that_is_full_or_over_or_anothers(mall: Mall) -> None:
    full, over, other = [await mall.group_buy(size=2) for _ in range(3)]
    member = await mall.consumer()
    await mall.join(full, member)
    await mall.change(GroupBuyRow, over.id, expires_at=START)
    await expiries.once(mall.database)
    async with mall.unchanged():
        assert await mall.leave(full, member) == "WRONG_STATE"
        assert await mall.leave(full, full.leader) == "WRONG_STATE"
        assert await mall.leave(over, over.leader) == "WRONG_STATE"
        assert await mall.leave(other, member) == "NOT_FOUND"
        assert await mall.leave(Group(404, 1, 1, 2, member, 1), member) == "NOT_FOUND"
        assert await mall.leave(other, Viewer(guest_key="g")) == "UNAUTHENTICATED"


async def unpaid(mall: Mall) -> Group:
    """A group whose leader has not paid."""
    product, leader = await mall.product(), await mall.consumer()
    activity_id = await mall.activity(product)
    async with mall.unit() as unit:
        group_id, trade_id = await group_buys.open_group(
            unit,
            leader,
            activity_id=activity_id,
            sku_id=product.sku_id,
            quantity=1,
            idempotency_key=mall.key(),
        )
    return Group(group_id, activity_id, product.sku_id, 3, leader, trade_id)


async def test_a_leader_who_has_not_paid_cancels_the_trade_instead(mall: Mall) -> None:
    group = await unpaid(mall)
    async with mall.unchanged():
        assert await mall.leave(group, group.leader) == "WRONG_STATE"


async def test_everybody_leaving_at_once_leaves_one_leader_or_no_group(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy(size=6)
    members = await mall.shoppers(4)
    for member in members:
        await mall.join(group, member)
    leaving = [group.leader, *members[:3]]
    assert await gather(*(mall.leave(group, one) for one in leaving)) == ["left"] * 4
    row = await mall.row(GroupBuyRow, group.id)
    assert (row.status, row.leader_id, row.paid_count) == ("OPEN", members[3].id, 1)
    await invariants.check(mall)
    assert await mall.leave(group, members[3]) == "left"
    assert (await mall.row(GroupBuyRow, group.id)).status == "FAILED"
    causes = Counter(one.reason_kind for one in await mall.rows(RefundRow))
    assert causes == {"LEFT_GROUP": 4, "GROUP_FAILED": 1}
    await invariants.check(mall)


async def test_leaving_and_the_last_payment_have_one_winner(any_mall: Mall) -> None:
    mall = any_mall
    groups = [await mall.group_buy(size=2) for _ in range(6)]
    shoppers = await mall.shoppers(6)
    trades = [await mall.hold(*one) for one in zip(groups, shoppers, strict=True)]
    pairs = list(zip(groups, shoppers, trades, strict=True))
    outcomes = await gather(
        *(mall.outcome(mall.pay(shopper, trade)) for _, shopper, trade in pairs[:3]),
        *(mall.leave(group, group.leader) for group in groups),
        *(mall.outcome(mall.pay(shopper, trade)) for _, shopper, trade in pairs[3:]),
    )
    await refunds.once(mall.database, mall.payments)
    await invariants.check(mall)
    await invariants.check_settled(mall)
    for group, left in zip(groups, outcomes[3:9], strict=True):
        row = await mall.row(GroupBuyRow, group.id)
        assert row.status == ("FAILED" if left == "left" else "FILLED")


async def test_a_stopped_activity_ends_its_groups_and_pays_back(any_mall: Mall) -> None:
    mall = any_mall
    group, other = await mall.group_buy(size=3), await mall.group_buy(size=3)
    another = await mall.opened(group.activity_id, group.sku_id)
    activity = await mall.row(GroupBuyActivityRow, group.activity_id)
    (supplier_id,) = {one.supplier_id for one in await mall.rows(OrderRow, group_id=group.id)}
    supplier = await mall.supplier_viewer(supplier_id)

    def stop() -> object:
        return group_buys_end.stop_activity(mall.database, supplier, activity_id=activity.id)

    assert await told(mall, group, stop) == [("STOPPED", "FAILED", 1, 1)]
    for one in (group, another):
        row = await mall.row(GroupBuyRow, one.id)
        assert (row.status, row.fail_reason) == ("FAILED", "ACTIVITY_STOPPED")
    assert (await mall.row(GroupBuyRow, other.id)).status == "OPEN"
    assert [one.reason_kind for one in await mall.rows(RefundRow)] == ["GROUP_FAILED"] * 2
    async with mall.unchanged():
        await stop()
    await invariants.check(mall)


async def test_a_leader_who_pays_after_the_stop_is_paid_back(mall: Mall) -> None:
    group = await unpaid(mall)
    admin = await mall.account(Role.ADMIN)
    await group_buys_end.stop_activity(mall.database, admin, activity_id=group.activity_id)
    assert (await mall.row(GroupBuyRow, group.id)).status == "PENDING"
    await mall.pay(group.leader, group.leader_trade_id)
    assert await expiries.once(mall.database) == 1
    row = await mall.row(GroupBuyRow, group.id)
    assert (row.status, row.fail_reason) == ("FAILED", "ACTIVITY_STOPPED")
    assert [one.reason_kind for one in await mall.rows(RefundRow)] == ["GROUP_FAILED"]


async def test_only_its_supplier_and_admins_stop_an_activity(mall: Mall) -> None:
    product = await mall.product()
    activity_id = await mall.activity(product)
    ended = await mall.activity(product, status="ENDED")
    own = await mall.supplier_viewer(product.supplier_id)
    stranger = await mall.supplier_viewer(await mall.supplier())
    refused: list[tuple[Viewer, int, type[Exception]]] = [
        (stranger, activity_id, NotFound),
        (own, 404, NotFound),
        (await mall.consumer(), activity_id, Forbidden),
        (await mall.staff(), activity_id, Forbidden),
        (own, ended, WrongState),
    ]
    for viewer, key, error in refused:
        async with mall.unchanged():
            with pytest.raises(error):
                await group_buys_end.stop_activity(mall.database, viewer, activity_id=key)
    admin = await mall.account(Role.ADMIN)
    await group_buys_end.stop_activity(mall.database, admin, activity_id=activity_id)
    assert (await mall.row(GroupBuyActivityRow, activity_id)).status == "STOPPED"
