"""Root fields of 拼团: lists, opening, joining, and the stream of one group."""

from datetime import datetime
from typing import Annotated

import strawberry

from app import ids
from app.auth import Role
from app.bus import Message
from app.context import Context, Info
from app.errors import NotFound
from app.events import group_buy_topic
from app.rules.group_buys import GroupBuyStatus
from app.services import group_buys, group_buys_end, group_buys_leave
from resolvers.addresses import address_of
from resolvers.pages import After, First, checked_first
from resolvers.problems import returns_problems
from resolvers.reads import by_id, root
from resolvers.streams import At, Stream, stream
from schema.common import Connection
from schema.group_buys import (
    GroupBuy,
    GroupBuyActivity,
    GroupBuyCause,
    GroupBuyEvent,
    GroupBuySeat,
    GroupBuyUpdate,
    JoinGroupBuyInput,
    JoinGroupBuyResult,
    LeaveGroupBuyInput,
    LeaveGroupBuyResult,
    OpenGroupBuyInput,
    OpenGroupBuyResult,
    StopGroupBuyActivityInput,
    StopGroupBuyActivityResult,
)
from schema.reads import ById, PageOf, Rows


@strawberry.type
class GroupBuyQuery:
    @root(
        "可参加的团，快到期的在前。Open groups, the soonest to expire first.",
        Connection[GroupBuy],
    )
    def group_buys(
        self,
        info: Info,  # noqa: ARG002
        first: First = 20,
        after: After = None,
        product_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="只看某商品。Of one product.")
        ] = None,
    ) -> PageOf:
        return PageOf(
            "GroupBuy",
            Connection,
            group_buys.listing,
            {"product_id": _product(product_id)},
            first=checked_first(first),
            after=after,
            scope=f"groupBuys:{product_id or ''}",
        )

    @root("一个团。One group.", GroupBuy | None)
    def group_buy(
        self,
        info: Info,  # noqa: ARG002
        id: Annotated[strawberry.ID, strawberry.argument(description="团 ID。Its global id.")],
    ) -> ById:
        return by_id("GroupBuy", id)

    @root("进行中的拼团活动，至多 100 个。Running activities, at most 100.", list[GroupBuyActivity])
    def group_buy_activities(self, info: Info) -> Rows:  # noqa: ARG002
        return Rows("GroupBuyActivity", group_buys.running_activities, limit=100)


@strawberry.type
class GroupBuyMutation:
    @strawberry.mutation(description="开团：付款后团才可见。Opens a group; visible once paid for.")
    @returns_problems
    async def open_group_buy(
        self,
        info: Info,
        input: Annotated[
            OpenGroupBuyInput, strawberry.argument(description="开团内容。What to open.")
        ],
    ) -> OpenGroupBuyResult:
        viewer = info.context.viewer
        viewer.must_be_signed_in()
        keys = await info.context.resources.database.change(
            group_buys.open_group,
            viewer,
            activity_id=ids.key_of("GroupBuyActivity", input.activity_id),
            sku_id=ids.key_of("Sku", input.sku_id),
            quantity=input.quantity,
            address=address_of(input.address),
            overflow=input.overflow,
            idempotency_key=input.idempotency_key,
        )
        return await _seat(info.context, *keys)

    @strawberry.mutation(
        description="参团：占一个座位，限时付款。Takes a seat, to be paid in time."
    )
    @returns_problems
    async def join_group_buy(
        self,
        info: Info,
        input: Annotated[
            JoinGroupBuyInput, strawberry.argument(description="参团内容。What to join.")
        ],
    ) -> JoinGroupBuyResult:
        viewer = info.context.viewer
        viewer.must_be_signed_in()
        keys = await info.context.resources.database.change(
            group_buys.join,
            viewer,
            group_buy_id=ids.key_of("GroupBuy", input.group_buy_id),
            sku_id=ids.key_of("Sku", input.sku_id),
            quantity=input.quantity,
            address=address_of(input.address),
            overflow=input.overflow,
            idempotency_key=input.idempotency_key,
        )
        return await _seat(info.context, *keys)

    @strawberry.mutation(
        description="成团前退团，自动退款；团长退团由最早付款的成员接任。"
        "Gives a seat up and the money back; a leader's place goes to whoever paid first."
    )
    @returns_problems
    async def leave_group_buy(
        self,
        info: Info,
        input: Annotated[
            LeaveGroupBuyInput, strawberry.argument(description="退出哪个团。What to leave.")
        ],
    ) -> LeaveGroupBuyResult:
        viewer = info.context.viewer
        viewer.must_be_signed_in()
        key = await info.context.resources.database.change(
            group_buys_leave.leave,
            viewer,
            group_buy_id=ids.key_of("GroupBuy", input.group_buy_id),
            idempotency_key=input.idempotency_key,
        )
        return await _group(info.context, key)

    @strawberry.mutation(
        description="终止活动，未成的团随即结束并退款。Stops an activity; its open groups end."
    )
    @returns_problems
    async def stop_group_buy_activity(
        self,
        info: Info,
        input: Annotated[
            StopGroupBuyActivityInput, strawberry.argument(description="哪个活动。Which one.")
        ],
    ) -> StopGroupBuyActivityResult:
        viewer = info.context.viewer
        viewer.must_be(Role.SUPPLIER, Role.ADMIN)
        key = ids.key_of("GroupBuyActivity", input.activity_id)
        await group_buys_end.stop_activity(info.context.resources.database, viewer, activity_id=key)
        return await info.context.load.one("GroupBuyActivity", key)


@strawberry.type
class GroupBuySubscription:
    @stream(
        "团的现状，之后每次变化再推送，内容为人人可见的部分。"
        "The group now, then again after every change, as everybody may see it.",
        GroupBuyEvent,
    )
    def group_buy_updated(
        self,
        info: Info,  # noqa: ARG002
        id: Annotated[strawberry.ID, strawberry.argument(description="团 ID。Its global id.")],
        after: After = None,  # noqa: ARG002
    ) -> Stream:
        key = ids.key_of("GroupBuy", id)

        async def look(context: Context, at: At) -> GroupBuyUpdate:
            async with context.resources.database.read() as db:
                row = await group_buys.get(db, context.viewer, key)
            return GroupBuyUpdate(
                cursor=at.cursor,
                cause=GroupBuyCause.SNAPSHOT,
                held=row.held_count,
                joined=row.paid_count,
                remaining=row.size - row.held_count,
                status=GroupBuyStatus(row.status),
                expires_at=row.expires_at,
                group_buy=GroupBuy.of(row),
            )

        async def tell(context: Context, message: Message, at: At) -> GroupBuyUpdate:
            told = message.payload
            return GroupBuyUpdate(
                cursor=at.cursor,
                seq=at.seq,
                cause=GroupBuyCause(told["cause"]),
                held=told["held"],
                joined=told["paid"],
                remaining=told["size"] - told["held"],
                status=GroupBuyStatus(told["status"]),
                expires_at=datetime.fromisoformat(told["expires_at"]),
                group_buy=await context.load.one("GroupBuy", key),
            )

        return Stream(group_buy_topic(key), look, tell, is_public=True, merged=lambda _: "group")


async def _group(context: Context, key: int) -> GroupBuy:
    group_buy: GroupBuy | None = await context.load.one("GroupBuy", key)
    if group_buy is None:
        raise NotFound("GroupBuy")
    return group_buy


async def _seat(context: Context, group_buy_id: int, trade_id: int) -> GroupBuySeat:
    return GroupBuySeat(
        group_buy=await _group(context, group_buy_id),
        trade=await context.load.one("Trade", trade_id),
    )


def _product(global_id: strawberry.ID | None) -> int | None:
    """The key; an id that is none of ours matches nothing."""
    try:
        return None if global_id is None else ids.key_of("Product", global_id)
    except NotFound:
        return 0
