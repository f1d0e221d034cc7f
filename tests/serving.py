"""A real server for tests: uvicorn in this process on a free port, and clients that speak to it."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from app import ids
from app.bus import MemoryBus
from app.context import Resources
from app.edge.server import Patience, configured, impatient
from app.edge.server import Server as WebServer
from app.main import create_app
from app.settings import Settings
from llm.protocol import ScriptedEngine
from tests.factories import Mall

SUBPROTOCOL = "graphql-transport-ws"


@dataclass
class Server:
    url: str
    mall: Mall
    client: httpx.AsyncClient
    resources: Resources

    async def ask(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        token: str = "",
        **headers: str,
    ) -> dict[str, Any]:
        """The data of an operation that has no errors."""
        if token:
            headers["authorization"] = f"Bearer {token}"
        body = {"query": query, "variables": variables}
        answer = (await self.client.post("/graphql", json=body, headers=headers)).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def sign_in(self, code: str = "consumer-1", **headers: str) -> str:
        """The token of a DEV code."""
        query = """mutation($code: String!) {
          loginWithCode(input: {platform: DEV, code: $code}) {
            ... on Session { token } ... on Problem { code } } }"""
        session = (await self.ask(query, {"code": code}, **headers))["loginWithCode"]
        token: str = session["token"]
        return token

    @asynccontextmanager
    async def socket(
        self, token: str = "", *, payload: dict[str, Any] | None = None, **options: Any
    ) -> AsyncGenerator["Socket"]:
        """A websocket that is past connection_init."""
        async with self.raw_socket(**options) as raw:
            given = {"authorization": f"Bearer {token}"} if token else {}
            await raw.send(text({"type": "connection_init", "payload": payload or given}))
            ack = orjson.loads(await raw.recv())
            assert ack["type"] == "connection_ack"
            yield Socket(raw)

    async def raw_status(self, head: bytes) -> int:
        """The status of a request that no client would send; `head` is without its empty line."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head + b"\r\n")
        async with asyncio.timeout(5):
            line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def deserted(self, topic: str) -> None:
        """Waits until nobody listens to the topic; fails after five seconds."""
        async with asyncio.timeout(5):
            while topic in self.mall.bus._subscribers:  # noqa: ASYNC110  the bus does not tell
                await asyncio.sleep(0.01)

    def raw_socket(self, **options: Any) -> connect:
        url = self.url.replace("http://", "ws://") + "/graphql"
        return connect(url, subprotocols=[SUBPROTOCOL], **options)  # type: ignore[list-item]


@dataclass
class Socket:
    """One graphql-transport-ws connection."""

    raw: ClientConnection

    async def start(self, key: str, query: str, variables: dict[str, Any] | None = None) -> None:
        payload = {"query": query, "variables": variables}
        await self.raw.send(text({"id": key, "type": "subscribe", "payload": payload}))

    async def stop(self, key: str) -> None:
        await self.raw.send(text({"id": key, "type": "complete"}))

    async def next(self) -> dict[str, Any]:
        """The next frame; fails when none comes within five seconds."""
        async with asyncio.timeout(5):
            frame: dict[str, Any] = orjson.loads(await self.raw.recv())
        return frame

    async def data(self, key: str, field: str) -> dict[str, Any]:
        """The field of the next frame, which must be data of that operation."""
        frame = await self.next()
        assert (frame["id"], frame["type"]) == (key, "next"), frame
        assert "errors" not in frame["payload"], frame
        value: dict[str, Any] = frame["payload"]["data"][field]
        return value


@asynccontextmanager
async def served(
    database_url: str,
    *,
    engine: ScriptedEngine | None = None,
    patience: Patience | None = None,
    **settings: Any,
) -> AsyncGenerator[Server]:
    """The application with DEV sign-in and a scripted engine, and a `Mall` over its resources."""
    given = Settings(database_url=database_url, is_dev=True, model="none", **settings)
    app = create_app(given, engine=engine or ScriptedEngine())
    port = free_port()
    patience = patience or Patience()
    options = {"port": port, "lifespan": "on", "timeout_graceful_shutdown": 2}
    server = WebServer(configured(app, given, patience, **options), patience)
    listening = impatient(_listening(port), patience)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        assert not running.done(), running.exception()
        await asyncio.sleep(0.01)
    resources = server.lifespan.state["resources"]
    assert isinstance(resources.bus, MemoryBus)
    mall = Mall(resources.database, resources.bus, resources.clock, resources.payments)
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            yield Server(url, mall, client, resources)
    finally:
        server.should_exit = True
        await running


def gid(kind: str, key: int) -> str:
    return ids.encode(kind, key)


def text(message: object) -> str:
    return orjson.dumps(message).decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listening(port: int) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", port))
    return one
