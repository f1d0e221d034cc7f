"""Requests that nobody wrote: operations right and wrong, variables, bodies that are none."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from graphql import (
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
)
from graphql.language import StringValueNode
from hypothesis import strategies as st
from hypothesis_graphql import Mode, from_schema

from app import ids

SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"
SCHEMA = build_schema(SDL.read_text(encoding="utf-8"))
WHO = ("guest", "consumer", "admin", "nobody")  # the last has a token that is none
ACCEPTS = ("application/json", "application/graphql-response+json", "text/event-stream", "*/*", "")
KINDS = sorted(name for name, one in SCHEMA.type_map.items() if hasattr(one, "interfaces"))
KEYS = 30  # rows of each kind that ids name; the seeded mall has more of most


@dataclass(frozen=True)
class Drawn:
    """One HTTP request; `who` names a token."""

    who: str
    method: str
    content: bytes = b""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def _weighted(*parts: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of these, each as often as its number says; `one_of` would ask each once."""
    chosen = [one for weight, one in parts for _ in range(weight)]
    return st.sampled_from(chosen).flatmap(lambda one: one)


def _id() -> st.SearchStrategy[str]:
    """Mostly ids of rows that are there, often of another kind than the field wants."""
    real = st.builds(ids.encode, st.sampled_from(KINDS), st.integers(1, KEYS))
    odd = st.builds(
        lambda kind, key: base64.urlsafe_b64encode(f"{kind}:{key}".encode()).decode(),
        st.sampled_from([*KINDS, "", "Query", "__Type"]),
        st.one_of(st.integers(), st.sampled_from(["", "1:1", "x", "0", "1e9"])),
    )
    return _weighted((8, real), (1, odd), (1, st.text(max_size=20)))


def _instant() -> st.SearchStrategy[str]:
    return st.datetimes().map(lambda at: f"{at.isoformat()}Z") | st.text(max_size=9)


SCALARS = {
    "ID": _id().map(lambda value: StringValueNode(value=value)),
    "DateTime": _instant().map(lambda value: StringValueNode(value=value)),
}
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


def operations(mode: Mode = Mode.POSITIVE) -> st.SearchStrategy[str]:
    return from_schema(SCHEMA, custom_scalars=SCALARS, mode=mode)


def _value(kind: Any, schema: GraphQLSchema) -> st.SearchStrategy[Any]:
    """A JSON value that may fit an input type, or nearly."""
    if isinstance(kind, GraphQLNonNull):
        return _value(kind.of_type, schema)
    if isinstance(kind, GraphQLInputObjectType):
        fitting = {name: _value(one.type, schema) for name, one in kind.fields.items()}
        return st.fixed_dictionaries({}, optional=fitting) | _JSON
    if isinstance(kind, GraphQLScalarType):
        fitting_scalar: dict[str, st.SearchStrategy[Any]] = {
            "ID": _id(),
            "Int": st.integers(-2, 40) | st.integers(),
            "String": st.text(max_size=40),
            "Boolean": st.booleans(),
            "DateTime": _instant(),
        }
        return fitting_scalar[kind.name] | _JSON
    return _JSON | st.sampled_from(sorted(getattr(kind, "values", {"": None})))


@st.composite
def _with_variables(draw: st.DrawFn) -> dict[str, Any]:
    """A root field whose arguments are all variables, given as they come."""
    root: Any = draw(st.sampled_from([SCHEMA.query_type, SCHEMA.mutation_type]))
    name = draw(st.sampled_from(sorted(root.fields)))
    arguments = root.fields[name].args
    given = {one: draw(_value(arg.type, SCHEMA)) for one, arg in arguments.items()}
    kinds = {one: arg.type for one, arg in arguments.items()}
    return _operation(root.name.lower(), name, given, kinds)


def _operation(
    verb: str, name: str, given: Mapping[str, Any], kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """A body that asks for one root field, all of its arguments by variables."""
    signature = ", ".join(f"${one}: {kind}" for one, kind in kinds.items())
    passed = ", ".join(f"{one}: ${one}" for one in kinds)
    head = f"{verb}({signature})" if signature else verb
    call = f"{name}({passed})" if passed else name
    return {"query": f"{head} {{ {call} {{ __typename }} }}", "variables": dict(given)}


@st.composite
def _nearly_operations(draw: st.DrawFn) -> bytes:
    """A good body with a piece cut out, doubled or replaced."""
    body = _dumped({"query": draw(operations())})
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 20)))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


def _dumped(value: Any) -> bytes:
    """As JSON; numbers may be larger than any parser of ours wants them, and NaN is a word."""
    return json.dumps(value).encode()


def _text(value: Any) -> str:
    return _dumped(value).decode()


def _bodies() -> st.SearchStrategy[bytes]:
    asked, wrong = (
        operations(mode).map(lambda text: _dumped({"query": text}))
        for mode in (Mode.POSITIVE, Mode.NEGATIVE)
    )
    shapes = st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("query", "variables", "operationName", "extensions", "id"), _JSON),
    )
    return _weighted(
        (10, asked),
        (2, wrong),
        (8, _with_variables().map(_dumped)),
        (1, shapes.map(_dumped)),
        (1, _JSON.map(_dumped)),
        (1, _nearly_operations()),
        (1, st.binary(max_size=64)),
    )


def _headers() -> st.SearchStrategy[dict[str, str]]:
    language = st.sampled_from(["zh-CN", "en", "en-GB;q=0.8", "", "*"])
    return st.builds(
        lambda accept, tongue: {"accept": accept, "accept-language": tongue},
        st.sampled_from(ACCEPTS),
        language,
    )


def requests() -> st.SearchStrategy[Drawn]:
    who = _weighted((9, st.sampled_from(WHO[:-1])), (1, st.just(WHO[-1])))
    posts = st.builds(
        lambda one, body, more: Drawn(
            one, "POST", body, headers={"content-type": "application/json", **more}
        ),
        who,
        _bodies(),
        _headers(),
    )
    texts = _weighted((4, operations()), (1, operations(Mode.NEGATIVE)), (1, st.text(max_size=40)))
    variables = _weighted((4, st.just("{}")), (1, st.text(max_size=12)), (1, _JSON.map(_text)))
    gets = st.builds(
        lambda one, text, given, more: Drawn(
            one,
            "GET",
            query=urlencode({"query": text, "variables": given}, errors="replace"),
            headers={"graphql-require-preflight": "1", **more},
        ),
        who,
        texts,
        variables,
        _headers(),
    )
    return _weighted((4, posts), (1, gets))


def everywhere(text: str, number: int) -> list[Drawn]:
    """Every root field, asked by everybody, with that text and number wherever one is wanted."""
    roots = (SCHEMA.query_type, SCHEMA.mutation_type)
    return [
        Drawn(who, "POST", _dumped(asked), headers={"content-type": "application/json"})
        for root in roots
        if root is not None
        for name, one in root.fields.items()
        for asked in [
            _operation(
                root.name.lower(),
                name,
                {key: _settled(arg.type, text, number, name) for key, arg in one.args.items()},
                {key: arg.type for key, arg in one.args.items()},
            )
        ]
        for who in WHO[:-1]
    ]


def _settled(kind: Any, text: str, number: int, place: str) -> Any:
    """A value of an input type; ids are of the first row of the kind that their name tells."""
    while hasattr(kind, "of_type"):
        kind = kind.of_type
    if isinstance(kind, GraphQLInputObjectType):
        return {key: _settled(one.type, text, number, key) for key, one in kind.fields.items()}
    if kind.name == "ID":
        named = next((one for one in KINDS if f"{one}Id".lower() in place.lower()), "Order")
        return ids.encode(named, 1)
    plain = {"String": text, "Int": number, "Boolean": True, "DateTime": "2030-01-01T00:00:00Z"}
    return plain.get(kind.name) if kind.name in plain else next(iter(kind.values))
