"""The event bus: its protocol, and a ring in memory; app/redis_bus.py speaks to Redis."""

import asyncio
import contextlib
import secrets
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

HISTORY = 1000  # events kept per topic for clients that come back
QUEUE = 1000  # events a subscriber may be behind
PARKED = 500  # events per topic that wait for an earlier one; when it comes, they come at once


@dataclass(frozen=True, slots=True)
class Message:
    """`seq` counts the events of a topic from 1 without holes; None where nobody counts them."""

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


@dataclass(frozen=True, slots=True)
class Hole:
    """Events of a topic from number `before` on wait for those past number `after`.

    None: nobody knows with which number the topic begins.
    """

    topic: str
    after: int | None
    before: int


class Lagging(Exception):
    """The subscriber was too slow and has to come back with its cursor."""


class BusDown(Exception):
    """The bus does not take events now; they stay in the outbox."""


Item = Delivery | Gap
Merged = Callable[[Message], str | None]
"""The name of what an event brings up to date; None for one that must arrive."""
Wanted = Callable[[Message], bool]
"""Whether a live event concerns a subscriber at all."""


@dataclass(eq=False)
class Subscription:
    """A bounded queue of one subscriber; the publisher never waits for it.

    `start` is the (epoch, position) of the last event before the live ones. Until `begin`, live
    events wait behind the history that is still being read. Where the queue is full, an event that
    is `merged` takes the place of the older ones of its name. What is not `wanted` is not queued:
    0.5 us in place of the 25 that it costs to wake a subscriber for nothing.
    """

    merged: Merged | None = None
    wanted: Wanted | None = None
    start: tuple[str, str] = ("", "")
    queue: deque[Item] = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    most: int = QUEUE
    is_lagging: bool = False
    is_closed: bool = False

    def begin(self, start: tuple[str, str], history: Sequence[Item]) -> None:
        """Puts the history before the live events that came meanwhile, each of them once."""
        self.start = start
        live = [item for item in self.queue if is_after(item, start) and not _is_told(item, start)]
        self.queue = deque([*history, *live])
        self.most = QUEUE + len(history)
        self.ready.set()

    def offer(self, item: Item) -> None:
        """Takes a live item; after one that found no place nothing more, so that no hole opens."""
        if self.wanted is not None and isinstance(item, Delivery) and not self.wanted(item.message):
            return
        if not is_after(item, self.start):
            return
        if not self.is_lagging and len(self.queue) >= self.most:
            self._merge(item)
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

    def _merge(self, newest: Item) -> None:
        """Drops what later events, up to `newest`, bring up to date.

        All of it at once, so that a full queue is not looked through for every event.
        """
        if self.merged is None:
            return
        seen, kept = {self._name(newest)}, deque[Item]()
        for item in reversed(self.queue):
            name = self._name(item)
            if name is None or name not in seen:
                kept.appendleft(item)
                seen.add(name)
        self.queue = kept

    def _name(self, item: Item) -> str | None:
        if self.merged is None or isinstance(item, Gap):
            return None
        return self.merged(item.message)


def is_after(item: Item, start: tuple[str, str]) -> bool:
    """False for what the history up to `start` holds already."""
    epoch, position = start
    return item.epoch != epoch or order(item.position) > order(position)


def _is_told(item: Item, start: tuple[str, str]) -> bool:
    """Whoever begins in an epoch has been told what is missing from those before."""
    return isinstance(item, Gap) and item.epoch == start[0]


def order(position: str) -> tuple[int, int]:
    left, _, right = position.partition("-")
    return int(left), int(right or 0)


class Bus(Protocol):
    """Numbered events once and in order per topic, with a loud gap when history is gone."""

    async def publish(self, message: Message) -> bool:
        """Appends the event whose number comes next; one that is there already changes nothing.

        False for an event that waits for an earlier one, or found no place to wait: it is to be
        published again later. A topic that the bus knows nothing of begins with number 1, or
        where `skip` says. Events without a number are appended as they come. Raises BusDown.
        """
        ...

    def subscribe(
        self,
        topic: str,
        *,
        after: tuple[str, str] | None = None,
        merged: Merged | None = None,
        wanted: Wanted | None = None,
    ) -> contextlib.AbstractAsyncContextManager[Subscription]:
        """Live from the moment of entering; with `after` (epoch, position) history comes first.

        History is whole: only of live events those that are not `wanted` are left out.
        """
        ...

    async def missed(self, topic: str, after: tuple[str, str]) -> list[Item]:
        """The events past (epoch, position) up to now, or one Gap."""
        ...

    async def holes(self) -> list[Hole]:
        """Where events wait for earlier ones."""
        ...

    async def skip(self, hole: Hole) -> None:
        """Goes on with number `before`; a hole that is not there any more changes nothing."""
        ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def is_healthy(self) -> bool: ...


@dataclass(eq=False)
class _Ring:
    """The newest events of a topic; `last` is the number of the newest, None before it is known."""

    last: int | None = None
    position: int = 0
    is_asked_for: bool = False  # `last` is being looked up
    kept: deque[Delivery] = field(default_factory=lambda: deque(maxlen=HISTORY))
    parked: dict[int, Message] = field(default_factory=dict)


class MemoryBus:
    """One process, no server: a ring per topic. A restart is a new epoch.

    `recall` tells the newest number of a topic that is stored. With it a topic is kept from its
    first subscriber on: what was committed before is history of which nobody has a cursor.
    """

    def __init__(self) -> None:
        self.recall: Callable[[str], Awaitable[int]] | None = None
        self._epoch = secrets.token_hex(4)
        self._rings: dict[str, _Ring] = {}
        self._recalling = asyncio.Lock()
        self._subscribers: dict[str, set[Subscription]] = defaultdict(set)

    async def publish(self, message: Message) -> bool:
        ring = self._rings.get(message.topic)
        if ring is None:
            if self.recall is not None and message.seq is not None:
                return True
            ring = self._rings[message.topic] = _Ring()
        if message.seq is None:
            self._append(ring, message)
            return True
        if ring.last is None and not ring.is_asked_for and message.seq == 1:
            ring.last = 0
        if ring.last is not None and message.seq <= ring.last:
            return True
        if message.seq in ring.parked or len(ring.parked) < PARKED or ring.last == message.seq - 1:
            ring.parked[message.seq] = message
        self._go_on(ring)
        return ring.last is not None and message.seq <= ring.last

    @asynccontextmanager
    async def subscribe(
        self,
        topic: str,
        *,
        after: tuple[str, str] | None = None,
        merged: Merged | None = None,
        wanted: Wanted | None = None,
    ) -> AsyncGenerator[Subscription]:
        ring = await self._ring(topic)
        subscription = Subscription(merged, wanted)
        missed = [] if after is None else self._missed(ring, after)
        subscription.begin((self._epoch, str(ring.position)), missed)
        self._subscribers[topic].add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers[topic].discard(subscription)
            if not self._subscribers[topic]:
                del self._subscribers[topic]

    async def missed(self, topic: str, after: tuple[str, str]) -> list[Item]:
        return self._missed(await self._ring(topic), after)

    async def holes(self) -> list[Hole]:
        return [
            Hole(topic, ring.last, min(ring.parked))
            for topic, ring in self._rings.items()
            if ring.parked and not ring.is_asked_for
        ]

    async def skip(self, hole: Hole) -> None:
        ring = self._rings[hole.topic]
        if ring.last == hole.after and not ring.is_asked_for:
            ring.last = hole.before - 1
            self._go_on(ring)

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        for subscribers in self._subscribers.values():
            for subscription in subscribers:
                subscription.close()

    async def is_healthy(self) -> bool:
        return True

    async def _ring(self, topic: str) -> _Ring:
        """The ring of a topic; the first time its newest number is looked up."""
        async with self._recalling:
            ring = self._rings.get(topic)
            if ring is None:
                ring = self._rings[topic] = _Ring()
                if self.recall is not None:
                    await self._look_up(topic, ring, self.recall)
        return ring

    async def _look_up(
        self, topic: str, ring: _Ring, recall: Callable[[str], Awaitable[int]]
    ) -> None:
        """What is published meanwhile is parked, so that nothing falls between."""
        ring.is_asked_for = True
        try:
            ring.last = await recall(topic)
        except BaseException:
            del self._rings[topic]
            raise
        ring.is_asked_for = False
        last = ring.last
        ring.parked = {seq: one for seq, one in ring.parked.items() if seq > last}
        self._go_on(ring)

    def _go_on(self, ring: _Ring) -> None:
        """Appends what has waited for the newest number."""
        while ring.last is not None and (message := ring.parked.pop(ring.last + 1, None)):
            ring.last += 1
            self._append(ring, message)

    def _append(self, ring: _Ring, message: Message) -> None:
        ring.position += 1
        delivery = Delivery(message, self._epoch, str(ring.position))
        ring.kept.append(delivery)
        for subscription in self._subscribers.get(message.topic, ()):
            subscription.offer(delivery)

    def _missed(self, ring: _Ring, after: tuple[str, str]) -> list[Item]:
        epoch, position = after
        oldest = ring.position - len(ring.kept) + 1
        if epoch != self._epoch or not position.isdigit() or int(position) + 1 < oldest:
            return [Gap(self._epoch, str(ring.position))]
        return [one for one in ring.kept if int(one.position) > int(position)]
