"""The endpoint over HTTP and SSE: what is refused, how, and that nothing else breaks."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.auth import Role, Tokens, Viewer
from app.clock import utc_now
from app.settings import Settings
from tests.serving import Server, gid, text

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
VIEWER = "{ viewer { role } }"
TICKS = "subscription($id: ID!) { groupBuyUpdated(id: $id) { ... on GroupBuyUpdate { cause } } }"


def code_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert "data" not in body or body["data"] is None
    code: str = body["errors"][0]["extensions"]["code"]
    return code


async def post(server: Server, body: bytes | str, **headers: str) -> httpx.Response:
    return await server.client.post("/graphql", content=body, headers={**JSON, **headers})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"5",
        b"null",
        b'"x"',
        b"[]",
        b'[{"query": "{ viewer { role } }"}]',
        b'{"query": "\xff\xfe"}',
        b"[" * 50_000,
        b'{"query": "{ viewer { role } }", "variables": 5}',
        b'{"query": "{ viewer { role } }", "variables": []}',
        b'{"query": 5}',
        b'{"query": "{ viewer { role } }", "operationName": 5}',
        b'{"query": "{ viewer { role } }", "extensions": "x"}',
        b"{}",
        b'{"query": null}',
    ],
    ids=lambda body: body[:40].decode(errors="replace"),
)
async def test_a_body_that_is_no_request_is_refused_with_a_code(
    server: Server, body: bytes
) -> None:
    answer = await post(server, body)
    assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")


async def test_the_server_lives_on_after_bad_bodies(server: Server) -> None:
    await post(server, b"\xff")
    assert await server.ask(VIEWER) == {"viewer": {"role": "GUEST"}}


async def test_a_number_of_5000_digits_is_a_refusal_like_any_other(server: Server) -> None:
    query = "query($n: Int!) { products(first: $n) { nodes { id } } }"
    body = f'{{"query": "{query}", "variables": {{"n": {"9" * 5000}}}}}'
    answer = await post(server, body)
    assert answer.status_code in {200, 400}
    assert code_of(answer) in {"BAD_REQUEST", "GRAPHQL_VALIDATION_FAILED"}


async def test_a_body_that_is_too_large_by_its_length_is_refused(server: Server) -> None:
    answer = await post(server, b" " * (256 * 1024 + 1))
    assert (answer.status_code, code_of(answer)) == (413, "BODY_TOO_LARGE")


async def test_a_body_without_a_length_is_counted(server: Server) -> None:
    async def chunks() -> Any:
        for _ in range(300):
            yield b" " * 1024

    answer = await server.client.post("/graphql", content=chunks(), headers=JSON)
    assert (answer.status_code, code_of(answer)) == (413, "BODY_TOO_LARGE")


async def test_a_length_that_is_no_number_is_refused(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: many\r\n\r\n")
    await writer.drain()
    assert (await reader.readline()).split()[1] in {b"400", b"413"}
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "header",
    [
        "Bearer nonsense",
        "Bearer",
        "Basic YTpi",
        "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiIxIiwicm9sZSI6IkFETUlOIn0.",
    ],
)
async def test_a_wrong_token_is_told_with_its_code(server: Server, header: str) -> None:
    answer = await post(server, text({"query": VIEWER}), authorization=header)
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")


async def test_a_token_for_a_person_is_no_guest_token(server: Server) -> None:
    token = await server.sign_in()
    answer = await post(server, text({"query": VIEWER}), **{"x-guest-token": token})
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")


async def test_an_expired_token_is_told_with_its_code(server: Server) -> None:
    old = Tokens(Settings().secret, lambda: utc_now() - timedelta(hours=13))
    header = f"Bearer {old.issue(Viewer(Role.CONSUMER, 1))}"
    answer = await post(server, text({"query": VIEWER}), authorization=header)
    assert (answer.status_code, code_of(answer)) == (401, "INVALID_TOKEN")


async def test_the_refusal_speaks_the_callers_language(server: Server) -> None:
    body = text({"query": VIEWER})
    here = await post(server, body, authorization="Bearer x")
    there = await post(server, body, authorization="Bearer x", **{"accept-language": "en-GB"})
    assert here.json()["errors"][0]["message"] == "登录已失效，请重新登录"
    message = there.json()["errors"][0]["message"]
    assert message == "the token is not valid, please sign in again"


async def test_an_operation_that_is_not_in_the_document_is_refused(server: Server) -> None:
    body = {"query": "query A { viewer { role } }", "operationName": "B"}
    answer = await post(server, text(body))
    assert (answer.status_code, code_of(answer)) == (400, "UNKNOWN_OPERATION")


async def test_a_syntax_error_has_a_code(server: Server) -> None:
    answer = await post(server, text({"query": "{ viewer { "}))
    assert code_of(answer) == "GRAPHQL_PARSE_FAILED"


async def test_an_unknown_field_has_a_code_and_no_data(server: Server) -> None:
    answer = await post(server, text({"query": "{ viewer { password } }"}))
    assert code_of(answer) == "GRAPHQL_VALIDATION_FAILED"


async def test_a_document_of_too_many_tokens_is_refused(server: Server) -> None:
    answer = await post(server, text({"query": "{" + " viewer { role }" * 700 + "}"}))
    assert code_of(answer) == "DOCUMENT_TOO_LARGE"


async def test_queries_may_come_by_get(server: Server) -> None:
    answer = await server.client.get("/graphql", params={"query": VIEWER})
    assert answer.json() == {"data": {"viewer": {"role": "GUEST"}}}


async def test_a_get_has_variables_and_a_name_too(server: Server) -> None:
    query = "query A($n: Int!) { products(first: $n) { totalCount } } query B { viewer { role } }"
    given = {"query": query, "variables": '{"n": 1}', "operationName": "A", "extensions": "{}"}
    answer = await server.client.get("/graphql", params=given)
    assert list(answer.json()["data"]) == ["products"]
    answer = await server.client.get("/graphql", params=given | {"operationName": "B"})
    assert answer.json() == {"data": {"viewer": {"role": "GUEST"}}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": ""},
        {"variables": "{"},
        {"variables": "[]"},
        {"variables": ""},
        {"extensions": "5"},
    ],
    ids=str,
)
async def test_a_get_that_is_no_request_is_refused_with_a_code(
    server: Server, wrong: dict[str, str]
) -> None:
    answer = await server.client.get("/graphql", params={"query": VIEWER} | wrong)
    assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("name", ["B", ""])
async def test_a_get_for_an_operation_that_is_not_there_is_refused(
    server: Server, name: str
) -> None:
    given = {"query": VIEWER, "operationName": name}
    answer = await server.client.get("/graphql", params=given)
    assert (answer.status_code, code_of(answer)) == (400, "UNKNOWN_OPERATION")


async def test_a_body_may_come_in_pieces(server: Server) -> None:
    for query in (VIEWER, "{ products { totalCount } }", "mutation { __typename }"):

        async def pieces(body: bytes = text({"query": query}).encode()) -> Any:
            for at in range(0, len(body), 7):
                yield body[at : at + 7]

        answer = await server.client.post("/graphql", content=pieces(), headers=JSON)
        assert answer.json() == {"data": await server.ask(query)}


async def test_a_caller_who_leaves_early_is_no_error(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    lines = ("POST /graphql HTTP/1.1", "host: x", "content-type: application/json")
    writer.write("\r\n".join([*lines, "content-length: 100", "", "{"]).encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await server.ask(VIEWER) == {"viewer": {"role": "GUEST"}}
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("POST", VIEWER),
        ("POST", "{ products { totalCount } }"),
        ("POST", "{ viewer { password } }"),
        ("POST", "mutation { __typename }"),
        ("GET", VIEWER),
        ("GET", "mutation { __typename }"),
        ("PUT", VIEWER),
    ],
)
async def test_nobody_keeps_what_is_not_public(server: Server, method: str, query: str) -> None:
    given: dict[str, Any] = {"params" if method == "GET" else "json": {"query": query}}
    answer = await server.client.request(method, "/graphql", **given)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_a_mutation_by_get_is_refused_and_changes_nothing(server: Server) -> None:
    query = 'mutation { loginWithCode(input: {platform: DEV, code: "consumer-1"}) { __typename } }'
    async with server.mall.unchanged():
        answer = await server.client.get("/graphql", params={"query": query})
        assert (answer.status_code, code_of(answer)) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "POST"


async def test_a_subscription_as_a_plain_request_names_the_transports(server: Server) -> None:
    group = await server.mall.group_buy()
    body = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
    answer = await post(server, text(body))
    assert (answer.status_code, code_of(answer)) == (400, "STREAM_REQUIRED")
    assert "graphql-transport-ws" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(server: Server, method: str) -> None:
    answer = await server.client.request(method, "/graphql", json={"query": VIEWER})
    assert (answer.status_code, code_of(answer)) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_form_of_another_site_cannot_be_a_request(server: Server, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = await server.client.post("/graphql", content=text({"query": VIEWER}), headers=headers)
    assert (answer.status_code, code_of(answer)) == (415, "UNSUPPORTED_TYPE")


async def test_chinese_is_sent_as_it_is(server: Server) -> None:
    await server.mall.product(title="山野小米")
    answer = await post(server, text({"query": "{ products { nodes { title } } }"}))
    assert "山野小米".encode() in answer.content


async def test_a_callers_request_id_comes_back(server: Server) -> None:
    answer = await post(server, text({"query": VIEWER}), **{"x-request-id": "abc123"})
    assert answer.headers["x-request-id"] == "abc123"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>"])
async def test_a_request_id_of_another_shape_is_replaced(server: Server, given: str) -> None:
    answer = await post(server, text({"query": VIEWER}), **{"x-request-id": given})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


async def test_what_is_a_bug_is_masked_and_can_be_found_in_the_log(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for door in ("_reading", "_lookers"):
        monkeypatch.setattr(server.mall.database, door, None)
    answer = await post(server, text({"query": "{ products { nodes { id } } }"}))
    (error,) = answer.json()["errors"]
    assert error["message"] == "服务器内部错误"
    assert error["extensions"]["code"] == "INTERNAL"
    assert f"masked error {error['extensions']['error_id']}" in caplog.text
    assert "NoneType" not in answer.text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ viewer { ", "GRAPHQL_PARSE_FAILED"),
        ("{ viewer { password } }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_stream_tells_what_is_wrong_with_its_document_every_time(
    server: Server, query: str, code: str
) -> None:
    async with server.socket() as mine:
        for key in ("1", "2"):
            await mine.start(key, query)
            frame = await mine.next()
            assert (frame["id"], frame["type"]) == (key, "error")
            assert frame["payload"][0]["extensions"] == {"code": code}
    for _ in range(2):
        answer = await post(server, text({"query": query}), accept="text/event-stream")
        assert f'"code":"{code}"' in answer.text
        assert "event: complete" in answer.text


async def test_a_stream_of_server_sent_events_shows_each_change(server: Server) -> None:
    group = await server.mall.group_buy()
    body = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
    headers = {"accept": "text/event-stream"}
    topic = f"group_buy:{group.id}"
    causes = []
    async with server.client.stream("POST", "/graphql", json=body, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            causes.append(re.findall(r'"cause":"(\w+)"', line)[0])
            if len(causes) == 2:
                break
            await server.mall.hold(group, await server.mall.consumer())
    assert causes == ["SNAPSHOT", "HELD"]
    await server.deserted(topic)
