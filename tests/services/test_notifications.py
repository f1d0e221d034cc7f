"""Notifications: written with what they tell, once, and read by whom they are for."""

import asyncio
from typing import Any

import pytest

from app.auth import Role, Viewer
from app.bus import Delivery
from app.db import Unit
from app.errors import NotFound
from app.rules.notifications import Kind
from app.services import chat_handoffs, notifications, orders, shipments
from app.tables.chat import ConversationRow
from app.tables.notifications import NotificationRow
from app.tables.orders import OrderLineRow, OrderRow
from app.tables.outbox import OutboxRow
from app.workers import expiries, refunds
from tests.factories import Mall
from tests.patience import PATIENCE_S


async def told(mall: Mall, viewer: Viewer) -> list[tuple[str, dict[str, Any]]]:
    rows = await mall.rows(NotificationRow, account_id=viewer.id)
    return [(row.kind, row.data) for row in rows]


async def order_of(mall: Mall, trade_id: int) -> Any:
    (order,) = await mall.rows(OrderRow, trade_id=trade_id)
    return order


async def ship(mall: Mall, order: Any, waybill: str, lines: dict[int, int] | None = None) -> int:
    seller = await mall.supplier_viewer(order.supplier_id)
    return await mall.database.change(
        shipments.ship, seller, order_id=order.id, carrier_code="SF", waybill=waybill, lines=lines
    )


async def trace(mall: Mall, parcel: int, code: str) -> bool:
    return await mall.database.change(
        shipments.trace, shipment_id=parcel, happened_at=mall.clock(), code=code, text=code
    )


async def test_each_parcel_is_told_when_it_leaves_and_once_when_it_arrives(any_mall: Mall) -> None:
    mall = any_mall
    shopper, product = await mall.consumer(), await mall.product()
    order = await order_of(mall, await mall.bought(shopper, product.sku_id, 3))
    (line,) = await mall.rows(OrderLineRow, order_id=order.id)
    first = await ship(mall, order, "SF0000000000001", {line.id: 1})
    assert await ship(mall, order, "SF0000000000001", {line.id: 1}) == first
    for code in ("IN_TRANSIT", "DELIVERED", "DELIVERED"):
        await trace(mall, first, code)
    second = await ship(mall, order, "SF0000000000002")
    await trace(mall, second, "DELIVERED")
    mall.clock.advance(hours=1)
    assert await trace(mall, second, "DELIVERED")
    left = {"no": order.no, "carrier": "顺丰速运", "carrier_code": "SF"}
    received = (await mall.row(OrderRow, order.id)).auto_receive_at
    assert await told(mall, shopper) == [
        ("ORDER_SHIPPED", {**left, "waybill": "SF0000000000001"}),
        ("PARCEL_DELIVERED", {"no": order.no}),
        ("ORDER_SHIPPED", {**left, "waybill": "SF0000000000002"}),
        ("ORDER_DELIVERED", {"no": order.no, "receive_at": received.isoformat()}),
    ]


async def test_time_that_receives_an_order_tells_and_its_buyer_need_not_be_told(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    kept = await order_of(mall, await mall.bought(shopper, product.sku_id))
    confirmed = await order_of(mall, await mall.bought(shopper, product.sku_id))
    for number, order in enumerate((kept, confirmed)):
        await ship(mall, order, f"SF000000000000{number}")
    await mall.database.change(orders.confirm, shopper, order_id=confirmed.id)
    mall.clock.advance(days=10)
    await expiries.once(mall.database)
    assert (await told(mall, shopper))[2:] == [("ORDER_RECEIVED", {"no": kept.no})]


async def test_a_full_group_tells_every_member(mall: Mall) -> None:
    group = await mall.group_buy(size=2)
    member = await mall.consumer()
    assert await mall.join(group, member) == "joined"
    for viewer in (group.leader, member):
        ((kind, _),) = await told(mall, viewer)
        assert kind == "GROUP_BUY_FILLED"


async def test_a_group_that_fails_tells_and_the_refund_tells_its_amount(any_mall: Mall) -> None:
    mall = any_mall
    group = await mall.group_buy()
    order = await order_of(mall, group.leader_trade_id)
    mall.clock.advance(hours=2)
    await expiries.once(mall.database)
    for _ in range(2):
        await refunds.once(mall.database, mall.payments)
    assert await told(mall, group.leader) == [
        ("GROUP_BUY_FAILED", {"no": order.no}),
        ("REFUND_MADE", {"no": order.no, "amount_fen": 1990 + 800}),
    ]


async def test_a_colleagues_answers_are_one_notification_until_it_is_read(mall: Mall) -> None:
    shopper, agent, now = await mall.consumer(), await mall.staff(), mall.clock()
    talk = await mall.make(
        ConversationRow, account_id=shopper.id, role="CONSUMER", state="HUMAN", slots={},
        created_at=now, updated_at=now,
    )  # fmt: skip

    async def say() -> None:
        await mall.database.change(chat_handoffs.say, agent, talk, "您好")

    await say()
    await say()
    (row,) = await mall.rows(NotificationRow, account_id=shopper.id)
    assert (row.kind, row.target_kind, row.target_id) == ("CHAT_ANSWERED", "Conversation", talk)
    assert await mall.database.change(notifications.read, shopper, [row.id]) == 1
    await say()
    assert len(await mall.rows(NotificationRow, account_id=shopper.id)) == 2


async def test_what_is_rolled_back_was_never_told(any_mall: Mall) -> None:
    mall = any_mall
    viewer = await mall.consumer()

    async def broken(unit: Unit) -> None:
        await notifications.note(unit, viewer.account_id, Kind.CHAT_ANSWERED, {})
        raise RuntimeError

    async with mall.unchanged():
        with pytest.raises(RuntimeError):
            await mall.database.change(broken)


async def test_a_note_without_its_facts_changes_nothing(mall: Mall) -> None:
    viewer = await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(KeyError):
            await mall.database.change(
                notifications.note, viewer.account_id, Kind.REFUND_MADE, {"no": "O1"}
            )


async def test_notes_made_at_once_all_arrive_each_once(any_mall: Mall) -> None:
    mall = any_mall
    viewer = await mall.consumer()
    async with mall.bus.subscribe(f"notifications:{viewer.id}") as heard:
        await asyncio.gather(
            *(
                mall.database.change(notifications.note, viewer.account_id, Kind.CHAT_ANSWERED, {})
                for _ in range(20)
            )
        )
        keys = [row.id for row in await mall.rows(NotificationRow, account_id=viewer.id)]
        assert len(keys) == 20
        async with asyncio.timeout(PATIENCE_S):
            items = aiter(heard)
            told = [await anext(items) for _ in keys]
    assert all(isinstance(one, Delivery) for one in told)
    found = [one.message.payload["notification_id"] for one in told]  # type: ignore[union-attr]
    assert sorted(found) == keys
    assert len(await mall.rows(OutboxRow, topic=f"notifications:{viewer.id}")) == 20


async def test_reading_marks_ones_own_and_says_how_many_were_not_read(any_mall: Mall) -> None:
    mall = any_mall
    viewer, other = await mall.consumer(), await mall.consumer()
    mine = [await note(mall, viewer) for _ in range(4)]
    theirs = await note(mall, other)
    change = mall.database.change
    assert await change(notifications.read, viewer, [mine[2], mine[2]]) == 1
    assert await change(notifications.read_up_to, viewer, mine[1]) == 2
    assert await change(notifications.read_up_to, viewer, mine[2]) == 0
    async with mall.database.read() as db:
        assert await notifications.unread(db, viewer) == 1
        assert await notifications.unread(db, other) == 1
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await change(notifications.read, viewer, [mine[3], theirs])
        with pytest.raises(NotFound):
            await change(notifications.read_up_to, viewer, theirs)


async def test_two_devices_that_read_the_same_count_it_once(any_mall: Mall) -> None:
    mall = any_mall
    viewer = await mall.consumer()
    keys = [await note(mall, viewer) for _ in range(5)]
    marked = await asyncio.gather(
        *(mall.database.change(notifications.read, viewer, keys) for _ in range(6))
    )
    assert sorted(marked) == [0, 0, 0, 0, 0, 5]


async def test_the_words_are_those_of_whoever_reads(mall: Mall) -> None:
    viewer = await mall.consumer()
    await note(mall, viewer)
    rows = await mall.rows(NotificationRow, account_id=viewer.id)
    english = Viewer(Role.CONSUMER, viewer.id, locale="en")
    async with mall.database.read() as db:
        (zh,) = await notifications.worded(db, viewer, rows)
        (en,) = await notifications.worded(db, english, rows)
    assert (zh.title, en.title) == ("人工客服已回复", "You have an answer")


async def note(mall: Mall, viewer: Viewer) -> int:
    return await mall.database.change(notifications.note, viewer.account_id, Kind.CHAT_ANSWERED, {})
