"""Followers of a channel: operations of websockets, and streams over HTTP. None delays another.

What a slow reader has not taken waits in its seat, up to a bound. Past it, of events that only
bring something up to date the last one is kept; where that does not help the stream ends: LAGGING.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

import orjson

from app.edge.gauges import Gauges

MOST_BEHIND = 256  # parts; all seats share their bytes
_NEXT, _COMPLETE = b',"type":"next","payload":', b',"type":"complete"}'


@dataclass(frozen=True, slots=True)
class Part:
    """One event as all seats get it, `body` the JSON of a response; none after one that `is_last`.

    Where too much waits, a part gives way to a later one of the same `merged` name.
    """

    body: bytes
    cursor: str | None = None
    merged: str | None = None
    is_last: bool = False


class Seat(Protocol):
    """One follower of a channel."""

    def make_room(self, count: int) -> None:
        """So many events of its history come at once."""
        ...

    def take(self, part: Part) -> None:
        """Takes the next event; never waits."""
        ...


class Frames(Protocol):
    """A websocket that takes whole text messages past ASGI."""

    def write(self, message: bytes) -> bool:
        """Sends it at once; False, with nothing sent, while the peer is behind."""
        ...

    def press(self, message: bytes) -> None:
        """Sends it however far the peer is behind."""
        ...


class _Behind:
    """What waits for one reader, in order; states give way to later ones only where it is full."""

    def __init__(self, gauges: Gauges) -> None:
        self._parts: deque[Part] = deque()
        self._most = MOST_BEHIND
        self._gauges = gauges

    def __len__(self) -> int:
        return len(self._parts)

    def make_room(self, count: int) -> None:
        """For a newcomer's history, which nobody is to blame for."""
        self._most = max(self._most, count + MOST_BEHIND)

    def put(self, part: Part) -> bool:
        """False for one that found no place."""
        if len(self._parts) >= self._most:
            self._merge(part)
        if len(self._parts) >= self._most and not part.is_last:
            return False
        self._parts.append(part)
        self._gauges.behind.inc()
        return True

    def first(self) -> Part:
        return self._parts[0]

    def drop_first(self) -> None:
        self._parts.popleft()
        self._gauges.behind.dec()

    def clear(self) -> None:
        self._gauges.behind.dec(len(self._parts))
        self._parts.clear()

    def _merge(self, newest: Part) -> None:
        """Drops what later parts bring up to date, all of it at once."""
        seen, kept = {newest.merged}, deque[Part]()
        for part in reversed(self._parts):
            if part.merged is None or part.merged not in seen:
                kept.appendleft(part)
                seen.add(part.merged)
        self._gauges.behind.dec(len(self._parts) - len(kept))
        self._parts = kept


class SocketSeat:
    """One operation of a websocket; `over` is called once when its stream has ended."""

    def __init__(
        self,
        frames: Frames,
        key: str,
        *,
        lagging: Callable[[], bytes],
        over: Callable[[], None],
        gauges: Gauges,
    ) -> None:
        self._frames, self._over, self._lagging, self._gauges = frames, over, lagging, gauges
        self._id = b'{"id":' + orjson.dumps(key)
        self._head = self._id + _NEXT
        self._behind = _Behind(gauges)
        self._is_over = False
        gauges.streams.inc()

    def make_room(self, count: int) -> None:
        self._behind.make_room(count)

    def take(self, part: Part) -> None:
        if self._is_over:
            return
        if not self._behind and not part.is_last:
            if self._frames.write(self._head + part.body + b"}"):
                return
        elif not self._behind:
            self._finish(part.body)
            return
        if not self._behind.put(part):
            self._gauges.lagging.inc()
            self._finish(self._lagging())

    def drained(self) -> None:
        """Sends what waits, for as long as the peer takes it."""
        while self._behind and not self._is_over:
            part = self._behind.first()
            if part.is_last:
                self._finish(part.body)
            elif not self._frames.write(self._head + part.body + b"}"):
                return
            else:
                self._behind.drop_first()

    def close(self) -> None:
        """Takes and sends nothing more."""
        if not self._is_over:
            self._is_over = True
            self._behind.clear()
            self._gauges.streams.dec()

    def _finish(self, body: bytes) -> None:
        if body:
            self._frames.press(self._head + body + b"}")
        self._frames.press(self._id + _COMPLETE)
        self.close()
        self._over()


class StreamSeat:
    """A stream over HTTP, whose transport takes the parts one after the other."""

    def __init__(self, *, lagging: Callable[[], bytes], gauges: Gauges) -> None:
        self._behind = _Behind(gauges)
        self._lagging, self._gauges = lagging, gauges
        self._is_lagging = False
        self._ready = asyncio.Event()

    def make_room(self, count: int) -> None:
        self._behind.make_room(count)

    def take(self, part: Part) -> None:
        if not self._is_lagging and not self._behind.put(part):
            self._is_lagging = True
            self._gauges.lagging.inc()
        self._ready.set()

    async def parts(self) -> AsyncGenerator[Part]:
        """The parts as they come; the last one ends it."""
        try:
            while True:
                while self._behind:
                    part = self._behind.first()
                    self._behind.drop_first()
                    if part.body:
                        yield part
                    if part.is_last:
                        return
                if self._is_lagging:
                    yield Part(self._lagging(), is_last=True)
                    return
                self._ready.clear()
                await self._ready.wait()
        finally:
            self._behind.clear()
