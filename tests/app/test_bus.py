"""One contract for both buses: order, history, loud gaps, and publishers that never wait."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from app.bus import HISTORY, QUEUE, Bus, BusDown, Delivery, Gap, Lagging, MemoryBus, Message
from app.redis_bus import RedisBus
from tests.app.hearing import emptied, nothing_more, number_of, numbers, publish, take
from tests.patience import PATIENCE_S


async def test_events_of_a_topic_come_in_order_and_whole(bus: Bus) -> None:
    async with bus.subscribe("room:1") as events:
        await publish(bus, *range(50))
        await publish(bus, 99, topic="room:2")
        items = await take(events, 50)
    assert [number_of(item) for item in items] == list(range(50))
    first = items[0]
    assert isinstance(first, Delivery)
    assert first.message == Message("room:1", "Counted", {"n": 0}, outbox_id=0)


async def test_a_new_subscriber_sees_only_what_comes_after(bus: Bus) -> None:
    await publish(bus, 1, 2)
    async with bus.subscribe("room:1") as events:
        await publish(bus, 3)
        assert await numbers(events, 1) == [3]


async def test_resuming_gives_the_history_and_goes_on_live(bus: Bus) -> None:
    async with bus.subscribe("room:1") as events:
        await publish(bus, 1, 2)
        seen = (await take(events, 2))[0]
    await publish(bus, 3, 4)
    async with bus.subscribe("room:1", after=(seen.epoch, seen.position)) as events:
        await publish(bus, 5)
        assert await numbers(events, 4) == [2, 3, 4, 5]
        assert await nothing_more(events)


async def test_resuming_from_the_start_of_a_silent_topic_loses_nothing(bus: Bus) -> None:
    async with bus.subscribe("room:1") as events:
        start = events.start
    await publish(bus, 1, 2)
    async with bus.subscribe("room:1", after=start) as events:
        assert await numbers(events, 2) == [1, 2]


async def test_resuming_from_the_newest_event_gives_no_history(bus: Bus) -> None:
    await publish(bus, 1)
    async with bus.subscribe("room:1") as events:
        start = events.start
    async with bus.subscribe("room:1", after=start) as events:
        await publish(bus, 2)
        assert await numbers(events, 1) == [2]


async def test_a_foreign_epoch_is_a_gap_and_then_live(bus: Bus) -> None:
    await publish(bus, 1)
    async with bus.subscribe("room:1", after=("another", "0-0")) as events:
        await publish(bus, 2)
        gap, live = await take(events, 2)
        assert isinstance(gap, Gap)
        assert number_of(live) == 2
    async with bus.subscribe("room:1", after=(gap.epoch, gap.position)) as events:
        assert await numbers(events, 1) == [2]


async def test_history_that_was_trimmed_is_a_gap(bus: Bus) -> None:
    async with bus.subscribe("room:1") as events:
        await publish(bus, 0)
        (seen,) = await take(events, 1)
    await publish(bus, *range(1, HISTORY + 300))
    async with bus.subscribe("room:1", after=(seen.epoch, seen.position)) as events:
        assert isinstance((await take(events, 1))[0], Gap)
        assert await nothing_more(events)


async def test_as_much_history_as_is_kept_can_be_resumed(bus: Bus) -> None:
    async with bus.subscribe("room:1") as events:
        start = events.start
    await publish(bus, *range(HISTORY))
    async with bus.subscribe("room:1", after=start) as events:
        await publish(bus, HISTORY)
        assert await numbers(events, HISTORY + 1) == list(range(HISTORY + 1))


async def test_a_slow_subscriber_is_told_and_the_others_are_not(bus: Bus) -> None:
    async with bus.subscribe("room:1") as slow, bus.subscribe("room:1") as quick:
        await publish(bus, *range(QUEUE // 2))
        await numbers(quick, QUEUE // 2)
        await publish(bus, *range(QUEUE // 2, QUEUE + 20))
        assert (await numbers(quick, QUEUE // 2 + 20))[-1] == QUEUE + 19
        assert await numbers(slow, QUEUE) == list(range(QUEUE))
        with pytest.raises(Lagging):
            await take(slow, 1)


async def test_what_a_lagging_subscriber_gets_has_no_hole() -> None:
    """Room in the queue after an overflow must not let a later event in."""
    bus = MemoryBus()
    async with bus.subscribe("room:1") as events:
        await publish(bus, *range(QUEUE + 1))
        await take(events, 10)
        await publish(bus, QUEUE + 1)
        assert await numbers(events, QUEUE - 10) == list(range(10, QUEUE))
        with pytest.raises(Lagging):
            await take(events, 1)


async def test_closing_the_bus_ends_its_streams(bus: Bus) -> None:
    async with bus.subscribe("room:1") as events:
        await publish(bus, 1)
        await numbers(events, 1)
        await bus.close()
        async with asyncio.timeout(PATIENCE_S):
            assert [item async for item in events] == []


async def test_joining_while_others_publish_loses_and_doubles_nothing(bus: Bus) -> None:
    async with bus.subscribe("room:1") as first:
        start = first.start

        async def watch(delay_s: float) -> list[int]:
            await asyncio.sleep(delay_s)
            async with bus.subscribe("room:1", after=start) as events:
                return await numbers(events, 300)

        watchers = [asyncio.create_task(watch(at / 100)) for at in range(12)]
        for number in range(300):
            await publish(bus, number)
            await asyncio.sleep(0)
        for seen in await asyncio.gather(*watchers):
            assert seen == list(range(300))


@pytest.mark.redis
async def test_two_processes_see_each_others_events(
    processes: Callable[[], Awaitable[RedisBus]],
) -> None:
    here, there = await processes(), await processes()
    async with here.subscribe("room:1") as mine, there.subscribe("room:1") as theirs:
        await publish(here, 1)
        await publish(there, 2)
        assert await numbers(mine, 2) == await numbers(theirs, 2) == [1, 2]


@pytest.mark.redis
async def test_a_cursor_of_one_process_is_good_in_another(
    processes: Callable[[], Awaitable[RedisBus]],
) -> None:
    here, there = await processes(), await processes()
    async with here.subscribe("room:1") as events:
        await publish(there, 1, 2)
        seen = (await take(events, 2))[0]
    async with there.subscribe("room:1", after=(seen.epoch, seen.position)) as events:
        assert await numbers(events, 1) == [2]


@pytest.mark.redis
async def test_a_flushed_redis_is_a_gap_for_those_who_resume(
    processes: Callable[[], Awaitable[RedisBus]], redis_url: str
) -> None:
    bus = await processes()
    async with bus.subscribe("room:1") as events:
        await publish(bus, 1)
        (seen,) = await take(events, 1)
    await emptied(redis_url)
    await publish(bus, 2)
    async with bus.subscribe("room:1", after=(seen.epoch, seen.position)) as events:
        assert isinstance((await take(events, 1))[0], Gap)


@pytest.mark.redis
async def test_a_flushed_redis_is_a_gap_for_those_who_listen(
    processes: Callable[[], Awaitable[RedisBus]], redis_url: str
) -> None:
    bus = await processes()
    async with bus.subscribe("room:1") as events, bus.subscribe("room:2") as others:
        await publish(bus, 1)
        await numbers(events, 1)
        await emptied(redis_url)
        await publish(bus, 2)
        gap, live = await take(events, 2)
        assert isinstance(gap, Gap)
        assert number_of(live) == 2
        assert isinstance((await take(others, 1))[0], Gap)
    async with bus.subscribe("room:1", after=(gap.epoch, gap.position)) as events:
        assert await numbers(events, 1) == [2]


@pytest.mark.redis
async def test_a_topic_that_was_forgotten_is_a_gap(
    processes: Callable[[], Awaitable[RedisBus]], redis_url: str
) -> None:
    bus = await processes()
    async with bus.subscribe("room:1") as events:
        await publish(bus, 1, 2)
        seen = (await take(events, 2))[0]
    redis = Redis.from_url(redis_url)
    await redis.delete("jishi:events:room:1")
    await redis.aclose()
    await publish(bus, 3, 4, 5)
    async with bus.subscribe("room:1", after=(seen.epoch, seen.position)) as events:
        assert isinstance((await take(events, 1))[0], Gap)


@pytest.mark.redis
async def test_a_topic_is_read_at_once_while_the_reader_waits_for_others(
    processes: Callable[[], Awaitable[RedisBus]],
) -> None:
    bus = await processes()
    async with bus.subscribe("room:1"):
        await asyncio.sleep(0.1)  # the reader waits now, for two seconds if nothing comes
        async with bus.subscribe("room:2") as events:
            await publish(bus, 1, topic="room:2")
            async with asyncio.timeout(0.5):
                assert await numbers(events, 1) == [1]


@pytest.mark.redis
async def test_a_bus_without_redis_does_not_open() -> None:
    bus = RedisBus("redis://127.0.0.1:1/0")
    with pytest.raises(BusDown):
        await bus.open()
    assert await bus.is_healthy() is False
    await bus.close()
