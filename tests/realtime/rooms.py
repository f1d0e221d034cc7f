"""A room on air, whose host and audience work through the network; what it has told is counted."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.auth import Role, Tokens
from app.bus import MemoryBus
from app.clock import utc_now
from app.db import Database
from app.events import live_room_topic
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.tables.outbox import OutboxRow
from tests.factories import Mall
from tests.patience import PATIENCE_S
from tests.serving import gid

SECRET = "s" * 32  # of all servers of a test, so that they read each other's tokens and cursors
PIN = """mutation($room: ID!, $product: ID) {
  answer: pinLiveProduct(input: {roomId: $room, liveProductId: $product}) { __typename } }"""
LIKE = """mutation($room: ID!) {
  answer: likeLiveRoom(input: {roomId: $room, count: 1}) { __typename } }"""
START = """mutation($room: ID!) {
  answer: startLiveRoom(input: {roomId: $room}) { __typename } }"""


@dataclass
class Room:
    """One room in one database."""

    mall: Mall
    key: int
    product: int
    token: str  # of its host
    url: str
    turns: Any = field(default_factory=itertools.count)

    @property
    def id(self) -> str:
        return gid("LiveRoom", self.key)

    @property
    def settings(self) -> dict[str, str]:
        """Of a server for this room."""
        return {"secret": SECRET, "rate_share": "0"}

    async def told(self) -> list[int]:
        """The numbers of all its events, as they were committed."""
        rows = await self.mall.rows(OutboxRow, topic=live_room_topic(self.key))
        return sorted(row.seq for row in rows)

    async def has_told(self, count: int) -> None:
        """Waits until so many events are committed; fails after a minute."""
        async with asyncio.timeout(PATIENCE_S):
            while len(await self.told()) < count:  # noqa: ASYNC110  a database tells nobody
                await asyncio.sleep(0.05)

    async def has_told_all(self) -> None:
        """Waits until the clock has told what there was to tell."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.mall.row(LiveRoomRow, self.key)).has_news:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.05)

    async def pin(self, client: httpx.AsyncClient) -> None:
        """Shows the product, or none, in turn: one event, unless the room was paused."""
        turn = next(self.turns)
        product = gid("LiveProduct", self.product) if turn % 2 else None
        if await self._ask(client, PIN, product=product) == "RoomNotLiveProblem":
            await self._ask(client, START)

    async def like(self, client: httpx.AsyncClient) -> None:
        if await self._ask(client, LIKE) == "RoomNotLiveProblem":
            await self._ask(client, START)

    async def pins(self, client: httpx.AsyncClient, count: int) -> None:
        """One after the other, until there are `count` events more."""
        before = len(await self.told())
        while len(await self.told()) < before + count:
            await self.pin(client)

    async def _ask(self, client: httpx.AsyncClient, query: str, **variables: Any) -> str:
        body = {"query": query, "variables": {"room": self.id, **variables}}
        headers = {"authorization": f"Bearer {self.token}"}
        answer = (await client.post("/graphql", json=body, headers=headers)).json()
        if answer.get("errors"):  # a machine that is busy with other things may be too slow
            (error,) = answer["errors"]
            assert error["extensions"]["code"] == "OPERATION_TIMEOUT", answer
            return "OPERATION_TIMEOUT"
        kind: str = answer["data"]["answer"]["__typename"]
        return kind


@asynccontextmanager
async def on_air(url: str) -> AsyncGenerator[Room]:
    """A room on air in the migrated database at `url`, its host signed in."""
    bus = MemoryBus()
    database = Database(url, bus=bus)
    mall = Mall(database, bus, utc_now)  # type: ignore[arg-type]
    host = await mall.account(Role.DISTRIBUTOR)
    product = await mall.product()
    key = await mall.live_room({product.sku_id: 2500}, host_id=host.account_id)
    (shown,) = await mall.rows(LiveProductRow, room_id=key)
    on_hand, _, _ = await mall.stock(product.sku_id)
    await mall.change(LiveProductRow, shown.id, told_available=on_hand)  # no event of the clock's
    token = Tokens(SECRET, utc_now).issue(host)
    yield Room(mall, key, shown.id, token, url)
    await database.close()


@asynccontextmanager
async def published(
    room: Room, *urls: str, hands: int = 2, pause_s: float = 0.05, likes: bool = True
) -> AsyncGenerator[None]:
    """While the block lasts, `hands` callers for each server pin, and like, now and then.

    Likes are told by the clock, also after a restart.
    """
    stop = asyncio.Event()

    async def work(client: httpx.AsyncClient) -> None:
        while not stop.is_set():
            await room.pin(client)
            if likes:
                await room.like(client)
            await asyncio.sleep(pause_s)

    clients = [httpx.AsyncClient(base_url=url, timeout=20) for url in urls]
    working = [asyncio.create_task(work(client)) for client in clients for _ in range(hands)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*working)
        if likes:
            await room.has_told_all()
        for client in clients:
            await client.aclose()
