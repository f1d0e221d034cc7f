"""Shared runs of public streams: one encoding for all, nobody waits, nothing is lost."""

import asyncio
import random
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from app.auth import Role, Viewer
from app.edge.gauges import Gauges
from app.edge.seats import MOST_BEHIND, Part, SocketSeat
from app.events import LiveRoomMoved, live_room_topic
from app.services import group_buys, live_rooms_shelf
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.workers import live_rooms as clock
from tests.edge.speaking import streamed
from tests.serving import Server, Socket, gid, served, text

pytestmark = pytest.mark.asyncio(loop_scope="module")
MOST_TAKEN = 5000  # messages that all buffers between a server and a client may hold
FOLLOW = """subscription($room: ID!, $after: String) {
  liveRoomEvents(roomId: $room, after: $after) {
    __typename
    ... on StreamEvent { cursor }
    ... on LiveProductPinned { product { isPinned product { title subtitle } } } } }"""


@dataclass
class Room:
    """A live room with one product, and its host."""

    server: Server
    host: Viewer
    id: int
    product: int

    @property
    def given(self) -> dict[str, Any]:
        return {"room": gid("LiveRoom", self.id)}

    async def pin(self, times: int = 1) -> None:
        for _ in range(times):
            await self.server.mall.database.change(
                live_rooms_shelf.pin,
                self.host,
                room_id=self.id,
                live_product_id=self.product,
            )

    def place(self, cursor: str) -> int:
        """The number of an event in the room, which its cursor hides from clients."""
        read = self.server.resources.cursors.read(live_room_topic(self.id), cursor)
        return int(read[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    """One whose clock tells nothing of its rooms: what happens is what a test does."""
    file = tmp_path_factory.mktemp("served") / "mall.db"
    shutil.copy(migrated, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "run", lambda _database, _presence, stop: stop.wait())
        async with served(f"sqlite+aiosqlite:///{file}") as one:
            yield one


async def room_in(server: Server) -> Room:
    mall = server.mall
    host, product = await mall.account(Role.DISTRIBUTOR), await mall.product()
    room_id = await mall.live_room({product.sku_id: 2500}, host_id=host.account_id)
    (shown,) = await mall.rows(LiveProductRow, room_id=room_id)
    return Room(server, host, room_id, shown.id)


async def figures(server: Server) -> dict[str, float]:
    """What /metrics says, by the names of the samples."""
    page = (await server.client.get("/metrics")).text
    families = text_string_to_metric_families(page)
    return {one.name: one.value for family in families for one in family.samples}


async def event(mine: Socket, key: str = "1") -> dict[str, Any]:
    return await mine.data(key, "liveRoomEvents")


async def test_all_shoppers_are_told_by_one_run_whatever_carries_it(server: Server) -> None:
    room = await room_in(server)
    before = await figures(server)
    async with AsyncExitStack() as stack:
        guest = await stack.enter_async_context(server.socket())
        token = await server.sign_in()
        consumer = await stack.enter_async_context(server.socket(token))
        await guest.start("a", FOLLOW, room.given)
        await consumer.start("b", FOLLOW, {**room.given, "after": None})
        body = {"query": FOLLOW, "variables": room.given}
        _, chunks = await stack.enter_async_context(streamed(server, body))
        for mine, key in ((guest, "a"), (consumer, "b")):
            assert (await event(mine, key))["__typename"] == "LiveRoomMoved"
        await chunks.until("}\n\n")
        await room.pin()
        told = [await event(guest, "a"), await event(consumer, "b")]
        data = (await chunks.until("}\n\n")).partition("data: ")[2]
        told.append(orjson.loads(data)["data"]["liveRoomEvents"])
        assert told[0]["product"]["isPinned"] is True
        assert told == [told[0]] * 3
        now = await figures(server)
        assert now["jishi_channels"] == before["jishi_channels"] + 1
        assert now["jishi_stream_events_total"] == before["jishi_stream_events_total"] + 1
        assert now["jishi_stream_messages_total"] == before["jishi_stream_messages_total"] + 3
        assert now["jishi_streams"] >= 3
    await server.deserted(live_room_topic(room.id))
    assert (await figures(server))["jishi_channels"] == before["jishi_channels"]


@pytest.mark.parametrize("role", [Role.DISTRIBUTOR, Role.SUPPLIER, Role.AGENT, Role.ADMIN])
async def test_who_may_see_more_than_shoppers_is_told_alone(server: Server, role: Role) -> None:
    room = await room_in(server)
    viewer = await server.mall.account(role)
    channels = (await figures(server))["jishi_channels"]
    async with server.socket(server.resources.tokens.issue(viewer)) as mine:
        await mine.start("1", FOLLOW, room.given)
        await event(mine)
        await room.pin()
        assert (await event(mine))["__typename"] == "LiveProductPinned"
        assert (await figures(server))["jishi_channels"] == channels


async def test_a_leader_follows_a_group_that_nobody_else_sees_yet(server: Server) -> None:
    mall = server.mall
    group, leader = await mall.group_buy(), await mall.consumer()
    async with mall.unit() as unit:
        pending, _ = await group_buys.open_group(
            unit,
            leader,
            activity_id=group.activity_id,
            sku_id=group.sku_id,
            quantity=1,
            idempotency_key=mall.key(),
        )
    follow = """subscription($id: ID!) {
      groupBuyUpdated(id: $id) { ... on GroupBuyUpdate { groupBuy { status } } } }"""
    given = {"id": gid("GroupBuy", pending)}
    async with server.socket(server.resources.tokens.issue(leader)) as mine:
        await mine.start("1", follow, given)
        told = await mine.data("1", "groupBuyUpdated")
        assert told["groupBuy"]["status"] == "PENDING"
    async with server.socket() as guest:
        await guest.start("1", follow, given)
        frame = await guest.next()
        assert frame["payload"]["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_a_wrong_cursor_is_refused_at_the_field(server: Server) -> None:
    room = await room_in(server)
    async with server.socket() as mine:
        await mine.start("1", FOLLOW, {**room.given, "after": "of-nothing"})
        frame = await mine.next()
        (error,) = frame["payload"]["errors"]
        assert error["extensions"]["code"] == "BAD_CURSOR"


async def test_when_a_room_is_shown_no_more_the_stream_of_everybody_ends(server: Server) -> None:
    room, mall = await room_in(server), server.mall
    async with server.socket() as one, server.socket() as two:
        for mine in (one, two):
            await mine.start("1", FOLLOW, room.given)
            await event(mine)
        await mall.change(LiveRoomRow, room.id, status="BANNED")
        async with mall.unit() as unit:
            unit.emit(LiveRoomMoved(room.id, "BANNED"))
        for mine in (one, two):
            frame = await mine.next()
            assert frame["payload"]["errors"][0]["extensions"]["code"] == "NOT_FOUND"
            assert (await mine.next())["type"] == "complete"
            await mine.start("1", "{ viewer { role } }")  # the id may be used again
            assert (await mine.next())["type"] == "next"


async def test_whoever_comes_and_goes_gets_every_event_once(server: Server) -> None:
    """Forty shoppers leave and come back at random while events happen, all in one channel."""
    room, draw, count = await room_in(server), random.Random(8), 150

    async def shop() -> list[int]:
        places: list[int] = []
        after = None
        while not places or places[-1] < count:
            async with server.socket() as mine:
                await mine.start("1", FOLLOW, {**room.given, "after": after})
                for _ in range(draw.randrange(1, 30)):
                    after = (await event(mine))["cursor"]
                    if place := room.place(after):  # of a first look: from here on
                        places.append(place)
                    if place == count:
                        break
        return places

    async with asyncio.TaskGroup() as crowd:
        shoppers = [crowd.create_task(shop()) for _ in range(40)]
        await asyncio.sleep(0.2)
        for _ in range(count):
            await room.pin()
            await asyncio.sleep(draw.random() / 200)
    for places in (one.result() for one in shoppers):
        assert places == list(range(places[0], count + 1))


async def test_one_who_never_reads_holds_up_nobody_and_is_ended(server: Server) -> None:
    room, count = await room_in(server), 0
    async with server.socket() as reader, AsyncExitStack() as stack:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        narrow.connect(("127.0.0.1", server.port))
        raw = server.raw_socket(sock=narrow, max_queue=1)
        sleeper = Socket(await stack.enter_async_context(raw))
        await sleeper.raw.send(text({"type": "connection_init"}))
        for mine in (sleeper, reader):
            await mine.start("1", FOLLOW, room.given)
        await sleeper.next()
        assert (await event(sleeper))["__typename"] == "LiveRoomMoved"
        await event(reader)
        lagging = (await figures(server))["jishi_stream_lagging_total"]
        while (now := await figures(server))["jishi_stream_lagging_total"] == lagging:
            assert now["jishi_stream_behind"] <= MOST_BEHIND
            assert count < MOST_TAKEN
            for _ in range(50):
                await room.pin()
                assert (await event(reader))["__typename"] == "LiveProductPinned"
            count += 50
        frames = [await sleeper.next()]
        while frames[-1]["type"] == "next":
            frames.append(await sleeper.next())
        assert frames[-1] == {"id": "1", "type": "complete"}
        assert frames[-2]["payload"]["errors"][0]["extensions"]["code"] == "LAGGING"
        assert 1 < len(frames) < count
        last = frames[-3]["payload"]["data"]["liveRoomEvents"]
        await sleeper.start("2", FOLLOW, {**room.given, "after": last["cursor"]})
        missed = await event(sleeper, "2")
        assert room.place(missed["cursor"]) == room.place(last["cursor"]) + 1


async def test_a_server_that_stops_says_when_to_come_back(tmp_path: Any) -> None:
    async with AsyncExitStack() as stack:
        url = f"sqlite+aiosqlite:///{tmp_path / 'stop.db'}"
        async with served(url) as server:
            mine = await stack.enter_async_context(server.socket())
            await mine.start("1", "{ viewer { role } }")
            await mine.next()
        await mine.raw.wait_closed()
        assert (mine.raw.close_code, mine.raw.close_reason) == (1012, "retry: 1000")


class Peer:
    """A websocket whose reader may be slow."""

    def __init__(self) -> None:
        self.is_slow = False
        self.sent: list[dict[str, Any]] = []

    def write(self, message: bytes) -> bool:
        if not self.is_slow:
            self.press(message)
        return not self.is_slow

    def press(self, message: bytes) -> None:
        self.sent.append(orjson.loads(message))


def seat_of(peer: Peer) -> SocketSeat:
    over: list[bool] = []
    return SocketSeat(
        peer, "k", lagging=lambda: b'{"late":1}', over=lambda: over.append(True), gauges=Gauges()
    )


async def test_where_too_much_waits_the_last_state_stands_for_those_before() -> None:
    peer = Peer()
    seat = seat_of(peer)
    peer.is_slow = True
    seat.take(Part(b'{"said":1}'))
    for number in range(MOST_BEHIND - 1):
        seat.take(Part(b'{"likes":%d}' % number, merged="likes"))
    seat.take(Part(b'{"said":2}'))  # the first for which there is no place
    seat.take(Part(b'{"likes":9999}', merged="likes"))
    seat.drained()
    assert not peer.sent
    peer.is_slow = False
    seat.drained()
    told = [one["payload"] for one in peer.sent]
    assert told == [{"said": 1}, {"likes": MOST_BEHIND - 2}, {"said": 2}, {"likes": 9999}]
    seat.take(Part(b'{"said":3}'))
    assert peer.sent[-1]["payload"] == {"said": 3}


async def test_a_long_history_is_no_fault_of_a_newcomer() -> None:
    peer = Peer()
    seat = seat_of(peer)
    peer.is_slow = True
    seat.make_room(3 * MOST_BEHIND)
    for number in range(3 * MOST_BEHIND):
        seat.take(Part(b'{"said":%d}' % number))
    peer.is_slow = False
    seat.drained()
    assert [one["payload"]["said"] for one in peer.sent] == list(range(3 * MOST_BEHIND))


async def test_what_must_all_arrive_ends_a_stream_that_is_too_slow() -> None:
    peer = Peer()
    seat = seat_of(peer)
    peer.is_slow = True
    for number in range(MOST_BEHIND + 2):
        seat.take(Part(b'{"said":%d}' % number))
    assert peer.sent == [
        {"id": "k", "type": "next", "payload": {"late": 1}},
        {"id": "k", "type": "complete"},
    ]
    peer.is_slow = False
    seat.drained()
    assert len(peer.sent) == 2
