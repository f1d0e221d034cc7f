"""A room in which everything happens at once: nobody waits for ever, nothing is lost or doubled."""

from asyncio import gather
from collections.abc import Awaitable
from typing import Any

from app.auth import Role, Viewer
from app.services import (
    live_rooms,
    live_rooms_lottery,
    live_rooms_shelf,
    live_rooms_talk,
    live_rooms_ticks,
)
from app.services.live_rooms_viewers import Presence
from app.tables.live_lotteries import LiveLotteryEntryRow, LiveLotteryRow
from app.tables.live_rooms import (
    LiveMessageRow,
    LiveProductRow,
    LiveRoomEventRow,
    LiveRoomFiguresRow,
    LiveRoomRow,
)
from app.tables.orders import OrderLineRow
from app.tables.outbox import OutboxRow
from app.workers import expiries
from app.workers import live_rooms as worker
from tests.factories import Mall


async def test_a_rush_of_everybody_leaves_exact_numbers(any_mall: Mall) -> None:
    mall = any_mall
    host = await mall.account(Role.DISTRIBUTOR)
    goods = [await mall.product(stock=100) for _ in range(3)]
    prices = {one.sku_id: 2500 for one in goods}
    room = await mall.live_room(prices, host_id=host.account_id)
    change = mall.database.change
    lottery = await change(
        live_rooms_lottery.open_one,
        host,
        room_id=room,
        prize="小米",
        keyword="暖锅",
        winners=2,
        lasts_s=60,
    )
    shelf = [row.id for row in await mall.rows(LiveProductRow, room_id=room)]
    shoppers, presence = await mall.shoppers(8), Presence()

    async def buy(shopper: Viewer) -> None:
        await mall.add(shopper, goods[0].sku_id, live_room_id=room)
        await mall.pay(shopper, await mall.place(shopper))

    deeds: list[Awaitable[Any]] = []
    for place, shopper in enumerate(shoppers):
        presence.entered(room, shopper)
        texts = ("我要暖锅", "好看", "加微信")
        deeds += [change(live_rooms_talk.post, shopper, room_id=room, text=one) for one in texts]
        deeds += [change(live_rooms_talk.like, shopper, room_id=room, count=3)]
        pinned = shelf[place % 3]
        deeds += [change(live_rooms_shelf.pin, host, room_id=room, live_product_id=pinned)]
        order = [shelf[place % 3], shelf[(place + 1) % 3]]
        deeds += [
            change(live_rooms_shelf.reorder, host, room_id=room, live_product_ids=order),
            change(live_rooms.beat, host, room_id=room),
            change(live_rooms_ticks.tick, room),
            worker.tell_stock(mall.database),
            worker.count_viewers(mall.database, presence),
            buy(shopper),
        ]
    await gather(*deeds)
    await worker.once(mall.database)
    mall.clock.advance(seconds=60)
    ends = (change(live_rooms.end, host, room_id=room) for _ in range(3))
    await gather(*ends, expiries.once(mall.database), expiries.once(mall.database))
    await expiries.once(mall.database)

    row = await mall.row(LiveRoomRow, room)
    assert (row.status, row.like_count, row.message_seq) == ("ENDED", 24, 24)
    messages = await mall.rows(LiveMessageRow, room_id=room)
    assert sorted(one.seq for one in messages) == list(range(1, 25))
    seen = [one.id for one in sorted(messages, key=lambda one: one.seq) if not one.is_hidden]
    batches = await mall.rows(OutboxRow, kind="LiveMessagesPosted")
    assert [key for batch in batches for key in batch.payload["message_ids"]] == seen
    events = await mall.rows(LiveRoomEventRow, room_id=room)
    assert sorted(one.seq for one in events) == list(range(1, row.event_seq + 1))
    assert await mall.rows(LiveProductRow, room_id=room, is_pinned=True) == []
    entries = await mall.rows(LiveLotteryEntryRow, lottery_id=lottery)
    assert sorted(one.number for one in entries) == list(range(1, 9))
    assert (await mall.row(LiveLotteryRow, lottery)).status == "DRAWN"
    assert sum(one.is_winner for one in entries) == 2
    (figures,) = await mall.rows(LiveRoomFiguresRow, room_id=room)
    lines = await mall.rows(OrderLineRow, live_room_id=room)
    assert (figures.messages, figures.likes, figures.viewers_total) == (24, 24, 8)
    assert (figures.orders, figures.units) == (8, 8)
    assert figures.turnover_fen == sum(line.paid_fen for line in lines)
