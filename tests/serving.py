"""Real servers for tests: uvicorn in this process on a free port, `jishi serve` in its own.

And clients that speak to them.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from app import ids
from app.bus import MemoryBus
from app.context import Resources
from app.edge.server import Patience, configured, impatient
from app.edge.server import Server as WebServer
from app.gateways.payments import PaymentGateway
from app.main import create_app
from app.settings import Settings
from llm.protocol import ScriptedEngine
from tests.factories import Mall
from tests.patience import PATIENCE_S

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
        async with asyncio.timeout(PATIENCE_S):
            line = await reader.readline()
        writer.close()
        return int(line.split()[1])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def deserted(self, topic: str) -> None:
        """Waits until nobody listens to the topic; fails when it takes too long."""
        async with asyncio.timeout(PATIENCE_S):
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
        """The next frame; fails when none comes."""
        async with asyncio.timeout(PATIENCE_S):
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
    payments: PaymentGateway | None = None,
    **settings: Any,
) -> AsyncGenerator[Server]:
    """The application with DEV sign-in and a scripted engine, and a `Mall` over its resources."""
    settings.setdefault("sign_ins_per_minute", 10_000)  # all tests of a file share an address
    settings.setdefault("metrics", True)
    given = Settings(database_url=database_url, is_dev=True, model="none", **settings)
    app = create_app(given, engine=engine or ScriptedEngine(), payments=payments)
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


@dataclass
class Process:
    """`jishi serve` in a process of its own."""

    url: str
    log: Path
    running: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ready(self) -> None:
        """Waits until it serves."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self.running.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        pytest.fail("the server does not get ready")

    def kill(self) -> None:
        """Ends it where it stands, as a lost machine would."""
        self.running.kill()
        self.running.wait(15)

    def stop(self) -> None:
        """Lets it end, unless it was killed; it must not have broken anywhere."""
        if self.running.poll() is None:
            self.running.terminate()
            status = self.running.wait(15)
            # uvicorn stops, then ends as it was told
            assert status == -signal.SIGTERM, self.log.read_text()
        assert "Traceback" not in self.log.read_text(), self.log.read_text()


@contextmanager
def process(
    database_url: str, folder: Path, *, program: str = "app.cli serve", **settings: str
) -> Generator[str]:
    """`jishi serve` in `folder`, with `JISHI_...` settings by their short names; its address.

    Another `program` is a module with its arguments.
    """
    with started(database_url, folder, program=program, **settings) as one:
        one.ready()
        yield one.url


@contextmanager
def started(
    database_url: str, folder: Path, *, program: str = "app.cli serve", **settings: str
) -> Generator[Process]:
    """Like `process`, but not ready yet, and to be killed."""
    port = free_port()
    env = {
        **os.environ,
        "JISHI_DEV": "1",
        "JISHI_MODEL": "none",
        "JISHI_PORT": str(port),
        "JISHI_DATABASE_URL": database_url,
        "JISHI_LOG_LEVEL": "WARNING",
        **{f"JISHI_{name.upper()}": value for name, value in settings.items()},
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    log = folder / f"server-{port}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", *program.split()]
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
    one = Process(f"http://127.0.0.1:{port}", log, server)
    try:
        yield one
    finally:
        one.stop()


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
