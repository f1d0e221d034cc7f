"""The event bus: its protocol, and a ring in memory; app/redis_bus.py speaks to Redis."""

import asyncio
import contextlib
import secrets
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

HISTORY = 1000  # events kept per topic for clients that come back
QUEUE = 1000  # events a subscriber may be behind


@dataclass(frozen=True, slots=True)
class Message:
    """`seq` counts the events of a topic from 1, where they are counted."""

    topic: str
    kind: str
    payload: dict[str, Any]
    outbox_id: int | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a subscriber sees it; `position` is opaque, ordered inside one `epoch`."""

    message: Message
    epoch: str
    position: str


@dataclass(frozen=True, slots=True)
class Gap:
    """History between the asked position and now is gone: read the state again."""

    epoch: str
    position: str


class Lagging(Exception):
    """The subscriber was too slow and has to come back with its cursor."""


class BusDown(Exception):
    """The bus does not take events now; they stay in the outbox."""


Item = Delivery | Gap


@dataclass(eq=False)
class Subscription:
    """A bounded queue of one subscriber; the publisher never waits for it.

    `start` is the (epoch, position) of the last event before the live ones. Until `begin`, live
    events wait behind the history that is still being read.
    """

    start: tuple[str, str] = ("", "")
    queue: deque[Item] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    most: int = QUEUE
    is_lagging: bool = False
    is_closed: bool = False

    def begin(self, start: tuple[str, str], history: Sequence[Item]) -> None:
        """Puts the history before the live events that came meanwhile, each of them once."""
        self.start = start
        live = [item for item in self.queue if is_after(item, start)]
        self.queue = deque([*history, *live])
        self.most = QUEUE + len(history)
        self.ready.set()

    def offer(self, item: Item) -> None:
        """Takes a live item; after one that found no place nothing more, so that no hole opens."""
        if not is_after(item, self.start):
            return
        if self.is_lagging or len(self.queue) >= self.most:
            self.is_lagging = True
        else:
            self.queue.append(item)
        self.ready.set()

    def close(self) -> None:
        self.is_closed = True
        self.ready.set()

    async def __aiter__(self) -> AsyncIterator[Item]:
        """Items in order. Raises Lagging when the queue overflowed; ends when the bus closes."""
        while True:
            while self.queue:
                yield self.queue.popleft()
            if self.is_lagging:
                raise Lagging
            if self.is_closed:
                return
            self.ready.clear()
            await self.ready.wait()


def is_after(item: Item, start: tuple[str, str]) -> bool:
    """False for what the history up to `start` holds already."""
    epoch, position = start
    return item.epoch != epoch or order(item.position) > order(position)


def order(position: str) -> tuple[int, int]:
    left, _, right = position.partition("-")
    return int(left), int(right or 0)


class Bus(Protocol):
    """Order per topic, at least once, with a loud gap when history is gone."""

    async def publish(self, message: Message) -> None: ...

    def subscribe(
        self, topic: str, *, after: tuple[str, str] | None = None
    ) -> contextlib.AbstractAsyncContextManager[Subscription]:
        """Live from the moment of entering; with `after` (epoch, position) history comes first."""
        ...

    async def missed(self, topic: str, after: tuple[str, str]) -> list[Item]: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def is_healthy(self) -> bool: ...


class MemoryBus:
    """One process, no server: a ring per topic. A restart is a new epoch."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._rings: dict[str, deque[Delivery]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._last: dict[str, int] = defaultdict(int)
        self._subscribers: dict[str, set[Subscription]] = defaultdict(set)

    async def publish(self, message: Message) -> None:
        self._last[message.topic] += 1
        delivery = Delivery(message, self._epoch, str(self._last[message.topic]))
        self._rings[message.topic].append(delivery)
        for subscription in self._subscribers.get(message.topic, ()):
            subscription.offer(delivery)

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, after: tuple[str, str] | None = None
    ) -> AsyncGenerator[Subscription]:
        subscription = Subscription()
        subscription.begin((self._epoch, str(self._last.get(topic, 0))), self._missed(topic, after))
        self._subscribers[topic].add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers[topic].discard(subscription)
            if not self._subscribers[topic]:
                del self._subscribers[topic]

    async def missed(self, topic: str, after: tuple[str, str]) -> list[Item]:
        return self._missed(topic, after)

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        for subscribers in self._subscribers.values():
            for subscription in subscribers:
                subscription.close()

    async def is_healthy(self) -> bool:
        return True

    def _missed(self, topic: str, after: tuple[str, str] | None) -> list[Item]:
        if after is None:
            return []
        epoch, position = after
        ring = self._rings.get(topic, ())
        last = self._last.get(topic, 0)
        oldest = last - len(ring) + 1
        if epoch != self._epoch or not position.isdigit() or int(position) + 1 < oldest:
            return [Gap(self._epoch, str(last))]
        return [one for one in ring if int(one.position) > int(position)]
