"""Clients of a room's stream whose connection is cut at any byte, and who come back."""

import asyncio
import base64
import os
import random
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.patience import PATIENCE_S
from tests.serving import SUBPROTOCOL

EVENTS = """subscription($room: ID!, $after: String) {
  event: liveRoomEvents(roomId: $room, after: $after) {
    __typename ... on StreamEvent { cursor seq } } }"""
AT_ONCE = struct.pack("ii", 1, 0)  # lingers for no time: the peer gets a reset
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Cut(Exception):
    """The connection is gone."""


class Wire:
    """A TCP connection that is cut after `budget` bytes, whichever way they go; None lives on."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None
    ) -> None:
        self._reader, self._writer, self._budget = reader, writer, budget
        self._held = b""

    @classmethod
    async def to(cls, port: int, budget: int | None) -> "Wire":
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as gone:
            raise Cut from gone
        return cls(reader, writer, budget)

    async def send(self, content: bytes) -> None:
        part = content if self._budget is None else content[: self._budget]
        self._spend(len(part))
        try:
            self._writer.write(part)
            await self._writer.drain()
        except OSError as gone:
            raise Cut from gone
        if len(part) < len(content):
            raise Cut

    async def take(self, count: int) -> bytes:
        while len(self._held) < count:
            await self._more()
        return self._split(count)

    async def until(self, mark: bytes) -> bytes:
        """What comes before the mark, which is taken, too."""
        while mark not in self._held:
            await self._more()
        found = self._split(self._held.index(mark))
        self._split(len(mark))
        return found

    def close(self) -> None:
        """As a phone in a tunnel: without a word, for the peer a reset or an end of file."""
        if random.random() < 0.5:
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self._writer.transport.abort()

    async def _more(self) -> None:
        if self._budget == 0:
            raise Cut
        try:
            async with asyncio.timeout(PATIENCE_S):
                came = await self._reader.read(self._budget or 65536)
        except OSError as gone:
            raise Cut from gone
        if not came:
            raise Cut
        self._spend(len(came))
        self._held += came

    def _split(self, count: int) -> bytes:
        found, self._held = self._held[:count], self._held[count:]
        return found

    def _spend(self, count: int) -> None:
        if self._budget is not None:
            self._budget -= count


Event = tuple[str, dict[str, Any]]  # the cursor to come back with, and the event
Speaks = Callable[[Wire, str, str | None], AsyncGenerator[Event]]


async def websocket(wire: Wire, room: str, after: str | None) -> AsyncGenerator[Event]:
    """graphql-transport-ws; the cursor goes with the arguments."""
    key = base64.b64encode(os.urandom(16)).decode()
    await wire.send(
        "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n".encode()
    )
    head = await wire.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    await wire.send(_frame({"type": "connection_init"}))
    assert (await _message(wire))["type"] == "connection_ack"
    payload = {"query": EVENTS, "variables": {"room": room, "after": after}}
    await wire.send(_frame({"id": "1", "type": "subscribe", "payload": payload}))
    while True:
        message = await _message(wire)
        assert message["type"] == "next", message
        event = _event(message["payload"])
        yield event["cursor"], event


async def sse(wire: Wire, room: str, after: str | None) -> AsyncGenerator[Event]:
    """graphql-sse; the cursor is the Last-Event-ID, as a browser sends it."""
    body = orjson.dumps({"query": EVENTS, "variables": {"room": room}})
    resumed = "" if after is None else f"Last-Event-ID: {after}\r\n"
    await wire.send(
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{resumed}\r\n".encode()
        + body
    )
    head = await wire.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    text = b""
    while True:
        size = int(await wire.until(b"\r\n"), 16)
        if size == 0:
            raise Cut
        text += await wire.take(size)
        await wire.take(2)
        while b"\n\n" in text:
            said, _, text = text.partition(b"\n\n")
            lines = dict(line.split(b":", 1) for line in said.split(b"\n"))
            if b"data" in lines and b"id" in lines:
                yield lines[b"id"].strip().decode(), _event(orjson.loads(lines[b"data"]))


@dataclass
class Watcher:
    """Follows a room, comes back with the last cursor that it saw, notes what it is told."""

    room: str
    speaks: Speaks
    cursor: str | None = None
    seqs: list[int] = field(default_factory=list)
    gaps: int = 0
    cuts: int = 0

    async def follow(
        self, port: int, until: Callable[[], bool] = lambda: False, *, budget: int | None = None
    ) -> None:
        """Listens until it is so, or until the connection is cut."""
        try:
            wire = await Wire.to(port, budget)
        except Cut:
            return
        try:
            async with aclosing(self.speaks(wire, self.room, self.cursor)) as events:
                async for cursor, event in events:
                    self._note(cursor, event)
                    if until():
                        return
        except Cut:
            self.cuts += 1
        finally:
            wire.close()

    async def catch_up(self, port: int, seq: int) -> None:
        """Listens until it has been told the event of this number."""
        async with asyncio.timeout(PATIENCE_S):
            while seq not in self.seqs[-1:]:
                await self.follow(port, lambda: self.seqs[-1:] == [seq])

    async def has_heard(self, seq: int) -> None:
        """Waits until the event of this number has come to a watcher that is following."""
        async with asyncio.timeout(PATIENCE_S):
            while self.seqs[-1:] != [seq]:  # noqa: ASYNC110  it only takes notes
                await asyncio.sleep(0.02)

    async def begin(self, port: int) -> None:
        """Looks once, as a newcomer."""
        await self.follow(port, lambda: True)
        assert self.cursor is not None

    def _note(self, cursor: str, event: dict[str, Any]) -> None:
        self.cursor = cursor
        if event["__typename"] == "StreamGap":
            self.gaps += 1
        elif event["seq"] is not None:
            self.seqs.append(event["seq"])


def _event(payload: dict[str, Any]) -> dict[str, Any]:
    assert "errors" not in payload, payload
    event: dict[str, Any] = payload["data"]["event"]
    return event


def _frame(content: object, kind: int = TEXT) -> bytes:
    """A whole frame of a client, masked."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + struct.pack("!H", len(body))
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
    return bytes([0x80 | kind]) + size + mask + masked


async def _message(wire: Wire) -> dict[str, Any]:
    """The next message of a server, whose pings are answered."""
    while True:
        kind, size = await wire.take(2)
        if size == 126:
            (size,) = struct.unpack("!H", await wire.take(2))
        body = await wire.take(size)
        if kind & 15 == PING:
            await wire.send(_frame(body, PONG))
        elif kind & 15 == CLOSE:
            raise Cut
        else:
            message: dict[str, Any] = orjson.loads(body)
            return message
