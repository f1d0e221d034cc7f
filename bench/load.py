"""A load client that costs little: keep-alive connections that send the next request at once."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

LONGEST_S = 120.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
_SETTLE_S = 0.02  # for a server to take connections in, and to put them away
Check = Callable[[bytes], bool]


class WrongAnswer(Exception):
    """A server answered something else than in the comparison before the clock ran."""


@dataclass
class Burst:
    """What `count` requests took: seconds in all, and of each one."""

    seconds: float
    latencies: list[float] = field(repr=False)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Work:
    """Requests that wait to be sent, shared by the connections of a burst."""

    def __init__(self, requests: Iterator[bytes], count: int, check: Check) -> None:
        self.requests, self.left, self.awaited, self.check = requests, count, count, check
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class _Connection(asyncio.Protocol):
    def __init__(self, work: _Work) -> None:
        self._work, self._buffer, self._began = work, b"", 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass

    def send(self) -> None:
        work = self._work
        if work.left and self._transport is not None:
            work.left -= 1
            self._began = perf_counter()
            self._transport.write(next(work.requests))

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(_END)
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        if length is None:
            self._work.fail(WrongAnswer("an answer without a length"))
            return
        body = head + len(_END)
        if len(self._buffer) < body + int(length[1]):
            return
        answer, self._buffer = self._buffer, b""
        self._take(answer[9:12], answer[body:])

    def connection_lost(self, exc: Exception | None) -> None:
        self._work.fail(exc or ConnectionError("the server closed a connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _take(self, status: bytes, body: bytes) -> None:
        work = self._work
        work.latencies.append(perf_counter() - self._began)
        if status != b"200" or not work.check(body):
            work.fail(WrongAnswer(f"{status!r} {body[:200]!r}"))
            return
        work.awaited -= 1
        if work.awaited:
            self.send()
        elif not work.done.done():
            work.done.set_result(None)


async def burst(
    port: int,
    requests: Iterator[bytes],
    *,
    count: int,
    concurrency: int,
    check: Check,
    clock: Callable[[], float],
) -> tuple[Burst, float]:
    """Sends `count` requests over `concurrency` connections; what it took, and `clock`'s advance.

    Connections are made before the clock is read. Raises WrongAnswer, OSError or TimeoutError.
    """
    loop, work = asyncio.get_running_loop(), _Work(requests, count, check)
    connections: list[_Connection] = []
    try:
        for _ in range(min(concurrency, count)):
            _, one = await loop.create_connection(lambda: _Connection(work), "127.0.0.1", port)
            connections.append(one)
        await asyncio.sleep(_SETTLE_S)
        before, began = clock(), perf_counter()
        for one in connections:
            one.send()
        async with asyncio.timeout(LONGEST_S):
            await work.done
        took, spent = perf_counter() - began, clock() - before
    finally:
        if not work.done.done():
            work.done.cancel()
        for one in connections:
            one.close()
    await asyncio.sleep(_SETTLE_S)
    return Burst(took, work.latencies), spent


def request(path: str, body: bytes, token: str | None = None) -> bytes:
    """The bytes of one POST."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        "Accept: application/json",
        f"Content-Length: {len(body)}",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode() + body
