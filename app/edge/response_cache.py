"""Answers to anonymous public reads as bytes, gone with the commit that makes them stale.

A tag names what an answer was made of: a table for a list ("products"), a row for what was read
by its key ("products:17"). A commit touches the table and its rows, or the table and all its rows
("products:*") when it cannot say which.
"""

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.errors import Locale

BYTES = 32 * 1024 * 1024
ENTRIES = 20_000
ENTRY_BYTES, TAG_BYTES = 500, 400  # beside key and body, and per tag of an answer; measured
TOUCHED = 10_000  # tags whose last change is remembered for the reads that are under way

Key = tuple[str, bytes, Locale]
"""Method, raw body or query string, language: all that the answer to an unnamed caller hangs on."""


@dataclass(frozen=True, slots=True)
class _Kept:
    body: bytes
    tags: frozenset[str]  # with ALL of their tables
    until: float
    weight: int


class ResponseCache:
    """The answers used last, as many as the bounds allow; nothing is kept with a `ttl_s` of 0."""

    def __init__(
        self,
        *,
        ttl_s: float,
        most_bytes: int = BYTES,
        entries: int = ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ttl_s, self.bytes = ttl_s, 0
        self._most_bytes, self._entries, self._clock = most_bytes, entries, clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._by_tag: defaultdict[str, set[Key]] = defaultdict(set)
        self._now = self._floor = 0  # changes are numbered; up to the floor they are forgotten
        self._touched: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> bytes | None:
        known = self._kept.get(key)
        if known is None:
            return None
        if self._clock() >= known.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return known.body

    def mark(self) -> int:
        """The moment to take before a read, for its `put`."""
        return self._now

    def put(self, key: Key, body: bytes, tags: frozenset[str], mark: int) -> bool:
        """Keeps an answer unless something of it was changed since `mark`; whether it did."""
        tags |= {f"{tag.partition(':')[0]}:*" for tag in tags if ":" in tag}
        weight = ENTRY_BYTES + len(key[1]) + len(body) + TAG_BYTES * len(tags)
        if not self.ttl_s or weight > self._most_bytes or self._is_stale(tags, mark):
            return False
        self._drop(key)
        self._kept[key] = _Kept(body, tags, self._clock() + self.ttl_s, weight)
        for tag in tags:
            self._by_tag[tag].add(key)
        self.bytes += weight
        while self.bytes > self._most_bytes or len(self._kept) > self._entries:
            self._drop(next(iter(self._kept)))
        return True

    def touched(self, tags: Iterable[str]) -> None:
        """A commit has changed these: what is made of them goes, what is being read stays out."""
        self._now += 1
        for tag in tags:
            self._touched[tag] = self._now
            self._touched.move_to_end(tag)
            for key in self._by_tag.pop(tag, ()):
                self._drop(key)
        while len(self._touched) > TOUCHED:
            self._floor = self._touched.popitem(last=False)[1]

    def clear(self) -> None:
        """Forgets everything, for changes may have been missed."""
        self._now += 1
        self._floor = self._now
        self.bytes = 0
        for one in (self._kept, self._by_tag, self._touched):
            one.clear()

    def _is_stale(self, tags: frozenset[str], mark: int) -> bool:
        if mark == self._now:
            return False
        return mark < self._floor or any(self._touched.get(tag, 0) > mark for tag in tags)

    def _drop(self, key: Key) -> None:
        known = self._kept.pop(key, None)
        if known is None:
            return
        self.bytes -= known.weight
        for tag in known.tags:
            keys = self._by_tag.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._by_tag[tag]
