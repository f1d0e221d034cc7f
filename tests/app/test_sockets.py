"""The endpoint over graphql-transport-ws: bad frames, bad tokens, and streams that end well."""

import shutil
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.tables.carts import CartLineRow
from tests.serving import Server, Socket, gid, served, text

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWER = "{ viewer { role } }"
TICKS = "subscription($id: ID!) { groupBuyUpdated(id: $id) { ... on GroupBuyUpdate { cause } } }"


@pytest.mark.parametrize(
    "frame",
    [
        "[]",
        "5",
        "null",
        '"x"',
        "{",
        "{}",
        '{"type": 5}',
        '{"type": "unknown"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": ["a"], "payload": {"query": "{ viewer { role } }"}}',
        '{"type": "subscribe", "id": "a", "payload": null}',
        '{"type": "subscribe", "id": "a", "payload": {"query": 5}}',
        '{"type": "subscribe", "id": "a", "payload": {"query": "{a}", "variables": [1]}}',
        '{"type": "complete", "id": {}}',
        '{"type": "complete"}',
        b'{"type": "ping"}',
    ],
)
async def test_a_frame_that_is_no_message_closes_with_4400(
    server: Server, frame: str | bytes
) -> None:
    async with server.socket() as mine:
        await mine.raw.send(frame)
        with pytest.raises(ConnectionClosed) as closed:
            await mine.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400


async def test_a_bad_socket_leaves_the_others_alone(server: Server) -> None:
    async with server.socket() as good:
        async with server.socket() as bad:
            await bad.raw.send("[]")
        await good.start("1", VIEWER)
        assert await good.data("1", "viewer") == {"role": "GUEST"}


async def test_a_frame_that_is_too_large_closes_with_1009(server: Server) -> None:
    async with server.socket() as mine:
        await mine.raw.send(text({"type": "ping", "payload": {"x": "y" * 65_536}}))
        with pytest.raises(ConnectionClosed) as closed:
            await mine.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_an_operation_before_the_init_is_unauthorised(server: Server) -> None:
    async with server.raw_socket() as raw:
        payload = {"query": VIEWER}
        await raw.send(text({"id": "1", "type": "subscribe", "payload": payload}))
        with pytest.raises(ConnectionClosed) as closed:
            await raw.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_an_init_payload_that_is_null_closes_with_4400(server: Server) -> None:
    async with server.raw_socket() as raw:
        await raw.send(text({"type": "connection_init", "payload": None}))
        with pytest.raises(ConnectionClosed) as closed:
            await raw.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400


async def test_another_subprotocol_is_not_spoken(server: Server) -> None:
    url = server.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=["graphql-ws"]) as raw:  # type: ignore[list-item]
        with pytest.raises(ConnectionClosed) as closed:
            await raw.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4406


@pytest.mark.parametrize("authorization", ["Bearer nonsense", "Basic x"])
async def test_a_bad_token_of_the_init_is_told_by_every_operation(
    server: Server, authorization: str
) -> None:
    async with server.socket(payload={"Authorization": authorization}) as mine:
        for key in ("1", "2"):
            await mine.start(key, VIEWER)
            frame = await mine.next()
            assert (frame["id"], frame["type"]) == (key, "error")
            assert frame["payload"][0]["extensions"] == {"code": "INVALID_TOKEN"}
            assert frame["payload"][0]["message"] == "登录已失效，请重新登录"


async def test_a_bad_token_in_the_headers_of_a_socket_is_told_likewise(server: Server) -> None:
    headers = {"authorization": "Bearer nonsense"}
    async with server.socket(additional_headers=headers) as mine:
        await mine.start("1", VIEWER)
        frame = await mine.next()
        assert frame["payload"][0]["extensions"] == {"code": "INVALID_TOKEN"}


async def test_the_init_carries_the_token_and_the_language(server: Server) -> None:
    payload = {"authorization": f"Bearer {await server.sign_in()}", "Accept-Language": "en"}
    async with server.socket(payload=payload) as mine:
        await mine.start("1", VIEWER)
        assert await mine.data("1", "viewer") == {"role": "CONSUMER"}
        assert (await mine.next())["type"] == "complete"
        await mine.start("2", TICKS, {"id": "nonsense"})
        frame = await mine.next()
        assert frame["payload"]["errors"][0]["message"] == "no such GroupBuy"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ viewer { ", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer { role } } }", "GRAPHQL_PARSE_FAILED"),
    ],
)
async def test_a_failed_operation_answers_for_its_id_and_leaves_the_others(
    server: Server, query: str, code: str
) -> None:
    group = await server.mall.group_buy()
    async with server.socket() as mine:
        await mine.start("live", TICKS, {"id": gid("GroupBuy", group.id)})
        assert await mine.data("live", "groupBuyUpdated") == {"cause": "SNAPSHOT"}
        await mine.start("bad", query)
        frame = await mine.next()
        assert (frame["id"], frame["type"]) == ("bad", "error")
        assert frame["payload"][0]["extensions"]["code"] == code
        await server.mall.hold(group, await server.mall.consumer())
        assert await mine.data("live", "groupBuyUpdated") == {"cause": "HELD"}


async def test_an_unknown_operation_name_over_a_socket_is_told(server: Server) -> None:
    async with server.socket() as mine:
        payload = {"query": "query A { viewer { role } }", "operationName": "B"}
        await mine.raw.send(text({"id": "1", "type": "subscribe", "payload": payload}))
        frame = await mine.next()
    assert (frame["id"], frame["type"]) == ("1", "error")
    assert frame["payload"][0]["message"] == 'Unknown operation named "B".'
    assert frame["payload"][0]["extensions"] == {"code": "UNKNOWN_OPERATION"}


async def test_a_subscription_to_nothing_is_a_coded_error(server: Server) -> None:
    async with server.socket() as mine:
        await mine.start("1", TICKS, {"id": gid("GroupBuy", 999)})
        frame = await mine.next()
        errors = frame["payload"] if frame["type"] == "error" else frame["payload"]["errors"]
        assert errors[0]["extensions"]["code"] == "NOT_FOUND"


async def test_a_socket_holds_fifty_operations_and_no_more(server: Server) -> None:
    group = await server.mall.group_buy()
    async with server.socket() as mine:
        for number in range(51):
            await mine.start(str(number), TICKS, {"id": gid("GroupBuy", group.id)})
        frames = [await mine.next() for _ in range(51)]
    refused = [frame for frame in frames if frame["type"] == "error"]
    assert [frame["id"] for frame in refused] == ["50"]


async def test_a_stopped_stream_leaves_the_bus(server: Server) -> None:
    group = await server.mall.group_buy()
    async with server.socket() as mine:
        await mine.start("1", TICKS, {"id": gid("GroupBuy", group.id)})
        await mine.data("1", "groupBuyUpdated")
        topic = f"group_buy:{group.id}"
        assert len(server.mall.bus._subscribers[topic]) == 1
        await mine.stop("1")
        await mine.start("2", VIEWER)
        await mine.next()
        assert topic not in server.mall.bus._subscribers


async def test_a_socket_that_goes_away_leaves_the_bus(server: Server) -> None:
    group = await server.mall.group_buy()
    async with server.socket() as mine:
        await mine.start("1", TICKS, {"id": gid("GroupBuy", group.id)})
        await mine.data("1", "groupBuyUpdated")
    await server.deserted(f"group_buy:{group.id}")


async def test_a_page_of_another_site_gets_no_socket(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with server.socket(origin="https://elsewhere.example"):  # type: ignore[arg-type]
            pass
    assert refused.value.response.status_code == 403


async def test_every_operation_of_a_socket_reads_afresh(server: Server) -> None:
    product = await server.mall.product(stock=5)
    query = "query($id: ID!) { node(id: $id) { ... on Sku { available } } }"
    async with server.socket() as mine:
        for key, left in (("1", 5), ("2", 4)):
            await mine.start(key, query, {"id": gid("Sku", product.sku_id)})
            assert await mine.data(key, "node") == {"available": left}
            assert (await mine.next())["type"] == "complete"
            await server.mall.order(await server.mall.consumer(), product.sku_id)


async def test_a_mutation_over_a_socket_is_a_mutation(server: Server) -> None:
    product = await server.mall.product()
    async with server.socket(await server.sign_in()) as mine:
        query = "mutation($sku: ID!) { addCartLine(input: {skuId: $sku}) { __typename } }"
        await mine.start("1", query, {"sku": gid("Sku", product.sku_id)})
        assert await mine.data("1", "addCartLine") == {"__typename": "CartChanged"}
    assert len(await server.mall.rows(CartLineRow)) == 1


async def test_a_server_that_stops_closes_its_sockets_with_1012(
    migrated: Path, tmp_path: Path
) -> None:
    shutil.copy(migrated, tmp_path / "mall.db")
    async with served(f"sqlite+aiosqlite:///{tmp_path / 'mall.db'}") as stopping:
        group = await stopping.mall.group_buy()
        raw = await stopping.raw_socket()
        await raw.send(text({"type": "connection_init"}))
        await raw.recv()
        mine = Socket(raw)
        await mine.start("1", TICKS, {"id": gid("GroupBuy", group.id)})
        await mine.data("1", "groupBuyUpdated")
    with pytest.raises(ConnectionClosed) as closed:
        await mine.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
