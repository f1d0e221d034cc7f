"""Python sources of values, and the functions that these call."""

from collections.abc import Callable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from graphql import GraphQLEnumType, GraphQLLeafType

from app import ids
from app.plan.shapes import Names, Source
from app.statements import named

_IDS_KEPT = 100_000
_INT = 2**31


def item(number: int) -> Source:
    """Of a row."""
    return lambda row: f"{row}[{number}]"


def attribute(name: str) -> Source:
    return lambda row: f"{row}.{name}"


def called(function: str, arguments: list[Source]) -> Source:
    return lambda row: f"{function}({', '.join(one(row) for one in arguments)})"


def named_columns(
    names: list[str], columns: tuple[tuple[int, Callable[[Any], Any] | None], ...]
) -> Callable[[Any], Any]:
    """A function that makes a named tuple of some columns of a row."""
    make = named(names)
    if len(columns) > 1 and not any(process for _, process in columns):
        get = itemgetter(*(place for place, _ in columns))
        return lambda row: make(get(row))
    return lambda row: make(
        [row[place] if process is None else process(row[place]) for place, process in columns]
    )


def quick(names: Names, kind: GraphQLLeafType) -> Source:
    """Source of the JSON value where the raw one is as expected; others go to `serialize`."""
    last = names.name("s", kind.serialize)
    value = f"v{len(names.known)}"
    if isinstance(kind, GraphQLEnumType):
        members = names.name("e", _members(kind))
        return lambda raw: f"{members}[{raw}]"
    if kind.name == "Int":
        return lambda raw: (
            f"({value} if ({value} := {raw}).__class__ is int"
            f" and {-_INT} <= {value} < {_INT} else {last}({value}))"
        )
    if kind.name in {"String", "ID"}:
        return lambda raw: f"({value} if ({value} := {raw}).__class__ is str else {last}({value}))"
    if kind.name == "Boolean":
        return lambda raw: f"({value} if ({value} := {raw}).__class__ is bool else {last}({value}))"
    return lambda raw: f"{last}({raw})"


def _members(kind: GraphQLEnumType) -> dict[Any, str]:
    made: dict[Any, str] = {}
    for name, value in kind.values.items():
        made[value.value] = name
        made.setdefault(getattr(value.value, "value", value.value), name)
    return made


class _Encoded(dict[int, str]):
    """Global ids of a kind by key, each made once."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, key: int) -> str:
        made = ids.encode(self._kind, key)
        if len(self) < _IDS_KEPT:
            self[key] = made
        return made


_encoded: dict[str, Callable[[int], str]] = {}


def ids_of(kind: str) -> Callable[[int], str]:
    if kind not in _encoded:
        _encoded[kind] = _Encoded(kind).__getitem__
    return _encoded[kind]


def instant(text: str | None) -> str | None:
    """SQLite's text of an instant as GraphQL shows it; SQLAlchemy writes six digits of a second."""
    if text is None:
        return None
    if len(text) != 26:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat()
    whole = text[:19] if text.endswith("000000") else text
    return f"{whole[:10]}T{whole[11:]}+00:00"
