"""The event bus: one protocol, a ring in memory and Redis Streams."""

import asyncio
import contextlib
import secrets
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
from redis.asyncio import Redis

HISTORY = 1000  # events kept per topic for clients that come back
QUEUE = 1000  # events a subscriber may be behind


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    kind: str
    payload: dict[str, Any]
    outbox_id: int | None = None


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


Item = Delivery | Gap


@dataclass(eq=False)
class Subscription:
    """A bounded queue of one subscriber; the publisher never waits for it.

    `start` is the (epoch, position) of the last event before the live ones.
    """

    start: tuple[str, str]
    queue: deque[Item] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    is_lagging: bool = False
    is_closed: bool = False

    def offer(self, item: Item) -> None:
        if len(self.queue) >= QUEUE:
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


class Bus(Protocol):
    """Order per topic, at least once, with a loud gap when history is gone."""

    async def publish(self, message: Message) -> None: ...

    def subscribe(
        self, topic: str, *, after: tuple[str, str] | None = None
    ) -> contextlib.AbstractAsyncContextManager[Subscription]:
        """Live from the moment of entering; with `after` = (epoch, position) history comes first."""
        ...

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
        subscription = Subscription((self._epoch, str(self._last.get(topic, 0))))
        for item in self._missed(topic, after):
            subscription.offer(item)
        self._subscribers[topic].add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers[topic].discard(subscription)
            if not self._subscribers[topic]:
                del self._subscribers[topic]

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


class RedisBus:
    """Redis Streams: every process reads the topics it has subscribers for, with one task."""

    def __init__(self, url: str, *, prefix: str = "jishi") -> None:
        self._redis: Redis = Redis.from_url(url, decode_responses=True, health_check_interval=15)
        self._prefix = prefix
        self._epoch = ""
        self._subscribers: dict[str, set[Subscription]] = defaultdict(set)
        self._positions: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Agrees on the epoch with the other processes; a flushed Redis begins a new one."""
        await self._agree()
        self._reader = asyncio.create_task(self._read(), name="redis-bus")

    async def publish(self, message: Message) -> None:
        body = orjson.dumps([message.kind, message.payload, message.outbox_id]).decode()
        await self._redis.xadd(
            self._stream(message.topic), {"b": body}, maxlen=HISTORY, approximate=True
        )

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, after: tuple[str, str] | None = None
    ) -> AsyncGenerator[Subscription]:
        await self._agree()
        stream = self._stream(topic)
        newest = await self._redis.xrevrange(stream, count=1)
        last = newest[0][0] if newest else "0-0"
        subscription = Subscription((self._epoch, last))
        for item in await self._missed(topic, after, last):
            subscription.offer(item)
        self._subscribers[topic].add(subscription)
        known = self._positions.get(topic)
        if known is None:
            self._positions[topic] = last
            self._wake.set()
        else:
            # the reader of this topic may stand before `last`: it skips what history gave already
            subscription.queue = deque(
                item for item in subscription.queue if _not_after(item, known)
            )
        try:
            yield subscription
        finally:
            self._subscribers[topic].discard(subscription)
            if not self._subscribers[topic]:
                del self._subscribers[topic]
                self._positions.pop(topic, None)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        for subscribers in self._subscribers.values():
            for subscription in subscribers:
                subscription.close()
        await self._redis.aclose()

    async def is_healthy(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except OSError:
            return False

    def _stream(self, topic: str) -> str:
        return f"{self._prefix}:events:{topic}"

    async def _agree(self) -> None:
        name = f"{self._prefix}:epoch"
        await self._redis.set(name, secrets.token_hex(4), nx=True)
        self._epoch = await self._redis.get(name) or ""

    async def _missed(self, topic: str, after: tuple[str, str] | None, last: str) -> list[Item]:
        if after is None:
            return []
        epoch, position = after
        gap: list[Item] = [Gap(self._epoch, last)]
        if epoch != self._epoch:
            return gap
        stream = self._stream(topic)
        if position != "0-0":
            # the asked event itself must still be there, else what followed it may be gone too
            if not await self._redis.xrange(stream, position, position):
                return gap
        entries = await self._redis.xrange(stream, f"({position}", last)
        return [self._delivery(topic, entry_id, fields) for entry_id, fields in entries]

    def _delivery(self, topic: str, entry_id: str, fields: dict[str, str]) -> Delivery:
        kind, payload, outbox_id = orjson.loads(fields["b"])
        return Delivery(Message(topic, kind, payload, outbox_id), self._epoch, entry_id)

    async def _read(self) -> None:
        """The one reader task: blocks on all topics at once, hands entries to their queues."""
        while True:
            if not self._positions:
                self._wake.clear()
                await self._wake.wait()
            topics = {self._stream(topic): topic for topic in self._positions}
            asked = {stream: self._positions[topic] for stream, topic in topics.items()}
            try:
                answer = await self._redis.xread(asked, block=200)  # type: ignore[arg-type]
            except OSError:
                await asyncio.sleep(0.5)
                continue
            for stream, entries in _streams(answer):
                topic = topics[stream]
                if self._positions.get(topic) != asked[stream]:
                    continue  # subscribed anew meanwhile: its own history covers these
                for entry_id, fields in entries:
                    delivery = self._delivery(topic, entry_id, fields)
                    for subscription in self._subscribers.get(topic, ()):
                        subscription.offer(delivery)
                self._positions[topic] = entries[-1][0]


def _streams(answer: Any) -> list[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """The entries of an XREAD answer, whichever shape the protocol version gives it."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [
            (stream, [entry for chunk in chunks for entry in chunk])
            for stream, chunks in answer.items()
        ]
    return list(answer)


def _not_after(item: Item, position: str) -> bool:
    return isinstance(item, Gap) or _order(item.position) <= _order(position)


def _order(position: str) -> tuple[int, int]:
    left, _, right = position.partition("-")
    return int(left), int(right)
