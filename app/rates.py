"""How often somebody may do something: token buckets of a process, and shared through a Redis."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

MOST_BUCKETS = 100_000  # of some 300 bytes each; whoever was here longest ago is forgotten


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `burst` units at once, and `per_s` come back every second; `name` sets it apart."""

    name: str
    burst: float
    per_s: float


class Taken(NamedTuple):
    """`remaining` units are left; `wait_s` until there are enough, 0 when they were taken."""

    is_allowed: bool
    remaining: float
    wait_s: float


class Rates:
    """The buckets of this process. A refusal takes nothing; what costs more than a burst takes it.

    Taking is synchronous and costs about a microsecond, so that it can stand before everything.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, most: int = MOST_BUCKETS
    ) -> None:
        self._clock, self._most = clock, most
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, limit: Limit, who: str, units: float) -> Taken:
        key = (limit.name, who)
        now, burst = self._clock(), limit.burst
        level, wanted = burst, min(burst, units)
        bucket = self._buckets.get(key)
        if bucket is not None:
            level = bucket[0] + (now - bucket[1]) * limit.per_s
            level = min(level, burst)
            self._buckets.move_to_end(key)
        elif len(self._buckets) >= self._most:
            self._buckets.popitem(last=False)
        if wanted > level:
            return Taken(False, level, (wanted - level) / limit.per_s)  # noqa: FBT003  per request
        level -= wanted
        self._buckets[key] = (level, now)
        return Taken(True, level, 0.0)  # noqa: FBT003

    async def close(self) -> None:
        """Lets go of what is shared with other processes."""
