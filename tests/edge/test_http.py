"""One answer over HTTP: statuses by media type, refusals, caches and other sites."""

import pytest

from tests.edge.speaking import GUEST, RESPONSE, VIEWER, code_of, get, post, refused
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBER = "query($n: Int!) { products(first: $n) { totalCount } }"
TWO = "query A { viewer { role } } query B { products { totalCount } }"
SIGN_IN = 'mutation { loginWithCode(input: {platform: DEV, code: "consumer-1"}) { __typename } }'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{ viewer { "}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ viewer { password } }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": NUMBER}, "BAD_USER_INPUT"),
        ({"query": NUMBER, "variables": {"n": "x"}}, "BAD_USER_INPUT"),
    ],
)
async def test_what_was_not_executed_has_no_data_and_the_status_of_its_media_type(
    server: Server, body: dict[str, object], code: str
) -> None:
    plain = await post(server, body)
    assert (plain.status_code, plain.headers["content-type"]) == (200, "application/json")
    modern = await post(server, body, accept=RESPONSE)
    assert (modern.status_code, modern.headers["content-type"]) == (400, RESPONSE)
    assert code_of(plain) == code_of(modern) == code


@pytest.mark.parametrize("query", [VIEWER, "{ products { totalCount } }", "{ __typename }"])
async def test_what_was_executed_is_the_same_in_both_media_types(
    server: Server, query: str
) -> None:
    plain, modern = await post(server, {"query": query}), None
    for _ in range(2):  # the second is kept
        modern = await post(server, {"query": query}, accept=RESPONSE)
        assert (modern.status_code, modern.headers["content-type"]) == (200, RESPONSE)
        assert modern.content == plain.content


async def test_an_error_of_a_field_is_no_refusal_of_the_request(server: Server) -> None:
    query = "{ conversations { id } }"
    for accept in ("*/*", RESPONSE):
        answer = await post(server, {"query": query}, accept=accept)
        assert answer.status_code == 200
        assert answer.json()["data"] is None
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_kept_answer_is_not_sent_to_who_cannot_take_it(server: Server) -> None:
    query = "{ products { totalCount } }"
    kept = await get(server, query)
    assert kept.headers["cache-control"].startswith("public")
    assert "Accept," in kept.headers["vary"]
    assert refused(await get(server, query, accept="text/html")) == (406, "NOT_ACCEPTABLE")
    answer = await get(server, query, accept=RESPONSE)
    assert answer.headers["content-type"] == RESPONSE
    assert answer.content == kept.content
    stream = await get(server, query, accept="text/event-stream")
    assert stream.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("accept", ["*/*", RESPONSE])
async def test_of_several_operations_none_runs_without_a_name(server: Server, accept: str) -> None:
    for body in ({"query": TWO}, {"query": TWO, "operationName": None}):
        answer = await post(server, body, accept=accept)
        assert refused(answer) == (400, "OPERATION_NAME_REQUIRED")
    answer = await post(server, {"query": TWO, "operationName": "A"}, accept=accept)
    assert answer.json() == GUEST


async def test_of_several_operations_a_stream_runs_none_without_a_name(server: Server) -> None:
    async with server.socket() as mine:
        await mine.start("1", TWO)
        frame = await mine.next()
    assert (frame["id"], frame["type"]) == ("1", "error")
    assert frame["payload"][0]["extensions"] == {"code": "OPERATION_NAME_REQUIRED"}


async def test_the_first_operation_is_not_what_a_nameless_mutation_hides_behind(
    server: Server,
) -> None:
    async with server.mall.unchanged():
        answer = await get(server, f"query A {{ viewer {{ role }} }} {SIGN_IN}")
        assert code_of(answer) in {"OPERATION_NAME_REQUIRED", "GRAPHQL_VALIDATION_FAILED"}


async def test_refusals_speak_the_callers_language(server: Server) -> None:
    words = {}
    for language in ("zh-CN", "en-GB"):
        answer = await post(server, b"[]", **{"accept-language": language})
        words[language] = answer.json()["errors"][0]["message"]
    assert words == {"zh-CN": "请求有误：应为单个 JSON 对象", "en-GB": "one JSON object is wanted"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_method_that_is_not_there_is_told_which_are(server: Server, method: str) -> None:
    answer = await server.client.request(method, "/graphql", json={"query": VIEWER})
    assert refused(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_a_mutation_by_get_changes_nothing_by_any_transport(
    server: Server, accept: str
) -> None:
    async with server.mall.unchanged():
        answer = await get(server, SIGN_IN, accept=accept)
        assert refused(answer) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "POST"


async def test_a_page_of_another_site_gets_no_answer_by_get(server: Server) -> None:
    await get(server, "{ products { totalCount } }")  # is kept from here on
    site = {"sec-fetch-site": "cross-site"}
    answer = await get(server, "{ products { totalCount } }", **site)
    assert refused(answer) == (403, "CROSS_SITE_REQUEST")
    asked = await get(server, VIEWER, **site, **{"graphql-require-preflight": "1"})
    assert asked.json() == GUEST


async def test_a_subscription_as_a_plain_request_is_told_all_transports(server: Server) -> None:
    query = 'subscription { groupBuyUpdated(id: "x") { __typename } }'
    for answer in (await post(server, {"query": query}), await get(server, query)):
        assert refused(answer) == (400, "STREAM_REQUIRED")
        message = answer.json()["errors"][0]["message"]
        for transport in ("graphql-transport-ws", "text/event-stream", "multipart/mixed"):
            assert transport in message
