"""Thousands of websocket clients in one process: each counts its messages and when they came."""

import asyncio
import os
import socket
import struct
from time import perf_counter
from typing import cast

import orjson

_HANDSHAKE = (
    "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_SHORT, _LONG = 126, 127
_AT_ONCE = 100
_READY_S = 60


class Follower(asyncio.Protocol):
    """One client; ready once it has its first event. `keeps` its messages or only counts them."""

    def __init__(self, token: str, subscribe: bytes, *, keeps: bool = False) -> None:
        self.received, self.last_at = 0, 0.0
        self.messages: list[bytes] = []
        self.arrivals: list[float] = []
        self.ready = asyncio.get_running_loop().create_future()
        self._init = {"authorization": f"Bearer {token}"} if token else {}
        self._subscribe, self._keeps = subscribe, keeps
        self._buffer, self._is_open = b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.transport.write(_HANDSHAKE.encode())

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._is_open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.splitlines()[0]:
                self.ready.set_exception(ConnectionError(head.decode()))
                return
            self._is_open, self._buffer = True, rest
            self._send(orjson.dumps({"type": "connection_init", "payload": self._init}))
        while (frame := self._frame()) is not None:
            self._take(*frame)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("closed before the first event"))

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size == _SHORT:
            size, start = int.from_bytes(buffer[2:4]), 4
        elif size == _LONG:
            size, start = int.from_bytes(buffer[2:10]), 10
        end = start + size
        if len(buffer) < max(end, start):
            return None
        self._buffer = buffer[end:]
        return buffer[0] & 15, buffer[start:end]

    def _take(self, kind: int, data: bytes) -> None:
        if kind == _PING:
            self._send(data, kind=_PONG)
        elif kind == _CLOSE:
            self.transport.close()
        elif not self.ready.done():
            if data.startswith(b'{"type":"connection_ack"'):
                self._send(self._subscribe)
            elif b'"next"' in data:
                self.ready.set_result(None)
            else:
                self.ready.set_exception(ConnectionError(data.decode()))
        else:
            self.received += 1
            self.arrivals.append(perf_counter())
            if self._keeps:
                self.messages.append(data)

    def _send(self, data: bytes, *, kind: int = _TEXT) -> None:
        mask = os.urandom(4)
        size = len(data)
        head = struct.pack("!BB", 0x80 | kind, 0x80 | size) if size < _SHORT else b""
        if not head:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | _SHORT, size)
        masked = bytes(one ^ mask[place % 4] for place, one in enumerate(data))
        self.transport.write(head + mask + masked)


async def followers(
    port: int, tokens: list[str], document: str, variables: dict[str, object], count: int
) -> list[Follower]:
    """So many clients of one subscription, all past their first event."""
    made: list[Follower] = []
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        made += await asyncio.gather(
            *(follower(port, tokens[n % len(tokens)], document, variables) for n in numbers)
        )
    return made


async def follower(
    port: int,
    token: str,
    document: str,
    variables: dict[str, object],
    *,
    room_bytes: int | None = None,
    keeps: bool = False,
) -> Follower:
    """One client; with `room_bytes` the kernel holds no more than that for it."""
    payload = {"query": document, "variables": variables}
    subscribe = orjson.dumps({"id": "1", "type": "subscribe", "payload": payload})
    loop = asyncio.get_running_loop()
    one = socket.socket()
    one.setblocking(False)  # noqa: FBT003  its only argument
    if room_bytes is not None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room_bytes)
    await loop.sock_connect(one, ("127.0.0.1", port))
    _, made = await loop.create_connection(
        lambda: Follower(token, subscribe, keeps=keeps), sock=one
    )
    async with asyncio.timeout(_READY_S):
        await made.ready
    return made
