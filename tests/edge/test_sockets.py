"""graphql-transport-ws: bounds, tokens that end, neighbours that notice nothing."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app.edge.leases import PER_USER
from tests.edge.speaking import TICKS, VIEWER, soon_over
from tests.patience import PATIENCE_S
from tests.serving import Server, Socket, gid, text

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def closed_with(mine: Socket) -> int:
    """The code with which the server closes, past what it may still say."""
    async with asyncio.timeout(PATIENCE_S):
        await mine.raw.wait_closed()
    assert mine.raw.close_code is not None
    return mine.raw.close_code


async def test_streams_over_the_bound_are_told_by_their_ids(server: Server) -> None:
    group = await server.mall.group_buy()
    given = {"id": gid("GroupBuy", group.id)}
    async with server.socket() as mine:
        for number in range(200):
            await mine.start(str(number), TICKS, given)
        frames = [await mine.next() for _ in range(200)]
        refused = {frame["id"]: frame["payload"] for frame in frames if frame["type"] == "error"}
        assert len(refused) == 150
        codes = {payload[0]["extensions"]["code"] for payload in refused.values()}
        assert codes == {"TOO_MANY_STREAMS"}
        for number in range(50):
            await mine.stop(str(number))
        await mine.start("again", TICKS, given)
        assert await mine.data("again", "groupBuyUpdated") == {"cause": "SNAPSHOT"}


async def test_a_user_opens_so_many_sockets_and_no_more(server: Server) -> None:
    token, other = await server.sign_in("consumer-1"), await server.sign_in("consumer-2")
    async with AsyncExitStack() as stack:
        for _ in range(PER_USER):
            last = await stack.enter_async_context(server.socket(token))
        async with server.socket(token) as one_more:
            assert await closed_with(one_more) == 4429
        await stack.enter_async_context(server.socket(other))
        await last.start("1", VIEWER)
        assert await last.data("1", "viewer") == {"role": "CONSUMER"}
    async with asyncio.timeout(PATIENCE_S), server.socket(token) as mine:
        await mine.start("1", VIEWER)
        assert await mine.data("1", "viewer") == {"role": "CONSUMER"}


async def test_the_end_of_a_token_is_told_to_every_stream_then_closes(server: Server) -> None:
    group = await server.mall.group_buy()
    async with server.socket() as guest:
        async with server.socket(await soon_over(server)) as mine:
            await two_opened(mine, group)
            await two_ended(mine)
        await server.deserted(f"group_buy:{group.id}")
        await guest.start("1", VIEWER)
        assert await guest.data("1", "viewer") == {"role": "GUEST"}


async def test_signing_out_ends_the_streams_of_the_session_and_no_others(server: Server) -> None:
    group = await server.mall.group_buy()
    token, other = await server.sign_in("consumer-3"), await server.sign_in("consumer-3")
    async with server.socket(token) as mine, server.socket(other) as second:
        await two_opened(mine, group)
        await second.start("1", TICKS, {"id": gid("GroupBuy", group.id)})
        await second.data("1", "groupBuyUpdated")
        await server.ask("mutation { logout(input: {}) { __typename } }", token=token)
        await two_ended(mine)
        await second.start("2", VIEWER)
        assert await second.data("2", "viewer") == {"role": "CONSUMER"}


async def two_opened(mine: Socket, group: Any) -> None:
    for key in ("1", "2"):
        await mine.start(key, TICKS, {"id": gid("GroupBuy", group.id)})
        await mine.data(key, "groupBuyUpdated")


async def two_ended(mine: Socket) -> None:
    """Both streams are told that the token is over, then the socket is closed."""
    told = [await mine.next() for _ in range(2)]
    assert {frame["id"] for frame in told} == {"1", "2"}
    for frame in told:
        assert frame["type"] == "error"
        assert frame["payload"][0]["extensions"] == {"code": "INVALID_TOKEN"}
    assert await closed_with(mine) == 4403


async def test_a_duplicate_id_closes_its_socket_alone(server: Server) -> None:
    group = await server.mall.group_buy()
    given = {"id": gid("GroupBuy", group.id)}
    async with server.socket() as good:
        await good.start("1", TICKS, given)
        await good.data("1", "groupBuyUpdated")
        async with server.socket() as bad:
            await bad.start("1", TICKS, given)
            await bad.start("1", TICKS, given)
            assert await closed_with(bad) == 4409
        await server.mall.hold(group, await server.mall.consumer())
        assert await good.data("1", "groupBuyUpdated") == {"cause": "HELD"}


async def test_text_that_is_not_utf_8_is_a_wrong_frame_and_nothing_to_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.socket() as mine:
        await mine.raw.send(b'{"type": "ping", "payload": {"x": "\xff\xfe"}}', text=True)
        assert await closed_with(mine) == 4400
    assert caplog.messages == []


@pytest.mark.parametrize("kind", ["[]", "{}", "5", "null"])
async def test_a_type_that_is_no_text_is_a_wrong_frame(server: Server, kind: str) -> None:
    async with server.socket() as mine:
        await mine.raw.send(f'{{"type": {kind}}}')
        assert await closed_with(mine) == 4400


async def test_a_ping_is_answered_beside_the_streams(server: Server) -> None:
    async with server.socket() as mine:
        await mine.raw.send(text({"type": "ping"}))
        assert (await mine.next())["type"] == "pong"


async def test_a_bug_of_an_operation_is_masked_and_told_by_its_id(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.socket() as mine:
        with monkeypatch.context() as broken:
            broken.setattr("app.graphql.MallSchema.stream", None)
            await mine.start("1", VIEWER)
            frame = await mine.next()
        assert (frame["id"], frame["type"]) == ("1", "error")
        error = frame["payload"][0]
        assert error["message"] == "服务器内部错误"
        assert f"masked error {error['extensions']['error_id']}" in caplog.text
        await mine.start("1", VIEWER)
        assert await mine.data("1", "viewer") == {"role": "GUEST"}


async def test_a_peer_that_goes_in_the_middle_of_its_streams_is_nothing_to_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    group = await server.mall.group_buy()
    async with server.socket() as mine:
        for number in range(20):
            await mine.start(str(number), TICKS, {"id": gid("GroupBuy", group.id)})
        mine.raw.transport.abort()
    await server.deserted(f"group_buy:{group.id}")
    assert caplog.messages == []
