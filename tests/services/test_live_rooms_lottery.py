"""Lotteries in live rooms: promised, entered once a person, drawn once, cancelled with the room."""

from asyncio import gather
from datetime import timedelta

import pytest

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import InvalidInput, MallError, RoomNotLive
from app.rules.live_lotteries import Published, commit_of, recompute
from app.services import live_rooms, live_rooms_lottery, live_rooms_talk
from app.tables.accounts import AccountRow
from app.tables.live_lotteries import LiveLotteryEntryRow, LiveLotteryRow
from app.tables.outbox import OutboxRow
from app.workers import expiries
from tests.factories import START, Mall


async def opened(mall: Mall, **differences: object) -> tuple[int, int, Viewer]:
    """(lottery, room, host): two winners, the keyword is 暖锅, open for a minute."""
    host = await mall.account(Role.DISTRIBUTOR)
    room = await mall.live_room({}, host_id=host.account_id)
    given = {"prize": "小米一袋", "keyword": "暖锅", "winners": 2, "lasts_s": 60}
    async with mall.unit() as unit:
        lottery = await live_rooms_lottery.open_one(
            unit,
            host,
            room_id=room,
            **given | differences,  # type: ignore[arg-type]
        )
    return lottery, room, host


async def say(mall: Mall, viewer: Viewer, room: int, text: str = "我要暖锅！") -> int:
    return await mall.database.change(live_rooms_talk.post, viewer, room_id=room, text=text)


async def published(mall: Mall, key: int) -> Published:
    row = await mall.row(LiveLotteryRow, key)
    async with mall.database.read() as db:
        entries = await live_rooms_lottery.listed(db, key)
    return Published(row.commit_hash, row.seed, row.list_digest, row.winner_count, entries)


async def winners(mall: Mall, key: int) -> list[int]:
    won = [row for row in await mall.rows(LiveLotteryEntryRow, lottery_id=key) if row.is_winner]
    return [row.number for row in sorted(won, key=lambda row: row.prize_place)]


async def test_fifty_people_entering_at_once_are_numbered_one_by_one(any_mall: Mall) -> None:
    mall = any_mall
    lottery, room, _ = await opened(mall)
    people = await mall.shoppers(50)
    await gather(*(say(mall, one, room) for one in people))
    await gather(*(say(mall, one, room) for one in people[:10]))  # again: no second chance
    rows = await mall.rows(LiveLotteryEntryRow, lottery_id=lottery)
    assert sorted(row.number for row in rows) == list(range(1, 51))
    assert {row.account_id for row in rows} == {one.id for one in people}
    assert (await mall.row(LiveLotteryRow, lottery)).entry_count == 50
    mall.clock.advance(seconds=61)
    await expiries.once(mall.database)
    shown = await published(mall, lottery)
    assert await winners(mall, lottery) == recompute(shown)
    assert len(await winners(mall, lottery)) == 2


async def test_a_draw_that_two_processes_make_at_once_is_made_once(any_mall: Mall) -> None:
    mall = any_mall
    lottery, room, _ = await opened(mall)
    await gather(*(say(mall, one, room) for one in await mall.shoppers(5)))
    mall.clock.advance(seconds=61)
    done = await gather(*(mall.database.change(live_rooms_lottery.draw_due) for _ in range(4)))
    assert sum(done) == 1
    assert len(await winners(mall, lottery)) == 2
    told = [row.payload["status"] for row in await mall.rows(OutboxRow, kind="LiveLotteryMoved")]
    assert told == ["OPEN", "DRAWN"]


async def test_a_draw_that_crashed_finds_the_same_winners_later(mall: Mall) -> None:
    lottery, room, _ = await opened(mall)
    await gather(*(say(mall, one, room) for one in await mall.shoppers(9)))
    mall.clock.advance(seconds=61)
    won: list[int] = []

    async def draw_and_crash(unit: Unit) -> None:
        await live_rooms_lottery.draw_due(unit)
        entries = live_rooms_lottery.ENTRIES
        chosen = entries.select().where(entries.c.is_winner).order_by(entries.c.prize_place)
        won.extend(row.number for row in await unit.db.all(chosen))
        raise ConnectionError

    async with mall.unchanged():
        with pytest.raises(ConnectionError):
            await mall.database.change(draw_and_crash)
    await expiries.once(mall.database)
    assert await winners(mall, lottery) == won
    assert len(won) == 2


async def test_a_draw_without_entries_has_no_winners(mall: Mall) -> None:
    lottery, _, _ = await opened(mall)
    mall.clock.advance(seconds=61)
    await expiries.once(mall.database)
    row = await mall.row(LiveLotteryRow, lottery)
    assert (row.status, row.entry_count, row.drawn_at) == (
        "DRAWN",
        0,
        START + timedelta(seconds=61),
    )
    assert recompute(await published(mall, lottery)) == []


async def test_only_the_keyword_said_in_time_and_seen_by_all_takes_part(mall: Mall) -> None:
    lottery, room, _ = await opened(mall)
    one, two, late = await mall.shoppers(3)
    await say(mall, one, room, "好看")
    await say(mall, two, room, "暖锅 加微信")  # held back
    mall.clock.advance(seconds=60)
    await say(mall, late, room)
    assert await mall.rows(LiveLotteryEntryRow, lottery_id=lottery) == []


async def test_the_seed_is_the_one_that_was_promised(mall: Mall) -> None:
    lottery, _, _ = await opened(mall)
    other, _, _ = await opened(mall)
    one, two = await mall.row(LiveLotteryRow, lottery), await mall.row(LiveLotteryRow, other)
    assert len(bytes.fromhex(one.seed)) == 32
    assert one.seed != two.seed
    assert one.commit_hash == commit_of(one.seed)


async def test_a_room_has_one_open_lottery(any_mall: Mall) -> None:
    mall = any_mall
    _, room, host = await opened(mall)

    async def again() -> str:
        given = {"prize": "小米", "keyword": "米", "winners": 1, "lasts_s": 60}
        change = mall.database.change
        try:
            await change(live_rooms_lottery.open_one, host, room_id=room, **given)
        except MallError as refusal:
            return refusal.code
        return "opened"

    async with mall.unchanged():
        assert await gather(*(again() for _ in range(3))) == ["WRONG_STATE"] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"winners": 0},
        {"winners": 101},
        {"lasts_s": 9},
        {"lasts_s": 3601},
        {"prize": " "},
        {"keyword": "长" * 21},
        {"keyword": "加微信"},
    ],
)
async def test_a_lottery_needs_a_prize_a_keyword_winners_and_time(
    mall: Mall, wrong: dict[str, object]
) -> None:
    _, room, host = await opened(mall)
    mall.clock.advance(seconds=61)
    await expiries.once(mall.database)
    given = {"prize": "小米", "keyword": "米", "winners": 1, "lasts_s": 60} | wrong
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            async with mall.unit() as unit:
                await live_rooms_lottery.open_one(
                    unit,
                    host,
                    room_id=room,
                    **given,  # type: ignore[arg-type]
                )


async def test_a_room_that_is_not_live_opens_no_lottery(mall: Mall) -> None:
    host = await mall.account(Role.DISTRIBUTOR)
    room = await mall.live_room({}, host_id=host.account_id, status="PAUSED")
    async with mall.unchanged():
        with pytest.raises(RoomNotLive):
            async with mall.unit() as unit:
                await live_rooms_lottery.open_one(
                    unit, host, room_id=room, prize="米", keyword="米", winners=1, lasts_s=60
                )


async def test_a_room_that_ends_draws_and_one_that_is_banned_calls_off(mall: Mall) -> None:
    ended, room, host = await opened(mall)
    (shopper,) = await mall.shoppers(1)
    await say(mall, shopper, room)
    await mall.database.change(live_rooms.end, host, room_id=room)
    await expiries.once(mall.database)
    assert await winners(mall, ended) == [1]
    banned, other, _ = await opened(mall)
    staff = await mall.staff()
    await mall.database.change(live_rooms.ban, staff, room_id=other, reason="虚假宣传")
    await expiries.once(mall.database)
    assert (await mall.row(LiveLotteryRow, banned)).status == "CANCELLED"


async def test_a_name_with_signs_of_control_is_still_one_line_of_the_list(mall: Mall) -> None:
    lottery, room, _ = await opened(mall)
    shopper = await mall.consumer()
    await mall.change(AccountRow, shopper.account_id, nickname="\t小\n满\n")
    await say(mall, shopper, room)
    (entry,) = await mall.rows(LiveLotteryEntryRow, lottery_id=lottery)
    assert entry.name == "小**满"
