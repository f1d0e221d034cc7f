"""Root fields of live rooms: lists, replays, and the verbs of those who run a room."""

from typing import Annotated, Any

import strawberry

from app import ids
from app.context import Context, Info
from app.errors import BadUserInput, InvalidInput
from app.rules.live_rooms import RoomStatus
from app.services import live_rooms, live_rooms_log, live_rooms_shelf
from resolvers.pages import After, First, checked_first
from resolvers.problems import returns_problems
from resolvers.reads import by_id, place_of, root
from schema.common import Connection
from schema.live_rooms import (
    AddLiveProductInput,
    BanLiveRoomInput,
    BanLiveRoomResult,
    BeatLiveRoomResult,
    LiveRoom,
    LiveRoomEvent,
    LiveRoomInput,
    MoveLiveRoomResult,
    PinLiveProductInput,
    PinLiveProductResult,
    RemoveLiveProductInput,
    ReorderLiveProductsInput,
    ScheduleLiveRoomInput,
    ScheduleLiveRoomResult,
    ShelveLiveProductResult,
)
from schema.reads import ById, PageOf

SHELF_MOST = 100


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

    @root(
        "直播间的日志，旧的在前，下播后仍可读：观众当时看到的事件。"
        "What happened in a room, oldest first, also after its end, as the audience was told.",
        Connection[LiveRoomEvent],
    )
    def live_room_replay(
        self,
        info: Info,  # noqa: ARG002
        room_id: Annotated[
            strawberry.ID, strawberry.argument(description="直播间 ID。Its global id.")
        ],
        after_seq: Annotated[
            int, strawberry.argument(description="从此序号之后开始。Begins past this number.")
        ] = 0,
        first: First = 50,
        after: After = None,
    ) -> PageOf:
        place = place_of(room_id)
        key = place[1] if place is not None and place[0] == "LiveRoom" else 0
        return PageOf(
            "LiveRoomEvent",
            Connection,
            live_rooms_log.listing,
            {"room_id": key, "after_seq": after_seq},
            first=checked_first(first),
            after=after,
            scope=f"liveRoomReplay:{room_id}:{after_seq}",
        )


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

    @strawberry.mutation(
        description="开播，或暂停后继续，主播专用。Goes live, or on after a pause; the host only."
    )
    @returns_problems
    async def start_live_room(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> MoveLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.start)

    @strawberry.mutation(
        description="暂停直播，主播专用；直播价暂不生效，15 分钟后自动下播。"
        "Pauses the show; the host only. It ends in 15 minutes."
    )
    @returns_problems
    async def pause_live_room(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> MoveLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.pause)

    @strawberry.mutation(
        description="主播心跳，每 10 秒一次；30 秒收不到即暂停。"
        "The host is there: every 10 s, or the room is paused after 30."
    )
    @returns_problems
    async def beat_live_room(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> BeatLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.beat)

    @strawberry.mutation(description="下播，主播专用。Ends the show; the host only.")
    @returns_problems
    async def end_live_room(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> MoveLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.end)

    @strawberry.mutation(
        description="取消预告，主播专用。Calls off a show that has not begun; the host only."
    )
    @returns_problems
    async def cancel_live_room(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> MoveLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.cancel)

    @strawberry.mutation(
        description="开放回放，主播专用。Opens the replay of an ended show; the host only."
    )
    @returns_problems
    async def offer_live_room_replay(
        self,
        info: Info,
        input: Annotated[LiveRoomInput, strawberry.argument(description="哪个直播间。Which room.")],
    ) -> MoveLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.offer_replay)

    @strawberry.mutation(description="封禁直播间，客服与管理员专用。Bans a room; staff only.")
    @returns_problems
    async def ban_live_room(
        self,
        info: Info,
        input: Annotated[
            BanLiveRoomInput, strawberry.argument(description="哪个及原因。Which one and why.")
        ],
    ) -> BanLiveRoomResult:
        return await _moved(info.context, input.room_id, live_rooms.ban, reason=input.reason)

    @strawberry.mutation(
        description="上架一件商品，主播专用。Puts goods on the room's shelf; the host only."
    )
    @returns_problems
    async def add_live_product(
        self,
        info: Info,
        input: Annotated[
            AddLiveProductInput, strawberry.argument(description="上架哪件。What to add.")
        ],
    ) -> ShelveLiveProductResult:
        room_id = ids.key_of("LiveRoom", input.room_id)
        await info.context.resources.database.change(
            live_rooms_shelf.add,
            info.context.viewer,
            room_id=room_id,
            sku_id=ids.key_of("Sku", input.sku_id),
            live_price_fen=input.live_price,
        )
        return await info.context.load.one("LiveRoom", room_id)

    @strawberry.mutation(
        description="下架一件商品，主播专用。Takes goods off the room's shelf; the host only."
    )
    @returns_problems
    async def remove_live_product(
        self,
        info: Info,
        input: Annotated[
            RemoveLiveProductInput, strawberry.argument(description="下架哪件。What to take away.")
        ],
    ) -> ShelveLiveProductResult:
        room_id = await info.context.resources.database.change(
            live_rooms_shelf.remove,
            info.context.viewer,
            live_product_id=ids.key_of("LiveProduct", input.live_product_id),
        )
        return await info.context.load.one("LiveRoom", room_id)

    @strawberry.mutation(
        description="调整商品顺序，主播专用。Puts goods in another order; the host only."
    )
    @returns_problems
    async def reorder_live_products(
        self,
        info: Info,
        input: Annotated[
            ReorderLiveProductsInput, strawberry.argument(description="新的顺序。The new order.")
        ],
    ) -> ShelveLiveProductResult:
        named = input.live_product_ids
        if len(named) > SHELF_MOST:
            raise BadUserInput("liveProductIds", f"至多 {SHELF_MOST} 件", f"at most {SHELF_MOST}")
        return await _moved(
            info.context,
            input.room_id,
            live_rooms_shelf.reorder,
            live_product_ids=[ids.key_of("LiveProduct", one) for one in named],
        )

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
            live_rooms_shelf.pin,
            info.context.viewer,
            room_id=room_id,
            live_product_id=None if product is None else ids.key_of("LiveProduct", product),
        )
        return await info.context.load.one("LiveRoom", room_id)


async def _moved(context: Context, global_id: str, deed: Any, **named: Any) -> Any:
    """The room after one deed on it."""
    room_id = ids.key_of("LiveRoom", global_id)
    await context.resources.database.change(deed, context.viewer, room_id=room_id, **named)
    return await context.load.one("LiveRoom", room_id)
