"""Streams of live rooms: what everybody in a room is told, and what its host alone is told."""

from asyncio import gather
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import strawberry

from app import ids
from app.bus import Message
from app.context import Context, Info
from app.errors import NotFound
from app.events import live_room_host_topic, live_room_topic
from app.services import live_rooms
from app.services.live_rooms_seen import runs
from resolvers.pages import After
from resolvers.streams import At, Stream, stream
from schema.live_events import (
    LiveEvent,
    LiveFiguresMoved,
    LiveHostEvent,
    LiveLikesTallied,
    LiveLotteryMoved,
    LiveMessageHeldBack,
    LiveMessageReleased,
    LiveMessagesPosted,
    LiveMuteChanged,
    LiveProductPinned,
    LiveRoomMoved,
    LiveShelfChanged,
    LiveStock,
    LiveStockChanged,
    LiveViewersChanged,
)

RoomId = Annotated[strawberry.ID, strawberry.argument(description="直播间 ID。Its global id.")]
_STATES = {
    "LiveLikesTallied": "likes",
    "LiveViewersChanged": "viewers",
    "LiveShelfChanged": "shelf",
    "LiveFiguresMoved": "figures",
}
"""Events of which the last one says it all."""


Place = dict[str, Any]
Teller = Callable[[Context, Any, Place], Awaitable[Any]]


async def _messages(context: Context, payload: Any, place: Place) -> LiveMessagesPosted:
    posted = await gather(*(context.load.one("LiveMessage", one) for one in payload["message_ids"]))
    shown = [one for one in posted if one is not None]
    return LiveMessagesPosted(**place, messages=shown, skipped=payload["skipped"])


async def _likes(_context: Context, payload: Any, place: Place) -> LiveLikesTallied:
    return LiveLikesTallied(**place, likes=payload["likes"])


async def _viewers(_context: Context, payload: Any, place: Place) -> LiveViewersChanged:
    return LiveViewersChanged(**place, viewers=payload["viewers"], peak=payload["peak"])


async def _stock(_context: Context, payload: Any, place: Place) -> LiveStockChanged:
    left = [
        LiveStock(sku_id=strawberry.ID(ids.encode("Sku", sku_id)), available=available)
        for sku_id, available in payload["stock"]
    ]
    return LiveStockChanged(**place, stock=left)


async def _pin(context: Context, payload: Any, place: Place) -> LiveProductPinned:
    pinned = payload["live_product_id"]
    product = None if pinned is None else await context.load.one("LiveProduct", pinned)
    return LiveProductPinned(**place, product=product)


def _with_one(made: type, name: str, kind: str) -> Teller:
    """Tells of the entity that the event names, as it is now."""

    async def tell(context: Context, payload: Any, place: Place) -> Any:
        return made(**place, **{name: await _one(context, kind, payload[f"{name}_id"])})

    return tell


_TOLD: dict[str, Teller] = {
    "LiveMessagesPosted": _messages,
    "LiveLikesTallied": _likes,
    "LiveViewersChanged": _viewers,
    "LiveStockChanged": _stock,
    "LiveProductPinned": _pin,
    "LiveShelfChanged": _with_one(LiveShelfChanged, "room", "LiveRoom"),
    "LiveRoomMoved": _with_one(LiveRoomMoved, "room", "LiveRoom"),
    "LiveLotteryMoved": _with_one(LiveLotteryMoved, "lottery", "LiveLottery"),
    "LiveMessageHeldBack": _with_one(LiveMessageHeldBack, "message", "LiveMessage"),
    "LiveMessageReleased": _with_one(LiveMessageReleased, "message", "LiveMessage"),
    "LiveMuteChanged": _with_one(LiveMuteChanged, "mute", "LiveMute"),
    "LiveFiguresMoved": _with_one(LiveFiguresMoved, "room", "LiveRoom"),
}


async def _tell(context: Context, message: Message, at: At) -> Any:
    """The GraphQL value of an event; None for a kind that this version does not show."""
    tell = _TOLD.get(message.kind)
    place = {"cursor": at.cursor, "seq": at.seq}
    return None if tell is None else await tell(context, message.payload, place)


def _merged(message: Message) -> str | None:
    return _STATES.get(message.kind)


async def _seen(context: Context, room_id: int) -> Any:
    async with context.resources.database.read() as db:
        return await live_rooms.get(db, context.viewer, room_id)


async def _one(context: Context, kind: str, key: int) -> Any:
    """The entity; NotFound, which ends the stream, once the viewer may not see it any more."""
    found = await context.load.one(kind, key)
    if found is None:
        raise NotFound(kind)
    return found


@strawberry.type
class LiveEventSubscription:
    @stream(
        "直播间里发生的事，人人可见的部分。What happens in a room, as everybody may see it.",
        LiveEvent,
    )
    def live_room_events(
        self,
        info: Info,  # noqa: ARG002
        room_id: RoomId,
        after: After = None,  # noqa: ARG002
    ) -> Stream:
        key = ids.key_of("LiveRoom", room_id)

        async def look(context: Context, at: At) -> LiveRoomMoved:
            await _seen(context, key)
            return LiveRoomMoved(cursor=at.cursor, room=await _one(context, "LiveRoom", key))

        def attend(context: Context) -> Callable[[], None]:
            presence, viewer = context.resources.presence, context.viewer
            presence.entered(key, viewer)
            return lambda: presence.left(key, viewer)

        topic = live_room_topic(key)
        return Stream(topic, look, _tell, is_public=True, merged=_merged, attend=attend)

    @stream(
        "主播专用：被拦下的发言、禁言、业绩。"
        "For the host and staff: messages held back, mutes, figures.",
        LiveHostEvent,
    )
    def live_room_host_events(
        self,
        info: Info,  # noqa: ARG002
        room_id: RoomId,
        after: After = None,  # noqa: ARG002
    ) -> Stream:
        key = ids.key_of("LiveRoom", room_id)

        async def look(context: Context, at: At) -> LiveFiguresMoved:
            if not runs(context.viewer, await _seen(context, key)):
                raise NotFound("LiveRoom")
            return LiveFiguresMoved(cursor=at.cursor, room=await _one(context, "LiveRoom", key))

        return Stream(live_room_host_topic(key), look, _tell, merged=_merged)
