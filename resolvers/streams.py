"""What all subscriptions share: signed cursors of a topic, and what a gap is."""

from app.bus import Delivery, Gap
from app.context import Context
from app.errors import BadCursor
from schema.common import StreamGap


def position_after(context: Context, topic: str, after: str | None) -> tuple[str, str] | None:
    """(epoch, position) that the cursor to go on from carries. Raises BadCursor."""
    after = context.resumed(after)
    if after is None:
        return None
    values = context.resources.cursors.read(topic, after)
    if len(values) != 2 or not all(isinstance(value, str) for value in values):
        raise BadCursor
    return values[0], values[1]


def cursor(context: Context, topic: str, place: Delivery | Gap | tuple[str, str]) -> str:
    epoch, position = place if isinstance(place, tuple) else (place.epoch, place.position)
    return context.reached(context.resources.cursors.sign(topic, [epoch, position]))


def gap(context: Context, topic: str, place: Gap) -> StreamGap:
    return StreamGap(cursor=cursor(context, topic, place))
