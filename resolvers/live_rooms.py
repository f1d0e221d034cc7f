"""Root fields of live rooms: lists, the host's verbs, the audience's, and the room's stream."""

from typing import Annotated, Any

import strawberry

from app import ids
from app.bus import Message
from app.context import Context, Info
from app.errors import BadUserInput, InvalidInput, NotFound
from app.events import live_room_topic
from app.rules.live_rooms import RoomStatus
from app.services import live_rooms
from resolvers.pages import After, First, checked_first
from resolvers.problems import returns_problems
from resolvers.reads import by_id, root
from resolvers.streams import At, Stream, stream
from schema.common import Connection
from schema.fields import Price
from schema.live_rooms import (
    LikeLiveRoomInput,
    LikeLiveRoomResult,
    LiveEvent,
    LiveLikesTallied,
    LiveMessagePosted,
    LiveProductPinned,
    LiveRoom,
    LiveRoomInput,
    LiveRoomMoved,
    MoveLiveRoomResult,
    PinLiveProductInput,
    PinLiveProductResult,
    PostLiveMessageInput,
    PostLiveMessageResult,
    ScheduleLiveRoomInput,
    ScheduleLiveRoomResult,
)
from schema.reads import ById, PageOf

SHELF_MOST = 100
_MESSAGE = Price(units=10, is_chat=True)


@strawberry.type
class LiveRoomQuery:
    @root("直播间，新的在前。Live rooms, newest first.", Connection[LiveRoom])
    def live_rooms(
        self,
        info: Info,  # noqa: ARG002
        first: First = 20,
        after: After = None,
        status: Annotated[
            RoomStatus | None, strawberry.argument(description="只看某状态。Only this state.")
        ] = None,
    ) -> PageOf:
        return PageOf(
            "LiveRoom",
            Connection,
            live_rooms.listing,
            {"status": status},
            first=checked_first(first),
            after=after,
            scope=f"liveRooms:{status}",
        )

    @root("一个直播间。One room.", LiveRoom | None)
    def live_room(
        self,
        info: Info,  # noqa: ARG002
        id: Annotated[strawberry.ID, strawberry.argument(description="直播间 ID。Its global id.")],
    ) -> ById:
        return by_id("LiveRoom", id)


@strawberry.type
class LiveRoomMutation:
    @strawberry.mutation(description="预告直播，主播专用。Schedules a room; hosts only.")
    @returns_problems
    async def schedule_live_room(
        self,
        info: Info,
        input: Annotated[
            ScheduleLiveRoomInput, strawberry.argument(description="直播内容。What to show.")
        ],
    ) -> ScheduleLiveRoomResult:
        viewer = info.context.viewer
        if len(input.products) > SHELF_MOST:
            raise BadUserInput("products", f"至多 {SHELF_MOST} 件", f"at most {SHELF_MOST}")
        if input.starts_at.tzinfo is None:
            raise InvalidInput("startsAt", "开播时间须带时区", "needs a time zone")
        room_id = await info.context.resources.database.change(
            live_rooms.schedule,
            viewer,
            title=input.title,
            starts_at=input.starts_at,
            goods=[(ids.key_of("Sku", one.sku_id), one.live_price) for one in input.products],
        )
        return await info.context.load.one("LiveRoom", room_id)

    @strawberry.mutation(description="开播，主播专用。Goes live; the host only.")
    @returns_problems
    async def start_live_room(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> MoveLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.start)

    @strawberry.mutation(description="下播，主播专用。Ends the show; the host only.")
    @returns_problems
    async def end_live_room(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> MoveLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.end)

    @strawberry.mutation(description="讲解一件商品，主播专用。Shows one product; the host only.")
    @returns_problems
    async def pin_live_product(
        self,
        info: Info,
        input: Annotated[
            PinLiveProductInput, strawberry.argument(description="讲解哪件。What to show.")
        ],
    ) -> PinLiveProductResult:
        room_id = ids.key_of("LiveRoom", input.room_id)
        product = input.live_product_id
        await info.context.resources.database.change(
            live_rooms.pin_product,
            info.context.viewer,
            room_id=room_id,
            live_product_id=None if product is None else ids.key_of("LiveProduct", product),
        )
        return await info.context.load.one("LiveRoom", room_id)

    @strawberry.mutation(description="发言。Posts a message.", metadata=_MESSAGE.metadata())
    @returns_problems
    async def post_live_message(
        self,
        info: Info,
        input: Annotated[
            PostLiveMessageInput, strawberry.argument(description="发言内容。What to say.")
        ],
    ) -> PostLiveMessageResult:
        room_id = ids.key_of("LiveRoom", input.room_id)
        message_id = await info.context.resources.database.change(
            live_rooms.post_message, info.context.viewer, room_id=room_id, text=input.text
        )
        return await info.context.load.one("LiveMessage", message_id)

    @strawberry.mutation(description="点赞，游客也可以。Likes a room; guests may too.")
    @returns_problems
    async def like_live_room(
        self,
        info: Info,
        input: Annotated[LikeLiveRoomInput, strawberry.argument(description="点赞。The likes.")],
    ) -> LikeLiveRoomResult:
        room_id = ids.key_of("LiveRoom", input.room_id)
        await info.context.resources.database.change(
            live_rooms.like, info.context.viewer, room_id=room_id, count=input.count
        )
        return await info.context.load.one("LiveRoom", room_id)


@strawberry.type
class LiveRoomSubscription:
    @stream(
        "直播间里发生的事，人人可见的部分。What happens in a room, as everybody may see it.",
        LiveEvent,
    )
    def live_room_events(
        self,
        info: Info,  # noqa: ARG002
        room_id: Annotated[
            strawberry.ID, strawberry.argument(description="直播间 ID。Its global id.")
        ],
        after: After = None,  # noqa: ARG002
    ) -> Stream:
        key = ids.key_of("LiveRoom", room_id)

        async def look(context: Context, at: At) -> LiveRoomMoved:
            async with context.resources.database.read() as db:
                row = await live_rooms.get(db, context.viewer, key)
            return LiveRoomMoved(cursor=at.cursor, room=LiveRoom.of(row))

        return Stream(live_room_topic(key), look, _told, is_public=True, merged=_merged)


async def _told(context: Context, message: Message, at: At) -> Any:
    """The GraphQL value of an event; None for a kind that this version does not show."""
    payload, load = message.payload, context.load
    place: Any = {"cursor": at.cursor, "seq": at.seq}
    match message.kind:
        case "LiveMessagePosted":
            posted = await load.one("LiveMessage", payload["message_id"])
            return None if posted is None else LiveMessagePosted(**place, message=posted)
        case "LiveLikesTallied":
            return LiveLikesTallied(**place, likes=payload["likes"])
        case "LiveProductPinned":
            pinned = payload["live_product_id"]
            product = None if pinned is None else await load.one("LiveProduct", pinned)
            return LiveProductPinned(**place, product=product)
        case "LiveRoomMoved":
            room = await load.one("LiveRoom", payload["room_id"])
            if room is None:  # not shown to the viewer any more
                raise NotFound("LiveRoom")
            return LiveRoomMoved(**place, room=room)
    return None


def _merged(message: Message) -> str | None:
    return "likes" if message.kind == "LiveLikesTallied" else None


async def _moved(context: Context, global_id: str, move: Any) -> Any:
    room_id = ids.key_of("LiveRoom", global_id)
    await context.resources.database.change(move, context.viewer, room_id=room_id)
    return await context.load.one("LiveRoom", room_id)
