"""Live rooms as clients see them."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.rules.live_rooms import RoomEventKind, RoomStatus
from app.services import (
    live_rooms,
    live_rooms_figures,
    live_rooms_log,
    live_rooms_shelf,
    live_rooms_talk,
)
from app.services.live_rooms_figures import Figures
from app.services.live_rooms_log import Details
from schema.common import Money
from schema.fields import Entity, Price, batch, column, computed, entity, key, many, one
from schema.problems import (
    InvalidInputProblem,
    MessageRefusedProblem,
    MutedProblem,
    NotFoundProblem,
    RoomNotLiveProblem,
    SkuUnavailableProblem,
    TooOftenProblem,
    WrongStateProblem,
)
from schema.refs import (
    LiveLotteryRef,
    LiveMessageRef,
    LiveMuteRef,
    LiveProductRef,
    ProductRef,
    SkuRef,
    SupplierRef,
)

strawberry.enum(
    RoomEventKind, name="LiveRoomEventKind", description="日志事件种类。Kinds of logged events."
)
strawberry.enum(RoomStatus, name="LiveRoomStatus", description="直播间状态。State of a room.")


@strawberry.type(description="直播间的业绩，仅主播与客服可见。What a room has come to.")
class LiveFigures:
    messages: int = strawberry.field(description="发言数。Messages.")
    likes: int = strawberry.field(description="点赞数。Likes.")
    viewers_total: int = strawberry.field(description="累计观看人数。Persons who have watched.")
    viewers_peak: int = strawberry.field(description="最高同时观看人数。Most at one time.")
    orders: int = strawberry.field(description="已付款订单数。Orders paid for.")
    units: int = strawberry.field(description="已付款件数。Units paid for.")
    turnover: Money = strawberry.field(description="成交额。Turnover.")
    is_final: bool = strawberry.field(
        description="下播时定格，之后的付款与退款不计入。Written when the show ended."
    )


@strawberry.type(description="回放中的一条发言。A message in a replay.")
class LiveLine:
    seq: int = strawberry.field(description="序号。Its number.")
    nickname: str = strawberry.field(description="昵称（脱敏）。Masked nickname.")
    text: str = strawberry.field(description="内容。The text.")
    created_at: datetime = strawberry.field(description="时间。When.")


@strawberry.type(description="日志事件的内容，与种类无关的为空。What an event tells; else null.")
class LiveEventDetails:
    status: RoomStatus | None = strawberry.field(description="直播间状态。State moved to.")
    live_price: Money | None = strawberry.field(description="当时的直播价。The price then.")
    is_shelved: bool | None = strawberry.field(description="上架还是下架。Put up or taken away.")
    likes: int | None = strawberry.field(description="当时点赞数。Likes then.")
    viewers: int | None = strawberry.field(description="当时观看人数。Viewers then.")
    messages: list[LiveLine] = strawberry.field(description="这一批发言。The messages posted.")


def _figures(figures: Figures | None) -> LiveFigures | None:
    if figures is None:
        return None
    return LiveFigures(
        messages=figures.messages,
        likes=figures.likes,
        viewers_total=figures.viewers_total,
        viewers_peak=figures.viewers_peak,
        orders=figures.orders,
        units=figures.units,
        turnover=Money.of(figures.turnover_fen),
        is_final=figures.is_final,
    )


def _details(details: Details) -> LiveEventDetails:
    facts = details.facts
    status = facts.get("status")
    return LiveEventDetails(
        status=None if status is None else RoomStatus(status),
        live_price=Money.maybe(facts.get("price_fen")),
        is_shelved=facts.get("is_shelved"),
        likes=facts.get("likes"),
        viewers=facts.get("viewers"),
        messages=[
            LiveLine(
                seq=line.seq, nickname=line.nickname, text=line.text, created_at=line.created_at
            )
            for line in details.lines
        ],
    )


@entity(
    "直播间的一条发言。A message of the audience.",
    visible_to=live_rooms_talk.messages_visible_to,
    is_common=True,
)
class LiveMessage(Entity):
    id: strawberry.ID = key()
    seq: int = column(
        "序号，从 1 起；被拦下的发言也占号，放行时换新号。"
        "Counts from 1; a message that was held back gets a new one when it is released."
    )
    text: str = column("内容。The text.")
    is_held_back: bool = column(
        "是否被拦下，只有作者、主播与客服能看到。Shown to its author, the host and staff only.",
        name="is_hidden",
    )
    nickname: str = batch(
        live_rooms_talk.nicknames, "昵称（脱敏）。Masked nickname.", columns=("account_id",)
    )
    created_at: datetime = column("时间。When.")


@entity(
    "直播间里的商品。Goods shown in a room.",
    visible_to=live_rooms_shelf.products_visible_to,
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
    viewers: int = column(
        "正在观看的人数，每人只计一次。Persons watching now, each counted once.",
        name="viewer_count",
    )
    viewers_peak: int = column("最高同时观看人数。Most at one time.", name="viewer_peak")
    viewers_total: int = column("累计观看人数。Persons who have watched.", name="viewer_total")
    ban_reason: str | None = column("被封禁的原因。Why it was banned.")
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
    held_back: list[LiveMessageRef] = many(
        "LiveMessage",
        "room_id",
        "被拦下的发言；观众只看到自己的。Messages held back; the audience sees its own.",
        order=("-seq",),
        where={"is_hidden": True},
        limit=50,
    )
    mutes: list[LiveMuteRef] = many(
        "LiveMute",
        "room_id",
        "未解除的禁言，仅主播与客服可见。Mutes in force, for the host and staff.",
        order=("-id",),
        where={"is_lifted": False},
    )
    lotteries: list[LiveLotteryRef] = many(
        "LiveLottery",
        "room_id",
        "抽奖，新的在前。Lotteries, newest first.",
        order=("-id",),
        limit=20,
    )
    figures: LiveFigures | None = batch(
        live_rooms_figures.of_rooms,
        "业绩，仅主播与客服可见。For the host and staff; else null.",
        columns=("host_id",),
        wrap=_figures,
        live=True,
    )


@entity(
    "直播间的禁言，仅主播与客服可见。A mute, for the host and staff.",
    visible_to=live_rooms_talk.mutes_visible_to,
)
class LiveMute(Entity):
    id: strawberry.ID = key()
    nickname: str = batch(
        live_rooms_talk.nicknames, "昵称（脱敏）。Masked nickname.", columns=("account_id",)
    )
    until: datetime | None = column("到何时，空为永久。Until when; null for good.")
    is_lifted: bool = column("是否已解除。Lifted.")
    created_at: datetime = column("时间。Since.")


@entity(
    "直播间日志中的一条，用于回放。An event of a room's log, for replays.",
    visible_to=live_rooms_log.visible_to,
    is_common=True,
)
class LiveRoomEvent(Entity):
    id: strawberry.ID = key()
    seq: int = column(
        "序号，只增；观众不可见的事件也占号。"
        "Only grows; events that the audience does not see count too."
    )
    kind: RoomEventKind = computed("kind", by=RoomEventKind, description="种类。Kind.")
    created_at: datetime = column("时间。When.")
    details: LiveEventDetails = batch(
        live_rooms_log.details,
        "内容，按种类给出。What the kind tells of.",
        columns=("room_id", "kind", "data"),
        wrap=_details,
        price=Price(size=50),
    )
    sku: SkuRef | None = one("sku_id", "Sku", "讲解或上下架的规格。The SKU pinned or shelved.")
    lottery: LiveLotteryRef | None = one("lottery_id", "LiveLottery", "抽奖。The lottery.")
    message: LiveMessageRef | None = one(
        "message_id", "LiveMessage", "被拦下或放行的发言。The message held back or released."
    )


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


@strawberry.input(description="上架一件商品。Puts goods on the shelf of a room.")
class AddLiveProductInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")
    live_price: int | None = strawberry.field(
        default=None, description="直播价（分），缺省为店价。In fen; by default the shop's price."
    )


@strawberry.input(description="下架一件商品。Takes goods off the shelf of a room.")
class RemoveLiveProductInput:
    live_product_id: strawberry.ID = strawberry.field(description="哪件。Which.")


@strawberry.input(description="调整商品顺序。Puts goods in another order.")
class ReorderLiveProductsInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")
    live_product_ids: list[strawberry.ID] = strawberry.field(
        description="排在最前的商品，至多 100 件，其余随后。What comes first; the rest follows."
    )


@strawberry.input(description="封禁直播间。Bans a room.")
class BanLiveRoomInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")
    reason: str = strawberry.field(description="原因，1-100 字。1 to 100 characters.")


@strawberry.input(description="禁言一条发言的作者。Mutes the author of a message.")
class MuteLiveViewerInput:
    message_id: strawberry.ID = strawberry.field(description="哪条发言的作者。Whose message.")
    seconds: int | None = strawberry.field(
        default=None, description="多少秒，缺省为永久。How long; by default for good."
    )


@strawberry.input(description="解除禁言。Lifts a mute.")
class LiftLiveMuteInput:
    mute_id: strawberry.ID = strawberry.field(description="哪个禁言。Which mute.")


@strawberry.input(description="放行一条发言。Releases a message.")
class ReleaseLiveMessageInput:
    message_id: strawberry.ID = strawberry.field(description="哪条发言。Which message.")


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
BeatLiveRoomResult = Annotated[
    LiveRoom | NotFoundProblem | RoomNotLiveProblem,
    strawberry.union("BeatLiveRoomResult", description=_STATE),
]
BanLiveRoomResult = Annotated[
    LiveRoom | NotFoundProblem | InvalidInputProblem,
    strawberry.union("BanLiveRoomResult", description=_STATE),
]
ShelveLiveProductResult = Annotated[
    LiveRoom | NotFoundProblem | InvalidInputProblem | RoomNotLiveProblem,
    strawberry.union("ShelveLiveProductResult", description=_STATE),
]
MuteLiveViewerResult = Annotated[
    LiveMute | NotFoundProblem | InvalidInputProblem,
    strawberry.union("MuteLiveViewerResult", description="禁言或拒绝原因。The mute or why not."),
]
ReleaseLiveMessageResult = Annotated[
    LiveMessage | NotFoundProblem | RoomNotLiveProblem,
    strawberry.union(
        "ReleaseLiveMessageResult", description="发言或拒绝原因。The message or why not."
    ),
]
PostLiveMessageResult = Annotated[
    LiveMessage
    | NotFoundProblem
    | RoomNotLiveProblem
    | MessageRefusedProblem
    | TooOftenProblem
    | MutedProblem,
    strawberry.union(
        "PostLiveMessageResult", description="发言或拒绝原因。The message or why not."
    ),
]
LikeLiveRoomResult = Annotated[
    LiveRoom | NotFoundProblem | RoomNotLiveProblem | InvalidInputProblem,
    strawberry.union("LikeLiveRoomResult", description=_STATE),
]
