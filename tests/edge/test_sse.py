"""Server-sent events: cursors as ids, resuming, signs of life, and ends."""

import re
from typing import Any

import orjson
import pytest

from app.edge.sse import ServerSentEvents
from tests.edge.speaking import (
    GUEST,
    RESPONSE,
    SSE,
    TICKS,
    VIEWER,
    get,
    post,
    refused,
    soon_over,
    streamed,
)
from tests.factories import Group
from tests.serving import Server, gid

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVENT = re.compile(r"(?:id: (?P<id>\S+)\n)?event: next\ndata: (?P<data>.*)\n\n")


def ticks(group: Group, **variables: Any) -> dict[str, Any]:
    return {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id), **variables}}


def read(text: str) -> tuple[str, Any]:
    """(id, payload) of the event at the end of a text."""
    found = EVENT.search(text)
    assert found is not None, text
    return found["id"], orjson.loads(found["data"])


async def test_a_query_is_one_event_and_the_end(server: Server) -> None:
    for answer in (
        await post(server, {"query": VIEWER}, accept=SSE),
        await get(server, VIEWER, accept=SSE),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (200, SSE)
        assert answer.headers["cache-control"] == "no-cache, no-transform"
        data = orjson.dumps(GUEST).decode()
        assert answer.text == f":\n\nevent: next\ndata: {data}\n\nevent: complete\ndata:\n\n"


async def test_a_query_goes_out_whole_where_both_may_be_sent(server: Server) -> None:
    answer = await post(server, {"query": VIEWER}, accept=f"{RESPONSE}, {SSE}")
    assert (answer.headers["content-type"], answer.json()) == (RESPONSE, GUEST)


async def test_a_subscription_streams_where_both_may_be_sent(server: Server) -> None:
    group = await server.mall.group_buy()
    async with streamed(server, ticks(group), accept=f"{RESPONSE}, {SSE}") as (answer, chunks):
        assert answer.headers["content-type"] == SSE
        assert "SNAPSHOT" in await chunks.until("}\n\n")


async def test_the_id_of_an_event_is_the_cursor_to_come_back_with(server: Server) -> None:
    group = await server.mall.group_buy()
    async with streamed(server, ticks(group)) as (_, chunks):
        first, payload = read(await chunks.until("}\n\n"))
        assert payload["data"]["groupBuyUpdated"]["cause"] == "SNAPSHOT"
        await server.mall.hold(group, await server.mall.consumer())
        second, _ = read(await chunks.until("}\n\n"))
    await server.mall.hold(group, await server.mall.consumer())
    assert len({first, second, None}) == 3
    async with streamed(server, ticks(group), **{"last-event-id": second}) as (_, chunks):
        third, payload = read(await chunks.until("}\n\n"))
        assert payload["data"]["groupBuyUpdated"]["cause"] == "HELD"
        assert third not in {first, second}


async def test_a_conversation_goes_on_after_the_last_event_id(server: Server) -> None:
    token = await server.sign_in("consumer-3")
    said = """mutation { sendMessage(input: {text: "包邮吗", clientId: "a"}) {
      ... on ChatTurn { conversation { id } } } }"""
    turn = (await server.ask(said, token=token))["sendMessage"]
    query = """subscription($id: ID!) {
      chatEvents(conversationId: $id) { ... on ChatStreamEvent { cursor } } }"""
    body = {"query": query, "variables": turn["conversation"]}
    signed_in = {"authorization": f"Bearer {token}"}
    async with streamed(server, body, **signed_in) as (_, chunks):
        first, payload = read(await chunks.until("}\n\n"))
        assert payload["data"]["chatEvents"]["cursor"] == first
        second, _ = read(await chunks.until("}\n\n"))
    async with streamed(server, body, **signed_in, **{"last-event-id": first}) as (_, chunks):
        assert read(await chunks.until("}\n\n"))[0] == second


async def test_the_last_event_id_counts_more_than_the_argument_of_the_address(
    server: Server,
) -> None:
    group = await server.mall.group_buy()
    async with streamed(server, ticks(group)) as (_, chunks):
        first, _ = read(await chunks.until("}\n\n"))
        await server.mall.hold(group, await server.mall.consumer())
        second, _ = read(await chunks.until("}\n\n"))
    await server.mall.hold(group, await server.mall.consumer())
    again = ticks(group, after=first)
    async with streamed(server, again, **{"last-event-id": second}) as (_, chunks):
        assert read(await chunks.until("}\n\n"))[0] not in {first, second}


@pytest.mark.parametrize("last_event_id", ["nonsense", "a.b", "é"])
async def test_a_last_event_id_that_is_none_of_ours_is_told(
    server: Server, last_event_id: str
) -> None:
    group = await server.mall.group_buy()
    headers = {"accept": SSE, "last-event-id": last_event_id.encode("latin-1")}
    answer = await server.client.post("/graphql", json=ticks(group), headers=headers)  # type: ignore[arg-type]
    _, payload = read(answer.text)
    assert payload["errors"][0]["extensions"]["code"] == "BAD_CURSOR"
    assert answer.text.endswith("event: complete\ndata:\n\n")


async def test_silence_is_broken_by_comments(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ServerSentEvents.beat_s == 15
    monkeypatch.setattr(ServerSentEvents, "beat_s", 0.05)
    group = await server.mall.group_buy()
    async with streamed(server, ticks(group)) as (_, chunks):
        await chunks.until("}\n\n")
        assert await chunks.until(":\n\n:\n\n") == ":\n\n:\n\n"


async def test_a_stream_ends_with_the_token_it_was_opened_with(server: Server) -> None:
    group = await server.mall.group_buy()
    token = await soon_over(server)
    async with streamed(server, ticks(group), authorization=f"Bearer {token}") as (_, chunks):
        await chunks.until("}\n\n")
        _, payload = read(await chunks.until("}\n\n"))
        assert payload["errors"][0]["extensions"] == {"code": "INVALID_TOKEN"}
        assert await chunks.until("data:\n\n") == "event: complete\ndata:\n\n"
    await server.deserted(f"group_buy:{group.id}")


async def test_a_reader_who_leaves_leaves_the_bus(server: Server) -> None:
    group = await server.mall.group_buy()
    async with streamed(server, ticks(group)) as (_, chunks):
        await chunks.until("}\n\n")
    await server.deserted(f"group_buy:{group.id}")


async def test_a_user_opens_so_many_streams_and_no_more(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.edge.endpoint.STREAMS_PER_USER", 1)
    token = {"authorization": f"Bearer {await server.sign_in('consumer-2')}"}
    group = await server.mall.group_buy()
    async with streamed(server, ticks(group), **token) as (_, chunks):
        await chunks.until("}\n\n")
        answer = await post(server, ticks(group), accept=SSE, **token)
        assert refused(answer) == (429, "TOO_MANY_STREAMS")
        async with streamed(server, ticks(group)) as (_, others):
            await others.until("}\n\n")
    await server.deserted(f"group_buy:{group.id}")
    async with streamed(server, ticks(group), **token) as (_, chunks):
        await chunks.until("}\n\n")


async def test_a_wrong_token_opens_no_stream(server: Server) -> None:
    answer = await post(server, {"query": VIEWER}, accept=SSE, authorization="Bearer x")
    assert refused(answer) == (401, "INVALID_TOKEN")


async def test_a_bug_in_a_stream_is_masked_and_ends_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    group = await server.mall.group_buy()
    monkeypatch.setattr(server.mall.bus, "subscribe", None)
    answer = await post(server, ticks(group), accept=SSE)
    _, payload = read(answer.text)
    error = payload["errors"][0]
    assert error["extensions"]["code"] == "INTERNAL"
    assert f"masked error {error['extensions']['error_id']}" in caplog.text
    assert "NoneType" not in answer.text
    assert answer.text.endswith("event: complete\ndata:\n\n")
