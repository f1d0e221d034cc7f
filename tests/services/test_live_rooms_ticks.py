"""Ticks of live rooms: batches are told once, bounded, in order, and cost nothing without news."""

from asyncio import gather

from app.auth import Viewer
from app.services import live_rooms_talk, live_rooms_ticks, stocks
from app.tables.live_rooms import LiveMessageRow, LiveRoomEventRow, LiveRoomRow
from app.tables.outbox import OutboxRow
from app.workers import live_rooms as worker
from tests.factories import Mall

GUEST = Viewer()


async def told(mall: Mall, kind: str) -> list[dict[str, object]]:
    return [row.payload for row in await mall.rows(OutboxRow, kind=kind)]


async def say(mall: Mall, viewer: Viewer, room: int, text: str = "好看") -> int:
    return await mall.database.change(live_rooms_talk.post, viewer, room_id=room, text=text)


async def test_messages_and_likes_leave_in_one_batch(any_mall: Mall) -> None:
    mall = any_mall
    room = await mall.live_room({})
    keys = [await say(mall, one, room) for one in await mall.shoppers(3)]
    for _ in range(5):
        await mall.database.change(live_rooms_talk.like, GUEST, room_id=room, count=2)
    assert await told(mall, "LiveMessagesPosted") == []
    assert await worker.once(mall.database) == 1
    posted = {"room_id": room, "message_ids": keys, "skipped": 0}
    assert await told(mall, "LiveMessagesPosted") == [posted]
    assert await told(mall, "LiveLikesTallied") == [{"room_id": room, "likes": 10}]


async def test_two_ticks_at_once_tell_a_batch_once(any_mall: Mall) -> None:
    mall = any_mall
    room = await mall.live_room({})
    shoppers = await mall.shoppers(12)
    for start in range(0, 12, 4):
        posting = (say(mall, one, room) for one in shoppers[start : start + 4])
        ticking = (mall.database.change(live_rooms_ticks.tick, room) for _ in range(3))
        await gather(*posting, *ticking)
    await worker.once(mall.database)
    batches = [one["message_ids"] for one in await told(mall, "LiveMessagesPosted")]
    ids = [key for batch in batches for key in batch]  # type: ignore[attr-defined]
    rows = sorted(await mall.rows(LiveMessageRow, room_id=room), key=lambda row: row.seq)
    assert ids == [row.id for row in rows]


async def test_a_room_without_news_is_not_even_looked_at(mall: Mall) -> None:
    await mall.live_room({})
    async with mall.unchanged():
        with mall.selects() as selects:
            assert await worker.once(mall.database) == 0
    assert len(selects) == 1


async def test_a_flood_shows_the_newest_fifty_and_says_how_many_it_skipped(mall: Mall) -> None:
    room = await mall.live_room({})
    shoppers = await mall.shoppers(14)
    keys = [await say(mall, one, room, f"第 {n} 句") for n in range(4) for one in shoppers]
    await worker.once(mall.database)
    (batch,) = await told(mall, "LiveMessagesPosted")
    assert (batch["message_ids"], batch["skipped"]) == (keys[-50:], 6)
    (logged,) = await mall.rows(LiveRoomEventRow, kind="MESSAGES_POSTED")
    assert logged.data == {"first": 1, "last": 56}


async def test_a_backlog_is_logged_in_bounded_pieces(mall: Mall) -> None:
    room = await mall.live_room({})
    shopper = await mall.consumer()
    for number in range(1, 602):
        values = {"account_id": shopper.account_id, "text": "好", "created_at": mall.clock()}
        await mall.make(LiveMessageRow, room_id=room, seq=number, **values)
    await mall.change(LiveRoomRow, room, message_seq=601, has_news=True)
    assert await worker.once(mall.database) == 1
    assert await worker.once(mall.database) == 1
    assert await worker.once(mall.database) == 0
    logged = [row.data for row in await mall.rows(LiveRoomEventRow, kind="MESSAGES_POSTED")]
    assert logged == [{"first": 1, "last": 500}, {"first": 501, "last": 601}]


async def test_what_is_held_back_is_in_no_batch_until_it_is_released(any_mall: Mall) -> None:
    mall = any_mall
    room = await mall.live_room({})
    shopper, staff = await mall.consumer(), await mall.staff()
    seen = await say(mall, shopper, room)
    held = await say(mall, shopper, room, "加微信")
    await worker.once(mall.database)
    await mall.database.change(live_rooms_talk.release, staff, message_id=held)
    async with mall.unchanged():  # once is enough
        await mall.database.change(live_rooms_talk.release, staff, message_id=held)
    await worker.once(mall.database)
    batches = [one["message_ids"] for one in await told(mall, "LiveMessagesPosted")]
    assert batches == [[seen], [held]]
    assert (await mall.row(LiveMessageRow, held)).seq == 3


async def test_likes_are_logged_every_ten_seconds_at_most(mall: Mall) -> None:
    room = await mall.live_room({})
    for _ in range(22):
        await mall.database.change(live_rooms_talk.like, GUEST, room_id=room)
        await worker.once(mall.database)
        mall.clock.advance(seconds=1)
    logged = [row.data for row in await mall.rows(LiveRoomEventRow, kind="TALLIED")]
    assert logged == [{"likes": n, "viewers": 0} for n in (1, 11, 21)]


async def test_stock_that_has_changed_is_told_once(any_mall: Mall) -> None:
    mall = any_mall
    one, two = await mall.product(stock=10), await mall.product(stock=3)
    room = await mall.live_room({one.sku_id: 2500, two.sku_id: 2500})
    await mall.live_room({two.sku_id: 2500}, status="ENDED")
    assert await worker.tell_stock(mall.database) == 2
    async with mall.unchanged():
        assert await worker.tell_stock(mall.database) == 0
    async with mall.unit() as unit:
        await stocks.sync(unit, two.sku_id, 1, 2)
    ticking = (mall.database.change(live_rooms_ticks.tell_stock) for _ in range(3))
    assert sum(await gather(*ticking)) == 1
    stock = [one["stock"] for one in await told(mall, "LiveStockChanged")]
    assert stock == [[[one.sku_id, 10], [two.sku_id, 3]], [[two.sku_id, 1]]]
    assert (await mall.row(LiveRoomRow, room)).event_seq == 0  # a replay has no use for it
