"""Lotteries in a live room: a promised seed, entries by keyword, a draw that anybody can check."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, insert, select, update

from app import ids
from app.auth import Viewer
from app.db import Reader, Unit
from app.errors import InvalidInput, RoomNotLive, WrongState
from app.events import LiveLotteryMoved
from app.rules import live_lotteries as rules
from app.rules import live_rooms
from app.rules.audit import Action
from app.rules.live_lotteries import Entry, LotteryStatus
from app.rules.live_rooms import RoomEventKind, RoomStatus
from app.services import audit, group_buys, live_rooms_log
from app.services import live_rooms_seen as seen
from app.services.pages import Listing
from app.services.sight import leads_to
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.live_lotteries import LiveLotteryEntryRow, LiveLotteryRow

LOTTERIES = table(LiveLotteryRow)
ENTRIES = table(LiveLotteryEntryRow)
_SEED_BYTES = 32

_OPEN_IN = Prepared(
    select(LOTTERIES.c.id, LOTTERIES.c.keyword, LOTTERIES.c.closes_at).where(
        LOTTERIES.c.room_id == bind("room"), LOTTERIES.c.status == LotteryStatus.OPEN
    )
)
_IS_IN = Prepared(
    select(ENTRIES.c.id).where(
        ENTRIES.c.lottery_id == bind("lottery"), ENTRIES.c.account_id == bind("person")
    )
)
_NEXT_NUMBER = Prepared(
    update(LOTTERIES)
    .where(
        LOTTERIES.c.id == bind("lottery"),
        LOTTERIES.c.status == LotteryStatus.OPEN,
        LOTTERIES.c.closes_at > bind("now"),
    )
    .values(entry_count=LOTTERIES.c.entry_count + 1)
    .returning(LOTTERIES.c.entry_count)
)
_ENTER = Prepared(
    insert(ENTRIES).values(
        lottery_id=bind("lottery"),
        account_id=bind("person"),
        number=bind("place_in_list"),
        name=bind("called"),
        is_winner=False,
        created_at=bind("now"),
    )
)
_NEXT_DUE = Prepared(
    select(LOTTERIES.c.closes_at)
    .where(LOTTERIES.c.status == LotteryStatus.OPEN)
    .order_by(LOTTERIES.c.closes_at)
    .limit(1)
)
_DUE = Prepared(
    select(*LOTTERIES.c)
    .where(LOTTERIES.c.status == LotteryStatus.OPEN, LOTTERIES.c.closes_at <= bind("now"))
    .order_by(LOTTERIES.c.closes_at)
    .limit(1)
)
_ENTRIES = Prepared(
    select(*ENTRIES.c).where(ENTRIES.c.lottery_id == bind("lottery")).order_by(ENTRIES.c.number)
)
_WIN = Prepared(
    update(ENTRIES)
    .where(ENTRIES.c.lottery_id == bind("lottery"), ENTRIES.c.number == bind("place_in_list"))
    .values(is_winner=True, prize_place=bind("prize"))
)


def visible_to(viewer: Viewer) -> Select[Any]:
    """Who sees the room sees its lotteries, the seed apart until it was drawn from."""
    return select(*LOTTERIES.c).where(leads_to(LOTTERIES.c.room_id, seen.visible_to(viewer)))


def entries_visible_to(viewer: Viewer) -> Select[Any]:
    """The whole list is public: it is what a draw is checked against."""
    return select(*ENTRIES.c).where(leads_to(ENTRIES.c.lottery_id, visible_to(viewer)))


def entries_of(viewer: Viewer, *, lottery_id: int) -> Listing:
    """The entries of a lottery by number."""
    query = entries_visible_to(viewer).where(ENTRIES.c.lottery_id == lottery_id)
    return Listing(query, [(ENTRIES.c.number, False)])


async def open_one(
    unit: Unit,
    viewer: Viewer,
    *,
    room_id: int,
    prize: str,
    keyword: str,
    winners: int,
    lasts_s: int,
    seed: str | None = None,
) -> int:
    """Opens a lottery in a live room: whoever posts the keyword until it closes takes part.

    The seed is drawn now and kept, unless an invented mall gives its own; its hash is published.
    One is open in a room at a time.
    """
    room = await seen.hosted(unit, viewer, room_id)
    prize, keyword = live_rooms.cleaned(prize), live_rooms.cleaned(keyword)
    _check("prize", prize, rules.MAX_PRIZE_CHARS)
    _check("keyword", keyword, rules.MAX_KEYWORD_CHARS)
    if not 1 <= winners <= rules.MAX_WINNERS:
        raise InvalidInput("winners", "中奖人数须为 1-100", "1 to 100")
    if not rules.SHORTEST <= timedelta(seconds=lasts_s) <= rules.LONGEST:
        raise InvalidInput("lastsS", "时长须为 10 秒至 1 小时", "10 seconds to 1 hour")
    if room.status != RoomStatus.LIVE:
        raise RoomNotLive(room.status)
    if await unit.db.first(_OPEN_IN, {"room": room_id}) is not None:
        raise WrongState("LiveLottery", LotteryStatus.OPEN)
    seed, now = seed or secrets.token_hex(_SEED_BYTES), unit.clock()
    lottery_id = await unit.insert(
        insert(LOTTERIES).values(
            room_id=room_id,
            prize=prize,
            keyword=keyword,
            winner_count=winners,
            status=LotteryStatus.OPEN,
            commit_hash=rules.commit_of(seed),
            seed=seed,
            entry_count=0,
            opened_at=now,
            closes_at=now + timedelta(seconds=lasts_s),
        )
    )
    target = "LiveLottery", lottery_id
    await audit.note(unit, viewer, Action.OPEN_LIVE_LOTTERY, target, detail=prize)
    await _tell(unit, room_id, lottery_id, LotteryStatus.OPEN)
    return lottery_id


async def enter(unit: Unit, room_id: int, account_id: int, text: str) -> None:
    """Enters the writer of a message that holds the keyword of the room's open lottery, once.

    Called while the unit holds the room, so that two messages of a room enter one by one.
    """
    lottery = await unit.db.first(_OPEN_IN, {"room": room_id})
    now = unit.clock()
    if lottery is None or lottery.closes_at <= now or lottery.keyword not in text:
        return
    who = {"lottery": lottery.id, "person": account_id}
    if await unit.db.first(_IS_IN, who) is not None:
        return
    row = await unit.returned(_NEXT_NUMBER, {"lottery": lottery.id, "now": now})
    if row is None:  # it was closed meanwhile
        return
    nickname = (await seen.names(unit.db, {account_id}))[account_id]
    called = group_buys.masked(live_rooms.cleaned(nickname))  # it stands in a line of the list
    entry = {"place_in_list": row.entry_count, "called": called, "now": now}
    await unit.insert(_ENTER, who | entry)


async def next_due(db: Reader) -> datetime | None:
    """When the next lottery closes."""
    due: datetime | None = await db.value(_NEXT_DUE)
    return due


async def draw_due(unit: Unit) -> int:
    """Closes one lottery whose time is up and draws its winners. How many.

    The entries, the digest, the seed and the winners are fixed in one transaction: a crash leaves
    the lottery open and due, and the same seed draws the same winners from the same list.
    """
    now = unit.clock()
    lottery = await unit.db.first(_DUE, {"now": now})
    if lottery is None:
        return 0
    # the room before its lottery, like whoever enters: they never wait for each other
    await seen.hold(unit, lottery.room_id)
    closed = {"status": LotteryStatus.DRAWN, "drawn_at": now}
    if not await unit.changed(_if_open(lottery.id).values(**closed)):
        return 0
    entries = await listed(unit.db, lottery.id)
    digest = rules.digest_of(entries)
    drawn = rules.draw(lottery.seed, digest, len(entries), lottery.winner_count)
    for place, number in enumerate(drawn, 1):
        winner = {"lottery": lottery.id, "place_in_list": number, "prize": place}
        await unit.changed(_WIN, winner)
    await unit.changed(
        update(LOTTERIES).where(LOTTERIES.c.id == lottery.id).values(list_digest=digest)
    )
    await _tell(unit, lottery.room_id, lottery.id, LotteryStatus.DRAWN)
    return 1


async def listed(db: Reader, lottery_id: int) -> list[Entry]:
    """The entries as they are published."""
    return [
        Entry(row.number, ids.encode("LiveLotteryEntry", row.id), row.name)
        for row in await db.all(_ENTRIES, {"lottery": lottery_id})
    ]


async def close_early(unit: Unit, room_id: int) -> None:
    """Makes the open lottery of a room that ends due now: who has entered keeps the chance."""
    open_one = await unit.db.first(_OPEN_IN, {"room": room_id})
    now: datetime = unit.clock()
    if open_one is not None and open_one.closes_at > now:
        await unit.changed(_if_open(open_one.id).values(closes_at=now))


async def call_off(unit: Unit, room_id: int) -> None:
    """Cancels the open lottery of a room that is banned; nobody wins."""
    open_one: Row[Any] | None = await unit.db.first(_OPEN_IN, {"room": room_id})
    if open_one is None:
        return
    cancelled = {"status": LotteryStatus.CANCELLED}
    if await unit.changed(_if_open(open_one.id).values(**cancelled)):
        await _tell(unit, room_id, open_one.id, LotteryStatus.CANCELLED)


def _if_open(lottery_id: int) -> Any:
    return update(LOTTERIES).where(
        LOTTERIES.c.id == lottery_id, LOTTERIES.c.status == LotteryStatus.OPEN
    )


async def _tell(unit: Unit, room_id: int, lottery_id: int, status: LotteryStatus) -> None:
    is_open = status is LotteryStatus.OPEN
    kind = RoomEventKind.LOTTERY_OPENED if is_open else RoomEventKind.LOTTERY_CLOSED
    await live_rooms_log.note(unit, room_id, kind, lottery_id=lottery_id)
    unit.emit(LiveLotteryMoved(room_id, lottery_id, status))


def _check(field: str, text: str, most: int) -> None:
    if not 0 < len(text) <= most or live_rooms.is_sensitive(text):
        raise InvalidInput(
            field, f"须为 1-{most} 个字，且不含违禁词", f"1 to {most} clean characters"
        )
