"""Root fields of lotteries in live rooms: opening one, and the list that a draw is checked by."""

from typing import Annotated

import strawberry

from app import ids
from app.context import Info
from app.services import live_rooms_lottery
from resolvers.pages import After, First, checked_first
from resolvers.problems import returns_problems
from resolvers.reads import place_of, root
from schema.common import Connection
from schema.live_lotteries import (
    LiveLotteryEntry,
    OpenLiveLotteryInput,
    OpenLiveLotteryResult,
)
from schema.reads import PageOf


@strawberry.type
class LiveLotteryQuery:
    @root(
        "一次抽奖的参与名单，按序号。The entries of a lottery by number.",
        Connection[LiveLotteryEntry],
    )
    def live_lottery_entries(
        self,
        info: Info,  # noqa: ARG002
        lottery_id: Annotated[
            strawberry.ID, strawberry.argument(description="抽奖 ID。Its global id.")
        ],
        first: First = 20,
        after: After = None,
    ) -> PageOf:
        place = place_of(lottery_id)
        return PageOf(
            "LiveLotteryEntry",
            Connection,
            live_rooms_lottery.entries_of,
            {"lottery_id": place[1] if place is not None and place[0] == "LiveLottery" else 0},
            first=checked_first(first),
            after=after,
            scope=f"liveLotteryEntries:{lottery_id}",
        )


@strawberry.type
class LiveLotteryMutation:
    @strawberry.mutation(
        description="开始一次抽奖，主播专用；立即公布种子的散列。Opens a lottery; the host only."
    )
    @returns_problems
    async def open_live_lottery(
        self,
        info: Info,
        input: Annotated[
            OpenLiveLotteryInput, strawberry.argument(description="抽奖内容。What to draw.")
        ],
    ) -> OpenLiveLotteryResult:
        lottery_id = await info.context.resources.database.change(
            live_rooms_lottery.open_one,
            info.context.viewer,
            room_id=ids.key_of("LiveRoom", input.room_id),
            prize=input.prize,
            keyword=input.keyword,
            winners=input.winners,
            lasts_s=input.lasts_s,
        )
        return await info.context.load.one("LiveLottery", lottery_id)
