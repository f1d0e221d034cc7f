"""Results as a table, a picture and a file: what was measured, against what was promised."""

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from math import log10
from pathlib import Path
from statistics import median

import orjson

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "performance.svg"
FILE = Path(__file__).parent / "results.json"
BEGIN, END = "<!-- results: written by make bench -->", "<!-- end of results -->"

TITLES = {
    "q1": "Q1 product list",
    "q2": "Q2 product page",
    "q3": "Q3 cart",
    "m1": "M1 add to cart",
}
_COLOURS = {
    "handwritten": "#7a8794",
    "jishi": "#c0392b",
    "mercurius": "#2e7d5b",
    "docs_style": "#b8862b",
}
_PACKAGES = ("strawberry-graphql", "graphql-core", "starlette", "uvicorn", "SQLAlchemy", "orjson")


@dataclass(frozen=True, slots=True)
class Cell:
    """What one burst measures: an operation on a server over so many connections."""

    operation: str
    server: str
    concurrency: int


@dataclass(frozen=True, slots=True)
class Sample:
    cpu_us: float
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise about a ratio; `is_floor` when more is better."""

    title: str
    measured: float
    limit: float
    is_floor: bool = False

    @property
    def is_met(self) -> bool:
        return self.measured >= self.limit if self.is_floor else self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Results:
    samples: dict[Cell, list[Sample]]
    servers: dict[str, str]  # name -> title
    requests: int

    def middle(self, cell: Cell, of: Callable[[Sample], float]) -> float:
        return median(of(sample) for sample in self.samples[cell])

    def ratio(self, cell: Cell, to: Cell, of: Callable[[Sample], float] | None = None) -> float:
        """The median of the ratios within each round: what slows a whole round cancels out."""
        read = of or cpu_us
        pairs = zip(self.samples[cell], self.samples[to], strict=True)
        return median(read(one) / read(other) for one, other in pairs)

    @property
    def operations(self) -> list[str]:
        return [name for name in TITLES if Cell(name, "jishi", 16) in self.samples]


def cpu_us(sample: Sample) -> float:
    return sample.cpu_us


def p99_ms(sample: Sample) -> float:
    return sample.p99_ms


def goals(results: Results) -> list[Goal]:
    made: list[Goal] = []
    for name in results.operations:
        jishi, hand = Cell(name, "jishi", 16), Cell(name, "handwritten", 16)
        limit = 2.5 if name == "m1" else 2.0
        made.append(
            Goal(f"{name.upper()} CPU: Jishi / hand-written", results.ratio(jishi, hand), limit)
        )
        if name != "m1" and "mercurius" in results.servers:
            node, docs = Cell(name, "mercurius", 16), Cell(name, "docs_style", 16)
            made += [
                Goal(f"{name.upper()} CPU: Jishi / mercurius", results.ratio(jishi, node), 0.9),
                Goal(
                    f"{name.upper()} CPU: docs style / Jishi",
                    results.ratio(docs, jishi),
                    40,
                    is_floor=True,
                ),
            ]
    if "cached" in results.servers:
        ready = results.ratio(Cell("q1", "cached", 16), Cell("ready", "handwritten", 16))
        made.append(Goal("Q1 CPU: Jishi, cached / a route with ready bytes", ready, 1.25))
    for name in results.operations:
        few, many = Cell(name, "jishi", 1), Cell(name, "jishi", 64)
        hand = Cell(name, "handwritten", 64)
        made += [
            Goal(f"{name.upper()} CPU: Jishi at 64 / at 1", results.ratio(many, few), 1.2),
            Goal(
                f"{name.upper()} p99 at 64: Jishi / hand-written",
                results.ratio(many, hand, p99_ms),
                2.0,
            ),
        ]
    return made


def markdown(results: Results) -> str:
    """The tables that docs/performance.md shows between its markers."""
    return "\n\n".join(
        [machine(results), _costs(results), _promises(goals(results)), _waits(results)]
    )


def machine(results: Results) -> str:
    rounds = len(next(iter(results.samples.values())))
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores,"
        f" {platform.system()}. Python {platform.python_version()}, SQLite"
        f" {sqlite3.sqlite_version}{_node(results)}; {packages}."
        f" {rounds} rounds, up to {results.requests} requests a burst."
    )


def write(results: Results) -> None:
    """Files the results: JSON, the picture, and the page between its markers."""
    rows = [
        {**asdict(cell), "samples": [asdict(sample) for sample in samples]}
        for cell, samples in results.samples.items()
    ]
    found = [{**asdict(goal), "is_met": goal.is_met} for goal in goals(results)]
    filed = {"machine": machine(results), "goals": found, "cells": rows}
    FILE.write_bytes(orjson.dumps(filed, option=orjson.OPT_INDENT_2) + b"\n")
    PICTURE.write_text(picture(results), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{markdown(results)}\n{END}{after}", encoding="utf-8")


def picture(results: Results) -> str:
    """Bars of processor time per request on a logarithmic scale, one group an operation."""
    left, bar, gap, width = 190, 18, 16, 560
    names = [name for name in _COLOURS if name in results.servers]
    costs = {
        (operation, name): results.middle(Cell(operation, name, 16), cpu_us)
        for operation in results.operations
        for name in names
    }
    low, high = 10, max(costs.values())
    scale = (width - 70) / log10(high / low)
    parts, top = [], 34
    for operation in results.operations:
        parts.append(_text(8, top + 13, TITLES[operation], weight="bold"))
        top += 22
        for name in names:
            cost = costs[operation, name]
            length = max(2.0, scale * log10(cost / low))
            shape = f'x="{left}" y="{top}" width="{length:.0f}" height="{bar - 3}" rx="2"'
            parts += [
                _text(left - 8, top + 13, results.servers[name], anchor="end"),
                f'<rect {shape} fill="{_COLOURS[name]}"/>',
                _text(left + length + 6, top + 13, _amount(cost)),
            ]
            top += bar
        top += gap
    title = _text(8, 18, "Processor time per request, logarithmic scale", weight="bold")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width} {top}"'
        ' font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="#fff"/>{title}{"".join(parts)}</svg>\n'
    )


def _costs(results: Results) -> str:
    names = [name for name in _COLOURS if name in results.servers]
    rows = []
    for operation in results.operations:
        hand = Cell(operation, "handwritten", 16)
        cells = [Cell(operation, name, 16) for name in names]
        costs = (
            f"{_amount(results.middle(cell, cpu_us))} ({results.ratio(cell, hand):.2f})"
            for cell in cells
        )
        rows.append([TITLES[operation], *costs])
    if "cached" in results.servers:
        ready = results.middle(Cell("ready", "handwritten", 16), cpu_us)
        cached = results.middle(Cell("q1", "cached", 16), cpu_us)
        blanks = [""] * (len(names) - 2)
        rows.append(["Q1 from ready bytes", _amount(ready), _amount(cached), *blanks])
    return _table(["CPU per request, c = 16", *(results.servers[name] for name in names)], rows)


def _promises(found: Iterable[Goal]) -> str:
    return _table(
        ["promise", "measured", "limit", ""],
        [
            [
                goal.title,
                f"{goal.measured:.2f}",
                f"{'>=' if goal.is_floor else '<='} {goal.limit:g}",
                "met" if goal.is_met else "**missed**",
            ]
            for goal in found
        ],
    )


def _waits(results: Results) -> str:
    rows = []
    for operation in results.operations:
        for name in ("handwritten", "jishi"):
            row = [f"{operation.upper()} {results.servers[name]}"]
            for size in (1, 16, 64):
                cell = Cell(operation, name, size)
                row.append(
                    f"{_amount(results.middle(cell, cpu_us))},"
                    f" {results.middle(cell, lambda one: one.per_second):,.0f}/s,"
                    f" {results.middle(cell, lambda one: one.p50_ms):.2f}"
                    f" / {results.middle(cell, p99_ms):.2f} ms"
                )
            rows.append(row)
    return _table(["CPU, requests per second, p50 / p99", "c = 1", "c = 16", "c = 64"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _amount(cost_us: float) -> str:
    return f"{cost_us:.0f} us" if cost_us < 1_000 else f"{cost_us / 1_000:.2f} ms"


def _text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _node(results: Results) -> str:
    if "mercurius" not in results.servers:
        return ""
    told = subprocess.run(["node", "--version"], capture_output=True, check=True, text=True)  # noqa: S607
    return f", Node.js {told.stdout.strip().removeprefix('v')}"
