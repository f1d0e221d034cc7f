"""Examples for the writer: a plan line drawn over all branches evenly, a reply from the grammar."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from llm.grammar import sample
from llm.guard import check
from llm.plan import BRANCHES, Branch, Key, Language, Mood, Move, build

ENGLISH = 0.15  # share of English examples: their grammar is smaller
_HAVE, _SAY = 0.6, 0.35  # chances that an optional value is there, and that it must be said


@dataclass(frozen=True, slots=True)
class Example:
    """One reply the model learns to write after its plan line."""

    move: Move
    reply: str


def _kinds() -> tuple[tuple[Key, ...], ...]:
    """Branches grouped by what they say, whatever the shopper asked."""
    groups: dict[tuple[str, ...], list[Key]] = defaultdict(list)
    for key in BRANCHES:
        groups[key[1:]].append(key)
    return tuple(map(tuple, groups.values()))


_KINDS, _KEYS = _kinds(), tuple(BRANCHES)


def draw_move(rng: Random) -> Move:
    """A move with a random record; half of the draws even out rare kinds of replies."""
    key = rng.choice(rng.choice(_KINDS) if rng.random() < 0.5 else _KEYS)
    return furnish(BRANCHES[key], rng)


def furnish(branch: Branch, rng: Random, language: Language | None = None) -> Move:
    """A move of this branch; what the record has besides the required fields is drawn."""
    if language is None:
        language = Language.EN if rng.random() < ENGLISH else Language.ZH
    optional = [name for name in branch.optional if rng.random() < _HAVE]
    move = build(
        branch.key,
        {*branch.required, *optional},
        say={name for name in optional if rng.random() < _SAY},
        mood=rng.choice(tuple(Mood)),
        language=language,
    )
    if move is None:
        raise LookupError("a furnished branch always makes a move")
    return move


def examples(seed: int) -> Iterator[Example]:
    """Examples without end; only replies that pass the guard, like those of the model later."""
    rng = Random(seed)
    while True:
        move = draw_move(rng)
        reply = sample(move, rng)
        if not check(reply, move):
            yield Example(move, reply)
