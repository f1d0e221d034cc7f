"""Requests that are none, through every transport: refused with a code, and nothing is logged."""

import logging
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed

from tests.edge.speaking import GUEST, MULTIPART, RESPONSE, SSE, VIEWER, post, refused
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEEP = b"[" * 50_000
MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "a number": b"5",
    "null": b"null",
    "true": b"true",
    "a text": b'"x"',
    "a list": b"[]",
    "a batch": b'[{"query": "{ viewer { role } }"}]',
    "bad UTF-8": b'{"query": "\xff\xfe"}',
    "half a surrogate": b'{"query": "\\ud800"}',
    "UTF-16": '{"query": "{ viewer { role } }"}'.encode("utf-16"),
    "50,000 levels": DEEP,
    "50,000 levels of variables": b'{"query": "{a}", "variables": {"a": ' + DEEP + b"}}",
    "5,000 digits": b'{"query": "{a}", "variables": {"n": ' + b"9" * 5000 + b"}}",
    "not a number": b'{"query": "{a}", "variables": {"n": NaN}}',
    "no query": b"{}",
    "an empty query": b'{"query": ""}',
    "a query that is null": b'{"query": null}',
    "a query that is a list": b'{"query": ["{ viewer { role } }"]}',
    "a name that is a number": b'{"query": "{a}", "operationName": 5}',
    "variables that are a list": b'{"query": "{a}", "variables": []}',
    "variables that are a text": b'{"query": "{a}", "variables": "{}"}',
    "extensions that are a text": b'{"query": "{a}", "extensions": "x"}',
    "a document id that is a number": b'{"documentId": 5}',
    "a hash that is none": b'{"extensions": {"persistedQuery": {"version": 1}}}',
    "a hash of another length": (
        b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}}'
    ),
    "a hash of another version": (
        b'{"query": "{a}", "extensions": {"persistedQuery": {"version": 2}}}'
    ),
    "persistence that is a list": b'{"query": "{a}", "extensions": {"persistedQuery": []}}',
}
HANDSHAKE = (
    b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n"
)
ALL = pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())


@pytest.fixture(autouse=True)
def _logs_nothing(caplog: pytest.LogCaptureFixture) -> object:
    yield
    for record in caplog.get_records("call"):
        assert record.exc_info is None, record.getMessage()
        assert record.levelno < logging.ERROR, record.getMessage()


@pytest.mark.parametrize("accept", ["*/*", RESPONSE, SSE, MULTIPART])
@ALL
async def test_a_body_that_is_no_request_is_refused(
    server: Server, body: bytes, accept: str
) -> None:
    answer = await post(server, body, accept=accept)
    assert refused(answer) == (400, "BAD_REQUEST")
    assert answer.headers["content-type"] == "application/json"
    assert (await post(server, {"query": VIEWER})).json() == GUEST


@ALL
async def test_a_frame_that_is_no_message_closes_its_socket_alone(
    server: Server, body: bytes
) -> None:
    async with server.socket() as good:
        async with server.socket() as bad:
            frame = b'{"type": "subscribe", "id": "1", "payload": ' + (body or b" ") + b"}"
            await bad.raw.send(frame[:60_000], text=True)
            with pytest.raises(ConnectionClosed) as closed:
                await bad.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400
        await good.start("1", VIEWER)
        assert await good.data("1", "viewer") == {"role": "GUEST"}


@pytest.mark.parametrize("accept", ["*/*", RESPONSE, SSE, MULTIPART])
@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "query=",
        "query=%ff%fe",
        "query=%ed%a0%80",
        "query={a}&variables=5",
        "query={a}&variables={",
        f"query={{a}}&variables={'[' * 20_000}",
        f"query={{a}}&variables={{%22n%22:{'9' * 5000}}}",
        "query={a}&extensions=[]",
        "&".join(f"a{number}=1" for number in range(30)),
        "documentId=",
        "extensions=" + quote('{"persistedQuery": {"version": 1, "sha256Hash": 5}}'),
    ],
    ids=lambda text: text[:40],
)
async def test_a_query_string_that_is_no_request_is_refused(
    server: Server, query_string: str, accept: str
) -> None:
    answer = await server.client.get(f"/graphql?{query_string}", headers={"accept": accept})
    assert refused(answer) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("levels", [100, 1000])
async def test_a_value_of_many_levels_is_the_wrong_value_of_a_variable(
    server: Server, levels: int
) -> None:
    value = b"[" * levels + b"]" * levels
    wanting = {
        b"query($a: Int!) { products(first: $a) { totalCount } }": "BAD_USER_INPUT",
        b"query($a: [ID!]!) { nodes(ids: $a) { id } }": "BAD_USER_INPUT",
    }
    for query, code in wanting.items():
        body = b'{"query": "' + query + b'", "variables": {"a": ' + value + b"}}"
        assert refused(await post(server, body, accept=RESPONSE)) == (400, code)


@pytest.mark.parametrize("query", [b"query=\xff\xfe", b"query=\xe4\xbd\xa0"])
@pytest.mark.parametrize("upgrade", [b"", HANDSHAKE], ids=["http", "websocket"])
async def test_bytes_that_no_url_has_are_no_fault_of_ours(
    server: Server, query: bytes, upgrade: bytes
) -> None:
    head = b"GET /graphql?" + query + b" HTTP/1.1\r\nhost: x\r\n" + upgrade
    assert 400 <= await server.raw_status(head) < 500
