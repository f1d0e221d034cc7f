"""Live rooms as clients see them."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.rules.live_rooms import RoomStatus
from app.services import live_rooms
from schema.common import Money, StreamEvent, StreamGap
from schema.fields import Entity, batch, column, computed, entity, key, many, one
from schema.problems import (
    InvalidInputProblem,
    MessageRefusedProblem,
    NotFoundProblem,
    RoomNotLiveProblem,
    SkuUnavailableProblem,
    TooOftenProblem,
    WrongStateProblem,
)
from schema.refs import (
    LiveMessageRef,
    LiveProductRef,
    LiveRoomRef,
    ProductRef,
    SkuRef,
    SupplierRef,
)

strawberry.enum(RoomStatus, name="LiveRoomStatus", description="直播间状态。State of a room.")


@entity(
    "直播间的一条发言。A message of the audience.",
    visible_to=live_rooms.messages_visible_to,
    is_common=True,
)
class LiveMessage(Entity):
    id: strawberry.ID = key()
    seq: int = column("序号，从 1 连续。Counts from 1 in its room.")
    text: str = column("内容。The text.")
    nickname: str = batch(
        live_rooms.nicknames, "昵称（脱敏）。Masked nickname.", columns=("account_id",)
    )
    created_at: datetime = column("时间。When.")


@entity(
    "直播间里的商品。Goods shown in a room.",
    visible_to=live_rooms.products_visible_to,
    is_common=True,
)
class LiveProduct(Entity):
    id: strawberry.ID = key()
    position: int = column("顺序。Place in the list.")
    is_pinned: bool = column("是否正在讲解。Shown right now.")
    live_price: Money = computed(
        "live_price_fen",
        by=Money.of,
        description="直播价，直播中加购有效。Price while the room is live.",
    )
    product: ProductRef | None = one("product_id", "Product", "商品。The product.")
    sku: SkuRef | None = one("sku_id", "Sku", "规格。The SKU.")


@entity(
    "直播间。A live-stream room.",
    visible_to=live_rooms.visible_to,
    is_common=True,
)
class LiveRoom(Entity):
    id: strawberry.ID = key()
    title: str = column("标题。Title.")
    cover: str = column("封面地址。Address of the cover.")
    status: RoomStatus = computed("status", by=RoomStatus, description="状态。State.")
    starts_at: datetime = column("预告时间。Announced for.")
    started_at: datetime | None = column("开播时间。Went live at.")
    ended_at: datetime | None = column("结束时间。Ended at.")
    likes: int = column("点赞数。Likes.", name="like_count")
    host_name: str = batch(live_rooms.host_names, "主播昵称。The host.", columns=("host_id",))
    supplier: SupplierRef | None = one("supplier_id", "Supplier", "供应商。The supplier, if one.")
    products: list[LiveProductRef] = many(
        "LiveProduct", "room_id", "商品。Goods of the room.", order=("position", "id")
    )
    pinned: list[LiveProductRef] = many(
        "LiveProduct",
        "room_id",
        "正在讲解的商品，至多一件。At most one: what is shown right now.",
        where={"is_pinned": True},
        limit=1,
    )
    recent_messages: list[LiveMessageRef] = many(
        "LiveMessage", "room_id", "最近发言，新的在前。Newest first.", order=("-seq",), limit=50
    )


@strawberry.type(description="新发言。A message was posted.")
class LiveMessagePosted(StreamEvent):
    message: LiveMessageRef = strawberry.field(description="发言。The message.")


@strawberry.type(description="点赞数变化。The likes have grown.")
class LiveLikesTallied(StreamEvent):
    likes: int = strawberry.field(description="总点赞数。All likes.")


@strawberry.type(description="讲解商品变化。Another product is shown.")
class LiveProductPinned(StreamEvent):
    product: LiveProductRef | None = strawberry.field(
        description="讲解中的商品。Null when none is."
    )


@strawberry.type(description="直播间状态变化。The room has moved to another state.")
class LiveRoomMoved(StreamEvent):
    room: LiveRoomRef = strawberry.field(description="直播间现状。The room as it is now.")


LiveEvent = Annotated[
    LiveMessagePosted | LiveLikesTallied | LiveProductPinned | LiveRoomMoved | StreamGap,
    strawberry.union("LiveEvent", description="直播间事件。An event of a room."),
]


@strawberry.input(description="预告直播间里的一件商品。Goods to be shown in a room.")
class LiveProductInput:
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")
    live_price: int = strawberry.field(description="直播价（分）。Price while live, in fen.")


@strawberry.input(description="预告直播。Schedules a room.")
class ScheduleLiveRoomInput:
    title: str = strawberry.field(description="标题。Title.")
    starts_at: datetime = strawberry.field(description="开始时间。Begins at.")
    products: list[LiveProductInput] = strawberry.field(
        default_factory=list, description="商品，至多 100 件。Goods, at most 100."
    )


@strawberry.input(description="指定直播间。Names a room.")
class LiveRoomInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")


@strawberry.input(description="讲解一件商品。Shows one product to the audience.")
class PinLiveProductInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")
    live_product_id: strawberry.ID | None = strawberry.field(
        default=None, description="商品，缺省为取消讲解。By default takes the pin away."
    )


@strawberry.input(description="发言。Posts a message.")
class PostLiveMessageInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")
    text: str = strawberry.field(description="内容，1-200 字。1 to 200 characters.")


@strawberry.input(description="点赞。Likes a room.")
class LikeLiveRoomInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")
    count: int = strawberry.field(default=1, description="次数，1-100。Times, 1 to 100.")


_STATE = "直播间或拒绝原因。The room or why not."
ScheduleLiveRoomResult = Annotated[
    LiveRoom | NotFoundProblem | InvalidInputProblem | SkuUnavailableProblem | RoomNotLiveProblem,
    strawberry.union("ScheduleLiveRoomResult", description=_STATE),
]
MoveLiveRoomResult = Annotated[
    LiveRoom | NotFoundProblem | WrongStateProblem,
    strawberry.union("MoveLiveRoomResult", description=_STATE),
]
PinLiveProductResult = Annotated[
    LiveRoom | NotFoundProblem | RoomNotLiveProblem,
    strawberry.union("PinLiveProductResult", description=_STATE),
]
PostLiveMessageResult = Annotated[
    LiveMessage | NotFoundProblem | RoomNotLiveProblem | MessageRefusedProblem | TooOftenProblem,
    strawberry.union(
        "PostLiveMessageResult", description="发言或拒绝原因。The message or why not."
    ),
]
LikeLiveRoomResult = Annotated[
    LiveRoom | NotFoundProblem | RoomNotLiveProblem | InvalidInputProblem,
    strawberry.union("LikeLiveRoomResult", description=_STATE),
]
