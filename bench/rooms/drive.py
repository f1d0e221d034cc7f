"""Measures one room: what a message costs, how late it comes, what a connection holds.

`python -m bench.rooms.drive` starts the servers, interleaves the rounds, prints the tables and
writes them into docs/performance.md. Nothing else should run meanwhile.
"""

import argparse
import asyncio
import re
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import orjson
import uvloop

from app import ids
from app.auth import Role, Tokens, Viewer
from app.clock import utc_now
from bench import data, load, servers
from bench.report import PAGE
from bench.rooms.followers import Follower, follower, followers
from bench.servers import Kind, NotReady, Server

DOCUMENT = """subscription Room($id: ID!) {
  liveRoomEvents(roomId: $id) {
    __typename
    ... on StreamEvent { cursor seq }
    ... on LiveProductPinned {
      product { id position isPinned livePrice { amountMinor formatted }
        product { id title image } }
    }
    ... on LiveRoomMoved { room { id status } }
  }
}"""
PIN = """mutation Pin($input: PinLiveProductInput!) {
  pinLiveProduct(input: $input) { __typename ... on Problem { code } }
}"""
ROOM = ids.encode("LiveRoom", data.ROOM)
PARTS = "costs,delays,slow"
BEGIN, END = "<!-- rooms: written by make bench -->", "<!-- end of rooms -->"
AUDIENCE, CROWD, READERS = 1_000, 3_000, 500
_SHARED_BY = 8  # sockets of one shopper: ten are allowed
_WAIT_S = 30.0
_NARROW = 16_384  # bytes that the kernel holds for a client that does not read


def _uvicorn(application: str) -> Kind:
    name = application.partition(".")[0]
    command = (
        *(sys.executable, "-m", "uvicorn", "--factory", "--host", "127.0.0.1"),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
        *("--log-level", "warning", "--ws", "websockets-sansio"),
        *("--ws-per-message-deflate", "false", f"bench.rooms.{name}:create_app"),
    )
    return Kind(name, name, lambda port, _: (*command, "--port", str(port)), lambda *_: {})


HAND, OURS, LIBRARY = _uvicorn("broadcast"), servers.JISHI, _uvicorn("library")
TITLES = {HAND.name: "hand-written", OURS.name: "Jishi", LIBRARY.name: "strawberry's handler"}


@dataclass
class Room:
    """One server and those who follow its room; `tokens` are theirs where they need some."""

    server: Server
    tokens: list[str]
    host: str
    event: bytes = b""

    @property
    def is_ours(self) -> bool:
        return self.server.kind is OURS

    async def join(self, count: int) -> list[Follower]:
        return await followers(self.server.port, self.tokens, DOCUMENT, {"id": ROOM}, count)

    async def say(self) -> None:
        """Lets one event happen: the host shows a product, or the others get what that gave."""
        path, body, bearer = "/say", self.event, None
        if self.is_ours:
            shown = {"roomId": ROOM, "liveProductId": ids.encode("LiveProduct", 1)}
            body = orjson.dumps({"query": PIN, "variables": {"input": shown}})
            path, bearer = "/graphql", self.host
        await _posted(self.server.port, load.request(path, body, bearer))

    async def burst(self, audience: Sequence[Follower], events: int) -> float:
        """So many events, each once all have the one before; CPU seconds of the server."""
        before = self.server.cpu_seconds()
        for _ in range(events):
            wanted = [one.received + 1 for one in audience]
            await self.say()
            await _arrived(audience, wanted)
        return self.server.cpu_seconds() - before

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1])


async def _posted(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    status = await reader.readline()
    assert b" 20" in status, status
    writer.close()


async def _arrived(audience: Sequence[Follower], wanted: Sequence[int]) -> None:
    until = perf_counter() + _WAIT_S
    while any(one.received < least for one, least in zip(audience, wanted, strict=True)):
        if perf_counter() > until:
            raise TimeoutError("an event did not reach everybody")
        await asyncio.sleep(0.001)


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _costs(rooms: Sequence[Room], rounds: int, events: int) -> list[str]:
    """CPU per message with an audience of a thousand, rounds interleaved."""
    audiences = {room.server.kind.name: await room.join(AUDIENCE) for room in rooms}
    found: dict[str, list[float]] = {name: [] for name in audiences}
    for number in range(rounds + 1):  # the first is for warming up
        for room in rooms[number % len(rooms) :] + rooms[: number % len(rooms)]:
            name = room.server.kind.name
            count = events if name != LIBRARY.name else max(3, events // 8)
            used = await room.burst(audiences[name], count)
            if number:
                found[name].append(used / count / AUDIENCE * 1e6)
        _say(f"round {number}: " + " ".join(f"{n}={v[-1]:.1f}" for n, v in found.items() if v))
    for one in (each for audience in audiences.values() for each in audience):
        one.transport.close()
    by_hand = found[HAND.name]
    lines = [f"| One room, {AUDIENCE:,} followers | CPU per message | of hand-written |"]
    lines.append("| --- | --- | --- |")
    for name, values in found.items():
        ratio = median(ours / hand for ours, hand in zip(values, by_hand, strict=True))
        lines.append(f"| {TITLES[name]} | {median(values):.1f} us | {ratio:.2f} |")
    library = zip(found[LIBRARY.name], found[OURS.name], strict=True)
    less = median(theirs / ours for theirs, ours in library)
    return [*lines, "", f"Jishi takes {less:.1f} times less than strawberry's handler."]


async def _delays(room: Room, seconds: int) -> tuple[float, float, float]:
    """(p50 and p99 of the delay in ms, KiB per connection), with a crowd, one event a second."""
    await asyncio.sleep(1)
    before = room.memory_kib()
    audience = await room.join(CROWD)
    await room.burst(audience[:1], 1)
    await asyncio.sleep(1)
    each_kib = (room.memory_kib() - before) / CROWD
    late: list[float] = []
    for _ in range(seconds):
        began, wanted = perf_counter(), [one.received + 1 for one in audience]
        await room.say()
        await _arrived(audience, wanted)
        late += [one.arrivals[-1] - began for one in audience]
        await asyncio.sleep(began + 1 - perf_counter())
    for one in audience:
        one.transport.close()
    await asyncio.sleep(1)
    return _percentile(late, 0.5) * 1e3, _percentile(late, 0.99) * 1e3, each_kib


async def _slow(room: Room, events: int) -> list[str]:
    """How late the others are before, while and after one never reads, and how that one ends."""
    audience = await room.join(READERS - 1)
    before_ms = await _lateness(room, audience, events // 2)
    held_kib = room.memory_kib()
    sleeper = await follower(
        room.server.port,
        room.tokens[-1],
        DOCUMENT,
        {"id": ROOM},
        room_bytes=_NARROW,
        keeps=True,
    )
    sleeper.transport.pause_reading()
    while_ms = await _lateness(room, audience, events)
    grown_kib = room.memory_kib() - held_kib
    sleeper.transport.resume_reading()
    ending, until = None, perf_counter() + _WAIT_S
    while ending is None and perf_counter() < until:
        await asyncio.sleep(0.1)
        ending = re.search(rb'"code":"(\w+)"', b"".join(sleeper.messages[-2:]))
    sleeper.transport.close()
    after_ms = await _lateness(room, audience, events // 2)
    code = "no end" if ending is None else ending[1].decode()
    told = f"The one that never read had {sleeper.received} messages waiting, the last {code};"
    return [
        f"| {READERS} followers, one never reads {events} events | p99 of the others |",
        "| --- | --- |",
        f"| before | {before_ms:.1f} ms |",
        f"| meanwhile | {while_ms:.1f} ms |",
        f"| after | {after_ms:.1f} ms |",
        "",
        f"{told} the server grew by {grown_kib} KiB.",
    ]


async def _lateness(room: Room, audience: Sequence[Follower], events: int) -> float:
    """The p99 in ms of how long after the cause an event comes."""
    late: list[float] = []
    for _ in range(events):
        began, wanted = perf_counter(), [one.received + 1 for one in audience]
        await room.say()
        await _arrived(audience, wanted)
        late += [one.arrivals[-1] - began for one in audience]
    return _percentile(late, 0.99) * 1e3


async def _measure(folder: Path, options: argparse.Namespace) -> list[str]:
    secret, source = secrets.token_urlsafe(32), folder / "mall.db"
    tokens = [data.token(secret, one) for one in range(1, CROWD // _SHARED_BY + 2)]
    viewer = Viewer(Role.DISTRIBUTOR, data.SHOPPERS)
    host = Tokens(secret, utc_now).issue(viewer)
    lines: list[str] = []
    with ExitStack() as stack:
        rooms = []
        for kind in (HAND, OURS, LIBRARY):
            server = Server(kind, source, folder, secret)
            stack.callback(server.close)
            rooms.append(Room(server, tokens if kind is OURS else [""], host))
        for room in rooms:
            room.server.wait()
        await _learn(rooms)
        if "costs" in options.parts:
            lines += [*await _costs(rooms, options.rounds, options.events), ""]
        if "delays" in options.parts:
            lines += [*await _crowds(rooms, options.seconds), ""]
        if "slow" in options.parts:
            lines += [*await _slow(rooms[1], options.slow_events), ""]
    return lines


async def _crowds(rooms: Sequence[Room], seconds: int) -> list[str]:
    lines = [f"| {CROWD:,} followers, one event a second | p50 | p99 | per connection |"]
    lines.append("| --- | --- | --- | --- |")
    late = {}
    for room in rooms[:2]:
        name = room.server.kind.name
        p50, late[name], kib = await _delays(room, seconds)
        lines.append(f"| {TITLES[name]} | {p50:.1f} ms | {late[name]:.1f} ms | {kib:.1f} KiB |")
        _say(lines[-1])
    ratio = late[OURS.name] / late[HAND.name]
    return [*lines, "", f"p99 of Jishi is {ratio:.2f} of the hand-written one's."]


async def _learn(rooms: Sequence[Room]) -> None:
    """Lets Jishi tell one event, which the others then send byte for byte."""
    ours = rooms[1]
    one = await follower(ours.server.port, ours.tokens[0], DOCUMENT, {"id": ROOM}, keeps=True)
    await ours.say()
    while b'"LiveProductPinned"' not in b"".join(one.messages[-1:]):  # the stock is told once
        await _arrived([one], [one.received + 1])
    event = orjson.dumps(orjson.loads(one.messages[-1])["payload"])
    one.transport.close()
    for room in rooms:
        room.event = event
    _say(f"an event has {len(event)} bytes")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  its output


def _write(lines: Sequence[str]) -> None:
    page = PAGE.read_text()
    table = "\n".join([BEGIN, "", *lines, END])
    if BEGIN in page:
        head, _, rest = page.partition(BEGIN)
        page = head + table + rest.partition(END)[2]
    else:
        page = f"{page.rstrip()}\n\n## Rooms\n\n{table}\n"
    PAGE.write_text(page)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.rooms", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--seconds", type=int, default=15)
    # in less than the half minute after which a server gives up a peer that takes nothing
    parser.add_argument("--slow-events", type=int, default=800)
    parser.add_argument("--parts", default=PARTS, help="a run that leaves one out only prints")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jishi-rooms-") as place:
        folder = Path(place)
        data.make(folder / "mall.db")
        try:
            lines = uvloop.run(_measure(folder, options))
        except (NotReady, TimeoutError, ConnectionError) as failed:
            _say(f"bench: {failed or 'a server took too long'}")
            return 1
    _say("\n".join(lines))
    if options.parts == PARTS:
        _write(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
