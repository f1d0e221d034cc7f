"""Lotteries in live rooms as clients see them: all that is needed to check a draw."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.rules.live_lotteries import LotteryStatus
from app.services import live_rooms_lottery
from schema.fields import Entity, column, computed, entity, key, many
from schema.problems import (
    InvalidInputProblem,
    NotFoundProblem,
    RoomNotLiveProblem,
    WrongStateProblem,
)
from schema.refs import LiveLotteryEntryRef

strawberry.enum(
    LotteryStatus, name="LiveLotteryStatus", description="抽奖状态。State of a lottery."
)


def _revealed(status: str, seed: str) -> str | None:
    return seed if status == LotteryStatus.DRAWN else None


@entity(
    "直播间抽奖的一次参与。An entry in a lottery.",
    visible_to=live_rooms_lottery.entries_visible_to,
    is_common=True,
)
class LiveLotteryEntry(Entity):
    id: strawberry.ID = key()
    number: int = column("序号，从 1 连续。Counts from 1 without gaps.")
    name: str = column("参与时的昵称（脱敏）。Masked nickname as it was then.")
    place: int | None = column(
        "第几个中奖，未中为空。1 for the first prize; null without one.", name="prize_place"
    )
    created_at: datetime = column("时间。When.")


@entity(
    "直播间抽奖：先公布种子的散列，开奖时公布种子，任何人都可验算。"
    "A lottery of a room: its seed is promised by a hash, shown after the draw, open to checks.",
    visible_to=live_rooms_lottery.visible_to,
    is_common=True,
)
class LiveLottery(Entity):
    id: strawberry.ID = key()
    prize: str = column("奖品。The prize.")
    keyword: str = column("参与口令：发言中包含它即参与。Post it to take part.")
    winner_count: int = column("中奖人数。How many win.")
    status: LotteryStatus = computed("status", by=LotteryStatus, description="状态。State.")
    commit: str = column(
        "种子的 SHA-256，开始时即公布。SHA-256 of the seed, known from the start.",
        name="commit_hash",
    )
    seed: str | None = computed(
        "status", "seed", by=_revealed, description="种子，开奖后公布。The seed, once it was drawn."
    )
    list_digest: str | None = column(
        "参与名单的 SHA-256，开奖时固定。SHA-256 of the list that was drawn from."
    )
    entry_count: int = column("参与人数。Entries.")
    opened_at: datetime = column("开始时间。Opened at.")
    closes_at: datetime = column("截止时间。Closes at.")
    drawn_at: datetime | None = column("开奖时间。Drawn at.")
    winners: list[LiveLotteryEntryRef] = many(
        "LiveLotteryEntry",
        "lottery_id",
        "中奖者，按奖次。Who has won, first prize first.",
        order=("prize_place", "id"),
        where={"is_winner": True},
    )


@strawberry.input(description="开始一次抽奖。Opens a lottery.")
class OpenLiveLotteryInput:
    room_id: strawberry.ID = strawberry.field(description="直播间。The room.")
    prize: str = strawberry.field(description="奖品，1-60 字。1 to 60 characters.")
    keyword: str = strawberry.field(description="参与口令，1-20 字。1 to 20 characters.")
    winners: int = strawberry.field(default=1, description="中奖人数，1-100。1 to 100.")
    lasts_s: int = strawberry.field(
        default=60, description="持续多少秒，10-3600。For how long, 10 to 3600 seconds."
    )


OpenLiveLotteryResult = Annotated[
    LiveLottery | NotFoundProblem | InvalidInputProblem | RoomNotLiveProblem | WrongStateProblem,
    strawberry.union(
        "OpenLiveLotteryResult", description="抽奖或拒绝原因。The lottery or why not."
    ),
]
