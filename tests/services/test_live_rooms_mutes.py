"""Who may not write in a room, and what becomes of messages that were held back."""

from asyncio import gather
from datetime import timedelta

import pytest

from app.auth import Role, Viewer
from app.errors import Forbidden, InvalidInput, MallError, Muted, NotFound, RoomNotLive
from app.services import live_rooms_talk
from app.tables.live_rooms import LiveMessageRow, LiveMuteRow, LiveRoomEventRow, LiveRoomRow
from tests.factories import START, Mall


async def talking(mall: Mall) -> tuple[int, Viewer, Viewer, int]:
    """(room, host, a shopper, the message that it has posted)."""
    host, shopper = await mall.account(Role.DISTRIBUTOR), await mall.consumer()
    room = await mall.live_room({}, host_id=host.account_id)
    return room, host, shopper, await say(mall, shopper, room)


async def say(mall: Mall, viewer: Viewer, room: int, text: str = "好看") -> int:
    return await mall.database.change(live_rooms_talk.post, viewer, room_id=room, text=text)


async def mute(mall: Mall, viewer: Viewer, message: int, seconds: int | None = None) -> int:
    return await mall.database.change(
        live_rooms_talk.mute, viewer, message_id=message, seconds=seconds
    )


async def test_a_muted_person_may_not_write_until_it_is_over(mall: Mall) -> None:
    room, host, shopper, message = await talking(mall)
    await mute(mall, host, message, 60)
    async with mall.unchanged():
        with pytest.raises(Muted) as refusal:
            await say(mall, shopper, room)
    assert refusal.value.data["until"] == START + timedelta(seconds=60)
    await say(mall, await mall.consumer(), room)
    mall.clock.advance(seconds=60)
    await say(mall, shopper, room)


async def test_a_mute_for_good_is_lifted_by_staff(any_mall: Mall) -> None:
    mall = any_mall
    room, host, shopper, message = await talking(mall)
    key = await mute(mall, host, message)
    mall.clock.advance(days=400)
    with pytest.raises(Muted):
        await say(mall, shopper, room)
    staff = await mall.staff()
    await mall.database.change(live_rooms_talk.lift, staff, mute_id=key)
    async with mall.unchanged():
        await mall.database.change(live_rooms_talk.lift, staff, mute_id=key)
    await say(mall, shopper, room)
    logged = await mall.rows(LiveRoomEventRow, room_id=room)
    assert [(row.kind, row.is_host_only) for row in logged] == [
        ("MUTED", True),
        ("MUTE_LIFTED", True),
    ]


async def test_mutes_at_the_same_time_leave_one(any_mall: Mall) -> None:
    mall = any_mall
    _, host, shopper, message = await talking(mall)
    await gather(*(mute(mall, host, message, seconds) for seconds in (10, 20, 30)))
    rows = await mall.rows(LiveMuteRow, account_id=shopper.id)
    assert [row.is_lifted for row in rows] == [True, True, False]


async def test_a_message_and_a_mute_at_the_same_time_wait_for_each_other(any_mall: Mall) -> None:
    mall = any_mall
    room, host, shopper, message = await talking(mall)
    outcomes = await gather(
        *(mall.outcome(say(mall, shopper, room)) for _ in range(3)), mute(mall, host, message)
    )
    assert {one for one in outcomes if isinstance(one, str)} <= {"MUTED"}
    assert await mall.outcome(say(mall, shopper, room)) == "MUTED"


async def test_a_mute_holds_in_its_own_room_only(mall: Mall) -> None:
    _, host, shopper, message = await talking(mall)
    await mute(mall, host, message)
    other = await mall.live_room({})
    await say(mall, shopper, other)


async def test_only_the_host_and_staff_mute_and_release(mall: Mall) -> None:
    room, _, shopper, message = await talking(mall)
    held = await say(mall, shopper, room, "加微信")
    other_host, consumer = await mall.account(Role.DISTRIBUTOR), await mall.consumer()
    async with mall.unchanged():
        for viewer, wanted in ((other_host, Forbidden), (consumer, Forbidden)):
            with pytest.raises(wanted):
                await mute(mall, viewer, message)
        for viewer, expected in ((other_host, NotFound), (shopper, Forbidden)):
            with pytest.raises(MallError) as refusal:
                await mall.database.change(live_rooms_talk.release, viewer, message_id=held)
            assert type(refusal.value) is expected


@pytest.mark.parametrize("seconds", [0, -1, 30 * 24 * 3600 + 1])
async def test_a_mute_lasts_a_second_to_thirty_days(mall: Mall, seconds: int) -> None:
    _, host, _, message = await talking(mall)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await mute(mall, host, message, seconds)


async def test_the_host_is_not_muted(mall: Mall) -> None:
    room, host, _, _ = await talking(mall)
    own = await say(mall, host, room)
    staff = await mall.staff()
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await mute(mall, staff, own)


async def test_nothing_is_released_in_a_room_that_is_over(mall: Mall) -> None:
    room, host, shopper, _ = await talking(mall)
    held = await say(mall, shopper, room, "加微信")
    await mall.change(LiveRoomRow, room, status="ENDED")
    async with mall.unchanged():
        with pytest.raises(RoomNotLive):
            await mall.database.change(live_rooms_talk.release, host, message_id=held)


async def test_a_message_released_twice_at_once_is_released_once(any_mall: Mall) -> None:
    mall = any_mall
    room, host, shopper, _ = await talking(mall)
    held = await say(mall, shopper, room, "加微信")
    change = mall.database.change
    await gather(*(change(live_rooms_talk.release, host, message_id=held) for _ in range(3)))
    row = await mall.row(LiveMessageRow, held)
    assert (row.is_hidden, row.seq) == (False, 3)
    assert (await mall.row(LiveRoomRow, room)).message_seq == 3
    released = await mall.rows(LiveRoomEventRow, kind="MESSAGE_RELEASED")
    assert len(released) == 1
