"""Encode once: one run of a public subscription tells all who follow it.

A channel is a document with its variables and a language. Its events are made once, as a guest, and
every seat of it gets the same bytes; a seat never makes another one wait (ADR 0021).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.auth import Role, Viewer
from app.bus import Delivery, Gap, Item, is_after
from app.context import Context, Resources
from app.edge.gauges import Gauges
from app.edge.results import masked
from app.edge.seats import Part, Seat
from app.errors import MallError
from app.graphql import Followed
from app.plan import Pointers
from app.plan.telling import Telling, resuming, telling_of
from resolvers.streams import STREAM, At, Stream, place_of, position_after, signed, told

SHOPPERS = {Role.GUEST, Role.CONSUMER}
_SLICE = 200  # seats that are told before others have their turn
_KEPT = 256  # events of a channel that those who come back find ready
Position = tuple[str, str]


class Channel:
    """One stream's run and its seats; `over` is called when nobody can join any more."""

    def __init__(
        self,
        stream: Stream,
        telling: Telling,
        guest: Context,
        gauges: Gauges,
        over: Callable[[], None],
    ) -> None:
        self._stream, self._telling, self._guest = stream, telling, guest
        self._gauges, self._over = gauges, over
        self._live: dict[Seat, Callable[[], None]] = {}  # with what is called when it leaves
        self._joining: dict[Seat, list[tuple[Item, Part]]] = {}  # with what has come meanwhile
        self._known: OrderedDict[Position, Part | None] = OrderedDict()
        self._place: Position = "", ""  # of the last event that the seats were told
        self._opened, self._idle = asyncio.Event(), asyncio.Event()
        self._failure: Exception | None = None
        self._idle.set()
        gauges.channels.inc()
        self._run = asyncio.create_task(self._follow(), name=f"channel {stream.topic}")

    async def join(self, seat: Seat, after: Position | None, follower: Context) -> None:
        """Seats a follower with a first look, or with what it has missed since `after`.

        Raises what the look raises.
        """
        self._joining[seat] = []  # at once: from here on the channel is in use
        try:
            begun = await self._begun(seat, after)
        except BaseException:
            self.leave(seat)
            raise
        meanwhile = self._joining.pop(seat, None)
        if meanwhile is None:  # it has left, or the stream has ended
            return
        last: Item | None = None
        seat.make_room(len(begun) + len(meanwhile))
        for item, part in begun:
            last = item
            if part is not None:
                seat.take(part)
        for item, part in meanwhile:
            if last is None or is_after(item, (last.epoch, last.position)):
                seat.take(part)
        self._live[seat] = self._stream.attend(follower)

    def leave(self, seat: Seat) -> None:
        """Forgets a follower; without any the run ends."""
        if (left := self._live.pop(seat, None)) is not None:
            left()
        self._joining.pop(seat, None)
        if not self._live and not self._joining:
            self._over()
            self._run.cancel()

    async def idle(self) -> None:
        """Returns when no event is being told."""
        await self._idle.wait()

    async def _begun(
        self, seat: Seat, after: Position | None
    ) -> list[tuple[Item | None, Part | None]]:
        """What a newcomer is given before what comes meanwhile; checks what it may see."""
        await self._opened.wait()
        if self._failure is not None:
            raise self._failure
        self._joining[seat].clear()
        place = self._place
        context, topic = self._guest.for_operation(), self._stream.topic
        at = At(signed(context, topic, place))
        first = await self._stream.look(context, at)
        if after is None:
            body = None if first is None else await self._telling.body(context, first)
            return [(None, None if body is None else Part(body, at.cursor))]
        self._gauges.resumes.inc()
        begun: list[tuple[Item | None, Part | None]] = []
        for item in await context.resources.bus.missed(topic, after):
            if isinstance(item, Delivery) and is_after(item, place):
                break  # it comes with what comes meanwhile
            begun.append((item, await self._part(item)))
        return begun

    async def _follow(self) -> None:
        last = Part(b"", is_last=True)
        try:
            subscribe = self._guest.resources.bus.subscribe
            async with subscribe(
                self._stream.topic, merged=self._stream.merged, wanted=self._stream.wanted
            ) as changes:
                self._place = changes.start
                self._opened.set()
                async for item in changes:
                    self._idle.clear()
                    part = await self._part(item)
                    self._place = item.epoch, item.position
                    if part is not None and part.is_last:
                        last = part
                        return
                    if part is not None:
                        await self._tell(item, part)
                    self._idle.set()
        except Exception as error:  # noqa: BLE001  Lagging is told, others are masked and logged
            self._failure = error
            last = Part(masked(error, self._guest.viewer.locale), is_last=True)
        finally:
            self._over()
            self._idle.set()
            self._opened.set()
            self._gauges.channels.dec()
            self._end(last)

    async def _part(self, item: Item) -> Part | None:
        """What the seats are told of an event; made once, also for those who come back to it."""
        place = item.epoch, item.position
        if isinstance(item, Delivery) and place in self._known:
            return self._known[place]
        context = self._guest.for_operation()
        at = place_of(context, self._stream.topic, item)
        try:
            value = await told(context, self._stream, item, at)
        except MallError as error:  # what everybody could see is gone
            return Part(self._telling.failed(context, error), at.cursor, is_last=True)
        if isinstance(item, Gap):
            self._gauges.gaps.inc()
            return Part(await self._telling.body(context, value), at.cursor)
        part = None
        if value is not None:
            body = await self._telling.body(context, value)
            part = Part(body, at.cursor, self._stream.merged(item.message))
            self._gauges.events.inc()
        self._known[place] = part
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return part

    async def _tell(self, item: Item, part: Part) -> None:
        for meanwhile in self._joining.values():
            meanwhile.append((item, part))
        seats = list(self._live)
        self._gauges.messages.inc(len(seats))
        for start in range(0, len(seats), _SLICE):
            if start:
                await asyncio.sleep(0)
            for seat in seats[start : start + _SLICE]:
                seat.take(part)

    def _end(self, last: Part) -> None:
        seats, all_left = [*self._live, *self._joining], list(self._live.values())
        self._live.clear()
        self._joining.clear()
        for left in all_left:
            left()
        for seat in seats:
            seat.take(last)


@dataclass
class Channels:
    """The channels of a process, each for as long as somebody follows it."""

    resources: Resources
    gauges: Gauges
    _open: dict[Any, Channel] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._open)

    async def join(self, followed: Followed, seat: Seat) -> Channel | None:
        """Seats a follower; None for one whose stream has to be run for it alone.

        What is wrong with a subscription is told by its own run.
        """
        viewer = followed.context.viewer
        telling = None if viewer.role not in SHOPPERS else telling_of(followed.plan, followed.given)
        if telling is None or not telling.is_common:
            return None
        nobody = Viewer(locale=viewer.locale)
        guest = Context(nobody, self.resources, Pointers(self.resources.database, nobody))
        try:
            stream: Stream | None = telling.asked(STREAM, guest)
            if stream is None or not stream.is_public:
                return None
            after = position_after(followed.context, stream.topic, telling.after)
            channel = self._channel(followed, stream, telling, guest)
            await channel.join(seat, after, followed.context)
        except MallError:
            return None
        return channel

    async def idle(self) -> None:
        """Returns when no channel is telling of an event."""
        for one in list(self._open.values()):
            await one.idle()

    def _channel(
        self, followed: Followed, stream: Stream, telling: Telling, guest: Context
    ) -> Channel:
        given = {**(followed.given or {})}
        given.pop(resuming(followed.plan) or "", None)
        variables = orjson.dumps(given, option=orjson.OPT_SORT_KEYS)
        key = id(followed.plan), variables, guest.viewer.locale
        channel = self._open.get(key)
        if channel is None:
            channel = Channel(
                stream, telling, guest, self.gauges, lambda: self._forget(key, channel)
            )
            self._open[key] = channel
        return channel

    def _forget(self, key: Any, channel: Channel | None) -> None:
        if channel is not None and self._open.get(key) is channel:
            del self._open[key]
