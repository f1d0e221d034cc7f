"""Policy documents as text files: front matter, headings, numbered clauses, rules as data.

The format, one document a file:

    ---
    code: return-7-days            the same for all versions
    version: 1
    title: 七天无理由退货规则
    audience: ALL                  ALL, CONSUMER, DISTRIBUTOR or SUPPLIER
    category: 生鲜冷链              optional: only for goods of this category
    supplier: 暖屋小家电            optional: only for goods of this supplier
    valid_from: 2024-01-01         first day, Chinese time
    valid_to: 2025-07-01           optional: the first day it no longer holds
    ---
    # 退货期限
    1. 签收次日起 7 天内 ...
    @ return_days days=7
    @ return_days[fresh] days=0 when is_fresh=true

A line `@ topic[case] name=value ... when name=value ...` is a rule of the clause above it: `topic`
is what a question asks for, `case` names the condition, values are whole numbers, true, false or
words. A clause is one line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

Scalar = int | bool | str
AUDIENCES = frozenset({"ALL", "CONSUMER", "DISTRIBUTOR", "SUPPLIER"})
_KEYS = frozenset(
    {"code", "version", "title", "audience", "category", "supplier", "valid_from", "valid_to"}
)
_CLAUSE = re.compile(r"(\d+(?:\.\d+)*)\.\s+(\S.*)")
_RULE = re.compile(r"@\s+(?P<topic>[a-z_]+)(?:\[(?P<case>[a-z_]+)\])?\s+(?P<rest>\S.*)")


class BadDocument(ValueError):
    """A policy file that breaks the format; says which line."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A clause as data: under `conditions` the topic has this value."""

    topic: str
    case: str
    value: Mapping[str, Scalar]
    conditions: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Clause:
    no: str
    heading: str
    text: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """`category` and `supplier` are names; the days are Chinese calendar days, `valid_to` open."""

    code: str
    version: int
    title: str
    audience: str
    valid_from: date
    valid_to: date | None
    category: str | None
    supplier: str | None
    clauses: tuple[Clause, ...]

    @property
    def text(self) -> str:
        """The whole document for reading: headings and numbered clauses."""
        lines, heading = [], ""
        for clause in self.clauses:
            if clause.heading != heading:
                heading = clause.heading
                lines.append(heading)
            lines.append(f"{clause.no}. {clause.text}")
        return "\n".join(lines)


def parse(text: str) -> Document:
    """The document of one file. Raises BadDocument."""
    lines = text.strip().splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        raise BadDocument("a policy begins with front matter between two lines of ---")
    end = lines.index("---", 1)
    front = _front(lines[1:end])
    clauses = _clauses(lines[end + 1 :])
    if not clauses:
        raise BadDocument("a policy needs at least one clause")
    try:
        return Document(
            code=front["code"],
            version=int(front["version"]),
            title=front["title"],
            audience=front["audience"],
            valid_from=date.fromisoformat(front["valid_from"]),
            valid_to=date.fromisoformat(front["valid_to"]) if "valid_to" in front else None,
            category=front.get("category"),
            supplier=front.get("supplier"),
            clauses=clauses,
        )
    except (KeyError, ValueError) as wrong:
        raise BadDocument(f"front matter: {wrong}") from wrong


def _front(lines: list[str]) -> dict[str, str]:
    front: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.strip() not in _KEYS or not value.strip():
            raise BadDocument(f"front matter: {line!r}")
        front[name.strip()] = value.strip()
    if front.get("audience") not in AUDIENCES:
        raise BadDocument(f"audience {front.get('audience')!r}")
    return front


def _clauses(lines: list[str]) -> tuple[Clause, ...]:
    clauses: list[Clause] = []
    heading = ""
    for line in (line.strip() for line in lines):
        if not line:
            continue
        if line.startswith("# "):
            heading = line[2:].strip()
        elif line.startswith("@"):
            if not clauses:
                raise BadDocument(f"a rule before the first clause: {line!r}")
            last = clauses.pop()
            rules = (*last.rules, _rule(line))
            clauses.append(Clause(last.no, last.heading, last.text, rules))
        else:
            found = _CLAUSE.fullmatch(line)
            if found is None or any(clause.no == found[1] for clause in clauses):
                raise BadDocument(f"not a clause with a number of its own: {line!r}")
            clauses.append(Clause(found[1], heading, found[2]))
    return tuple(clauses)


def _rule(line: str) -> Rule:
    found = _RULE.fullmatch(line)
    if found is None:
        raise BadDocument(f"not a rule: {line!r}")
    value, _, conditions = found["rest"].partition(" when ")
    return Rule(found["topic"], found["case"] or "", _pairs(value, line), _pairs(conditions, line))


def _pairs(text: str, line: str) -> dict[str, Scalar]:
    pairs: dict[str, Scalar] = {}
    for pair in text.split():
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier() or not value:
            raise BadDocument(f"{pair!r} in {line!r}")
        pairs[name] = _scalar(value)
    return pairs


def _scalar(value: str) -> Scalar:
    if value in {"true", "false"}:
        return value == "true"
    return int(value) if value.isdecimal() else value
