"""One shopper's day over HTTP and a websocket, from the list to the parcel, and a chat about it."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from app.auth import Role, Viewer
from app.services import products_store
from app.tables.products import SkuRow
from llm.protocol import EngineUnavailable, ScriptedEngine
from tests.serving import Server, gid, served

LIST = """query($search: String) { products(search: $search, first: 5) {
  nodes { id title skus { id available } } totalCount
  facets { suppliers { supplier { name } count } prices { count } } } }"""
ADD = """mutation($sku: ID!, $quantity: Int!) {
  addCartLine(input: {skuId: $sku, quantity: $quantity}) { ... on CartChanged { guestToken
    cart { lines { quantity } cost { payable { amountMinor formatted } } } } } }"""
CART = "{ cart { lines { quantity sku { id } } cost { payable { amountMinor } } } }"
PLACE = """mutation($payable: Int!, $key: String!) {
  placeTrade(input: {expectedPayable: $payable, idempotencyKey: $key, address: {
    receiver: "林小满", phone: "13800000001", province: "浙江省", city: "杭州市",
    street: "文三路 1 号"}}) {
    ... on Trade { id status orders { id no } }
    ... on PriceChangedProblem { payable { amountMinor } } } }"""
PAY = """mutation($trade: ID!, $key: String!) {
  payTrade(input: {tradeId: $trade, idempotencyKey: $key}) {
    ... on Trade { status orders { status } } ... on Problem { code } } }"""
SHIP = """mutation($order: ID!) { shipOrder(input: {
    orderId: $order, carrierCode: "SF", waybill: "SF1234567890123"}) {
  ... on Shipment { waybill status } ... on Problem { code message } } }"""
ORDER = """query($id: ID!) { order(id: $id) { status availableActions
  shipments { waybill carrierName trace { code } } timeline { toStatus } } }"""
CONFIRM = """mutation($order: ID!) { confirmOrder(input: {orderId: $order}) {
  ... on Order { status } } }"""
UPDATED = """subscription($id: ID!) { groupBuyUpdated(id: $id) {
  ... on GroupBuyUpdate { cause held joined groupBuy { status } } } }"""
JOIN = """mutation($group: ID!, $sku: ID!, $key: String!) { joinGroupBuy(input: {
    groupBuyId: $group, skuId: $sku, idempotencyKey: $key, address: {receiver: "林小满",
    phone: "13800000001", province: "浙江省", city: "杭州市", street: "文三路 1 号"}}) {
  ... on GroupBuySeat { trade { id } } ... on Problem { code } } }"""
CHAT = """subscription($input: SendMessageInput!) { chat(input: $input) { __typename
  ... on ChatStreamEvent { seq fallbackText }
  ... on ChatCard { kind title rows { label value } }
  ... on ChatDelta { text } ... on ChatDone { writer } } }"""


@pytest.fixture
async def server(migrated: Path, tmp_path: Path) -> AsyncGenerator[Server]:
    file = tmp_path / "mall.db"
    shutil.copy(migrated, file)
    engine = ScriptedEngine(refusal=EngineUnavailable("none"))
    async with served(f"sqlite+aiosqlite:///{file}", engine=engine) as one:
        yield one


async def supplier_token(server: Server, supplier_id: int) -> str:
    """Signs in as the supplier whose DEV code is supplier-1."""
    person = await server.mall.account(Role.SUPPLIER, subject_id=supplier_id)
    await server.mall.identity(person, "supplier-1")
    return await server.sign_in("supplier-1")


async def test_from_the_list_to_the_parcel(server: Server) -> None:
    product = await server.mall.product(title="云南小粒咖啡豆", price_fen=2990, stock=5)
    other = await server.mall.product(title="山野小米")
    async with server.mall.unit() as unit:
        for one in (product, other):
            await products_store.index(unit, one.id)
    found = (await server.ask(LIST, {"search": "咖啡"}))["products"]
    assert [node["title"] for node in found["nodes"]] == ["云南小粒咖啡豆"]
    assert found["totalCount"] == 1
    assert [one["count"] for one in found["facets"]["suppliers"]] == [1]
    (sku,) = found["nodes"][0]["skus"]
    assert sku["available"] == 5

    given = {"sku": sku["id"], "quantity": 2}
    guest = (await server.ask(ADD, given))["addCartLine"]
    assert guest["cart"]["cost"]["payable"]["formatted"] == "¥67.80"
    token = await server.sign_in("consumer-1", **{"x-guest-token": guest["guestToken"]})
    cart = (await server.ask(CART, token=token))["cart"]
    assert cart["lines"] == [{"quantity": 2, "sku": {"id": sku["id"]}}]

    await server.mall.change(SkuRow, product.sku_id, price_fen=3090)
    stale = {"payable": cart["cost"]["payable"]["amountMinor"], "key": "t-1"}
    refused = (await server.ask(PLACE, stale, token=token))["placeTrade"]
    assert refused == {"payable": {"amountMinor": 6980}}
    trade = (await server.ask(PLACE, {"payable": 6980, "key": "t-2"}, token=token))["placeTrade"]
    (order,) = trade["orders"]
    paid = await server.ask(PAY, {"trade": trade["id"], "key": "p-1"}, token=token)
    assert paid["payTrade"] == {"status": "PAID", "orders": [{"status": "AWAITING_SHIPMENT"}]}
    assert await server.mall.stock(product.sku_id) == (5, 2, 0)

    supplier = await supplier_token(server, product.supplier_id)
    shipped = await server.ask(SHIP, {"order": order["id"]}, token=supplier)
    assert shipped["shipOrder"] == {"waybill": "SF1234567890123", "status": "CREATED"}
    seen = (await server.ask(ORDER, {"id": order["id"]}, token=token))["order"]
    assert seen == {
        "status": "SHIPPED",
        "availableActions": ["CONFIRM"],
        "shipments": [
            {
                "waybill": "SF1234567890123",
                "carrierName": "顺丰速运",
                "trace": [{"code": "CREATED"}],
            }
        ],
        "timeline": [
            {"toStatus": "PENDING_PAYMENT"},
            {"toStatus": "AWAITING_SHIPMENT"},
            {"toStatus": "SHIPPED"},
        ],
    }
    stranger = await server.sign_in("consumer-2")
    assert (await server.ask(ORDER, {"id": order["id"]}, token=stranger))["order"] is None
    done = await server.ask(CONFIRM, {"order": order["id"]}, token=token)
    assert done["confirmOrder"] == {"status": "COMPLETED"}


async def test_a_watcher_sees_each_join_until_the_group_is_full(server: Server) -> None:
    group = await server.mall.group_buy(size=3)
    key, sku = gid("GroupBuy", group.id), gid("Sku", group.sku_id)
    async with server.socket() as watcher:
        await watcher.start("watch", UPDATED, {"id": key})
        told = [await watcher.data("watch", "groupBuyUpdated")]
        for number in (1, 2):
            token = await server.sign_in(f"consumer-{number}")
            given = {"group": key, "sku": sku, "key": "j"}
            seat = (await server.ask(JOIN, given, token=token))["joinGroupBuy"]
            await server.ask(PAY, {"trade": seat["trade"]["id"], "key": "p"}, token=token)
        told += [await watcher.data("watch", "groupBuyUpdated") for _ in range(5)]
    assert [(one["cause"], one["held"], one["joined"]) for one in told] == [
        ("SNAPSHOT", 1, 1),
        ("HELD", 2, 1),
        ("JOINED", 2, 2),
        ("HELD", 3, 2),
        ("JOINED", 3, 3),
        ("FILLED", 3, 3),
    ]
    assert told[-1]["groupBuy"] == {"status": "FILLED"}
    late = await server.sign_in("consumer-3")
    given = {"group": key, "sku": sku, "key": "j"}
    assert (await server.ask(JOIN, given, token=late))["joinGroupBuy"] == {"code": "GROUP_BUY_FULL"}


async def test_a_chat_about_the_parcel_shows_its_facts_and_ends(server: Server) -> None:
    product = await server.mall.product(title="云南小粒咖啡豆")
    token = await server.sign_in("consumer-1")
    viewer = server.resources.tokens.read(token)
    await bought_and_shipped(server, viewer, product)
    given = {"text": "我的快递到哪了", "clientId": "c-1"}
    seen: list[dict[str, Any]] = []
    async with server.socket(token) as mine:
        await mine.start("chat", CHAT, {"input": given})
        while (frame := await mine.next())["type"] == "next":
            seen.append(frame["payload"]["data"]["chat"])
        assert (frame["id"], frame["type"]) == ("chat", "complete")
    kinds = [event["__typename"] for event in seen]
    assert (kinds[0], kinds[1], kinds[-1]) == ("ChatAccepted", "ChatCard", "ChatDone")
    assert kinds.index("ChatCard") < kinds.index("ChatDelta")
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[1]["kind"] == "PARCEL"
    assert any("SF1234567890123" in row["value"] for row in seen[1]["rows"])
    assert seen[-1]["writer"] == "TEMPLATE"


async def bought_and_shipped(server: Server, viewer: Viewer, product: Any) -> None:
    token = server.resources.tokens.issue(viewer)
    given = {"sku": gid("Sku", product.sku_id), "quantity": 1}
    cart = (await server.ask(ADD, given, token=token))["addCartLine"]["cart"]
    payable = cart["cost"]["payable"]["amountMinor"]
    given = {"payable": payable, "key": "t"}
    trade = (await server.ask(PLACE, given, token=token))["placeTrade"]
    await server.ask(PAY, {"trade": trade["id"], "key": "p"}, token=token)
    supplier = await supplier_token(server, product.supplier_id)
    await server.ask(SHIP, {"order": trade["orders"][0]["id"]}, token=supplier)
