"""multipart/mixed subscriptions: the bytes that Apollo's clients read."""

import orjson
import pytest

from app.edge.multipart import MultipartSubscription
from tests.edge.speaking import GUEST, MULTIPART, TICKS, VIEWER, post, soon_over, streamed
from tests.serving import Server, gid

pytestmark = pytest.mark.asyncio(loop_scope="module")
ONLY = "multipart/mixed;subscriptionSpec=1.0"
TYPE = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
HEAD = "\r\ncontent-type: application/json\r\n\r\n"
BEAT = f"--graphql{HEAD}{{}}\r\n"


def part(payload: object) -> str:
    return f"--graphql{HEAD}{orjson.dumps(payload).decode()}\r\n"


async def test_a_query_is_a_sign_of_life_one_part_and_the_end(server: Server) -> None:
    answer = await post(server, {"query": VIEWER}, accept=ONLY)
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPE)
    assert answer.text == BEAT + part({"payload": GUEST}) + "--graphql--\r\n"


async def test_a_query_goes_out_as_json_where_it_may(server: Server) -> None:
    answer = await post(server, {"query": VIEWER}, accept=MULTIPART)
    assert (answer.headers["content-type"], answer.json()) == ("application/json", GUEST)


async def test_each_event_is_a_part_that_is_whole_when_it_comes(server: Server) -> None:
    group = await server.mall.group_buy()
    body = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
    async with streamed(server, body, accept=MULTIPART) as (answer, chunks):
        assert answer.headers["content-type"] == TYPE
        assert await chunks.until("\r\n--graphql") == "--graphql" + HEAD + "{}\r\n--graphql"
        for cause in ("SNAPSHOT", "HELD"):
            data = {"data": {"groupBuyUpdated": {"cause": cause}}}
            whole = HEAD + orjson.dumps({"payload": data}).decode() + "\r\n--graphql"
            assert await chunks.until("\r\n--graphql") == whole
            await server.mall.hold(group, await server.mall.consumer())
    await server.deserted(f"group_buy:{group.id}")


async def test_silence_is_broken_by_empty_objects(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MultipartSubscription, "beat_s", 0.05)
    group = await server.mall.group_buy()
    body = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
    async with streamed(server, body, accept=MULTIPART) as (_, chunks):
        await chunks.until("SNAPSHOT")
        await chunks.until("--graphql")
        assert await chunks.until("--graphql") == HEAD + "{}\r\n--graphql"


async def test_an_end_before_its_time_is_told_beside_the_payload(server: Server) -> None:
    group = await server.mall.group_buy()
    body = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
    token = f"Bearer {await soon_over(server)}"
    answer = await post(server, body, accept=MULTIPART, authorization=token)
    *_, last, end = answer.text.split("--graphql")
    told = orjson.loads(last.removeprefix(HEAD))
    assert told["payload"] is None
    assert told["errors"][0]["extensions"] == {"code": "INVALID_TOKEN"}
    assert end == "--\r\n"


@pytest.mark.parametrize(
    ("query", "code"),
    [("{ viewer { ", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED")],
)
async def test_a_wrong_document_is_told_in_the_payload(
    server: Server, query: str, code: str
) -> None:
    answer = await post(server, {"query": query}, accept=ONLY)
    told = orjson.loads(answer.text.split("--graphql")[2].removeprefix(HEAD))
    assert list(told["payload"]) == ["errors"]
    assert told["payload"]["errors"][0]["extensions"]["code"] == code
