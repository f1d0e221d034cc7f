"""The buckets of several processes, kept level through one Redis that nobody waits for.

A request is decided by the picture that its own process has. What was taken is told to Redis every
tenth of a second, all buckets in one script, and the answer corrects the picture. While Redis is
away every process limits by itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.rates import MOST_BUCKETS, Limit, Rates, Taken

EVERY_S = 0.1
MOST_TOLD = 500  # buckets in one run of the script, which keeps Redis busy for a millisecond
WAIT_S = 2.0
_log = logging.getLogger(__name__)

# A level may be below zero: several processes have taken at once. ARGV: burst, per second, taken.
_LEVELS = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local levels = {}
for i, key in ipairs(KEYS) do
  local burst, per_s, taken = ARGV[3*i-2] + 0, ARGV[3*i-1] + 0, ARGV[3*i] + 0
  local kept = redis.call('HMGET', key, 'level', 'at')
  local level = burst
  if kept[1] then level = math.min(burst, kept[1] + (now - kept[2]) * per_s) end
  level = math.max(level - taken, -burst)
  redis.call('HSET', key, 'level', string.format('%.6f', level), 'at', string.format('%.6f', now))
  redis.call('PEXPIRE', key, math.ceil(2000 * burst / per_s) + 1000)
  levels[i] = string.format('%.6f', level)
end
return levels
"""


class SharedRates(Rates):
    def __init__(
        self,
        url: str,
        *,
        prefix: str = "jishi",
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_BUCKETS,
    ) -> None:
        super().__init__(clock=clock, most=most)
        self._redis: Redis = Redis.from_url(
            url, decode_responses=True, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S
        )
        self._levels, self._prefix = self._redis.register_script(_LEVELS), prefix
        self._untold: dict[tuple[str, str], tuple[Limit, float]] = {}
        self._has_news, self._is_away, self._is_closed = asyncio.Event(), False, False
        self._telling = asyncio.Lock()
        self._teller = asyncio.create_task(self._tell(), name="rates")

    def take(self, limit: Limit, who: str, units: float) -> Taken:
        taken = super().take(limit, who, units)
        if taken.is_allowed:
            before = self._untold.get((limit.name, who), (limit, 0.0))[1]
            self._untold[limit.name, who] = limit, before + min(units, limit.burst)
            self._has_news.set()
        return taken

    async def settle(self) -> None:
        """Tells what was taken here and learns what is left; forgets it while Redis is away."""
        async with self._telling:
            told = dict(list(self._untold.items())[:MOST_TOLD])
            for key in told:
                del self._untold[key]
            if told:
                await self._told(told)

    async def close(self) -> None:
        self._is_closed = True
        self._has_news.set()  # a cancel can get lost in the client
        _, waiting = await asyncio.wait([self._teller], timeout=WAIT_S)
        for task in waiting:
            task.cancel()
        await self._redis.aclose()

    async def _told(self, told: dict[tuple[str, str], tuple[Limit, float]]) -> None:
        names = [f"{self._prefix}:rates:{name}:{who}" for name, who in told]
        given = [one for limit, taken in told.values() for one in (limit.burst, limit.per_s, taken)]
        try:
            levels = await self._levels(names, given)
        except (RedisError, OSError):
            if not self._is_away:
                _log.warning("Redis does not answer: every process limits rates by itself")
            self._is_away = True
            return
        if self._is_away:
            _log.warning("Redis answers again: rates are limited together")
        self._is_away = False
        now = self._clock()
        for key, level in zip(told, levels, strict=True):
            since = self._untold.get(key, (None, 0.0))[1]  # taken while the script was under way
            if key in self._buckets:
                self._buckets[key] = (float(level) - since, now)

    async def _tell(self) -> None:
        while not self._is_closed:
            await self._has_news.wait()
            self._has_news.clear()
            while self._untold:
                await self.settle()
            await asyncio.sleep(EVERY_S)
