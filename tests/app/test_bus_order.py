"""One contract for both buses: numbered events come once, in order, however they are published."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from app.bus import (
    HISTORY,
    PARKED,
    QUEUE,
    Bus,
    Delivery,
    Gap,
    Hole,
    Item,
    Lagging,
    MemoryBus,
    Message,
    Subscription,
)
from app.redis_bus import RedisBus
from tests.app.hearing import count, emptied, nothing_more, number_of, numbers, publish, take
from tests.patience import PATIENCE_S

TOPIC = "room:1"


def merged(message: Message) -> str | None:
    return "likes" if message.kind == "Liked" else None


def liked(message: Message) -> bool:
    return message.kind == "Liked"


async def arrived(subscription: Subscription, seq: int) -> None:
    """Waits until the event stands last in the queue, which nobody reads."""

    def last() -> int | None:
        items = [item for item in subscription.queue if isinstance(item, Delivery)]
        return items[-1].message.seq if items else None

    async with asyncio.timeout(PATIENCE_S):
        while last() != seq:  # noqa: ASYNC110  a queue tells its reader alone
            await asyncio.sleep(0.01)


async def past(bus: Bus) -> tuple[str, str]:
    """The place at which a topic stands."""
    async with bus.subscribe(TOPIC) as events:
        return events.start


@pytest.mark.parametrize("seed", range(5))
async def test_events_come_in_order_whatever_order_they_are_published_in(
    bus: Bus, seed: int
) -> None:
    chance = random.Random(seed)
    await count(bus, 1)
    rest = [*range(2, 101), *chance.choices(range(2, 101), k=50)]  # some of them twice
    chance.shuffle(rest)
    async with bus.subscribe(TOPIC) as events:
        await count(bus, *rest)
        assert await numbers(events, 99) == list(range(2, 101))
        assert await nothing_more(events)
    assert await bus.holes() == []


async def test_an_event_is_told_with_its_number(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        await count(bus, 1)
        (item,) = await take(events, 1)
    assert isinstance(item, Delivery)
    assert item.message == Message(TOPIC, "Counted", {"n": 1}, outbox_id=1, seq=1)


async def test_an_event_that_is_there_already_changes_nothing(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        assert await count(bus, 1, 2, 1, 2, 2, 3) == [True] * 6
        assert await numbers(events, 3) == [1, 2, 3]
        assert await nothing_more(events)


async def test_an_event_waits_for_the_one_before_it(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        assert await count(bus, 1, 3, 4, 3) == [True, False, False, False]
        assert await numbers(events, 1) == [1]
        assert await nothing_more(events)
        assert await bus.holes() == [Hole(TOPIC, after=1, before=3)]
        assert await count(bus, 2, 4) == [True, True]
        assert await numbers(events, 3) == [2, 3, 4]
    assert await bus.holes() == []


async def test_a_topic_does_not_wait_for_another(bus: Bus) -> None:
    await count(bus, 1, 3)
    async with bus.subscribe("room:2") as events:
        await count(bus, 1, 2, topic="room:2")
        assert await numbers(events, 2) == [1, 2]


async def test_a_new_topic_begins_with_number_one_whatever_comes_first(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        assert await count(bus, 3, 2, 1) == [False, False, True]
        assert await numbers(events, 3) == [1, 2, 3]


async def test_a_topic_that_was_forgotten_begins_where_it_is_told_to(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        assert await count(bus, 43, 41) == [False, False]
        assert await bus.holes() == [Hole(TOPIC, after=None, before=41)]
        await bus.skip(Hole(TOPIC, after=None, before=41))
        assert await bus.holes() == [Hole(TOPIC, after=41, before=43)]
        await bus.skip(Hole(TOPIC, after=None, before=43))  # another process, a moment later
        assert await count(bus, 40, 42) == [True, True]
        assert await numbers(events, 3) == [41, 42, 43]
        assert await nothing_more(events)


async def test_a_topic_goes_on_behind_what_will_never_come(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        await count(bus, 1, 4, 5, 8)
        (hole,) = await bus.holes()
        await bus.skip(hole)
        assert await numbers(events, 3) == [1, 4, 5]
        assert await bus.holes() == [Hole(TOPIC, after=5, before=8)]
        await bus.skip(hole)  # it is not there any more
        assert await nothing_more(events)
        assert await count(bus, 6, 7) == [True, True]
        assert await numbers(events, 3) == [6, 7, 8]


async def test_no_more_events_wait_than_there_is_room_for(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        await count(bus, 1, *range(3, PARKED + 13))
        assert await count(bus, 2) == [True]
        assert await numbers(events, PARKED + 2) == list(range(1, PARKED + 3))
        assert await nothing_more(events)
        await count(bus, *range(3, PARKED + 13))  # as the relay does
        assert await numbers(events, 10) == list(range(PARKED + 3, PARKED + 13))


async def test_events_without_a_number_come_as_they_are_published(bus: Bus) -> None:
    async with bus.subscribe(TOPIC) as events:
        await count(bus, 1, 3)
        await publish(bus, 70, 70)
        await count(bus, 2)
        assert await numbers(events, 5) == [1, 70, 70, 2, 3]


async def test_what_was_missed_is_what_a_subscriber_would_be_given(bus: Bus) -> None:
    start = await past(bus)
    assert await bus.missed(TOPIC, start) == []
    await count(bus, 1, 3, 2)
    missed = await bus.missed(TOPIC, start)
    assert [number_of(item) for item in missed] == [1, 2, 3]
    async with bus.subscribe(TOPIC, after=start) as events:
        assert await take(events, 3) == missed
    assert [number_of(item) for item in await bus.missed(TOPIC, place(missed[1]))] == [3]
    assert await bus.missed(TOPIC, place(missed[2])) == []


async def test_what_was_missed_of_history_that_is_gone_is_one_gap(bus: Bus) -> None:
    start = await past(bus)
    await count(bus, *range(1, HISTORY + 300))
    (gap,) = await bus.missed(TOPIC, start)
    assert isinstance(gap, Gap)
    assert await bus.missed(TOPIC, place(gap)) == []
    assert [type(item) for item in await bus.missed(TOPIC, ("another", "0-0"))] == [Gap]


async def test_in_a_full_queue_the_latest_of_a_name_takes_the_place_of_the_others(
    bus: Bus,
) -> None:
    async with bus.subscribe(TOPIC, merged=merged) as events:
        await count(bus, 1, 2, kind="Liked")
        await count(bus, *range(3, QUEUE + 1))
        await count(bus, QUEUE + 1, kind="Liked")
        await count(bus, QUEUE + 2)
        await count(bus, QUEUE + 3, kind="Liked")
        await arrived(events, QUEUE + 3)
        assert await numbers(events, QUEUE) == [*range(3, QUEUE + 1), QUEUE + 2, QUEUE + 3]
        await count(bus, QUEUE + 4)
        assert await numbers(events, 1) == [QUEUE + 4]


async def test_what_nothing_brings_up_to_date_still_overflows(bus: Bus) -> None:
    async with bus.subscribe(TOPIC, merged=merged) as events:
        await count(bus, 1, kind="Liked")
        await count(bus, *range(2, QUEUE + 1))
        await count(bus, QUEUE + 1)
        await count(bus, QUEUE + 2, kind="Liked")
        await count(bus, 1, topic="room:2")
        async with asyncio.timeout(PATIENCE_S):
            while not events.is_lagging:  # noqa: ASYNC110  a queue tells its reader alone
                await asyncio.sleep(0.01)
        assert await numbers(events, QUEUE) == list(range(1, QUEUE + 1))
        with pytest.raises(Lagging):
            await take(events, 1)


async def test_a_reader_who_keeps_up_is_told_every_state(bus: Bus) -> None:
    async with bus.subscribe(TOPIC, merged=merged) as events:
        await count(bus, *range(1, 101), kind="Liked")
        assert await numbers(events, 100) == list(range(1, 101))


async def test_a_bus_that_begins_anew_is_one_gap_and_goes_on_with_the_numbers() -> None:
    """A restart: cursors of before are answered once, live events follow without a hole."""
    before, after = MemoryBus(), MemoryBus()
    start = await past(before)
    await count(before, 1, 2)

    async def newest(topic: str) -> int:
        assert topic == TOPIC
        return 2

    after.recall = newest
    await count(after, 2)  # as the relay does when a process begins
    async with after.subscribe(TOPIC, after=start) as events:
        await count(after, 4, 2, 1, 3)
        gap, *live = await take(events, 3)
        assert isinstance(gap, Gap)
        assert [number_of(item) for item in live] == [3, 4]
        assert await nothing_more(events)


async def test_what_is_published_while_a_topic_is_looked_up_is_not_lost() -> None:
    bus = MemoryBus()

    async def newest(_topic: str) -> int:
        assert await count(bus, 9, 7) == [False, False]
        return 7

    bus.recall = newest
    async with bus.subscribe(TOPIC) as events:
        assert await count(bus, 7, 8) == [True, True]
        assert await numbers(events, 2) == [8, 9]
        assert await nothing_more(events)


async def test_a_topic_that_could_not_be_looked_up_is_looked_up_again() -> None:
    bus, answers = MemoryBus(), iter([ConnectionError(), 5])

    async def newest(_topic: str) -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    bus.recall = newest
    with pytest.raises(ConnectionError):
        await past(bus)
    async with bus.subscribe(TOPIC) as events:
        await count(bus, 7, 6)
        assert await numbers(events, 2) == [6, 7]


@pytest.mark.redis
async def test_processes_that_publish_across_each_other_are_heard_in_order(
    processes: Callable[[], Awaitable[RedisBus]],
) -> None:
    here, there = await processes(), await processes()
    chance = random.Random(4)
    orders = [[*range(2, 201)] for _ in range(3)]  # everything thrice, as with relays beside
    for one in orders:
        chance.shuffle(one)
    await count(here, 1)
    async with here.subscribe(TOPIC) as mine, there.subscribe(TOPIC) as theirs:
        await asyncio.gather(
            count(here, *orders[0]), count(there, *orders[1]), count(there, *orders[2])
        )
        assert await numbers(mine, 199) == await numbers(theirs, 199) == list(range(2, 201))
        assert await nothing_more(mine)


@pytest.mark.redis
async def test_a_flushed_redis_is_exactly_one_gap_for_everybody(
    processes: Callable[[], Awaitable[RedisBus]], redis_url: str
) -> None:
    """Whoever notices first: those who listen, those who come back, those who come anew."""
    here, there = await processes(), await processes()
    start = await past(here)
    await count(here, 1, 2)
    async with here.subscribe(TOPIC) as listening, here.subscribe("room:2") as elsewhere:
        await emptied(redis_url)
        await there.skip(Hole(TOPIC, after=None, before=3))
        await count(there, 3, 4)
        async with here.subscribe(TOPIC, after=start) as back, here.subscribe(TOPIC) as new:
            await count(there, 6, 5)
            assert kinds(await take(listening, 5)) == ["gap", 3, 4, 5, 6]
            assert kinds(await take(back, 3)) == ["gap", 5, 6]
            assert kinds(await take(new, 2)) == [5, 6]
            assert kinds(await take(elsewhere, 1)) == ["gap"]
            for one in (listening, back, new, elsewhere):
                assert await nothing_more(one)


@pytest.mark.redis
async def test_whoever_leaves_at_the_gap_of_a_flush_comes_back_to_all_that_follows(
    processes: Callable[[], Awaitable[RedisBus]], redis_url: str
) -> None:
    here, there = await processes(), await processes()
    await count(here, 1)
    async with here.subscribe(TOPIC) as events:
        await emptied(redis_url)
        await there.skip(Hole(TOPIC, after=None, before=2))
        await count(there, 2)
        await asyncio.sleep(0.01)
        await count(there, 1, topic="room:2")  # may be what tells `here` of the flush
        (gap,) = await take(events, 1)
    assert kinds(await here.missed(TOPIC, place(gap))) == [2]


@pytest.mark.redis
async def test_what_waited_in_a_redis_that_was_flushed_blocks_nothing(
    processes: Callable[[], Awaitable[RedisBus]], redis_url: str
) -> None:
    bus = await processes()
    await count(bus, 1, 3)
    await emptied(redis_url)
    assert await bus.holes() == []
    async with bus.subscribe(TOPIC) as events:
        assert await count(bus, 3, 2, 1) == [False, False, True]  # the outbox has kept them
        assert await numbers(events, 3) == [1, 2, 3]


@pytest.mark.redis
async def test_a_topic_whose_count_has_expired_is_no_hole(
    processes: Callable[[], Awaitable[RedisBus]], redis_url: str
) -> None:
    bus = await processes()
    await count(bus, 1, 3)
    redis = Redis.from_url(redis_url, decode_responses=True)
    await redis.delete(f"jishi:counted:{TOPIC}")
    assert await bus.holes() == []
    assert await redis.smembers("jishi:waiting") == set()
    await redis.aclose()


def place(item: Item) -> tuple[str, str]:
    return item.epoch, item.position


def kinds(items: list[Item]) -> list[str | int]:
    return ["gap" if isinstance(item, Gap) else number_of(item) for item in items]


async def test_what_does_not_concern_a_subscriber_is_not_queued(bus: Bus) -> None:
    """However much of it there is; history is told whole, whoever asks leaves out what it must."""
    async with bus.subscribe(TOPIC, wanted=liked) as events:
        await count(bus, *range(1, QUEUE + 3))
        await count(bus, QUEUE + 3, kind="Liked")
        assert await numbers(events, 1) == [QUEUE + 3]
        assert not events.is_lagging
    here = await past(bus)
    await count(bus, QUEUE + 4)
    await count(bus, QUEUE + 5, kind="Liked")
    async with bus.subscribe(TOPIC, after=here, wanted=liked) as events:
        assert await numbers(events, 2) == [QUEUE + 4, QUEUE + 5]
