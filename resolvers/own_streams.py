"""Streams of what is the viewer's own: they open with a cursor, and end with the right to them."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.bus import Message
from app.context import Context
from app.services import accounts
from resolvers.streams import At, Stream
from schema.common import StreamOpened

Tell = Callable[[Context, Message, At], Awaitable[Any]]


def own_stream(topic: str, tell: Tell) -> Stream:
    """A stream that says StreamOpened at once, so that even who has seen nothing yet can resume.

    Whoever queries after that and then takes what the stream tells misses nothing. Whether the
    viewer still holds the role is looked at before every event: its session may have ended
    elsewhere.
    """
    return Stream(topic, _look, tell)


async def _look(context: Context, at: At) -> StreamOpened:
    viewer = context.viewer
    await context.resources.database.look(lambda db: accounts.check_held(db, viewer))
    return StreamOpened(cursor=at.cursor)
