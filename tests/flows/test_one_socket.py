"""One websocket for everything that a shopper follows, cut and resumed, before a real server."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from app.auth import Role, Viewer
from app.clock import utc_now
from app.tables.live_rooms import LiveProductRow
from tests.conftest import opened
from tests.factories import Mall
from tests.serving import SUBPROTOCOL, gid, process, text

SIGN_IN = """mutation($code: String!) { loginWithCode(input: {platform: DEV, code: $code}) {
  ... on Session { token } } }"""
JOINERS = ("consumer-2", "consumer-3", "consumer-4")
DEEDS = {
    "add": "mutation($i: AddCartLineInput!) { addCartLine(input: $i) { __typename } }",
    "place": "mutation($i: PlaceTradeInput!) { placeTrade(input: $i) { ... on Trade {"
    " id orders { id } } ... on Problem { code } } }",
    "pay": "mutation($i: PayTradeInput!) { payTrade(input: $i) { ... on Trade { status } } }",
    "ship": "mutation($i: ShipOrderInput!) { shipOrder(input: $i) { ... on Shipment { id } } }",
    "join": "mutation($i: JoinGroupBuyInput!) { joinGroupBuy(input: $i) { __typename } }",
    "pin": "mutation($i: PinLiveProductInput!) { pinLiveProduct(input: $i) { __typename } }",
    "say": "mutation($i: SendMessageInput!) { sendMessage(input: $i) { ... on ChatTurn {"
    " conversation { id } } ... on Problem { code } } }",
    "revoke": "mutation($i: RevokeRoleInput!) { revokeRole(input: $i) { __typename } }",
}
STREAMS = {
    "orderUpdated": """subscription($after: String) { orderUpdated(after: $after) { __typename
      ... on StreamEvent { cursor seq } ... on OrderUpdate { orderId cause } } }""",
    "stockUpdated": """subscription($skus: [ID!]!, $after: String) {
      stockUpdated(skuIds: $skus, after: $after) { __typename
      ... on StreamEvent { cursor } ... on StockUpdate { levels { available } } } }""",
    "notifications": """subscription($after: String) { notifications(after: $after) { __typename
      ... on StreamEvent { cursor seq }
      ... on NotificationArrived { unreadCount notification { id } } } }""",
    "groupBuyUpdated": """subscription($group: ID!, $after: String) {
      groupBuyUpdated(id: $group, after: $after) { __typename
      ... on StreamEvent { cursor } ... on GroupBuyUpdate { cause held } } }""",
    "liveRoomEvents": """subscription($room: ID!, $after: String) {
      liveRoomEvents(roomId: $room, after: $after) { __typename
      ... on StreamEvent { cursor } ... on LiveProductPinned { product { id } } } }""",
    "chatEvents": """subscription($talk: ID!, $after: String) {
      chatEvents(conversationId: $talk, after: $after) { __typename
      ... on ChatStreamEvent { cursor seq } } }""",
    "supplierOrders": """subscription($after: String) { supplierOrders(after: $after) { __typename
      ... on OrderUpdate { cause } } }""",
}


@dataclass
class Shop:
    """What was there before the server started."""

    url: str
    followed: dict[str, Any]
    group_sku: str
    shown: tuple[str, ...]
    seller: str


@dataclass
class Client:
    """One person before the server, with what each stream has told."""

    http: httpx.AsyncClient
    token: str
    told: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    async def do(self, deed: str, **given: Any) -> Any:
        body = {"query": DEEDS[deed], "variables": {"i": given}}
        headers = {"authorization": f"Bearer {self.token}"}
        answer = (await self.http.post("/graphql", json=body, headers=headers)).json()
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        assert "code" not in value, value
        return value

    @asynccontextmanager
    async def socket(self, *names: str, **given: Any) -> AsyncGenerator[ClientConnection]:
        """Follows the streams on one socket, each from where it was; the end is a cut."""
        url = str(self.http.base_url).replace("http://", "ws://").rstrip("/") + "/graphql"
        raw = await connect(url, subprotocols=[SUBPROTOCOL])  # type: ignore[list-item]
        payload = {"authorization": f"Bearer {self.token}"}
        await raw.send(text({"type": "connection_init", "payload": payload}))
        assert orjson.loads(await raw.recv())["type"] == "connection_ack"
        for name in names:
            last = self.told[name][-1]["cursor"] if self.told[name] else None
            asked = {"query": STREAMS[name], "variables": {**given, "after": last}}
            await raw.send(text({"id": name, "type": "subscribe", "payload": asked}))
        try:
            yield raw
        finally:
            raw.transport.abort()

    async def opened(self, raw: ClientConnection) -> None:
        """Waits for the first word of every stream."""
        async with asyncio.timeout(20):
            while not all(self.told[name] for name in COUNTED):
                self._take(await raw.recv())

    async def listen(self, raw: ClientConnection, counts: dict[str, int]) -> None:
        """Takes what comes until every stream has told so many things that count."""
        async with asyncio.timeout(20):
            while any(len(counted(self.told, name)) < count for name, count in counts.items()):
                self._take(await raw.recv())

    def _take(self, frame_text: str | bytes) -> None:
        frame = orjson.loads(frame_text)
        assert frame["type"] == "next", frame
        assert "errors" not in frame["payload"], frame
        self.told[frame["id"]].append(frame["payload"]["data"][frame["id"]])


COUNTED = {
    "orderUpdated": "OrderUpdate",
    "stockUpdated": "StockUpdate",
    "notifications": "NotificationArrived",
    "groupBuyUpdated": "GroupBuyUpdate",
    "liveRoomEvents": "LiveProductPinned",
    "chatEvents": "ChatDone",
}


def counted(told: dict[str, list[dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    """What a stream tells of the deeds of this test; a room has other things to tell, too."""
    return [one for one in told[name] if one["__typename"] == COUNTED[name]]


async def made(migrated: Path, folder: Path) -> Shop:
    """Goods, a group, a room on air, and people who can sign in by name."""
    file = folder / "mall.db"
    shutil.copy(migrated, file)
    url = f"sqlite+aiosqlite:///{file}"
    async with opened(url) as mall:
        mall.clock.now = utc_now()
        goods = await mall.product(stock=9)
        group = await mall.group_buy(size=9)
        prices = dict.fromkeys((await mall.product(skus=3)).sku_ids, 990)
        host = await named(mall, "distributor-1", Role.DISTRIBUTOR)
        room = await mall.live_room(prices, host_id=host.id, started_at=mall.clock())
        for number in range(1, 5):
            await named(mall, f"consumer-{number}")
        seller = await named(mall, "supplier-1", Role.SUPPLIER, goods.supplier_id)
        await named(mall, "admin-1", Role.ADMIN)
        shelf = await mall.rows(LiveProductRow, room_id=room)
    shown = tuple(gid("LiveProduct", one.id) for one in shelf)
    followed = {
        "skus": [gid("Sku", goods.sku_id)],
        "group": gid("GroupBuy", group.id),
        "room": gid("LiveRoom", room),
    }
    return Shop(url, followed, gid("Sku", group.sku_id), shown, gid("Account", seller.account_id))


async def named(
    mall: Mall, name: str, role: Role = Role.CONSUMER, subject_id: int | None = None
) -> Viewer:
    viewer = await mall.account(role, subject_id=subject_id)
    await mall.identity(viewer, name)
    return viewer


@asynccontextmanager
async def people(address: str, *names: str) -> AsyncGenerator[list[Client]]:
    async with httpx.AsyncClient(base_url=address, timeout=20) as http:
        yield [await signed_in(http, name) for name in names]


async def signed_in(http: httpx.AsyncClient, name: str) -> Client:
    asked = {"query": SIGN_IN, "variables": {"code": name}}
    answer = (await http.post("/graphql", json=asked)).json()
    return Client(http, answer["data"]["loginWithCode"]["token"])


async def test_six_streams_of_one_socket_are_cut_and_go_on_each_from_its_place(
    migrated: Path, tmp_path: Path
) -> None:
    shop = await made(migrated, tmp_path)
    with process(shop.url, tmp_path) as address:
        async with people(address, "consumer-1", "supplier-1", "distributor-1", *JOINERS) as (
            me,
            seller,
            host,
            *joiners,
        ):
            talk = (await me.do("say", text="你好", clientId="0"))["conversation"]["id"]
            followed = {**shop.followed, "talk": talk}
            placed: list[str] = []

            async def round_of(number: int) -> None:
                """Something for every stream to tell."""
                placed.append(await bought(me, seller, shop.followed["skus"][0], number))
                await joiners[number].do(
                    "join",
                    groupBuyId=followed["group"],
                    skuId=shop.group_sku,
                    idempotencyKey=f"{number}",
                )
                pinned = {"roomId": followed["room"], "liveProductId": shop.shown[number]}
                await host.do("pin", **pinned)
                await me.do("say", text="在吗", clientId=f"{number + 1}", conversationId=talk)

            async with me.socket(*COUNTED, **followed) as socket:
                await me.opened(socket)
                await me.listen(socket, {"chatEvents": 1})
                await round_of(0)
                await me.listen(socket, after_rounds(1))
            await round_of(1)
            async with me.socket(*COUNTED, **followed) as socket:
                await me.listen(socket, after_rounds(2))
                await round_of(2)
                await me.listen(socket, after_rounds(3))
    orders = [(one["orderId"], one["cause"]) for one in counted(me.told, "orderUpdated")]
    assert orders == [(key, cause) for key in placed for cause in ("PLACED", "PAID", "SHIPPED")]
    assert [one["seq"] for one in counted(me.told, "orderUpdated")] == list(range(1, 10))
    levels = [one["levels"] for one in counted(me.told, "stockUpdated")]
    assert levels == [[{"available": left}] for left in (9, 8, 7, 6)]
    arrived = counted(me.told, "notifications")
    assert [(one["seq"], one["unreadCount"]) for one in arrived] == [(1, 1), (2, 2), (3, 3)]
    assert len({one["notification"]["id"] for one in arrived}) == 3
    held = [(one["cause"], one["held"]) for one in counted(me.told, "groupBuyUpdated")]
    assert held == [("SNAPSHOT", 1), ("HELD", 2), ("HELD", 3), ("HELD", 4)]
    pinned = [one["product"]["id"] for one in counted(me.told, "liveRoomEvents")]
    assert pinned == list(shop.shown)
    said = [one["seq"] for one in me.told["chatEvents"]]
    assert said == list(range(1, len(said) + 1))
    assert not [
        one for told in me.told.values() for one in told if one["__typename"] == "StreamGap"
    ]


def after_rounds(count: int) -> dict[str, int]:
    """How many things that count each stream has told; three open with the state of things."""
    return {
        "orderUpdated": 3 * count,
        "stockUpdated": 1 + count,
        "notifications": count,
        "groupBuyUpdated": 1 + count,
        "liveRoomEvents": count,
        "chatEvents": 1 + count,
    }


async def bought(me: Client, seller: Client, sku: str, number: int) -> str:
    """An order that is placed, paid and shipped."""
    await me.do("add", skuId=sku, quantity=1)
    payable = {"expectedPayable": 2990 + 800, "idempotencyKey": f"{number}"}
    trade = await me.do("place", **payable)
    await me.do("pay", tradeId=trade["id"], idempotencyKey=f"{number}")
    order: str = trade["orders"][0]["id"]
    await seller.do("ship", orderId=order, carrierCode="SF", waybill=f"SF000000000000{number}")
    return order


async def test_a_role_that_is_taken_in_one_process_ends_its_streams_in_another(
    migrated: Path, tmp_path: Path
) -> None:
    """Without a Redis between them: the other process finds out within seconds."""
    shop = await made(migrated, tmp_path)
    secret = {"secret": "s" * 32}
    with process(shop.url, tmp_path, **secret) as one, process(shop.url, tmp_path, **secret) as two:
        async with people(one, "supplier-1") as (seller,), people(two, "admin-1") as (admin,):
            async with seller.socket("supplierOrders", "orderUpdated") as socket:
                for _ in range(2):
                    frame = orjson.loads(await socket.recv())
                    assert frame["payload"]["data"][frame["id"]]["__typename"] == "StreamOpened"
                await admin.do("revoke", accountId=shop.seller, role="SUPPLIER")
                async with asyncio.timeout(20):
                    ended = [orjson.loads(await socket.recv()) for _ in range(2)]
                    await socket.wait_closed()
            assert {frame["id"] for frame in ended} == {"supplierOrders", "orderUpdated"}
            for frame in ended:
                assert frame["type"] == "error"
                assert frame["payload"][0]["extensions"] == {"code": "INVALID_TOKEN"}
            assert socket.close_code == 4403
