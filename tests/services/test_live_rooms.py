"""Live rooms: going on air, pins, chatter, likes; for hosts only what is a host's."""

from asyncio import gather
from datetime import timedelta

import pytest

from app.auth import Role, Viewer
from app.errors import (
    Forbidden,
    InvalidInput,
    MallError,
    MessageRefused,
    NotFound,
    RoomNotLive,
    TooOften,
    Unauthenticated,
    WrongState,
)
from app.services import live_rooms, live_rooms_shelf, live_rooms_talk
from app.tables.live_rooms import LiveMessageRow, LiveProductRow, LiveRoomRow
from app.tables.outbox import OutboxRow
from tests.factories import START, Mall

SOON = START + timedelta(hours=1)
GUEST = Viewer()


async def on_air(mall: Mall, **differences: object) -> tuple[int, Viewer]:
    """A live room with two products, and its host."""
    host = await mall.account(Role.DISTRIBUTOR)
    one, two = await mall.product(), await mall.product()
    room = await mall.live_room(
        {one.sku_id: 2500, two.sku_id: 2600}, host_id=host.account_id, **differences
    )
    return room, host


async def post(mall: Mall, viewer: Viewer, room: int, text: str = "主播好") -> int:
    async with mall.unit() as unit:
        return await live_rooms_talk.post(unit, viewer, room_id=room, text=text)


async def pin(mall: Mall, viewer: Viewer, room: int, key: int | None) -> None:
    async with mall.unit() as unit:
        await live_rooms_shelf.pin(unit, viewer, room_id=room, live_product_id=key)


async def pinned(mall: Mall, room: int) -> list[int]:
    return [row.id for row in await mall.rows(LiveProductRow, room_id=room, is_pinned=True)]


async def told(mall: Mall) -> list[str]:
    return [row.kind for row in await mall.rows(OutboxRow) if row.kind.startswith("Live")]


async def test_a_distributor_schedules_goes_on_air_and_ends(mall: Mall) -> None:
    host = await mall.account(Role.DISTRIBUTOR)
    product = await mall.product(price_fen=2990)
    async with mall.unit() as unit:
        room = await live_rooms.schedule(
            unit, host, title=" 晚间专场 ", starts_at=SOON, goods=[(product.sku_id, 2500)]
        )
    async with mall.unit() as unit:
        await live_rooms.start(unit, host, room_id=room)
    mall.clock.advance(hours=2)
    await pin(mall, host, room, (await mall.rows(LiveProductRow))[0].id)
    async with mall.unit() as unit:
        await live_rooms.end(unit, host, room_id=room)
    row = await mall.row(LiveRoomRow, room)
    assert (row.title, row.status) == ("晚间专场", "ENDED")
    assert (row.started_at, row.ended_at) == (START, START + timedelta(hours=2))
    assert await pinned(mall, room) == []
    assert await told(mall) == [
        "LiveRoomMoved",
        "LiveProductPinned",
        "LiveRoomMoved",
        "LiveProductPinned",
    ]


@pytest.mark.parametrize("role", [Role.CONSUMER, Role.AGENT])
async def test_only_hosts_schedule_rooms(mall: Mall, role: Role) -> None:
    viewer = await mall.account(role)
    async with mall.unchanged():
        with pytest.raises(Forbidden):
            async with mall.unit() as unit:
                await live_rooms.schedule(unit, viewer, title="专场", starts_at=SOON)


@pytest.mark.parametrize("title", ["", "  ", "长" * 61])
async def test_a_room_needs_a_title_of_sixty_characters_at_most(mall: Mall, title: str) -> None:
    host = await mall.account(Role.DISTRIBUTOR)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            async with mall.unit() as unit:
                await live_rooms.schedule(unit, host, title=title, starts_at=SOON)


@pytest.mark.parametrize("price_fen", [0, 2391, 2991])
async def test_a_live_price_lies_between_shop_and_distributor(mall: Mall, price_fen: int) -> None:
    host = await mall.account(Role.DISTRIBUTOR)
    product = await mall.product(price_fen=2990)  # distributors pay 2392
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            async with mall.unit() as unit:
                await live_rooms.schedule(
                    unit, host, title="专场", starts_at=SOON, goods=[(product.sku_id, price_fen)]
                )


async def test_a_supplier_shows_only_its_own_goods(mall: Mall) -> None:
    own, foreign = await mall.product(), await mall.product()
    host = await mall.supplier_viewer(own.supplier_id)
    async with mall.unit() as unit:
        await live_rooms.schedule(
            unit, host, title="专场", starts_at=SOON, goods=[(own.sku_id, None)]
        )
    async with mall.unchanged():
        with pytest.raises(NotFound):
            async with mall.unit() as unit:
                await live_rooms.schedule(
                    unit, host, title="专场", starts_at=SOON, goods=[(foreign.sku_id, None)]
                )


async def test_somebody_elses_room_cannot_be_moved(mall: Mall) -> None:
    room, _ = await on_air(mall)
    other = await mall.account(Role.DISTRIBUTOR)
    async with mall.unchanged():
        with pytest.raises(Forbidden):
            async with mall.unit() as unit:
                await live_rooms.end(unit, other, room_id=room)


async def test_an_ended_room_does_not_go_on_air_again(mall: Mall) -> None:
    room, host = await on_air(mall, status="ENDED")
    async with mall.unchanged():
        with pytest.raises(WrongState):
            async with mall.unit() as unit:
                await live_rooms.start(unit, host, room_id=room)


async def test_starting_a_live_room_again_changes_nothing(mall: Mall) -> None:
    room, host = await on_air(mall)
    async with mall.unchanged(), mall.unit() as unit:
        await live_rooms.start(unit, host, room_id=room)


async def test_a_new_pin_takes_the_old_one_away(any_mall: Mall) -> None:
    mall = any_mall
    room, host = await on_air(mall)
    one, two = [row.id for row in await mall.rows(LiveProductRow, room_id=room)]
    await pin(mall, host, room, one)
    await pin(mall, host, room, two)
    assert await pinned(mall, room) == [two]
    await pin(mall, host, room, None)
    assert await pinned(mall, room) == []


async def test_pins_at_the_same_time_leave_one_product_pinned(any_mall: Mall) -> None:
    mall = any_mall
    room, host = await on_air(mall)
    keys = [row.id for row in await mall.rows(LiveProductRow, room_id=room)]
    await gather(*(pin(mall, host, room, key) for key in keys * 5))
    assert len(await pinned(mall, room)) == 1


async def test_another_rooms_product_cannot_be_pinned(mall: Mall) -> None:
    room, host = await on_air(mall)
    one = (await mall.rows(LiveProductRow, room_id=room))[0].id
    await pin(mall, host, room, one)
    foreign, _ = await on_air(mall)
    key = (await mall.rows(LiveProductRow, room_id=foreign))[0].id
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await pin(mall, host, room, key)


async def test_messages_of_many_are_numbered_without_gap(any_mall: Mall) -> None:
    mall = any_mall
    room, _ = await on_air(mall)
    await gather(*(post(mall, shopper, room) for shopper in await mall.shoppers(20)))
    rows = await mall.rows(LiveMessageRow, room_id=room)
    assert sorted(row.seq for row in rows) == list(range(1, 21))


@pytest.mark.parametrize("text", ["", " \n ", "哈" * 201, "\x00\x07", "哈" * 100_000])
async def test_an_empty_or_long_message_is_refused(mall: Mall, text: str) -> None:
    room, _ = await on_air(mall)
    shopper = await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(MessageRefused):
            await post(mall, shopper, room, text)


@pytest.mark.parametrize(
    "text", ["加 微-信 便宜", "ｖｘ：abc12345", "垃圾 主播！", "打我13912345678"]
)
async def test_sensitive_words_reach_only_their_author_and_the_host(mall: Mall, text: str) -> None:
    room, host = await on_air(mall)
    writer = await mall.consumer()
    await post(mall, writer, room, "多少钱")
    await post(mall, writer, room, text)
    seen = {}
    shopper = await mall.consumer()
    for name, viewer in (
        ("guest", GUEST),
        ("shopper", shopper),
        ("writer", writer),
        ("host", host),
    ):
        async with mall.database.read() as db:
            rows = await live_rooms_talk.messages_after(db, viewer, room, 0)
        seen[name] = [row.seq for row in rows]
    assert seen == {"guest": [1], "shopper": [1], "writer": [1, 2], "host": [1, 2]}
    assert await told(mall) == ["LiveMessageHeldBack"]


async def test_the_sixth_message_within_ten_seconds_is_too_often(mall: Mall) -> None:
    room, _ = await on_air(mall)
    shopper = await mall.consumer()
    for _ in range(5):
        await post(mall, shopper, room)
        mall.clock.advance(seconds=1)
    async with mall.unchanged():
        with pytest.raises(TooOften) as refusal:
            await post(mall, shopper, room)
    assert refusal.value.data["retry_after_s"] == 5.0
    mall.clock.advance(seconds=5)
    await post(mall, shopper, room)
    assert (await mall.row(LiveRoomRow, room)).message_seq == 6


@pytest.mark.parametrize("status", ["SCHEDULED", "ENDED", "REPLAY_READY"])
async def test_nothing_is_said_or_liked_in_a_room_off_air(mall: Mall, status: str) -> None:
    room, _ = await on_air(mall, status=status)
    shopper = await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(RoomNotLive):
            await post(mall, shopper, room)
        with pytest.raises(RoomNotLive):
            async with mall.unit() as unit:
                await live_rooms_talk.like(unit, shopper, room_id=room)


async def test_guests_may_like_but_not_write(mall: Mall) -> None:
    room, _ = await on_air(mall)
    async with mall.unit() as unit:
        assert await live_rooms_talk.like(unit, GUEST, room_id=room, count=100) == 100
    async with mall.unchanged():
        with pytest.raises(Unauthenticated):
            await post(mall, GUEST, room)


@pytest.mark.parametrize("count", [0, -1, 101])
async def test_one_to_a_hundred_likes_at_once(mall: Mall, count: int) -> None:
    room, _ = await on_air(mall)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            async with mall.unit() as unit:
                await live_rooms_talk.like(unit, GUEST, room_id=room, count=count)


async def test_likes_of_many_add_up(any_mall: Mall) -> None:
    mall = any_mall
    room, _ = await on_air(mall)

    async def like() -> None:
        async with mall.unit() as unit:
            await live_rooms_talk.like(unit, GUEST, room_id=room, count=3)

    await gather(*(like() for _ in range(30)))
    assert (await mall.row(LiveRoomRow, room)).like_count == 90


async def test_likes_and_words_in_one_hop_count_like_those_in_steps(any_mall: Mall) -> None:
    mall = any_mall
    room, _ = await on_air(mall)
    shopper = await mall.consumer()
    change = mall.database.change
    for likes in (1, 2, 3):
        assert await change(lambda unit: live_rooms_talk.like(unit, GUEST, room_id=room)) == likes

    async def say() -> int:
        return await change(
            lambda unit: live_rooms_talk.post(unit, shopper, room_id=room, text="好看")
        )

    for _ in range(4):
        await say()
        mall.clock.advance(seconds=2)
    await post(mall, shopper, room)
    async with mall.unchanged():
        with pytest.raises(TooOften) as refusal:
            await say()
    assert refusal.value.data["retry_after_s"] == 2.0
    assert [row.seq for row in await mall.rows(LiveMessageRow)] == [1, 2, 3, 4, 5]


async def test_banned_and_unknown_rooms_look_the_same(mall: Mall) -> None:
    banned, host = await on_air(mall, status="BANNED")
    shopper = await mall.consumer()
    codes = []
    for room in (banned, 10**9):
        try:
            await post(mall, shopper, room)
        except MallError as refusal:
            codes.append((refusal.code, str(refusal)))
    assert len(codes) == 2
    assert codes[0] == codes[1]
    async with mall.database.read() as db:
        assert (await live_rooms.get(db, host, banned)).status == "BANNED"


async def test_names_of_writers_are_masked(mall: Mall) -> None:
    room, host = await on_air(mall)
    await post(mall, await mall.consumer(), room)
    async with mall.database.read() as db:
        rows = await live_rooms_talk.messages_after(db, host, room, 0)
        assert await live_rooms_talk.nicknames(db, host, rows) == ["小**号"]
