"""Measures Jishi beside the others, in turns, and tells what each request costs.

    python -m bench.drive [--quick] [--without-peers] [--operations q1,q3] [--rounds 9]

A whole run writes bench/results.json, docs/performance.svg and the tables of docs/performance.md;
a run that leaves something out only prints.
"""

import argparse
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, repeat
from pathlib import Path

import orjson
import uvloop

from bench import data, load, operations, report
from bench.load import Burst, WrongAnswer, burst
from bench.report import Cell, Results, Sample
from bench.servers import CACHED, DOCS, HANDWRITTEN, JISHI, MERCURIUS, NODE, Kind, NotReady, Server

OPERATIONS = tuple(operations.DOCUMENTS)
USUAL, FEW, MANY = 16, 1, 64  # connections
READY = "ready"  # the route that returns ready bytes
_ADDED = b'{"data":{"addCartLine":{"cart":{"id":"'
_WARM_S, _BURST_S = 1.0, 0.8
_say = partial(print, flush=True)


@dataclass(frozen=True)
class Options:
    rounds: int
    requests: int
    operations: tuple[str, ...]
    has_peers: bool
    is_whole: bool


@dataclass
class Target:
    """One server with the requests that it is sent and the answers that it has to give."""

    server: Server
    requests: dict[str, Iterator[bytes]]
    expected: dict[str, bytes] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # processor time of one request

    @property
    def name(self) -> str:
        return self.server.kind.name

    def check(self, operation: str, body: bytes) -> bool:
        if operation == "m1":
            return body.startswith(_ADDED)
        return body == self.expected[operation]

    async def send(self, operation: str, count: int, concurrency: int) -> tuple[Burst, float]:
        """A burst and the processor time that a request of it cost."""
        done, spent = await burst(
            self.server.port,
            self.requests[operation],
            count=count,
            concurrency=concurrency,
            check=partial(self.check, operation),
            clock=self.server.cpu_seconds,
        )
        self.seconds[operation] = spent / count
        return done, spent / count


def main() -> int:
    options = _options(sys.argv[1:])
    kinds = [HANDWRITTEN, JISHI]
    if "q1" in options.operations:
        kinds.append(CACHED)
    if options.has_peers:
        _install_mercurius()
        kinds += [NODE, DOCS]
    with tempfile.TemporaryDirectory(prefix="jishi-bench-") as place:
        folder = Path(place)
        _say("making the database")
        data.make(folder / "mall.db")
        try:
            results = uvloop.run(_measure(folder, kinds, options))
        except (NotReady, WrongAnswer, TimeoutError) as failed:
            _say(f"bench: {failed or 'a server took too long'}")
            return 1
    _say(report.markdown(results))
    if options.is_whole:
        report.write(results)
    return 0


def _options(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=2_000, help="of a burst, at most")
    parser.add_argument("--operations", default=",".join(OPERATIONS))
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--quick", action="store_true", help="3 rounds of small bursts")
    given = parser.parse_args(arguments)
    chosen = tuple(given.operations.split(","))
    if unknown := set(chosen) - set(OPERATIONS):
        parser.error(f"no such operation: {', '.join(sorted(unknown))}")
    if given.quick:
        given.rounds, given.requests = min(given.rounds, 3), min(given.requests, 400)
    is_whole = chosen == OPERATIONS and not given.without_peers and not given.quick
    return Options(given.rounds, given.requests, chosen, not given.without_peers, is_whole)


def _install_mercurius() -> None:
    """Packages by name from the registry, once; better-sqlite3 is compiled where it has to be."""
    if (MERCURIUS / "node_modules").exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("bench: mercurius needs Node.js and npm; or run with --without-peers")
    _say("installing mercurius, a minute or two the first time")
    subprocess.run([npm, "install", "--loglevel=error"], cwd=MERCURIUS, check=True)  # noqa: S603


async def _measure(folder: Path, kinds: Sequence[Kind], options: Options) -> Results:
    secret, source = secrets.token_urlsafe(32), folder / "mall.db"
    with ExitStack() as stack:
        targets: dict[str, Target] = {}
        for kind in kinds:
            server = Server(kind, source, folder, secret)
            stack.callback(server.close)
            targets[kind.name] = Target(server, _requests(kind, source, secret))
        for target in targets.values():
            target.server.wait()
        await _compare(targets, options.operations)
        await _warm(targets, options.operations)
        samples: dict[Cell, list[Sample]] = defaultdict(list)
        for number in range(options.rounds):
            cells = _cells(targets, options.operations, number)
            for cell in cells:
                samples[cell].append(await _sample(targets[cell.server], cell, options.requests))
            _say(f"round {number + 1} of {options.rounds}: " + _told(samples))
        return Results(dict(samples), {kind.name: kind.title for kind in kinds}, options.requests)


def _requests(kind: Kind, file: Path, secret: str) -> dict[str, Iterator[bytes]]:
    token = partial(data.token, secret)

    def made(operation: str, variables: object, bearer: str | None = None) -> bytes:
        body: dict[str, object] = {"variables": variables}
        if kind.speaks_graphql:
            body = {"query": operations.DOCUMENTS[operation], **body}
        return load.request(kind.path(operation), orjson.dumps(body), bearer)

    additions = [
        made("m1", operations.addition(sku_id), token(shopper))
        for shopper, sku_id in data.additions(file)
    ]
    found = {
        "q1": repeat(made("q1", operations.PAGE)),
        "q2": repeat(made("q2", operations.DETAIL)),
        "q3": repeat(made("q3", {}, token(data.READER))),
        "m1": cycle(additions),
    }
    if not kind.speaks_graphql:
        page = orjson.dumps({"variables": operations.PAGE})
        found[READY] = repeat(load.request("/ready", page))
    return found


async def _compare(targets: dict[str, Target], chosen: Sequence[str]) -> None:
    """Every server answers every operation alike, or nothing is measured.

    Jishi and the hand-written routes byte for byte, the others the same values.
    """
    for operation in chosen:
        answers: dict[str, bytes] = {}
        for name, target in targets.items():
            answers[name] = await _first(target, operation)
            target.expected[operation] = answers[name]
        right = answers[HANDWRITTEN.name]
        if right.startswith(b'{"errors"') or b":null}}" in right:
            raise WrongAnswer(f"{operation}: {right[:300]!r}")
        for name, answer in answers.items():
            is_ours = name in {JISHI.name, CACHED.name}
            if answer != right and (is_ours or orjson.loads(answer) != orjson.loads(right)):
                raise WrongAnswer(
                    f"{operation}: {name} differs\n{answer[:2000]!r}\nhandwritten\n{right[:2000]!r}"
                )
        _say(f"{operation}: {len(answers)} servers answer alike, {len(right)} bytes")
    if "q1" in chosen:
        routes = targets[HANDWRITTEN.name]
        routes.expected[READY] = routes.expected["q1"]


async def _first(target: Target, operation: str) -> bytes:
    found: list[bytes] = []

    def keep(body: bytes) -> bool:
        found.append(body)
        return True

    await burst(
        target.server.port,
        target.requests[operation],
        count=1,
        concurrency=1,
        check=keep,
        clock=target.server.cpu_seconds,
    )
    return found[0]


async def _warm(targets: dict[str, Target], chosen: Sequence[str]) -> None:
    """Runs every operation for about a second: compilers settle, and costs become known."""
    for target in targets.values():
        for operation in chosen:
            _, each = await target.send(operation, 2 * USUAL, USUAL)
            await target.send(operation, min(3_000, int(_WARM_S / each) + 1), USUAL)
        _say(f"warm: {target.server.kind.title}")
    if "q1" in chosen:
        await targets[HANDWRITTEN.name].send(READY, 1_000, USUAL)


def _cells(targets: dict[str, Target], chosen: Sequence[str], number: int) -> list[Cell]:
    """What a round measures; who comes first changes from round to round."""
    compared = [name for name in targets if name != CACHED.name]
    turn = number % len(compared)
    ours = [HANDWRITTEN.name, JISHI.name][:: 1 if number % 2 else -1]
    cells: list[Cell] = []
    for operation in chosen:
        cells += [Cell(operation, name, USUAL) for name in compared[turn:] + compared[:turn]]
        cells += [Cell(operation, name, size) for size in (FEW, MANY) for name in ours]
    if "q1" in chosen:
        cells += [Cell(READY, HANDWRITTEN.name, USUAL), Cell("q1", CACHED.name, USUAL)]
    return cells


async def _sample(target: Target, cell: Cell, most: int) -> Sample:
    wanted = int(_BURST_S / target.seconds[cell.operation])
    count = max(4 * cell.concurrency, min(most, wanted))
    done, each = await target.send(cell.operation, count, cell.concurrency)
    return Sample(
        cpu_us=each * 1e6,
        per_second=count / done.seconds,
        p50_ms=done.percentile(0.5) * 1e3,
        p99_ms=done.percentile(0.99) * 1e3,
    )


def _told(samples: dict[Cell, list[Sample]]) -> str:
    """The costs of the last round at the usual concurrency, in us."""
    lasts = ((cell, found[-1].cpu_us) for cell, found in samples.items())
    return " ".join(
        f"{cell.operation}/{cell.server}={cost:.0f}"
        for cell, cost in lasts
        if cell.concurrency == USUAL
    )


if __name__ == "__main__":
    sys.exit(main())
