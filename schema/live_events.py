"""What a live room tells its audience as it happens, and what it tells its host alone."""

from typing import Annotated

import strawberry

from schema.common import StreamEvent, StreamGap
from schema.refs import (
    LiveLotteryRef,
    LiveMessageRef,
    LiveMuteRef,
    LiveProductRef,
    LiveRoomRef,
)


@strawberry.type(
    description="一批新发言，每秒至多四批。Messages were posted; told in batches, four a second."
)
class LiveMessagesPosted(StreamEvent):
    messages: list[LiveMessageRef] = strawberry.field(
        description="发言，至多 50 条，旧的在前。At most 50, oldest first."
    )
    skipped: int = strawberry.field(
        description="这一批中未推送的条数，可在 recentMessages 与回放中读到。"
        "How many more there were; they are in recentMessages and in the replay."
    )


@strawberry.type(description="点赞数变化。The likes have grown.")
class LiveLikesTallied(StreamEvent):
    likes: int = strawberry.field(description="总点赞数。All likes.")


@strawberry.type(description="观看人数变化。The number of viewers has changed.")
class LiveViewersChanged(StreamEvent):
    viewers: int = strawberry.field(description="正在观看的人数。Persons watching now.")
    peak: int = strawberry.field(description="最高同时观看人数。Most at one time.")


@strawberry.type(description="一个规格的可售数量。Units that are left of a SKU.")
class LiveStock:
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")
    available: int = strawberry.field(description="可售数量。Units left.")


@strawberry.type(description="直播间商品的库存变化。The stock of goods of the room has changed.")
class LiveStockChanged(StreamEvent):
    stock: list[LiveStock] = strawberry.field(
        description="有变化的规格，至多 100 个。The SKUs that changed, at most 100."
    )


@strawberry.type(description="讲解商品变化。Another product is shown.")
class LiveProductPinned(StreamEvent):
    product: LiveProductRef | None = strawberry.field(
        description="讲解中的商品。Null when none is."
    )


@strawberry.type(description="商品上下架或换序。Goods have come, gone or changed places.")
class LiveShelfChanged(StreamEvent):
    room: LiveRoomRef = strawberry.field(description="直播间现状。The room as it is now.")


@strawberry.type(description="直播间状态变化。The room has moved to another state.")
class LiveRoomMoved(StreamEvent):
    room: LiveRoomRef = strawberry.field(description="直播间现状。The room as it is now.")


@strawberry.type(description="抽奖开始、开奖或取消。A lottery was opened, drawn or called off.")
class LiveLotteryMoved(StreamEvent):
    lottery: LiveLotteryRef = strawberry.field(description="抽奖现状。The lottery as it is now.")


@strawberry.type(description="一条发言被拦下。A message was held back.")
class LiveMessageHeldBack(StreamEvent):
    message: LiveMessageRef = strawberry.field(description="发言。The message.")


@strawberry.type(description="一条被拦下的发言已放行。A message was released to the audience.")
class LiveMessageReleased(StreamEvent):
    message: LiveMessageRef = strawberry.field(description="发言。The message.")


@strawberry.type(description="有人被禁言或解除禁言。Somebody was muted, or may write again.")
class LiveMuteChanged(StreamEvent):
    mute: LiveMuteRef = strawberry.field(description="禁言现状。The mute as it is now.")


@strawberry.type(description="业绩变化。The figures of the room have grown.")
class LiveFiguresMoved(StreamEvent):
    room: LiveRoomRef = strawberry.field(
        description="直播间现状，含业绩。The room with its figures."
    )


LiveEvent = Annotated[
    LiveMessagesPosted
    | LiveLikesTallied
    | LiveViewersChanged
    | LiveStockChanged
    | LiveProductPinned
    | LiveShelfChanged
    | LiveRoomMoved
    | LiveLotteryMoved
    | StreamGap,
    strawberry.union("LiveEvent", description="直播间事件。An event of a room."),
]
LiveHostEvent = Annotated[
    LiveMessageHeldBack | LiveMessageReleased | LiveMuteChanged | LiveFiguresMoved | StreamGap,
    strawberry.union(
        "LiveHostEvent", description="主播专用的直播间事件。An event for the host of a room."
    ),
]
