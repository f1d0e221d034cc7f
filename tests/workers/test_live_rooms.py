"""The loop of live rooms, as a process runs it."""

import asyncio

from sqlalchemy import text

from app.bus import Delivery
from app.events import live_room_topic
from app.services import live_rooms_talk
from app.services.live_rooms_viewers import Presence
from app.tables.live_rooms import LiveRoomRow
from app.workers import live_rooms
from tests.factories import Mall


async def test_a_message_reaches_the_bus_and_viewers_are_counted_while_it_runs(mall: Mall) -> None:
    product, shopper = await mall.product(stock=4), await mall.consumer()
    room = await mall.live_room({product.sku_id: 2500})
    presence, stop = Presence(), asyncio.Event()
    presence.entered(room, shopper)
    heard: set[str] = set()
    async with mall.bus.subscribe(live_room_topic(room)) as items:
        loop = asyncio.create_task(live_rooms.run(mall.database, presence, stop, interval_s=0.01))
        await mall.database.change(live_rooms_talk.post, shopper, room_id=room, text="好看")
        async with asyncio.timeout(10):
            async for item in items:
                assert isinstance(item, Delivery)
                heard.add(item.message.kind)
                if len(heard) == 3:
                    break
    stop.set()
    await asyncio.wait_for(loop, 5)
    assert heard == {"LiveMessagesPosted", "LiveViewersChanged", "LiveStockChanged"}
    assert (await mall.row(LiveRoomRow, room)).viewer_total == 1


async def test_what_was_said_last_is_told_before_the_loop_ends(mall: Mall) -> None:
    room, shopper = await mall.live_room({}), await mall.consumer()
    stop = asyncio.Event()
    stop.set()
    await mall.database.change(live_rooms_talk.post, shopper, room_id=room, text="好看")
    await live_rooms.run(mall.database, Presence(), stop)
    assert not (await mall.row(LiveRoomRow, room)).has_news


async def test_rooms_with_news_are_found_by_an_index_of_nothing_else(mall: Mall) -> None:
    seen: list[str] = []
    forget = mall.database.watch(seen.append)
    await live_rooms.once(mall.database)
    forget()
    (statement,) = seen
    async with mall.database.read() as db:
        (step,) = await db.all(text(f"EXPLAIN QUERY PLAN {statement}"))
    assert "ix_live_rooms_has_news" in step.detail
