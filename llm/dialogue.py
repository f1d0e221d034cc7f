"""One reply: for every move the model's words, checked, or the template writer's.

Facts come in as values, clauses go out as text. A value is never the model's to make: it writes
placeholders, the check refuses anything else, and the program puts the values in afterwards.
"""

import logging
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

from llm import guard, prompts, writer
from llm.guard import Fault
from llm.plan import Act, Language, Move
from llm.policy import Step
from llm.protocol import Engine, EngineError, Finish, Message, Piece, Request

log = logging.getLogger(__name__)
WriterName = Literal["MODEL", "TEMPLATE"]
TRIES = 2  # of the model for one move
LONGEST_CHARS = 400  # raw text of one move; what goes on is cut off and refused
_SENTENCE = re.compile(r"[^。！？!?…～]*[。！？!?…～]+[」』”’）)]*|[^。！？!?…～]+$")
_ENGLISH_SENTENCE = re.compile(r".+?[.!?]+(?=\s|$)\s*|.+$", re.DOTALL)
# a reply greets once: what later moves begin with again
_GREETING = re.compile(
    r"^(?:亲，?)?(?:\{user\.name\}[，,]?)?(?:您好|你好)[呀啊]?[，,！!～。]+|^(?:好的|收到|明白|嗯嗯)[，,！!。]+"
)
# what ends a reply: an earlier move does not say goodbye
_FAREWELL = re.compile(
    r"[^。！？{}「」]*(?:随时|尽管|还有(?:什么|别的|其他|想)|还需要|有疑问|这样说清楚|说一声就好|告诉我就[行好]|直接说|都记着"
    r"|直接告诉我|您的想法)[^。！？{}「」]*[。！？]$"
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one reply is made of; `user` is the fairness key, `history` plain earlier words."""

    id: str
    steps: tuple[Step, ...]
    question: str
    role: str
    user: str
    seed: int
    history: tuple[Message, ...] = ()
    deadline_s: float = 30.0
    max_tokens: int = 96


@dataclass(frozen=True, slots=True)
class Clause:
    """Text to show as it is; `faults` are those of the model's words it replaces."""

    text: str
    writer: WriterName
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Budget:
    """What the model may still be asked for in this turn."""

    ends_at: float
    is_open: bool = True
    faults: list[Fault] = field(default_factory=list)

    @property
    def left_s(self) -> float:
        return self.ends_at - time.monotonic()


async def reply(engine: Engine | None, turn: Turn) -> AsyncGenerator[Clause, None]:
    """The clauses of a reply in order; never empty for a turn with moves, whatever the engine does.

    A move whose words fail the check is written again once, then by the template writer. An
    engine that is busy, gone or late is not asked again in this turn.
    """
    budget = _Budget(time.monotonic() + turn.deadline_s, is_open=engine is not None)
    for at, step in enumerate(turn.steps):
        text: str | None = None
        budget.faults = []
        if engine is not None and budget.is_open:
            text = await _asked(engine, turn, at, budget)
        name: WriterName = "TEMPLATE" if text is None else "MODEL"
        if text is None:
            text = _templated(step.move, turn.seed + at, is_first=at == 0)
        joined = _joined(text, is_first=at == 0, is_last=at == len(turn.steps) - 1)
        spoken = guard.expand(joined, step.facts)
        for index, part in enumerate(_sentences(spoken, step.move.language)):
            yield Clause(part, name, tuple(budget.faults) if index == 0 else ())


async def _asked(engine: Engine, turn: Turn, at: int, budget: _Budget) -> str | None:
    """The model's words for one move when they pass the check, else None."""
    move = turn.steps[at].move
    for attempt in range(TRIES):
        if budget.left_s <= 0:
            budget.is_open = False
            return None
        try:
            text, finish = await _streamed(engine, _request(engine, turn, at, attempt, budget))
        except EngineError as refusal:
            log.info("engine refused: %s", refusal, extra={"turn": turn.id})
            budget.is_open = False
            return None
        faults = guard.check(text, move)
        if not faults:
            return text
        budget.faults += faults
        log.info("reply refused: %s", faults, extra={"turn": turn.id, "branch": move.key})
        if finish is not None and finish.reason in {"deadline", "failed", "cancelled"}:
            budget.is_open = False
            return None
    return None


async def _streamed(engine: Engine, request: Request) -> tuple[str, Finish | None]:
    """The whole text of a request, cut off at LONGEST_CHARS."""
    text = ""
    async with aclosing(engine.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Piece):
                text += piece.text
                if len(text) > LONGEST_CHARS:
                    return text, None
            else:
                return text.strip(), piece
    return text.strip(), None


def _request(engine: Engine, turn: Turn, at: int, attempt: int, budget: _Budget) -> Request:
    move = turn.steps[at].move
    return Request(
        id=f"{turn.id}-{at}-{attempt}",
        messages=() if engine.speaks_plan else _messages(turn, move),
        plan=move.line(),
        max_tokens=turn.max_tokens,
        seed=turn.seed * 31 + at * TRIES + attempt,
        banned=move.banned,
        user=turn.user,
        deadline_s=max(0.1, budget.left_s),
    )


def _messages(turn: Turn, move: Move) -> tuple[Message, ...]:
    """Rules first (the shared prefix), then the talk, then the task beside the shopper's words."""
    exemplars = tuple(dict.fromkeys(writer.write(move, seed) for seed in (7, 8)))
    return (
        Message("system", prompts.load(turn.role, move.language)),
        *turn.history,
        Message("user", f"{turn.question}\n\n{prompts.task(move, exemplars)}"),
    )


def _templated(move: Move, seed: int, *, is_first: bool) -> str:
    """The template writer's words; a later move is drawn again while it would greet anew."""
    text = writer.write(move, seed)
    for again in range(1, 6):
        if is_first or move.act is Act.GREET or not _GREETING.match(text):
            return text
        text = writer.write(move, seed + 1000 * again)
    return text


def _joined(text: str, *, is_first: bool, is_last: bool) -> str:
    """A move's words inside a longer reply: greeted once, said goodbye once, never emptied."""
    rest = text if is_first else _GREETING.sub("", text, count=1)
    if not is_last:
        rest = _FAREWELL.sub("", rest, count=1)
    return rest if len(rest) > 4 else text


def _sentences(text: str, language: Language) -> list[str]:
    pattern = _ENGLISH_SENTENCE if language is Language.EN else _SENTENCE
    parts = pattern.findall(text)
    return parts if "".join(parts) == text else [text]
