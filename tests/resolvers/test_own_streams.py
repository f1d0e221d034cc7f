"""Streams of one's own open with a cursor, tell what is one's own, and end with the right to it."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import delete

from app.auth import Role, Viewer
from app.db import Unit
from app.services import orders, payments, refunds, shipments
from app.services.accounts import ROLES
from app.services.orders_cancel import cancel_trade
from app.tables.accounts import AccountRoleRow
from app.tables.distributors import DistributorRow
from app.tables.orders import OrderRow
from app.tables.payments import RefundRow
from app.workers import expiries
from app.workers import refunds as refunding
from tests.factories import Mall
from tests.resolvers.conftest import Api, gid

_SHOWN = """{ __typename
  ... on OrderUpdate { cursor seq orderId cause status previousStatus
    order { status refunded { amountMinor } shipments { status } availableActions } }
  ... on StreamOpened { cursor seq } ... on StreamGap { cursor seq } }"""
MINE = f"subscription($after: String) {{ orderUpdated(after: $after) {_SHOWN} }}"
SOLD = f"subscription($after: String) {{ supplierOrders(after: $after) {_SHOWN} }}"
TOLD = """subscription($after: String) { notifications(after: $after) { __typename
  ... on NotificationArrived { cursor unreadCount notification { id kind title targetId } }
  ... on NotificationsSeen { cursor unreadCount } ... on StreamOpened { cursor } } }"""
READ = """mutation($input: ReadNotificationsInput!) { readNotifications(input: $input) {
  ... on ReadNotifications { marked unreadCount } ... on Problem { code } } }"""


SELLERS = ("supplier", "other supplier", "distributor")


async def order_of(mall: Mall, trade_id: int) -> Any:
    (order,) = await mall.rows(OrderRow, trade_id=trade_id)
    return order


async def ship(mall: Mall, order: Any, waybill: str = "SF0000000000001") -> int:
    seller = await mall.supplier_viewer(order.supplier_id)
    return await mall.database.change(
        shipments.ship, seller, order_id=order.id, carrier_code="SF", waybill=waybill
    )


async def trace(mall: Mall, parcel: int, code: str) -> None:
    await mall.database.change(
        shipments.trace, shipment_id=parcel, happened_at=mall.clock(), code=code, text=code
    )


def moves(seen: list[Any]) -> list[tuple[str, str, str | None]]:
    return [(one["cause"], one["status"], one["previousStatus"]) for one in seen]


async def test_an_order_is_followed_from_its_place_in_the_cart_to_the_doorstep(
    api: Api, mall: Mall
) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    async with api.stream(MINE, shopper) as events:
        assert (await events.next())["__typename"] == "StreamOpened"
        order = await order_of(mall, await mall.bought(shopper, product.sku_id))
        parcel = await ship(mall, order)
        await trace(mall, parcel, "DELIVERED")
        await mall.database.change(orders.confirm, shopper, order_id=order.id)
        seen = [await events.next() for _ in range(5)]
    assert moves(seen) == [
        ("PLACED", "PENDING_PAYMENT", None),
        ("PAID", "AWAITING_SHIPMENT", "PENDING_PAYMENT"),
        ("SHIPPED", "SHIPPED", "AWAITING_SHIPMENT"),
        ("PARCEL_MOVED", "SHIPPED", None),
        ("RECEIVED", "COMPLETED", "SHIPPED"),
    ]
    assert {one["orderId"] for one in seen} == {gid("Order", order.id)}
    assert seen[-1]["order"]["status"] == "COMPLETED"
    assert seen[3]["order"]["shipments"] == [{"status": "DELIVERED"}]


async def test_a_group_that_fails_tells_of_the_refund_until_the_money_is_back(
    api: Api, mall: Mall
) -> None:
    group = await mall.group_buy()
    async with api.stream(MINE, group.leader) as events:
        await events.next()
        mall.clock.advance(hours=2)
        await expiries.once(mall.database)
        await refunding.once(mall.database, mall.payments)
        seen = [await events.next() for _ in range(3)]
    assert moves(seen) == [
        ("GROUP_FAILED", "CANCELLED", "AWAITING_GROUP"),
        ("REFUND_REQUESTED", "CANCELLED", None),
        ("REFUND_MADE", "CANCELLED", None),
    ]
    assert seen[-1]["order"]["refunded"] == {"amountMinor": 1990 + 800}


async def test_a_refused_payment_and_a_refund_that_failed_are_told(api: Api, mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    order = await order_of(mall, await mall.bought(shopper, product.sku_id))
    refund = await mall.make(
        RefundRow, trade_id=order.trade_id, order_id=order.id, reason_kind="AFTERSALE", ref_id=1,
        amount_fen=5, status="PROCESSING", attempts=refunds.ATTEMPTS - 1, created_at=mall.clock(),
    )  # fmt: skip
    async with api.stream(MINE, shopper) as events:
        await events.next()
        assert await mall.database.change(refunds.refuse, refund)
        unpaid = await mall.order(shopper, product.sku_id)
        attempt = await mall.database.change(payments.start, shopper, trade_id=unpaid)
        refused = {"payment_id": attempt.payment_id, "provider_event_id": "no"}
        assert await mall.database.change(payments.fail, **refused)
        seen = [await events.next() for _ in range(3)]
    assert [one["cause"] for one in seen] == ["REFUND_FAILED", "PLACED", "PAYMENT_FAILED"]


async def test_whoever_has_seen_nothing_yet_resumes_as_well(api: Api, mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    async with api.stream(MINE, shopper) as events:
        after = (await events.next())["cursor"]
    trade = await mall.bought(shopper, product.sku_id)
    async with api.stream(MINE, shopper, after=after) as events:
        first = await events.next()
        assert first["cause"] == "PLACED"
    async with api.stream(MINE, shopper, after=first["cursor"]) as events:
        assert (await events.next())["cause"] == "PAID"
        await ship(mall, await order_of(mall, trade))
        assert (await events.next())["cause"] == "SHIPPED"


async def test_a_cursor_of_another_account_or_stream_is_refused(api: Api, mall: Mall) -> None:
    shopper, other = await mall.consumer(), await mall.consumer()
    async with api.stream(MINE, other) as events:
        foreign = (await events.next())["cursor"]
    async with api.stream(TOLD, shopper) as events:
        misplaced = (await events.next())["cursor"]
    for after in ("", "nonsense", foreign, misplaced):
        async with api.stream(MINE, shopper, after=after) as events:
            assert await events.code() == "BAD_CURSOR"


async def test_a_supplier_hears_of_an_order_when_it_is_to_be_shipped(api: Api, mall: Mall) -> None:
    product = await mall.product()
    seller, shopper = await mall.supplier_viewer(product.supplier_id), await mall.consumer()
    async with api.stream(SOLD, seller) as events:
        await events.next()
        unpaid = await mall.order(shopper, product.sku_id)
        await mall.database.change(cancel_trade, shopper, trade_id=unpaid)
        order = await order_of(mall, await mall.bought(shopper, product.sku_id))
        await trace(mall, await ship(mall, order), "DELIVERED")
        mall.clock.advance(days=11)
        await expiries.once(mall.database)
        seen = [await events.next() for _ in range(4)]
    assert moves(seen) == [
        ("PAID", "AWAITING_SHIPMENT", "PENDING_PAYMENT"),
        ("SHIPPED", "SHIPPED", "AWAITING_SHIPMENT"),
        ("PARCEL_MOVED", "SHIPPED", None),
        ("RECEIVED", "COMPLETED", "SHIPPED"),
    ]
    assert {one["orderId"] for one in seen} == {gid("Order", order.id)}
    assert seen[0]["order"]["status"] == "COMPLETED"


async def test_a_supplier_hears_of_a_group_only_when_it_is_full(api: Api, mall: Mall) -> None:
    product = await mall.product(stock=100)
    activity = await mall.activity(product, size=2)
    failing = await mall.opened(activity, product.sku_id)
    seller = await mall.supplier_viewer(product.supplier_id)
    async with api.stream(SOLD, seller) as events:
        await events.next()
        mall.clock.advance(hours=2)
        await expiries.once(mall.database)
        await refunding.once(mall.database, mall.payments)
        group = await mall.opened(activity, product.sku_id)
        assert await mall.join(group, await mall.consumer()) == "joined"
        seen = [await events.next() for _ in range(2)]
    assert moves(seen) == [("GROUP_FILLED", "AWAITING_SHIPMENT", "AWAITING_GROUP")] * 2
    lost = await order_of(mall, failing.leader_trade_id)
    assert gid("Order", lost.id) not in {one["orderId"] for one in seen}


async def test_money_beyond_the_price_is_the_buyers_matter_alone(api: Api, mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    seller = await mall.supplier_viewer(product.supplier_id)
    order = await order_of(mall, await mall.bought(shopper, product.sku_id))
    twice = {
        "trade_id": order.trade_id,
        "payment_id": None,
        "reason": payments.RefundReason.DUPLICATE_PAYMENT,
        "ref_id": 1,
        "amount_fen": 3790,
    }
    async with api.stream(SOLD, seller) as sold, api.stream(MINE, shopper) as mine:
        await sold.next()
        await mine.next()
        await mall.database.change(payments.request_refund, **twice)
        await ship(mall, order)
        assert (await mine.next())["cause"] == "REFUND_REQUESTED"
        assert (await mine.next())["cause"] == "SHIPPED"
        assert (await sold.next())["cause"] == "SHIPPED"


async def test_a_distributor_hears_of_the_orders_of_its_shop(api: Api, mall: Mall) -> None:
    viewer, shopper, product = await shop(mall), await mall.consumer(), await mall.product()
    sold = await order_of(mall, await mall.bought(shopper, product.sku_id))
    await mall.change(OrderRow, sold.id, distributor_id=viewer.subject_id)
    other = await order_of(mall, await mall.bought(shopper, product.sku_id))
    async with api.stream(SOLD, viewer) as events:
        await events.next()
        await ship(mall, other, "SF0000000000002")
        await ship(mall, await mall.row(OrderRow, sold.id))
        (seen,) = [await events.next()]
    assert (seen["cause"], seen["orderId"]) == ("SHIPPED", gid("Order", sold.id))
    assert seen["order"]["status"] == "SHIPPED"


async def shop(mall: Mall) -> Viewer:
    """A distributor who acts for a shop."""
    viewer = await mall.account(Role.DISTRIBUTOR)
    key = await mall.make(
        DistributorRow, account_id=viewer.id, status="ACTIVE", shop_name="小店", slug="x", level=1,
        created_at=mall.clock(),
    )  # fmt: skip
    (held,) = await mall.rows(AccountRoleRow, account_id=viewer.id)
    await mall.change(AccountRoleRow, held.id, subject_id=key)
    return Viewer(Role.DISTRIBUTOR, viewer.id, key)


@pytest.mark.parametrize("role", [Role.CONSUMER, Role.AGENT, Role.ADMIN])
async def test_whoever_ships_nothing_has_no_orders_to_ship(
    api: Api, mall: Mall, role: Role
) -> None:
    async with api.stream(SOLD, await mall.account(role)) as events:
        assert await events.code() == "FORBIDDEN"


async def test_a_guest_has_no_stream_of_its_own(api: Api) -> None:
    for query in (MINE, SOLD, TOLD):
        async with api.stream(query, Viewer(guest_key="kitchen")) as events:
            assert await events.code() == "UNAUTHENTICATED"


@pytest.mark.parametrize("query", [MINE, SOLD, TOLD])
async def test_a_role_that_is_taken_away_ends_the_stream_at_the_next_event(
    api: Api, mall: Mall, query: str
) -> None:
    product = await mall.product()
    seller = await mall.supplier_viewer(product.supplier_id)
    async with api.stream(query, seller) as events:
        await events.next()
        await _lose_roles(mall, seller)
        await _befall(mall, seller, product.sku_id)
        assert await events.code() == "INVALID_TOKEN"
        assert await events.rest() == []
    async with api.stream(query, seller) as events:
        assert await events.code() == "INVALID_TOKEN"


async def test_a_supplier_role_for_another_supplier_ends_the_stream(api: Api, mall: Mall) -> None:
    product = await mall.product()
    seller = await mall.supplier_viewer(product.supplier_id)
    (held,) = await mall.rows(AccountRoleRow, account_id=seller.id)
    async with api.stream(SOLD, seller) as events:
        await events.next()
        await mall.change(AccountRoleRow, held.id, subject_id=await mall.supplier())
        await mall.bought(await mall.consumer(), product.sku_id)
        assert await events.code() == "INVALID_TOKEN"


async def _lose_roles(mall: Mall, viewer: Viewer) -> None:
    async def lose(unit: Unit) -> None:
        await unit.execute(delete(ROLES).where(ROLES.c.account_id == viewer.id))

    await mall.database.change(lose)


async def _befall(mall: Mall, seller: Viewer, sku_id: int) -> None:
    """Something that every stream of the seller would tell."""
    await mall.bought(await mall.consumer(), sku_id)
    order = await order_of(mall, await mall.bought(await mall.consumer(), sku_id))
    await mall.change(OrderRow, order.id, buyer_id=seller.id)
    await ship(mall, await mall.row(OrderRow, order.id))


async def test_notifications_come_with_how_many_are_unread(api: Api, mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    order = await order_of(mall, await mall.bought(shopper, product.sku_id))
    async with api.stream(TOLD, shopper) as events:
        assert (await events.next())["__typename"] == "StreamOpened"
        parcel = await ship(mall, order)
        first = await events.next()
        await trace(mall, parcel, "DELIVERED")
        second = await events.next()
        upto = {"upTo": first["notification"]["id"]}
        assert await api.ask(READ, shopper, input=upto) == {"marked": 1, "unreadCount": 1}
        assert await api.ask(READ, shopper, input=upto) == {"marked": 0, "unreadCount": 1}
        seen = await events.next()
    kinds = [one["notification"]["kind"] for one in (first, second)]
    assert kinds == ["ORDER_SHIPPED", "ORDER_DELIVERED"]
    assert first["notification"]["targetId"] == gid("Order", order.id)
    assert [one["unreadCount"] for one in (first, second, seen)] == [1, 2, 1]
    assert seen["__typename"] == "NotificationsSeen"


async def test_what_befalls_others_never_arrives(api: Api, mall: Mall) -> None:
    """Every role on every stream of its own: the first thing that it is told is its own."""
    people = {
        "consumer": await mall.consumer(),
        "distributor": await shop(mall),
        "supplier": await mall.supplier_viewer(await mall.supplier()),
        "other supplier": await mall.supplier_viewer(await mall.supplier()),
        "agent": await mall.staff(),
        "admin": await mall.account(Role.ADMIN),
    }
    async with AsyncExitStack() as stack:
        streams = []
        for role, viewer in people.items():
            for query in (MINE, TOLD, SOLD) if role in SELLERS else (MINE, TOLD):
                events = await stack.enter_async_context(api.stream(query, viewer))
                assert (await events.next())["__typename"] == "StreamOpened"
                streams.append((role, query, events))
        await _sold(mall, await mall.consumer(), await mall.supplier())
        mine = {role: await _own(mall, role, viewer) for role, viewer in people.items()}
        for role, query, events in streams:
            told = await events.next()
            if query == TOLD:
                assert told["notification"]["targetId"] == gid("Order", mine[role][0]), role
            else:
                assert told["orderId"] == gid("Order", mine[role][query == SOLD]), role


async def _own(mall: Mall, role: str, viewer: Viewer) -> tuple[int, int]:
    """An order that the account gets as a shopper, and one that it sells, if it does."""
    bought = await _sold(mall, Viewer(Role.CONSUMER, viewer.id), await mall.supplier())
    if role not in SELLERS:
        return bought, 0
    stranger = await mall.consumer()
    if viewer.role is Role.SUPPLIER:
        assert viewer.subject_id is not None
        return bought, await _sold(mall, stranger, viewer.subject_id)
    return bought, await _sold(mall, stranger, await mall.supplier(), viewer.subject_id)


async def _sold(
    mall: Mall, shopper: Viewer, supplier_id: int, distributor_id: int | None = None
) -> int:
    """An order that is paid and shipped, sold through a shop or not."""
    product = await mall.product(supplier_id=supplier_id)
    order = await order_of(mall, await mall.bought(shopper, product.sku_id))
    await mall.change(OrderRow, order.id, distributor_id=distributor_id)
    await ship(mall, order)
    return int(order.id)
