"""The event bus over Redis Streams, for several processes: one reader task in each of them."""

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from app.bus import (
    HISTORY,
    PARKED,
    BusDown,
    Delivery,
    Gap,
    Hole,
    Item,
    Merged,
    Message,
    Subscription,
    Wanted,
    order,
)

KEPT_MS = 24 * 3600 * 1000  # a topic that is silent for so long is forgotten
COUNTED_MS = 30 * KEPT_MS  # and how far it had counted after so long
BLOCK_MS = 2000
RETRY_S = 0.2
CLOSE_S = 3.0
SILENT = 2**53  # the number in a position that stands before a topic's first entry
CONNECTIONS = 32
_log = logging.getLogger(__name__)

# An epoch is <when Redis was found empty, ms>-<random>. KEYS[1]: epoch.
_EPOCH = """
local function now_ms()
  local now = redis.call('TIME')
  return now[1] .. string.format('%03d', math.floor(now[2] / 1000))
end
local function epoch_of(random)
  local epoch = redis.call('GET', KEYS[1])
  if not epoch then epoch = now_ms() .. '-' .. random; redis.call('SET', KEYS[1], epoch) end
  return epoch
end
"""
# Entries of a topic are numbered without holes: <when its stream began, ms>-<0, 1, 2 ...>. So
# history that was trimmed, flushed or forgotten shows in the numbers. The hash has the number of
# the newest event, and by their numbers the events that wait for an earlier one.
# KEYS: epoch, stream, hash, topics in which events wait.
_PUBLISH = (
    _EPOCH
    + """
local body, seq, epoch, topic = ARGV[1], tonumber(ARGV[2]), epoch_of(ARGV[3]), ARGV[4]
local history, kept_ms, counted_ms, parked = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local last = seq and tonumber(redis.call('HGET', KEYS[3], 'last') or seq == 1 and 0 or nil)
if last and seq <= last then return 1 end
if seq and seq ~= (last or seq) + 1 then
  if redis.call('HLEN', KEYS[3]) <= parked then
    redis.call('HSET', KEYS[3], seq, body)
    redis.call('SADD', KEYS[4], topic)
  end
  return 0
end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local began, number
if newest then
  began, number = string.match(newest[1], '(%d+)-(%d+)')
  number = number + 1
else
  began, number = now_ms(), 0
end
local had_parked = false
while body do
  local id = began .. '-' .. string.format('%d', number)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', history, id, 'b', body, 'e', epoch)
  body, number = false, number + 1
  if seq then
    if redis.call('HDEL', KEYS[3], seq) == 1 then had_parked = true end
    last, seq = seq, seq + 1
    body = redis.call('HGET', KEYS[3], seq)
  end
end
redis.call('PEXPIRE', KEYS[2], kept_ms)
if seq then
  redis.call('HSET', KEYS[3], 'last', last)
  redis.call('PEXPIRE', KEYS[3], counted_ms)
  if had_parked and redis.call('HLEN', KEYS[3]) == 1 then redis.call('SREM', KEYS[4], topic) end
end
return 1
"""
)
_LOOK = (
    _EPOCH
    + """
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
return {epoch_of(ARGV[1]), now_ms(), oldest and oldest[1] or '', newest and newest[1] or ''}
"""
)
# KEYS: hash. ARGV: the number of the newest event or "", and of the one to go on with.
_SKIP = """
if (redis.call('HGET', KEYS[1], 'last') or '') ~= ARGV[1] then return false end
redis.call('HSET', KEYS[1], 'last', ARGV[2] - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('HGET', KEYS[1], ARGV[2])
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
        self._skip = self._redis.register_script(_SKIP)
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
            await self._looked("")
        except (RedisError, OSError) as gone:
            raise BusDown(f"Redis does not answer: {gone}") from gone
        self._reader = asyncio.create_task(self._read(), name="redis-bus")

    async def publish(self, message: Message) -> bool:
        body = [message.kind, message.payload, message.outbox_id, message.seq]
        try:
            return await self._append(message.topic, orjson.dumps(body).decode(), message.seq)
        except (RedisError, OSError) as gone:
            raise BusDown("Redis does not take events") from gone

    @asynccontextmanager
    async def subscribe(
        self,
        topic: str,
        *,
        after: tuple[str, str] | None = None,
        merged: Merged | None = None,
        wanted: Wanted | None = None,
    ) -> AsyncGenerator[Subscription]:
        subscription = Subscription(merged, wanted)
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

    async def missed(self, topic: str, after: tuple[str, str]) -> list[Item]:
        try:
            looked = await self._looked(topic)
            return await self._missed(topic, after, looked)
        except (RedisError, OSError) as gone:
            raise BusDown("Redis does not answer") from gone

    async def holes(self) -> list[Hole]:
        try:
            topics: Any = await self._redis.smembers(self._waiting)
            found = [await self._hole(topic) for topic in topics]
        except (RedisError, OSError) as gone:
            raise BusDown("Redis does not answer") from gone
        return [hole for hole in found if hole is not None]

    async def skip(self, hole: Hole) -> None:
        try:
            counted = self._counted(hole.topic)
            after = "" if hole.after is None else hole.after
            body = await self._skip([counted], [after, hole.before, COUNTED_MS])
            if body is not None:
                await self._append(hole.topic, body, hole.before)
        except (RedisError, OSError) as gone:
            raise BusDown("Redis does not answer") from gone

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
        return f"{self._prefix}:since"

    @property
    def _waiting(self) -> str:
        return f"{self._prefix}:waiting"

    def _stream(self, topic: str) -> str:
        return f"{self._prefix}:events:{topic}"

    def _counted(self, topic: str) -> str:
        return f"{self._prefix}:counted:{topic}"

    async def _append(self, topic: str, body: str, seq: int | None) -> bool:
        keys = [self._epoch_key, self._stream(topic), self._counted(topic), self._waiting]
        number, random = "" if seq is None else seq, secrets.token_hex(4)
        given = [body, number, random, topic, HISTORY, KEPT_MS, COUNTED_MS, PARKED]
        return bool(await self._publish(keys, given))

    async def _looked(self, topic: str) -> "_Looked":
        keys = [self._epoch_key, self._stream(topic)]
        epoch, now_ms, oldest, newest = await self._look(keys, [secrets.token_hex(4)])
        self._renew(epoch)
        return _Looked(epoch, int(now_ms), oldest, newest)

    async def _join(
        self, subscription: Subscription, topic: str, after: tuple[str, str] | None
    ) -> None:
        """Sets a subscription on its way: history, then what the reader has seen meanwhile."""
        looked = await self._looked(topic)
        missed = [] if after is None else await self._missed(topic, after, looked)
        subscription.begin((looked.epoch, looked.last), missed)
        if topic not in self._positions:
            self._positions[topic] = looked.last
            await self._ring()

    async def _missed(self, topic: str, after: tuple[str, str], looked: "_Looked") -> list[Item]:
        epoch, position = after
        if epoch != looked.epoch or not looked.is_whole(position):
            return [Gap(looked.epoch, looked.last)]
        stream = self._stream(topic)
        entries: Any = await self._redis.xrange(stream, f"({position}", looked.last)
        return [_delivery(topic, entry_id, fields) for entry_id, fields in entries]

    async def _hole(self, topic: str) -> Hole | None:
        """Forgets a topic in which nothing waits any more: what waited has expired."""
        numbers: Any = await self._redis.hkeys(self._counted(topic))
        parked = [int(number) for number in numbers if number != "last"]
        last: Any = await self._redis.hget(self._counted(topic), "last")
        if parked:
            return Hole(topic, None if last is None else int(last), min(parked))
        await self._redis.srem(self._waiting, topic)
        return None

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
                    await self._looked("")

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
                self._renew(delivery.epoch)
                for subscription in self._subscribers.get(topic, ()):
                    subscription.offer(delivery)
            self._positions[topic] = entries[-1][0]

    def _renew(self, epoch: str) -> None:
        """Tells every subscriber of a gap when Redis was emptied; all entries since come after."""
        if epoch == self._epoch:
            return
        is_first, self._epoch = not self._epoch, epoch
        if is_first:
            return
        _log.warning("Redis was emptied: events may be lost")
        for subscribers in self._subscribers.values():
            for subscription in subscribers:
                subscription.offer(Gap(epoch, _before(int(epoch.partition("-")[0]))))


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is there of a topic; positions are "" without entries."""

    epoch: str
    now_ms: int
    oldest: str
    newest: str

    @property
    def last(self) -> str:
        return self.newest or _before(self.now_ms)

    def is_whole(self, position: str) -> bool:
        """Is everything after `position` still there?"""
        began, number = order(position)
        if number == SILENT:
            # whole unless a stream has come and was forgotten since
            is_first = not self.newest or order(self.oldest)[1] == 0
            return self.now_ms - began < KEPT_MS and is_first
        if not self.newest:
            return False
        first = order(self.oldest)
        return began == first[0] and first[1] <= number + 1 <= order(self.newest)[1] + 1


def _before(now_ms: int) -> str:
    """A position before any entry that a stream begun now or later can have."""
    return f"{now_ms - 1}-{SILENT}"


def _delivery(topic: str, entry_id: str, fields: dict[str, str]) -> Delivery:
    message = Message(topic, *orjson.loads(fields["b"]))
    return Delivery(message, fields["e"], entry_id)


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
