"""拼团 as clients see it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import strawberry

from app.rules.group_buys import ActivityStatus, GroupBuyStatus, MemberStatus, Overflow
from app.services import group_buys
from schema.common import AddressInput, Money, StreamEvent, StreamGap
from schema.fields import Entity, batch, column, computed, entity, key, many, one
from schema.problems import (
    ActivityNotRunningProblem,
    AlreadyInGroupBuyProblem,
    GroupBuyExpiredProblem,
    GroupBuyFullProblem,
    IdempotencyKeyReusedProblem,
    InvalidInputProblem,
    LimitExceededProblem,
    NotFoundProblem,
    OutOfStockProblem,
    SkuUnavailableProblem,
    WrongStateProblem,
)
from schema.refs import (
    GroupBuyActivityRef,
    GroupBuyActivitySkuRef,
    GroupBuyMemberRef,
    GroupBuyRef,
    ProductRef,
    SkuRef,
    TradeRef,
)

strawberry.enum(GroupBuyStatus, description="团的状态。State of a group.")
strawberry.enum(
    MemberStatus, name="GroupBuyMemberStatus", description="成员状态。State of a member."
)


strawberry.enum(
    ActivityStatus,
    name="GroupBuyActivityStatus",
    description="拼团活动状态。State of an activity.",
)
strawberry.enum(
    Overflow,
    name="GroupBuyOverflow",
    description="付款到账时座位已失去：自动退款；换到同活动的其他团；换团，没有则自己开团。无法安排即退款。"
    "What to do with money that comes when the seat is gone: refund it, take a seat in another"
    " group of the activity, or, without one, open a group. What is not possible is refunded.",
)


@entity(
    "拼团活动中一个规格的团购价。The group price of a SKU.",
    visible_to=group_buys.activity_skus_visible_to,
    is_common=True,
)
class GroupBuyActivitySku(Entity):
    id: strawberry.ID = key()
    sku: SkuRef | None = one("sku_id", "Sku", "规格。The SKU.")
    price: Money = computed("price_fen", by=Money.of, description="拼团价。Price in a group.")


@entity(
    "拼团活动。A group-buy activity.", visible_to=group_buys.activities_visible_to, is_common=True
)
class GroupBuyActivity(Entity):
    id: strawberry.ID = key()
    title: str = column("标题。Title.")
    status: ActivityStatus = computed("status", by=ActivityStatus, description="状态。State.")
    size: int = column("成团人数。Members that make a group.")
    duration_s: int = column("成团时限（秒）。Seconds a group has to fill.")
    starts_at: datetime = column("开始时间。Begins at.")
    ends_at: datetime = column("结束时间。Ends at.")
    product: ProductRef | None = one("product_id", "Product", "商品。The product.")
    skus: list[GroupBuyActivitySkuRef] = many(
        "GroupBuyActivitySku", "activity_id", "可选规格及拼团价。SKUs with group prices."
    )
    group_buys: list[GroupBuyRef] = many(
        "GroupBuy",
        "activity_id",
        "可参加的团。Groups to join.",
        order=("expires_at", "id"),
        limit=20,
        where={"status": "OPEN"},
    )


@entity(
    "拼团成员。A member of a group.",
    visible_to=group_buys.members_visible_to,
    is_common=True,
)
class GroupBuyMember(Entity):
    id: strawberry.ID = key()
    seat_no: int = column("座位号，1 是团长。Seat; the leader has 1.")
    status: MemberStatus = computed("status", by=MemberStatus, description="状态。State.")
    nickname: str = batch(
        group_buys.nicknames, "昵称（脱敏）。Masked nickname.", columns=("account_id",)
    )
    joined_at: datetime | None = column("付款入团时间。When the seat was paid for.")
    group_buy: GroupBuyRef | None = one("group_id", "GroupBuy", "所在的团。The group.")
    overflow: Overflow | None = batch(
        group_buys.overflows,
        "款到座失时如何处理，仅本人可见。What late money is for; one's own only.",
        columns=("account_id", "overflow"),
    )
    moved_to: GroupBuyMemberRef | None = one(
        "moved_to_id", "GroupBuyMember", "迟到的付款换到的座位。The seat that late money went to."
    )


@entity(
    "拼团：几位消费者一起买同一商品。Several shoppers buying together.",
    visible_to=group_buys.visible_to,
    is_common=True,
)
class GroupBuy(Entity):
    id: strawberry.ID = key()
    status: GroupBuyStatus = computed("status", by=GroupBuyStatus, description="状态。State.")
    size: int = column("成团人数。Members that make the group.")
    held: int = column("已占座位（含未付款）。Seats taken, paid or not.", name="held_count")
    joined: int = column("已付款人数。Members who have paid.", name="paid_count")
    remaining: int = computed(
        "size", "held_count", by=int.__sub__, description="剩余座位。Seats still free."
    )
    expires_at: datetime = column("截止时间。When it fails unless it is full.")
    filled_at: datetime | None = column("成团时间。When it was filled.")
    activity: GroupBuyActivityRef | None = one(
        "activity_id", "GroupBuyActivity", "所属活动。Its activity."
    )
    product: ProductRef | None = one("product_id", "Product", "商品。The product.")
    members: list[GroupBuyMemberRef] = many(
        "GroupBuyMember", "group_id", "成员，按座位。Members by seat.", order=("seat_no", "id")
    )


@strawberry.type(description="在团里占到的座位，付款后生效。A seat, yours once it is paid for.")
class GroupBuySeat:
    group_buy: GroupBuyRef = strawberry.field(description="团。The group.")
    trade: TradeRef = strawberry.field(description="待付款的交易。The trade to pay.")


@strawberry.input(description="开团。Opens a group as its leader.")
class OpenGroupBuyInput:
    activity_id: strawberry.ID = strawberry.field(description="活动。The activity.")
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")
    quantity: int = strawberry.field(default=1, description="件数。Units.")
    address: AddressInput | None = strawberry.field(
        default=None, description="收货地址，缺省为默认地址。By default the default address."
    )
    overflow: Overflow = strawberry.field(
        default=Overflow.REFUND,
        description="付款到账时座位已失去怎么办。What to do with money that comes too late.",
    )
    idempotency_key: str = strawberry.field(description="幂等键。Repeats get the same answer.")


@strawberry.input(description="参团。Takes a seat in an open group.")
class JoinGroupBuyInput:
    group_buy_id: strawberry.ID = strawberry.field(description="团。The group.")
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")
    quantity: int = strawberry.field(default=1, description="件数。Units.")
    address: AddressInput | None = strawberry.field(
        default=None, description="收货地址，缺省为默认地址。By default the default address."
    )
    overflow: Overflow = strawberry.field(
        default=Overflow.REFUND,
        description="付款到账时座位已失去怎么办。What to do with money that comes too late.",
    )
    idempotency_key: str = strawberry.field(description="幂等键。Repeats get the same answer.")


@strawberry.input(description="成团前退团。Gives a seat up before the group is full.")
class LeaveGroupBuyInput:
    group_buy_id: strawberry.ID = strawberry.field(description="团。The group.")
    idempotency_key: str = strawberry.field(description="幂等键。Repeats get the same answer.")


@strawberry.input(description="终止拼团活动。Stops an activity for good.")
class StopGroupBuyActivityInput:
    activity_id: strawberry.ID = strawberry.field(description="活动。The activity.")


OpenGroupBuyResult = Annotated[
    GroupBuySeat
    | NotFoundProblem
    | InvalidInputProblem
    | ActivityNotRunningProblem
    | AlreadyInGroupBuyProblem
    | SkuUnavailableProblem
    | OutOfStockProblem
    | LimitExceededProblem
    | IdempotencyKeyReusedProblem,
    strawberry.union("OpenGroupBuyResult", description="开团结果。A seat or the reason why not."),
]
JoinGroupBuyResult = Annotated[
    GroupBuySeat
    | NotFoundProblem
    | InvalidInputProblem
    | ActivityNotRunningProblem
    | GroupBuyFullProblem
    | GroupBuyExpiredProblem
    | AlreadyInGroupBuyProblem
    | SkuUnavailableProblem
    | OutOfStockProblem
    | LimitExceededProblem
    | IdempotencyKeyReusedProblem,
    strawberry.union("JoinGroupBuyResult", description="参团结果。A seat or the reason why not."),
]
LeaveGroupBuyResult = Annotated[
    GroupBuy
    | NotFoundProblem
    | WrongStateProblem
    | InvalidInputProblem
    | IdempotencyKeyReusedProblem,
    strawberry.union(
        "LeaveGroupBuyResult", description="退团结果。The group or the reason why not."
    ),
]
StopGroupBuyActivityResult = Annotated[
    GroupBuyActivity | NotFoundProblem | WrongStateProblem,
    strawberry.union(
        "StopGroupBuyActivityResult", description="终止结果。The activity or the reason why not."
    ),
]


@strawberry.enum(description="团为何变化。Why a group changed.")
class GroupBuyCause(StrEnum):
    SNAPSHOT = "SNAPSHOT"
    HELD = "HELD"
    JOINED = "JOINED"
    RELEASED = "RELEASED"
    LEADER_CHANGED = "LEADER_CHANGED"
    FILLED = "FILLED"
    OPENED = "OPENED"
    EXPIRED = "EXPIRED"
    STOPPED = "STOPPED"


@strawberry.type(
    description="团的一次变化及其后的样子。A change of a group and how it stands after."
)
class GroupBuyUpdate(StreamEvent):
    cause: GroupBuyCause = strawberry.field(description="变化原因。What happened.")
    held: int = strawberry.field(description="此刻已占座位。Seats taken at this event.")
    joined: int = strawberry.field(description="此刻已付款人数。Members paid at this event.")
    remaining: int = strawberry.field(description="此刻剩余座位。Seats free at this event.")
    status: GroupBuyStatus = strawberry.field(description="此刻的状态。State at this event.")
    expires_at: datetime = strawberry.field(description="此刻的截止时间。Its end at this event.")
    group_buy: GroupBuyRef | None = strawberry.field(
        description="团的现状，未公开时为空。The group as it is now, null while it is not public."
    )


GroupBuyEvent = Annotated[
    GroupBuyUpdate | StreamGap,
    strawberry.union("GroupBuyEvent", description="团的事件。An event of a group."),
]
