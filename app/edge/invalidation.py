"""Several processes behind one Redis: each tells the others which rows its commits have touched."""

import asyncio
import logging
import secrets
from collections.abc import Iterable

from app.bus import Bus, BusDown, Delivery, Item, Lagging, Message
from app.edge.response_cache import ResponseCache

TOPIC = "cache"
KIND = "Touched"
MOST_TAGS = 500  # in one message; more rows than that are told as whole tables
RETRY_S = 1.0
_log = logging.getLogger(__name__)


class Invalidation:
    """Never in the way of a commit: its tags are noted here and leave with those of its neighbours.

    While the bus is down they wait, and what the others have kept lives no longer than its time.
    """

    def __init__(self, cache: ResponseCache, bus: Bus) -> None:
        self._cache, self._bus = cache, bus
        self._origin = secrets.token_hex(8)
        self._untold: set[str] = set()
        self._has_news = asyncio.Event()

    def touched(self, tags: frozenset[str]) -> None:
        self._cache.touched(tags)
        self._untold |= tags
        if len(self._untold) > MOST_TAGS:
            self._untold = set(as_tables(self._untold))
        self._has_news.set()

    async def tell(self) -> None:
        """Publishes what was touched here, until cancelled."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            tags, self._untold = self._untold, set()
            payload = {"origin": self._origin, "tags": sorted(tags)}
            try:
                await self._bus.publish(Message(TOPIC, KIND, payload))
            except BusDown:
                self._untold |= tags
                self._has_news.set()
                await asyncio.sleep(RETRY_S)

    async def follow(self) -> None:
        """Drops what the other processes have touched, until the bus closes."""
        while True:
            try:
                async with self._bus.subscribe(TOPIC) as heard:
                    self._cache.clear()  # nobody listened before
                    async for item in heard:
                        self._hear(item)
                    return
            except Lagging:
                continue
            except BusDown:
                _log.warning("no word of the other processes' changes: answers live their time")
                await asyncio.sleep(RETRY_S)

    def _hear(self, item: Item) -> None:
        if not isinstance(item, Delivery):
            self._cache.clear()
        elif item.message.payload["origin"] != self._origin:
            self._cache.touched(item.message.payload["tags"])


def as_tables(tags: Iterable[str]) -> set[str]:
    """The tags of whole tables, of which the given ones are a part."""
    tables = {tag.partition(":")[0] for tag in tags}
    return tables | {f"{table}:*" for table in tables}
