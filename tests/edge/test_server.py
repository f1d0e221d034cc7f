"""Peers that are silent, dead or take nothing: how the server gets rid of them."""

import asyncio
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from app.edge.server import Patience, impatient
from tests.edge.speaking import MULTIPART, TICKS, VIEWER
from tests.patience import PATIENCE_S
from tests.serving import Server, gid, served, text

HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)
POST = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.fixture
async def place(migrated: Path, tmp_path: Path) -> str:
    shutil.copy(migrated, tmp_path / "mall.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'mall.db'}"


@pytest.fixture
async def impatience(place: str) -> AsyncGenerator[Server]:
    patience = Patience(head_s=0.2, body_s=0.2, stalled_s=1, ping_s=0.2)
    async with served(place, patience=patience) as one:
        yield one


async def read_to_end(port: int, said: bytes, then: bytes = b"") -> bytes:
    """What the server answers to a peer that then keeps silent, up to the end it makes.

    `then` is said after the first of the answer has come.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    answer = b""
    try:
        async with asyncio.timeout(8):
            if then:
                answer = await reader.read(10_000)
                writer.write(then)
            while more := await reader.read(10_000):
                answer += more
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    return answer


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /graphql HT", POST, POST + b"content-length: 100\r\n\r\n{"],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
async def test_a_request_that_does_not_arrive_costs_its_connection(
    impatience: Server, said: bytes
) -> None:
    assert await read_to_end(impatience.port, said) == b""
    assert await impatience.ask(VIEWER) == {"viewer": {"role": "GUEST"}}


async def test_a_second_request_that_does_not_arrive_costs_it_too(impatience: Server) -> None:
    body = text({"query": VIEWER}).encode()
    whole = POST + b"content-length: %d\r\n\r\n" % len(body) + body
    answer = await read_to_end(impatience.port, whole, then=b"POST /gra")
    assert answer.endswith(b'{"data":{"viewer":{"role":"GUEST"}}}')


async def test_a_stream_that_owes_nothing_may_be_silent(impatience: Server) -> None:
    group = await impatience.mall.group_buy()
    body = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
    headers = {"accept": "text/event-stream"}
    async with impatience.client.stream("POST", "/graphql", json=body, headers=headers) as answer:
        lines = answer.aiter_lines()
        await asyncio.sleep(4.5)  # two looks at the connections are two seconds apart
        await impatience.mall.hold(group, await impatience.mall.consumer())
        while "HELD" not in await anext(lines):
            pass


async def test_a_socket_that_answers_no_ping_is_closed(impatience: Server) -> None:
    said = await read_to_end(impatience.port, HANDSHAKE)
    assert said.startswith(b"HTTP/1.1 101 ")
    assert said.endswith(b"\x88\x18\x03\xf3keepalive ping timeout"), said[-40:]


async def test_a_reader_that_takes_nothing_loses_its_connection(
    impatience: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.edge.sse.ServerSentEvents.beat", b": " + b"x" * 1_000_000 + b"\n\n")
    monkeypatch.setattr("app.edge.sse.ServerSentEvents.beat_s", 0.01)
    group = await impatience.mall.group_buy()
    body = text({"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}).encode()
    head = POST + b"accept: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body)
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", impatience.port))
        stalled.sendall(head + body)
        await subscribed(impatience, f"group_buy:{group.id}")
        await impatience.deserted(f"group_buy:{group.id}")


async def test_a_socket_that_takes_nothing_loses_its_connection(place: str) -> None:
    async with served(place, patience=Patience(stalled_s=1)) as one:
        group = await one.mall.group_buy()
        raw = await one.raw_socket(max_queue=1)
        await raw.send(text({"type": "connection_init"}))
        await raw.recv()
        payload = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
        await raw.send(text({"id": "live", "type": "subscribe", "payload": payload}))
        await subscribed(one, f"group_buy:{group.id}")
        raw.transport.pause_reading()
        big = "{ " + " ".join(f"a{n}: __typename" for n in range(600)) + " }"
        frame = {"type": "subscribe", "payload": {"query": big}}
        with suppress(TimeoutError, ConnectionClosed):
            for number in range(1000):
                async with asyncio.timeout(2):
                    await raw.send(text({**frame, "id": str(number)}))
        await one.deserted(f"group_buy:{group.id}")
        raw.transport.abort()


@pytest.mark.parametrize(
    ("accept", "last"),
    [("text/event-stream", "\n\nretry: 1000\n\n"), (MULTIPART, "}\r\n--graphql")],
)
async def test_a_server_that_stops_leaves_its_streams_to_be_resumed(
    place: str, accept: str, last: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with httpx.AsyncClient(timeout=10, headers={"accept": accept}) as client:
        async with served(place) as one:
            group = await one.mall.group_buy()
            body = {"query": TICKS, "variables": {"id": gid("GroupBuy", group.id)}}
            reading = asyncio.create_task(client.post(f"{one.url}/graphql", json=body))
            await subscribed(one, f"group_buy:{group.id}")
        assert "graceful shutdown exceeded" not in caplog.text
        assert (await reading).text.endswith(last)


async def subscribed(server: Server, topic: str) -> None:
    """Waits until somebody listens to the topic; fails when it takes too long."""
    async with asyncio.timeout(PATIENCE_S):
        while topic not in server.mall.bus._subscribers:  # noqa: ASYNC110  the bus does not tell
            await asyncio.sleep(0.01)


def test_connections_inherit_how_long_a_peer_may_stall() -> None:
    with socket.socket() as listening:
        impatient(listening, Patience(stalled_s=1.5))
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1500
