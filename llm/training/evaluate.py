"""Figures of a finished GGUF: through the real engine, under the masks, judged by the guard."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tqdm import tqdm

from llm.engine import LocalEngine
from llm.grammar.cues import states_its_own
from llm.guard import Fault, FaultKind, check
from llm.plan import BRANCHES, Act, Language, Move
from llm.protocol import Engine, Piece, Request
from llm.training.generate import furnish
from llm.wire import Boot

_AT_ONCE = 12
_FIELDS = frozenset(
    {
        FaultKind.MISSING_FIELD,
        FaultKind.UNAVAILABLE_PLACEHOLDER,
        FaultKind.UNKNOWN_PLACEHOLDER,
        FaultKind.MISPLACED_PLACEHOLDER,
    }
)
_BROKEN = frozenset({FaultKind.BROKEN, FaultKind.TOO_LONG, FaultKind.LANGUAGE})


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote for a move."""

    move: Move
    text: str
    faults: tuple[Fault, ...]


def moves(each: int, seed: int) -> list[Move]:
    """`each` moves of every branch with drawn records; one of eight in English."""
    rng = Random(seed)
    languages = [Language.EN if at % 8 == 7 else Language.ZH for at in range(each)]
    return [furnish(branch, rng, lang) for branch in BRANCHES.values() for lang in languages]


async def replies(engine: Engine, wanted: Sequence[Move], seed: int) -> list[Reply]:
    """One reply for every move, a few at a time."""
    gate = asyncio.Semaphore(_AT_ONCE)
    bar = tqdm(total=len(wanted), unit="reply")

    async def one(at: int, move: Move) -> Reply:
        request = Request(
            id=f"e{at}",
            plan=move.line(),
            seed=seed + at,
            banned=move.banned,
            user=f"u{at % _AT_ONCE}",
        )
        async with gate, aclosing(engine.stream(request)) as pieces:
            text = "".join([p.text async for p in pieces if isinstance(p, Piece)])
        bar.update()
        return Reply(move, text, check(text, move))

    written = await asyncio.gather(*(one(at, move) for at, move in enumerate(wanted)))
    bar.close()
    return list(written)


def figures(written: Sequence[Reply]) -> Mapping[str, object]:
    """The gate's figures; shares of all replies unless the name says otherwise."""
    kinds = Counter(kind for reply in written for kind in {fault.kind for fault in reply.faults})
    groups: dict[str, list[bool]] = defaultdict(list)
    for reply in written:
        groups[f"{reply.move.act}/{reply.move.record}/{reply.move.state}"].append(_state(reply))
    weakest = sorted(groups.items(), key=lambda item: sum(item[1]) / len(item[1]))[:8]
    count = len(written)
    return {
        "replies": count,
        "accepted": _share(not reply.faults for reply in written),
        "accepted_zh": _share(not r.faults for r in written if r.move.language is Language.ZH),
        "accepted_en": _share(not r.faults for r in written if r.move.language is Language.EN),
        "state": _share(map(_state, written)),
        "fields": _share(not _FIELDS & {f.kind for f in r.faults} for r in written),
        "with_digit": sum(any(sign.isdigit() for sign in r.text) for r in written),
        "broken": _share(bool(_BROKEN & {f.kind for f in r.faults}) for r in written),
        "distinct": len({reply.text for reply in written}) / count,
        "faults": dict(kinds.most_common()),
        "weakest_states": {name: _share(rows) for name, rows in weakest},
    }


def _state(reply: Reply) -> bool:
    """The state is right: nothing foreign is claimed, and where it is told, it is really told."""
    if any(fault.kind is FaultKind.FOREIGN_STATE for fault in reply.faults):
        return False
    return reply.move.act is not Act.TELL or states_its_own(reply.text, reply.move)


def _share(rows: object) -> float:
    values = [bool(row) for row in rows]  # type: ignore[attr-defined]
    return round(sum(values) / len(values), 4) if values else 0.0


async def measure(model: Path, each: int, seed: int, shown: int = 0) -> Mapping[str, object]:
    """Figures for one GGUF file; prints some replies and some refused ones."""
    engine = LocalEngine(Boot(model=str(model), threads=1, context_tokens=256))
    await engine.start()
    try:
        began = time.monotonic()
        written = await replies(engine, moves(each, seed), seed)
        seconds = time.monotonic() - began
    finally:
        await engine.close()
    refused = [reply for reply in written if reply.faults]
    for reply in Random(seed).sample(written, min(shown, len(written))):
        print(reply.move.act, reply.move.intent, reply.move.state, reply.text)
    for reply in Random(seed).sample(refused, min(shown, len(refused))):
        print("REFUSED", reply.text, [(fault.kind.value, fault.detail) for fault in reply.faults])
    return {**figures(written), "replies_a_second": round(len(written) / seconds, 1)}


def evaluate(model: Path, *, each: int = 8, seed: int = 2027, shown: int = 0) -> None:
    """Prints the figures as JSON."""
    print(json.dumps(asyncio.run(measure(model, each, seed, shown)), ensure_ascii=False, indent=1))
