"""What subscriptions share: what a stream is, signed cursors of its topic, and what a gap is."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from functools import wraps
from typing import Any

import strawberry

from app.bus import Delivery, Gap, Item, Message
from app.context import Context, Info
from app.errors import BadCursor
from schema.common import StreamGap
from schema.fields import USUAL, Price

STREAM = "jishi.stream"
"""Where the metadata of a subscription's strawberry field keeps its function."""


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class At:
    """Where in its topic an event stands: what a client goes on from, and its number there."""

    cursor: str
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """What one subscription follows, as data: the transports may share one run among many.

    `look` gives what a newcomer is shown first, or None; it raises NotFound for what the viewer may
    not see, so it is asked for those who come back, too, and again before every event. `tell` gives
    the value of an event, None for one that is not shown. A public stream tells everybody alike,
    what a guest may see. `merged` names what an event only brings up to date: where too much waits,
    it gives way to the next of that name; None for events that must all arrive. `wanted` says which
    events of the topic concern the stream, where others may share it. `attend` is told of everybody
    who begins to follow, and gives what is called when they leave.
    """

    topic: str
    look: Callable[[Context, At], Awaitable[Any]]
    tell: Callable[[Context, Message, At], Awaitable[Any]]
    is_public: bool = False
    merged: Callable[[Message], str | None] = lambda _message: None
    wanted: Callable[[Message], bool] | None = None
    attend: Callable[[Context], Callable[[], None]] = lambda _context: _nothing


def stream(
    description: str, answer: Any, *, price: Price = USUAL
) -> Callable[[Callable[..., Stream]], Any]:
    """A root field of subscriptions of GraphQL type `answer`; its function does no input or output.

    The function gets self, info and the arguments by name, always with an `after`, which is looked
    after here. A MallError that it raises is the error of the field.
    """

    def make(function: Callable[..., Stream]) -> Any:
        @wraps(function)
        async def follow(self: Any, info: Info, **arguments: Any) -> AsyncGenerator[Any]:
            followed = follow_stream(
                info.context, function(self, info, **arguments), arguments.get("after")
            )
            async with aclosing(followed) as values:
                async for value in values:
                    yield value

        return strawberry.subscription(
            resolver=follow,
            description=description,
            graphql_type=answer,
            metadata={STREAM: function, **price.metadata()},
        )

    return make


async def follow_stream(context: Context, stream: Stream, after: str | None) -> AsyncGenerator[Any]:
    """What the subscriber is told, from the cursor `after` on or with a first look."""
    place = position_after(context, stream.topic, after)
    subscribe = context.resources.bus.subscribe
    async with subscribe(
        stream.topic, after=place, merged=stream.merged, wanted=stream.wanted
    ) as changes:
        # subscribed first, so that no change falls between the look and the stream
        start = At(signed(context, stream.topic, changes.start))
        first = await stream.look(context, start)
        with ExitStack() as attending:
            attending.callback(stream.attend(context))
            if place is None and first is not None:
                context.reached(start.cursor)
                yield first
            async for item in changes:
                context.look_again()
                at = place_of(context, stream.topic, item)
                value = await told(context, stream, item, at)
                if value is not None:
                    context.reached(at.cursor)
                    yield value


async def told(context: Context, stream: Stream, item: Item, at: At) -> Any:
    """The value of one item of a stream's topic. Raises NotFound when it may be seen no more."""
    if isinstance(item, Gap):
        return StreamGap(cursor=at.cursor)
    if stream.wanted is not None and not stream.wanted(item.message):
        return None
    await stream.look(context, at)
    return await stream.tell(context, item.message, at)


def place_of(context: Context, topic: str, item: Item) -> At:
    seq = item.message.seq if isinstance(item, Delivery) else None
    return At(signed(context, topic, (item.epoch, item.position)), seq)


def position_after(context: Context, topic: str, after: str | None) -> tuple[str, str] | None:
    """(epoch, position) that the cursor to go on from carries. Raises BadCursor."""
    after = context.resumed(after)
    if after is None:
        return None
    values = context.resources.cursors.read(topic, after)
    if len(values) != 2 or not all(isinstance(value, str) for value in values):
        raise BadCursor
    return values[0], values[1]


def signed(context: Context, topic: str, place: tuple[str, str]) -> str:
    """The cursor of (epoch, position)."""
    return context.resources.cursors.sign(topic, list(place))
