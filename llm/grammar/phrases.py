"""A small pattern language: `[a|b|]` chooses, `<name>` includes, `{order.no}` is a placeholder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

_TOKEN = re.compile(r"[\[\]|]|<\w+>|\{[a-z_.]+\}|[^\[\]|<{]+")

Available = frozenset[str]
Macros = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Slot:
    name: str


@dataclass(frozen=True, slots=True)
class Include:
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple["Row", ...]


Part = str | Slot | Include | Choice
Row = tuple[Part, ...]


@cache
def parse(pattern: str) -> Row:
    """The tree of a pattern; raises ValueError when its brackets do not close."""
    tokens = _TOKEN.findall(pattern)
    if "".join(tokens) != pattern:
        raise ValueError(f"stray sign in pattern: {pattern}")
    row, rest = _row(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"brackets do not match: {pattern}")
    return row


def _row(tokens: list[str], at: int) -> tuple[Row, int]:
    parts: list[Part] = []
    while at < len(tokens) and tokens[at] not in "]|":
        if tokens[at] == "[":
            choice, at = _choice(tokens, at + 1)
            parts.append(choice)
            continue
        parts.append(_leaf(tokens[at]))
        at += 1
    return tuple(parts), at


def _choice(tokens: list[str], at: int) -> tuple[Choice, int]:
    options: list[Row] = []
    while True:
        option, at = _row(tokens, at)
        options.append(option)
        if at == len(tokens):
            raise ValueError("a bracket stays open: " + "".join(tokens))
        at += 1
        if tokens[at - 1] == "]":
            return Choice(tuple(options)), at


def _leaf(token: str) -> Part:
    if token.startswith("{"):
        return Slot(token[1:-1])
    return Include(token[1:-1]) if token.startswith("<") else token


def fits(row: Row, available: Available, macros: Macros) -> bool:
    """Whether a pattern has a wording that uses available placeholders only."""
    return all(_part_fits(part, available, macros) for part in row)


def _part_fits(part: Part, available: Available, macros: Macros) -> bool:
    if isinstance(part, Slot):
        return part.name in available
    if isinstance(part, Include):
        return fits(parse(macros[part.name]), available, macros)
    if isinstance(part, Choice):
        return any(fits(option, available, macros) for option in part.options)
    return True


def render(row: Row, available: Available, macros: Macros, rng: Random) -> str:
    """One wording of a pattern; the caller made sure that it fits."""
    return "".join(_say(part, available, macros, rng) for part in row)


def _say(part: Part, available: Available, macros: Macros, rng: Random) -> str:
    if isinstance(part, Slot):
        return "{" + part.name + "}"
    if isinstance(part, Include):
        return render(parse(macros[part.name]), available, macros, rng)
    if isinstance(part, Choice):
        options = [option for option in part.options if fits(option, available, macros)]
        return render(rng.choice(options), available, macros, rng)
    return part


def wordings(row: Row, macros: Macros) -> list[str]:
    """Every wording of a small pattern, with its placeholders in braces."""
    texts = [""]
    for part in row:
        if isinstance(part, Choice):
            ends = [text for option in part.options for text in wordings(option, macros)]
        elif isinstance(part, Include):
            ends = wordings(parse(macros[part.name]), macros)
        else:
            ends = ["{" + part.name + "}" if isinstance(part, Slot) else part]
        texts = [text + end for text in texts for end in ends]
    return texts


def count(row: Row, available: Available, macros: Macros) -> int:
    """How many wordings a pattern has for these placeholders."""
    total = 1
    for part in row:
        if isinstance(part, Choice):
            total *= sum(count(option, available, macros) for option in part.options)
        elif isinstance(part, Include):
            total *= count(parse(macros[part.name]), available, macros)
        elif isinstance(part, Slot):
            total *= part.name in available
    return total
