"""The event bus over Redis Streams, for several processes: one reader task in each of them."""

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from app.bus import HISTORY, BusDown, Delivery, Gap, Item, Message, Subscription, order

KEPT_MS = 24 * 3600 * 1000  # a topic that is silent for so long is forgotten
BLOCK_MS = 2000
RETRY_S = 0.2
CLOSE_S = 3.0
SILENT = 2**53  # the number in a position that stands before a topic's first entry
CONNECTIONS = 32
_log = logging.getLogger(__name__)

# Entries of a topic are numbered without holes: <when its stream began, ms>-<0, 1, 2 ...>. So
# history that was trimmed, flushed or forgotten shows in the numbers. KEYS: stream, epoch.
_PUBLISH = """
local epoch = redis.call('GET', KEYS[2])
if not epoch then epoch = ARGV[2]; redis.call('SET', KEYS[2], epoch) end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local id
if newest then
  local began, number = string.match(newest[1], '(%d+)-(%d+)')
  id = began .. '-' .. string.format('%d', number + 1)
else
  local now = redis.call('TIME')
  id = now[1] .. string.format('%03d', math.floor(now[2] / 1000)) .. '-0'
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], id, 'b', ARGV[1], 'e', epoch)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
"""
_LOOK = """
local epoch = redis.call('GET', KEYS[2])
if not epoch then epoch = ARGV[1]; redis.call('SET', KEYS[2], epoch) end
local now = redis.call('TIME')
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local ms = now[1] .. string.format('%03d', math.floor(now[2] / 1000))
return {epoch, ms, oldest and oldest[1] or '', newest and newest[1] or ''}
"""


class RedisBus:
    """Every process reads the topics it has subscribers for; entries are kept in Redis."""

    def __init__(self, url: str, *, prefix: str = "jishi") -> None:
        pool = BlockingConnectionPool.from_url(
            url, decode_responses=True, max_connections=CONNECTIONS, timeout=5
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._prefix = prefix
        self._publish = self._redis.register_script(_PUBLISH)
        self._look = self._redis.register_script(_LOOK)
        self._epoch = ""
        self._subscribers: dict[str, set[Subscription]] = defaultdict(set)
        self._positions: dict[str, str] = {}
        # a stream of our own that ends the reader's wait when there is one more topic to read
        self._bell, self._rung = f"{prefix}:bell:{secrets.token_hex(8)}", "0-0"
        self._reader: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self) -> None:
        """Agrees on the epoch with the other processes; a flushed Redis begins a new one."""
        try:
            self._epoch = (await self._looked(""))[0]
        except (RedisError, OSError) as gone:
            raise BusDown(f"Redis does not answer: {gone}") from gone
        self._reader = asyncio.create_task(self._read(), name="redis-bus")

    async def publish(self, message: Message) -> None:
        body = orjson.dumps([message.kind, message.payload, message.outbox_id]).decode()
        keys = [self._stream(message.topic), self._epoch_key]
        try:
            await self._publish(keys, [body, secrets.token_hex(4), HISTORY, KEPT_MS])
        except (RedisError, OSError) as gone:
            raise BusDown("Redis does not take events") from gone

    @asynccontextmanager
    async def subscribe(
        self, topic: str, *, after: tuple[str, str] | None = None
    ) -> AsyncGenerator[Subscription]:
        subscription = Subscription()
        # first, so that what the reader sees from now on waits behind the history
        self._subscribers[topic].add(subscription)
        try:
            try:
                await self._join(subscription, topic, after)
            except (RedisError, OSError) as gone:
                raise BusDown("Redis does not answer") from gone
            yield subscription
        finally:
            self._subscribers[topic].discard(subscription)
            if not self._subscribers[topic]:
                del self._subscribers[topic]
                self._positions.pop(topic, None)

    async def close(self) -> None:
        self._is_closed = True
        if self._reader is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._ring()  # a cancel can get lost in the client
            _, waiting = await asyncio.wait([self._reader], timeout=CLOSE_S)
            for task in waiting:
                task.cancel()
        for subscribers in self._subscribers.values():
            for subscription in subscribers:
                subscription.close()
        await self._redis.aclose()

    async def is_healthy(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    @property
    def _epoch_key(self) -> str:
        return f"{self._prefix}:epoch"

    def _stream(self, topic: str) -> str:
        return f"{self._prefix}:events:{topic}"

    async def _looked(self, topic: str) -> tuple[str, int, str, str]:
        """(epoch, the time in ms, oldest and newest position); positions are "" without entries."""
        keys = [self._stream(topic), self._epoch_key]
        epoch, now_ms, oldest, newest = await self._look(keys, [secrets.token_hex(4)])
        return epoch, int(now_ms), oldest, newest

    async def _join(
        self, subscription: Subscription, topic: str, after: tuple[str, str] | None
    ) -> None:
        """Sets a subscription on its way: history, then what the reader has seen meanwhile."""
        epoch, now_ms, oldest, newest = await self._looked(topic)
        self._renew(epoch, now_ms)
        last = newest or _before(now_ms)
        missed: list[Item] = []
        if after is not None and after[0] == epoch and _is_whole(after[1], now_ms, oldest, newest):
            entries: Any = await self._redis.xrange(self._stream(topic), f"({after[1]}", last)
            missed = [_delivery(topic, entry_id, fields) for entry_id, fields in entries]
        elif after is not None:
            missed = [Gap(epoch, last)]
        subscription.begin((epoch, last), missed)
        if topic not in self._positions:
            self._positions[topic] = last
            await self._ring()

    async def _ring(self) -> None:
        await self._redis.xadd(self._bell, {"b": ""}, maxlen=1)
        await self._redis.pexpire(self._bell, KEPT_MS)

    async def _read(self) -> None:
        """The one reader task: waits for all topics at once, hands entries to their queues."""
        while not self._is_closed:
            try:
                await self._read_once()
            except (RedisError, OSError):
                _log.warning("Redis does not answer")
                await asyncio.sleep(RETRY_S)
                with contextlib.suppress(RedisError, OSError):
                    epoch, now_ms, _, _ = await self._looked("")
                    self._renew(epoch, now_ms)

    async def _read_once(self) -> None:
        topics = {self._stream(topic): topic for topic in self._positions}
        asked = {stream: self._positions[topic] for stream, topic in topics.items()}
        wanted: dict[Any, Any] = {**asked, self._bell: self._rung}
        answer: Any = await self._redis.xread(wanted, block=BLOCK_MS)
        for stream, entries in _streams(answer):
            if stream == self._bell:
                self._rung = entries[-1][0]
                continue
            topic = topics[stream]
            if self._positions.get(topic) != asked[stream]:
                continue  # subscribed anew meanwhile, from a later place
            for entry_id, fields in entries:
                delivery = _delivery(topic, entry_id, fields)
                self._renew(delivery.epoch, order(entry_id)[0])
                for subscription in self._subscribers.get(topic, ()):
                    subscription.offer(delivery)
            self._positions[topic] = entries[-1][0]

    def _renew(self, epoch: str, now_ms: int) -> None:
        """Tells every subscriber of a gap when Redis was emptied."""
        if epoch == self._epoch:
            return
        _log.warning("Redis was emptied: events may be lost")
        self._epoch = epoch
        for subscribers in self._subscribers.values():
            for subscription in subscribers:
                subscription.offer(Gap(epoch, _before(now_ms)))


def _is_whole(position: str, now_ms: int, oldest: str, newest: str) -> bool:
    """Is everything after `position` still there?"""
    began, number = order(position)
    if number == SILENT:
        # whole unless a stream has come and was forgotten since
        return now_ms - began < KEPT_MS and (not newest or order(oldest)[1] == 0)
    if not newest:
        return False
    first = order(oldest)
    return began == first[0] and first[1] <= number + 1 <= order(newest)[1] + 1


def _before(now_ms: int) -> str:
    """A position before any entry that a stream begun now or later can have."""
    return f"{now_ms - 1}-{SILENT}"


def _delivery(topic: str, entry_id: str, fields: dict[str, str]) -> Delivery:
    kind, payload, outbox_id = orjson.loads(fields["b"])
    return Delivery(Message(topic, kind, payload, outbox_id), fields["e"], entry_id)


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
