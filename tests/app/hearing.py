"""What the tests of the buses say and hear."""

import asyncio

from redis.asyncio import Redis

from app.bus import Bus, Delivery, Item, Message, Subscription
from tests.patience import PATIENCE_S


async def emptied(url: str) -> str:
    redis = Redis.from_url(url)
    await redis.flushall()
    await redis.aclose()
    return url


async def publish(bus: Bus, *numbers: int, topic: str = "room:1") -> None:
    for number in numbers:
        await bus.publish(Message(topic, "Counted", {"n": number}, outbox_id=number))


async def take(subscription: Subscription, count: int) -> list[Item]:
    """The next `count` items; fails when they do not come."""
    items: list[Item] = []
    async with asyncio.timeout(PATIENCE_S):
        async for item in subscription:
            items.append(item)
            if len(items) == count:
                return items
    raise AssertionError(f"the stream ended after {items}")


async def numbers(subscription: Subscription, count: int) -> list[int]:
    return [number_of(item) for item in await take(subscription, count)]


def number_of(item: Item) -> int:
    assert isinstance(item, Delivery)
    number: int = item.message.payload["n"]
    return number


async def nothing_more(subscription: Subscription) -> bool:
    """Is nothing waiting, now that a last event of another topic has come through?"""
    await asyncio.sleep(0.05)
    return not subscription.queue


async def count(bus: Bus, *seqs: int, topic: str = "room:1", kind: str = "Counted") -> list[bool]:
    """Publishes events that have these numbers; whether each stands in its place."""
    return [await bus.publish(Message(topic, kind, {"n": seq}, seq, seq)) for seq in seqs]
