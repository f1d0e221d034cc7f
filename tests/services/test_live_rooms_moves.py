"""What time, hosts and staff do to a room: heartbeat, pauses, endings, bans, and its figures."""

from asyncio import gather
from datetime import timedelta

import pytest

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import Forbidden, InvalidInput, RoomNotLive, WrongState
from app.services import live_rooms, live_rooms_shelf, live_rooms_talk
from app.services.live_rooms_viewers import Presence
from app.tables.live_rooms import LiveProductRow, LiveRoomEventRow, LiveRoomFiguresRow, LiveRoomRow
from app.tables.orders import OrderLineRow
from app.tables.sessions import AuditRow
from app.workers import expiries
from app.workers import live_rooms as worker
from tests.factories import START, Mall

GUEST = Viewer()


async def started(mall: Mall, *sku_ids: int) -> tuple[int, Viewer]:
    """A room that its host has just opened, with goods at 2500 fen."""
    host = await mall.account(Role.DISTRIBUTOR)
    change = mall.database.change
    room = await change(
        live_rooms.schedule,
        host,
        title="晚间专场",
        starts_at=START + timedelta(hours=1),
        goods=[(one, 2500) for one in sku_ids],
    )
    await change(live_rooms.start, host, room_id=room)
    return room, host


async def status(mall: Mall, room: int) -> str:
    return str((await mall.row(LiveRoomRow, room)).status)


async def log(mall: Mall, room: int) -> list[tuple[int, str]]:
    return [(row.seq, row.kind) for row in await mall.rows(LiveRoomEventRow, room_id=room)]


async def test_a_lost_host_pauses_the_room_and_then_ends_it(any_mall: Mall) -> None:
    mall = any_mall
    room, host = await started(mall)
    for _ in range(4):
        mall.clock.advance(seconds=29)
        await mall.database.change(live_rooms.beat, host, room_id=room)
    async with mall.unchanged():
        assert await expiries.once(mall.database) == 0
    mall.clock.advance(seconds=30)
    await expiries.once(mall.database)
    assert await status(mall, room) == "PAUSED"
    mall.clock.advance(minutes=14, seconds=59)
    await expiries.once(mall.database)
    assert await status(mall, room) == "PAUSED"
    mall.clock.advance(seconds=1)
    await expiries.once(mall.database)
    assert await status(mall, room) == "ENDED"
    moved = [row.data["status"] for row in await mall.rows(LiveRoomEventRow, kind="MOVED")]
    assert moved == ["LIVE", "PAUSED", "ENDED"]


async def test_a_host_who_comes_back_goes_on(mall: Mall) -> None:
    room, host = await started(mall)
    mall.clock.advance(seconds=31)
    await expiries.once(mall.database)
    await mall.database.change(live_rooms.beat, host, room_id=room)
    assert await status(mall, room) == "PAUSED"  # the host has to say so
    await mall.database.change(live_rooms.start, host, room_id=room)
    row = await mall.row(LiveRoomRow, room)
    assert (row.status, row.started_at) == ("LIVE", START)
    assert row.due_at == mall.clock() + timedelta(seconds=30)


async def test_sweeps_at_the_same_time_move_a_room_once(any_mall: Mall) -> None:
    mall = any_mall
    room, _ = await started(mall)
    mall.clock.advance(seconds=31)
    moved = await gather(*(mall.database.change(live_rooms.move_due) for _ in range(5)))
    assert sum(moved) == 1
    assert await log(mall, room) == [(1, "MOVED"), (2, "MOVED")]


async def test_a_beat_and_a_sweep_at_the_same_moment_leave_one_truth(any_mall: Mall) -> None:
    mall = any_mall
    room, host = await started(mall)
    mall.clock.advance(seconds=30)
    change = mall.database.change
    await gather(
        change(live_rooms.beat, host, room_id=room),
        change(live_rooms.move_due),
    )
    row = await mall.row(LiveRoomRow, room)
    wait = timedelta(seconds=30) if row.status == "LIVE" else timedelta(minutes=15)
    assert row.status in {"LIVE", "PAUSED"}
    assert row.due_at == mall.clock() + wait


async def test_a_room_that_nobody_opens_expires(mall: Mall) -> None:
    host = await mall.account(Role.DISTRIBUTOR)
    starts_at = START + timedelta(hours=1)
    room = await mall.database.change(live_rooms.schedule, host, title="专场", starts_at=starts_at)
    mall.clock.advance(hours=2, minutes=59)
    await expiries.once(mall.database)
    assert await status(mall, room) == "SCHEDULED"
    mall.clock.advance(minutes=1)
    await expiries.once(mall.database)
    assert await status(mall, room) == "EXPIRED"


async def test_only_a_room_that_has_not_begun_is_called_off(mall: Mall) -> None:
    room, host = await started(mall)
    async with mall.unchanged():
        with pytest.raises(WrongState):
            await mall.database.change(live_rooms.cancel, host, room_id=room)
    other = await mall.live_room({}, status="SCHEDULED", host_id=host.account_id)
    await mall.database.change(live_rooms.cancel, host, room_id=other)
    assert await status(mall, other) == "CANCELLED"


async def test_a_room_off_air_takes_no_beat(mall: Mall) -> None:
    host = await mall.account(Role.DISTRIBUTOR)
    room = await mall.live_room({}, status="ENDED", host_id=host.account_id)
    async with mall.unchanged():
        with pytest.raises(RoomNotLive):
            await mall.database.change(live_rooms.beat, host, room_id=room)


@pytest.mark.parametrize(
    "before", ["SCHEDULED", "LIVE", "PAUSED", "ENDED", "REPLAY_READY", "CANCELLED", "EXPIRED"]
)
async def test_staff_bans_a_room_in_any_state_with_a_reason(mall: Mall, before: str) -> None:
    room = await mall.live_room({}, status=before)
    staff = await mall.staff()
    ban = mall.database.change(live_rooms.ban, staff, room_id=room, reason="虚假宣传")
    await ban
    row = await mall.row(LiveRoomRow, room)
    assert (row.status, row.ban_reason, row.due_at) == ("BANNED", "虚假宣传", None)
    (line,) = await mall.rows(AuditRow, action="BAN_LIVE_ROOM")
    assert (line.account_id, line.target_id, line.detail) == (staff.id, room, "虚假宣传")


async def test_hosts_do_not_ban_and_a_ban_needs_a_reason(mall: Mall) -> None:
    room, host = await started(mall)
    staff = await mall.staff()
    async with mall.unchanged():
        with pytest.raises(Forbidden):
            await mall.database.change(live_rooms.ban, host, room_id=room, reason="x")
        for reason in ("", "  ", "长" * 101):
            with pytest.raises(InvalidInput):
                await mall.database.change(live_rooms.ban, staff, room_id=room, reason=reason)


async def test_the_log_is_dense_whoever_writes_at_the_same_time(any_mall: Mall) -> None:
    mall = any_mall
    one, two = await mall.product(), await mall.product()
    room, host = await started(mall, one.sku_id, two.sku_id)
    change, shelf = mall.database.change, await mall.rows(LiveProductRow, room_id=room)
    shoppers = await mall.shoppers(6)
    await gather(
        *(change(live_rooms_talk.post, one, room_id=room, text="加微信") for one in shoppers),
        *(
            change(live_rooms_shelf.pin, host, room_id=room, live_product_id=row.id)
            for row in shelf * 3
        ),
    )
    assert [seq for seq, _ in await log(mall, room)] == list(range(1, 14))
    assert (await mall.row(LiveRoomRow, room)).event_seq == 13


async def test_an_event_that_is_rolled_back_leaves_no_hole(mall: Mall) -> None:
    room, host = await started(mall)

    async def pause_and_crash(unit: Unit) -> None:
        await live_rooms.pause(unit, host, room_id=room)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await mall.database.change(pause_and_crash)
    await mall.database.change(live_rooms.pause, host, room_id=room)
    assert await log(mall, room) == [(1, "MOVED"), (2, "MOVED")]


async def test_the_end_writes_what_the_room_has_come_to_once(any_mall: Mall) -> None:
    mall = any_mall
    product, other = await mall.product(stock=10), await mall.product(stock=10)
    room, host = await started(mall, product.sku_id)
    one, two, late = await mall.shoppers(3)
    change = mall.database.change
    held = await change(live_rooms_talk.post, one, room_id=room, text="加微信")
    await change(live_rooms_talk.release, host, message_id=held)  # one message, two numbers
    await change(live_rooms_talk.like, GUEST, room_id=room, count=7)
    presence = Presence()
    for viewer in (one, two):
        presence.entered(room, viewer)
    await worker.count_viewers(mall.database, presence)
    await mall.add(one, product.sku_id, 2, live_room_id=room)
    await mall.add(one, other.sku_id)  # from the shop, in the same trade
    await mall.pay(one, await mall.place(one))
    await mall.add(late, product.sku_id, live_room_id=room)
    unpaid = await mall.place(late)
    ends = (change(live_rooms.end, host, room_id=room) for _ in range(4))
    await gather(*ends)
    await mall.pay(late, unpaid)
    (row,) = await mall.rows(LiveRoomFiguresRow, room_id=room)
    assert (row.messages, row.likes, row.viewers_total, row.viewers_peak) == (1, 7, 2, 2)
    lines = await mall.rows(OrderLineRow, live_room_id=room)
    assert [line.unit_price_fen for line in lines] == [2500, 2500]
    assert (row.orders, row.units, row.turnover_fen) == (1, 2, lines[0].payable_fen)
    assert (await mall.row(LiveRoomRow, room)).viewer_count == 0


async def test_a_banned_room_has_figures_too(mall: Mall) -> None:
    room, _ = await started(mall)
    staff = await mall.staff()
    await mall.database.change(live_rooms.ban, staff, room_id=room, reason="虚假宣传")
    assert len(await mall.rows(LiveRoomFiguresRow, room_id=room)) == 1
