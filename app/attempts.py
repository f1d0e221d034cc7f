"""How often somebody may try: sign-ins slowed down per address and per account."""

import ipaddress
import math
from collections import OrderedDict
from typing import Protocol

from app.clock import Clock
from app.errors import TooOften
from app.rates import Limit, Rates

MOST_KEYS = 100_000
_MINUTE_S = 60.0


class Attempts(Protocol):
    """A bucket per key, of `per_minute` attempts; what was taken comes back evenly in a minute."""

    async def take(self, key: str, *, per_minute: int) -> None:
        """Takes one attempt. Raises TooOften when none is left."""
        ...

    async def give_back(self, key: str, *, per_minute: int) -> None:
        """Returns an attempt that turned out to be an honest one."""
        ...


class MemoryAttempts:
    """The buckets of one process; past MOST_KEYS the one longest untouched is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when all would be back, POSIX

    async def take(self, key: str, *, per_minute: int) -> None:
        now = self._clock().timestamp()
        full_at = max(self._full_at.get(key, now), now) + _MINUTE_S / per_minute
        wait_s = full_at - now - _MINUTE_S
        if wait_s > 1e-6:  # less is rounding
            raise TooOften(math.ceil(wait_s))
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > MOST_KEYS:
            self._full_at.popitem(last=False)

    async def give_back(self, key: str, *, per_minute: int) -> None:
        if key in self._full_at:
            self._full_at[key] -= _MINUTE_S / per_minute


class RatedAttempts:
    """The same over buckets that several processes share."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    async def take(self, key: str, *, per_minute: int) -> None:
        taken = self._rates.take(_limit(per_minute), key, 1)
        if not taken.is_allowed:
            raise TooOften(math.ceil(taken.wait_s))

    async def give_back(self, key: str, *, per_minute: int) -> None:
        self._rates.take(_limit(per_minute), key, -1)


def _limit(per_minute: int) -> Limit:
    return Limit("attempts", burst=per_minute, per_s=per_minute / _MINUTE_S)


def place_of(address: str) -> str:
    """Who counts as one caller: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))
