"""Operations drawn at random over the schema: valid to GraphQL, whatever they ask for."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    is_required_argument,
)
from hypothesis import strategies as st

from tests.plan.variables import BAD_IDS, KINDS

DEEPEST = 6
MOST_LISTS = 2  # below each other: what they hold multiplies
MOST_FIELDS = 30
_ALIAS = re.compile(r"^\w+: ")
SEARCHES = ("米", "云南 咖啡", "没有的东西", "", "%")
Page = Mapping[str, str]
"""Arguments of a list as literals, `after` among them: a cursor that was given for the others."""


@dataclass(frozen=True)
class Asked:
    """An operation with its variables, some of which may not fit."""

    text: str
    variables: dict[str, Any]
    roots: int


@dataclass
class _Drawing:
    draw: Callable[[Any], Any]
    schema: GraphQLSchema
    ids: Mapping[str, Sequence[str]]
    pages: Mapping[str, Sequence[Page]]
    fields: int = 0
    names: int = 0
    fragments: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> type, text
    definitions: dict[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)

    def operation(self) -> Asked:
        query = self.schema.query_type
        assert query is not None
        names = self.draw(st.lists(st.sampled_from(sorted(query.fields)), min_size=1, max_size=3))
        roots = [self._field(query, name, depth=0, lists=0) for name in names]
        if self.chance(25):
            roots.append(f"twin: {_ALIAS.sub('', roots[0])}")
        if self.chance(10):
            roots.append("__typename")
        body = " ".join(one for one in roots if one)
        defined = ", ".join(f"${name}: {kind}" for name, kind in self.definitions.items())
        fragments = [
            f"fragment {name} on {kind} {text}" for name, (kind, text) in self.fragments.items()
        ]
        head = f"query Drawn({defined})" if defined else "query Drawn"
        return Asked("\n".join([f"{head} {{ {body} }}", *fragments]), self._sent(), len(roots))

    def chance(self, percent: int) -> bool:
        drawn: int = self.draw(st.integers(0, 99))
        return drawn >= 100 - percent  # a shrunk drawing has none of it

    def one_of(self, values: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(values))

    # selections

    def _selection(self, kind: Any, depth: int, lists: int) -> str:
        if isinstance(kind, GraphQLInterfaceType):
            parts = self._of_interface(kind, depth, lists)
        else:
            parts = self._of_object(kind, depth, lists, suffix="")
        if not any(parts):
            parts = ["__typename"]
        return "{ " + " ".join(one for one in parts if one) + " }"

    def _of_interface(self, kind: GraphQLInterfaceType, depth: int, lists: int) -> list[str]:
        possible = sorted(self.schema.get_possible_types(kind), key=lambda one: one.name)
        parts = ["__typename", "id"] if self.chance(70) else ["id"]
        for one in self.draw(
            st.lists(st.sampled_from(possible), min_size=1, max_size=5, unique=True)
        ):
            inner = " ".join(
                part for part in self._of_object(one, depth, lists, suffix=one.name) if part
            )
            parts.append(self._wrapped(one.name, f"{{ {inner or '__typename'} }}"))
        if self.chance(20):
            parts.append(self._wrapped(kind.name, "{ id __typename }"))
        return parts

    def _of_object(
        self, kind: GraphQLObjectType, depth: int, lists: int, *, suffix: str
    ) -> list[str]:
        """Fields of an object; `suffix` tells those of one type from those of another."""
        known = [
            name
            for name, one in kind.fields.items()
            if not is_composite_type(get_named_type(one.type)) or depth < DEEPEST
        ]
        if not known:
            return ["__typename"]
        chosen = self.draw(st.lists(st.sampled_from(known), min_size=1, max_size=6, unique=True))
        if self.chance(10):
            chosen.append(chosen[0])
        parts = [self._field(kind, name, depth, lists, suffix=suffix) for name in chosen]
        if self.chance(25):
            parts.append("__typename")
        if self.chance(20):
            parts.append(self._wrapped(kind.name, "{ " + " ".join(parts) + " }"))
        same = [name for name, (of, _) in self.fragments.items() if of == kind.name]
        if same and not suffix and lists == 0 and self.chance(50):
            parts.append(f"...{self.one_of(same)}")
        elif self.chance(10) and isinstance(kind, GraphQLObjectType) and kind.interfaces:
            parts.append(f"... on {kind.interfaces[0].name} {{ __typename again: id }}")
        return parts

    def _wrapped(self, kind: str, selection: str) -> str:
        """The selection as a fragment, named or not, under a condition or not."""
        condition = self._condition()
        if "..." in selection or self.chance(60):
            return f"... on {kind}{condition} {selection}"
        name = f"F{self._number()}"
        self.fragments[name] = (kind, selection)
        spread = f"...{name}{condition}"
        return f"{spread} {spread}" if self.chance(20) else spread

    def _field(
        self, kind: GraphQLObjectType, name: str, depth: int, lists: int, *, suffix: str = ""
    ) -> str:
        known = kind.fields[name]
        named = get_named_type(known.type)
        lists += is_list_type(get_nullable_type(known.type))
        self.fields += 1
        if is_composite_type(named) and (self.fields > MOST_FIELDS or lists > MOST_LISTS):
            return ""
        arguments = self._arguments(kind, name, known)
        if arguments or self.chance(15):
            alias = f"a{self._number()}: "
        else:
            alias = f"{name}{suffix}: " if suffix and name != "id" else ""
        shown = f"{alias}{name}{arguments}{self._condition()}"
        if is_composite_type(named):
            shown += f" {self._selection(named, depth + 1, lists)}"
        return shown

    def _condition(self) -> str:
        if not self.chance(8):
            return ""
        name = self.one_of(("skip", "include"))
        shown = self.one_of(("true", "false", "$yes", "$no", "$either"))
        if shown.startswith("$"):
            is_required = shown != "$either"
            self.definitions[shown[1:]] = "Boolean!" if is_required else "Boolean! = true"
            if is_required or self.chance(50):
                self.given[shown[1:]] = shown == "$yes"
        return f" @{name}(if: {shown})"

    # arguments

    def _arguments(self, kind: GraphQLObjectType, name: str, known: GraphQLField) -> str:
        parts: dict[str, str] = {}
        pages = self.pages.get(name, ())
        if kind is self.schema.query_type and pages and self.chance(40):
            parts |= self.one_of(pages)
        for argument, one in known.args.items():
            if argument not in parts and (is_required_argument(one) or self.chance(30)):
                parts[argument] = self._argument(name, argument, one)
        return f"({', '.join(f'{key}: {value}' for key, value in parts.items())})" if parts else ""

    def _argument(self, field_name: str, name: str, argument: GraphQLArgument) -> str:
        value = self._value(field_name, name, argument.type)
        is_missing = value is None and isinstance(argument.type, GraphQLNonNull)
        if is_missing or self.chance(40):
            variable = f"v{self._number()}"
            self.definitions[variable] = str(argument.type)
            self.given[variable] = value
            return f"${variable}"
        return literal(value, argument.type)

    def _value(self, field_name: str, name: str, kind: GraphQLInputType) -> Any:
        named = get_named_type(kind)
        if is_list_type(get_nullable_type(kind)):
            return self.draw(st.lists(self._ids(), max_size=6))
        if not isinstance(kind, GraphQLNonNull) and self.chance(15):
            return None
        if named.name == "ID":
            own = self.ids.get(KINDS.get(field_name if name == "id" else name, ""), ())
            return self.one_of(own) if own and self.chance(85) else self.draw(self._ids())
        if named.name == "ProductFilter":
            return self._filter(named)
        return self.one_of(self._choices(name, named))

    def _choices(self, name: str, named: Any) -> Sequence[Any]:
        if isinstance(named, GraphQLEnumType):
            return sorted(named.values)
        if name == "first":
            return (3, 1, 2, 5, 100) if self.chance(90) else (0, -1, 101, 1000)
        return SEARCHES if name == "search" else ("nonsense", "")

    def _filter(self, kind: Any) -> dict[str, Any]:
        chosen = self.draw(st.lists(st.sampled_from(sorted(kind.fields)), unique=True, max_size=3))
        made: dict[str, Any] = {}
        for name in chosen:
            if name in KINDS:
                made[name] = self._value("filter", name, kind.fields[name].type)
            else:
                made[name] = self.chance(50) if name == "inStock" else self.one_of((0, 1990, 2990))
        return made

    def _ids(self) -> st.SearchStrategy[str]:
        known = [one for some in self.ids.values() for one in (*some[:4], *some[-2:])]
        return st.one_of(st.sampled_from(known), st.sampled_from(BAD_IDS))

    # variables

    def _sent(self) -> dict[str, Any]:
        """The variables, one of which now and then is missing, null or of another type."""
        if self.given and self.chance(6):
            name = self.one_of(sorted(self.given))
            wrong = self.one_of(("missing", None, 2**31, 1.5, "text", [], {"no": "field"}))
            if wrong == "missing":
                return {key: value for key, value in self.given.items() if key != name}
            return {**self.given, name: wrong}
        return self.given

    def _number(self) -> int:
        self.names += 1
        return self.names


def literal(value: Any, kind: GraphQLInputType) -> str:
    """The value as it is written in a document."""
    named = get_named_type(kind)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        inner = ", ".join(
            f"{key}: {literal(one, named.fields[key].type)}"  # type: ignore[union-attr]
            for key, one in value.items()
        )
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(literal(one, kind) for one in value)}]"
    return str(value) if isinstance(named, GraphQLEnumType) or type(value) is int else f'"{value}"'


@st.composite
def operations(
    draw: Callable[[Any], Any],
    schema: GraphQLSchema,
    ids: Mapping[str, Sequence[str]],
    pages: Mapping[str, Sequence[Page]],
) -> Asked:
    """Operations over the ids and pages of a filled mall."""
    return _Drawing(draw, schema, ids, pages).operation()
