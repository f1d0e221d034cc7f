"""Events that a crash kept from the bus arrive all the same."""

import asyncio
from datetime import timedelta

import pytest

from app.bus import Delivery, Message
from app.events import OrderMoved
from app.tables.outbox import OutboxRow
from app.workers import outbox
from tests.factories import START, Mall

MOVED = OrderMoved(order_id=7, buyer_id=3, status="SHIPPED")


class Crash(Exception):
    """The process ends between the commit and the bus."""


async def refuse(mall: Mall) -> None:
    async with mall.unit() as unit:
        unit.emit(MOVED)
        raise Crash


async def crash_after_commit(mall: Mall, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(_: Message) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(mall.bus, "publish", die)
        with pytest.raises(Crash):
            async with mall.unit() as unit:
                unit.emit(MOVED)


async def test_a_published_event_is_marked_and_not_repeated(mall: Mall) -> None:
    async with mall.unit() as unit:
        unit.emit(MOVED)
    mall.clock.advance(minutes=1)
    async with mall.bus.subscribe(MOVED.topic) as changes:
        assert await outbox.once(mall.database) == 0
        assert list(changes.queue) == []
    (row,) = await mall.rows(OutboxRow)
    assert row.published_at == START + timedelta(minutes=1)


async def test_a_forgotten_event_is_published_again_once(mall: Mall, monkeypatch) -> None:
    await crash_after_commit(mall, monkeypatch)
    mall.clock.advance(seconds=2)
    assert await outbox.once(mall.database) == 0  # its writer may still be at it
    mall.clock.advance(seconds=1)
    async with mall.bus.subscribe(MOVED.topic) as changes:
        assert await outbox.once(mall.database) == 1
        assert await outbox.once(mall.database) == 0
        (told,) = changes.queue
    assert isinstance(told, Delivery)
    assert (told.message.kind, told.message.payload) == ("OrderMoved", MOVED.payload())


async def test_an_event_of_a_refused_change_is_never_told(mall: Mall) -> None:
    async with mall.bus.subscribe(MOVED.topic) as changes:
        with pytest.raises(Crash):
            await refuse(mall)
        mall.clock.advance(minutes=1)
        assert await outbox.once(mall.database) == 0
        assert list(changes.queue) == []


async def test_old_events_are_dropped_after_a_day(mall: Mall) -> None:
    async with mall.unit() as unit:
        unit.emit(MOVED)
    await outbox.once(mall.database)
    mall.clock.advance(hours=23)
    await outbox.once(mall.database)
    assert len(await mall.rows(OutboxRow)) == 1
    mall.clock.advance(hours=1)
    await outbox.once(mall.database)
    assert await mall.rows(OutboxRow) == []


async def test_the_loop_marks_what_is_published_when_it_stops(mall: Mall) -> None:
    stop = asyncio.Event()
    loop = asyncio.create_task(outbox.run(mall.database, stop, interval_s=0.01))
    async with mall.unit() as unit:
        unit.emit(MOVED)
    stop.set()
    await asyncio.wait_for(loop, 5)
    (row,) = await mall.rows(OutboxRow)
    assert row.published_at == START
