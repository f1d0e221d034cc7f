"""Viewers of live rooms: once per person, whatever sockets and processes they come through."""

from asyncio import gather

from app.auth import Viewer
from app.services.live_rooms_viewers import Presence
from app.tables.live_rooms import LiveRoomRow, LiveViewerRow
from app.tables.outbox import OutboxRow
from app.workers import live_rooms as worker
from tests.factories import Mall

KITCHEN = Viewer(guest_key="kitchen")


async def counted(mall: Mall, room: int) -> tuple[int, int, int]:
    """(now, peak, total)."""
    row = await mall.row(LiveRoomRow, room)
    return row.viewer_count, row.viewer_peak, row.viewer_total


async def test_a_person_in_two_processes_counts_once(any_mall: Mall) -> None:
    mall = any_mall
    room = await mall.live_room({})
    one, two = await mall.shoppers(2)
    here, there = Presence(), Presence()
    for viewer in (one, one, two, KITCHEN):
        here.entered(room, viewer)
    for viewer in (one, KITCHEN):
        there.entered(room, viewer)
    await gather(*(worker.count_viewers(mall.database, each) for each in (here, there)))
    await worker.count_viewers(mall.database, here)
    assert await counted(mall, room) == (3, 3, 3)
    await worker.once(mall.database)
    told = await mall.rows(OutboxRow, kind="LiveViewersChanged")
    assert told[-1].payload == {"room_id": room, "viewers": 3, "peak": 3}


async def test_fifty_people_entering_at_once_are_fifty(any_mall: Mall) -> None:
    mall = any_mall
    room = await mall.live_room({})
    processes = [Presence() for _ in range(4)]
    for place, viewer in enumerate(await mall.shoppers(50)):
        processes[place % 4].entered(room, viewer)
        processes[(place + 1) % 4].entered(room, viewer)
    await gather(*(worker.count_viewers(mall.database, one) for one in processes))
    await worker.count_viewers(mall.database, processes[0])
    assert await counted(mall, room) == (50, 50, 50)
    assert len(await mall.rows(LiveViewerRow, room_id=room)) == 50


async def test_who_has_left_counts_no_more_but_was_there(mall: Mall) -> None:
    room = await mall.live_room({})
    one, two = await mall.shoppers(2)
    presence = Presence()
    presence.entered(room, one)
    presence.entered(room, two)
    presence.entered(room, two)
    await worker.count_viewers(mall.database, presence)
    presence.left(room, one)
    presence.left(room, two)  # the other tab is still open
    for _ in range(3):
        mall.clock.advance(seconds=15)
        await worker.count_viewers(mall.database, presence)
    assert await counted(mall, room) == (1, 2, 2)


async def test_who_came_and_went_between_two_batches_was_there(mall: Mall) -> None:
    room = await mall.live_room({})
    presence = Presence()
    presence.entered(room, KITCHEN)
    presence.left(room, KITCHEN)
    presence.seen(room, await mall.consumer())
    presence.seen(room, Viewer())  # somebody without a name
    await worker.count_viewers(mall.database, presence)
    assert await counted(mall, room) == (2, 2, 2)


async def test_many_viewers_are_one_statement(mall: Mall) -> None:
    room = await mall.live_room({})
    presence = Presence()
    for number in range(300):
        presence.entered(room, Viewer(guest_key=f"g{number}"))
    seen: list[str] = []
    stop = mall.database.watch(seen.append)
    await worker.count_viewers(mall.database, presence)
    stop()
    assert len([one for one in seen if one.startswith("INSERT")]) == 1
    assert await counted(mall, room) == (300, 300, 300)
