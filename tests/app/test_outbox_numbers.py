"""Every event has a number in its topic: 1, 2, 3 ..., in the order of the commits."""

import asyncio
import random
from collections.abc import Iterable

import pytest
from sqlalchemy import delete

from app.bus import Delivery, Item, MemoryBus, Message
from app.db import Database, Unit
from app.events import OrderMoved
from app.outbox import OUTBOX
from app.tables.outbox import OutboxRow, TopicRow
from app.workers import outbox
from tests.factories import Mall
from tests.patience import PATIENCE_S


def moved(buyer_id: int = 1, order_id: int = 0) -> OrderMoved:
    return OrderMoved(order_id=order_id, buyer_id=buyer_id, status="PAID")


TOPIC = moved().topic


async def emit(mall: Mall, *events: OrderMoved) -> None:
    async with mall.unit() as unit:
        unit.emit(*events)


async def emit_straight(unit: Unit, *events: OrderMoved) -> None:
    unit.emit(*events)


async def numbers(mall: Mall, topic: str = TOPIC) -> list[int]:
    """In the order in which they were stored."""
    return [row.seq for row in await mall.rows(OutboxRow, topic=topic)]


async def test_numbers_are_dense_in_each_topic(any_mall: Mall) -> None:
    await emit(any_mall, moved(1), moved(2), moved(1))
    await any_mall.database.change(emit_straight, moved(2), moved(1))
    assert await numbers(any_mall, moved(1).topic) == [1, 2, 3]
    assert await numbers(any_mall, moved(2).topic) == [1, 2]


async def test_a_change_that_is_refused_leaves_no_hole(any_mall: Mall) -> None:
    await emit(any_mall, moved())
    for _ in range(3):
        with pytest.raises(KeyError):
            await refused(any_mall)
    await emit(any_mall, moved())
    assert await numbers(any_mall) == [1, 2]


async def refused(mall: Mall) -> None:
    async with mall.unit() as unit:
        unit.emit(moved())
        raise KeyError


async def test_writers_at_once_share_the_numbers_and_subscribers_hear_them_in_order(
    any_mall: Mall,
) -> None:
    """Two databases are two processes; their units touch the topics in opposite orders."""
    url = any_mall.database.url.render_as_string(hide_password=False)
    other = Database(url, bus=any_mall.bus, clock=any_mall.clock)
    chance = random.Random(7)

    async def write(database: Database, count: int) -> None:
        for _ in range(count):
            buyers = chance.sample([1, 2, 3], 2)
            async with database.unit() as unit:
                await asyncio.sleep(chance.random() / 1000)
                unit.emit(*(moved(buyer) for buyer in buyers))

    async with any_mall.bus.subscribe(TOPIC) as events:
        writers = [any_mall.database, other] * 3
        await asyncio.gather(*(write(database, 15) for database in writers))
        told = [item.message.seq for item in events.queue if isinstance(item, Delivery)]
    rows = await any_mall.rows(OutboxRow)
    assert len(rows) == 180
    for buyer in (1, 2, 3):
        mine = await numbers(any_mall, moved(buyer).topic)
        assert mine == list(range(1, len(mine) + 1))
    assert told == await numbers(any_mall)
    await other.close()


async def test_a_number_costs_one_statement_more_at_most(any_mall: Mall) -> None:
    statements: list[str] = []
    stop = any_mall.database.watch(statements.append)
    await any_mall.database.change(emit_straight)
    silent = len(statements)
    await any_mall.database.change(emit_straight, moved(1), moved(2), moved(1))
    stop()
    is_postgres = any_mall.database.dialect == "postgresql"
    assert len(statements) - silent - silent == 3 + is_postgres  # a row each, one lock for all


async def test_no_number_comes_again_when_old_rows_are_dropped(any_mall: Mall) -> None:
    await emit(any_mall, moved(), moved(), moved(2))
    await outbox.once(any_mall.database)
    any_mall.clock.advance(hours=25)
    await outbox.once(any_mall.database)
    assert await any_mall.rows(OutboxRow) == []
    counted = {row.topic: row.seq for row in await any_mall.rows(TopicRow)}
    assert counted == {TOPIC: 2, moved(2).topic: 1}
    await emit(any_mall, moved(), moved(2))
    assert await numbers(any_mall) == [3]
    assert await numbers(any_mall, moved(2).topic) == [2]
    assert await any_mall.database.newest(TOPIC) == 3
    assert await any_mall.database.newest("another") == 0


async def test_an_old_event_that_nobody_has_published_does_not_turn_the_count_back(
    any_mall: Mall,
) -> None:
    await emit(any_mall, moved(), moved(), moved())
    first, *_ = await any_mall.rows(OutboxRow)
    await outbox.once(any_mall.database)
    await any_mall.change(OutboxRow, first.id, published_at=None)
    any_mall.clock.advance(hours=25)
    await outbox.once(any_mall.database)  # drops the last two, publishes the first
    assert await numbers(any_mall) == [1]
    await emit(any_mall, moved())
    any_mall.clock.advance(hours=25)
    await outbox.once(any_mall.database)  # drops the first
    assert [row.seq for row in await any_mall.rows(TopicRow)] == [3]
    await emit(any_mall, moved())
    assert await numbers(any_mall) == [4, 5]


async def unpublished(mall: Mall, *events: OrderMoved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed by a process that ends before it publishes."""

    async def lost(_: Message) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(mall.bus, "publish", lost)
        await emit(mall, *events)


async def test_what_others_wait_for_is_published_without_delay(
    any_mall: Mall, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with any_mall.bus.subscribe(TOPIC) as events:
        await emit(any_mall, moved(order_id=1))
        await unpublished(any_mall, moved(order_id=2), moved(order_id=3), monkeypatch=monkeypatch)
        await emit(any_mall, moved(order_id=4))
        assert orders(events.queue) == [1]
        await outbox.once(any_mall.database)
        assert orders(events.queue) == [1, 2, 3, 4]
        any_mall.clock.advance(seconds=10)
        await outbox.once(any_mall.database)
        assert orders(events.queue) == [1, 2, 3, 4]
    assert all(row.published_at for row in await any_mall.rows(OutboxRow))


async def test_a_process_that_begins_publishes_at_once_what_another_has_left(
    any_mall: Mall, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with any_mall.bus.subscribe(TOPIC) as events:
        await unpublished(any_mall, moved(order_id=1), moved(order_id=2), monkeypatch=monkeypatch)
        stop = asyncio.Event()
        running = asyncio.create_task(outbox.run(any_mall.database, stop, interval_s=60))
        async with asyncio.timeout(PATIENCE_S):
            while len(events.queue) < 2:  # noqa: ASYNC110  a queue tells its reader alone
                await asyncio.sleep(0.01)
        stop.set()
        await running
        assert orders(events.queue) == [1, 2]


async def test_events_whose_rows_are_gone_do_not_hold_up_a_topic(
    any_mall: Mall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were dropped after a day, or by hand; a bus that lost its memory may wait for them."""
    async with any_mall.bus.subscribe(TOPIC) as events:
        await emit(any_mall, moved(order_id=1))
        left = [moved(order_id=number) for number in (2, 3, 4, 5)]
        await unpublished(any_mall, *left, monkeypatch=monkeypatch)
        async with any_mall.unit() as unit:
            await unit.execute(delete(OUTBOX).where(OUTBOX.c.seq.in_([2, 4])))
        await emit(any_mall, moved(order_id=6))
        for _ in range(3):  # finds 3 and 5, goes on with 3, goes on with 5
            await outbox.once(any_mall.database)
        assert orders(events.queue) == [1, 3, 5, 6]
        assert await any_mall.bus.holes() == []


def orders(items: Iterable[Item]) -> list[int]:
    """What the events tell of."""
    return [item.message.payload["order_id"] for item in items if isinstance(item, Delivery)]


async def test_a_bus_that_has_forgotten_a_topic_begins_with_what_nobody_knows_to_be_told(
    any_mall: Mall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await emit(any_mall, moved(order_id=1), moved(order_id=2))
    await outbox.once(any_mall.database)
    await unpublished(any_mall, moved(order_id=3), moved(order_id=4), monkeypatch=monkeypatch)
    forgetful = Database(
        any_mall.database.url.render_as_string(hide_password=False),
        bus=MemoryBus(),
        clock=any_mall.clock,
    )
    async with forgetful.bus.subscribe(TOPIC) as events:
        async with forgetful.unit() as unit:
            unit.emit(moved(order_id=5))
        assert orders(events.queue) == []
        await outbox.once(forgetful)
        assert orders(events.queue) == [3, 4, 5]
    await forgetful.close()


async def test_an_event_that_others_wait_for_wakes_the_relay(
    mall: Mall, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mall.bus.subscribe(TOPIC) as events:
        stop = asyncio.Event()
        running = asyncio.create_task(outbox.run(mall.database, stop, interval_s=60))
        await asyncio.sleep(0.05)
        await unpublished(mall, moved(order_id=1), monkeypatch=monkeypatch)
        await emit(mall, moved(order_id=2))
        async with asyncio.timeout(PATIENCE_S):
            while len(events.queue) < 2:  # noqa: ASYNC110  a queue tells its reader alone
                await asyncio.sleep(0.01)
        stop.set()
        await running
        assert orders(events.queue) == [1, 2]
