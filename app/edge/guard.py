"""The guard: what a document would do if its fragments were written out, before it is validated.

Every definition is walked once and a spread adds what its fragment has come to, so the work is
linear in the document, whatever it would grow into.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
)

from app.errors import CircularFragments, DocumentTooLarge

MOST_COUNTED = 1_000_000  # a document that doubles fifty times counts no further
_ABOUT_THE_SCHEMA = {"__schema", "__type"}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each that a document may have.

    Fields below `__schema` have a depth of their own: GraphiQL asks fifteen levels deep.
    """

    tokens: int = 2000
    characters: int = 100_000
    operations: int = 10
    fragments: int = 50
    variables: int = 50
    depth: int = 12
    introspection_depth: int = 20
    aliases: int = 30
    fields: int = 400
    directives: int = 20


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Counts:
    """What one operation comes to with its fragments written out."""

    fields: int = 0
    aliases: int = 0
    directives: int = 0
    depth: int = 0
    introspection_depth: int = 0
    variables: int = 0
    whole_depth: int = 0  # fields below `__schema` and others counted alike; has no limit

    def __or__(self, other: "Counts") -> "Counts":
        """The larger of each."""
        return Counts(
            *(max(getattr(self, one.name), getattr(other, one.name)) for one in fields(Counts))
        )


def guarded(ast: DocumentNode, limits: Limits = LIMITS) -> GraphQLError | None:
    """The one error of a document that is past a limit or whose fragments go round in circles."""
    operations = [one for one in ast.definitions if isinstance(one, OperationDefinitionNode)]
    fragments = [one for one in ast.definitions if isinstance(one, FragmentDefinitionNode)]
    for name, found in (("operations", len(operations)), ("fragments", len(fragments))):
        if found > getattr(limits, name):
            return too_large(name, getattr(limits, name), found)
    try:
        counts = counted(ast)
    except CircularFragments as circle:
        return GraphQLError("", original_error=circle)
    for one in (one for one in fields(counts) if hasattr(limits, one.name)):
        most, found = getattr(limits, one.name), getattr(counts, one.name)
        if found > most:
            return too_large(one.name, most, found)
    return None


def too_large(name: str, limit: int, found: int) -> GraphQLError:
    return GraphQLError("", original_error=DocumentTooLarge(name, limit, found))


def counted(ast: DocumentNode) -> Counts:
    """The largest counts of any operation, or of a fragment that none of them spreads.

    Raises CircularFragments.
    """
    fragments = {
        one.name.value: one for one in ast.definitions if isinstance(one, FragmentDefinitionNode)
    }
    known: dict[str, Counts] = {}
    for name in fragments:
        _count_fragment(name, fragments, known, ())
    operations = [
        _count(one, known) for one in ast.definitions if isinstance(one, OperationDefinitionNode)
    ]
    return reduce(Counts.__or__, [*operations, *known.values()], Counts())


def _count_fragment(
    name: str,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Counts],
    path: tuple[str, ...],
) -> None:
    """Counts a fragment after those that it spreads; no deeper than there are fragments."""
    if name in known or name not in fragments:
        return
    if name in path:
        raise CircularFragments(" -> ".join([*path[path.index(name) :], name]))
    for spread in _spreads(fragments[name].selection_set):
        _count_fragment(spread, fragments, known, (*path, name))
    known[name] = _count(fragments[name], known)


def _spreads(selections: SelectionSetNode) -> Iterator[str]:
    """The names of what is spread anywhere below, each once."""
    seen: set[str] = set()
    left = [selections]
    while left:
        for one in left.pop().selections:
            if isinstance(one, FragmentSpreadNode):
                if one.name.value not in seen:
                    seen.add(one.name.value)
                    yield one.name.value
            elif one.selection_set:  # type: ignore[attr-defined]  # fields and inline fragments
                left.append(one.selection_set)  # type: ignore[attr-defined]


def _count(
    definition: OperationDefinitionNode | FragmentDefinitionNode, known: Mapping[str, Counts]
) -> Counts:
    """The counts of one definition, given those of the fragments that it spreads."""
    number = aliases = depth = deepest = whole = 0
    variables = definition.variable_definitions or ()
    directives = len(definition.directives or ()) + sum(
        len(one.directives or ()) for one in variables
    )
    is_about_schema = isinstance(
        definition, FragmentDefinitionNode
    ) and definition.type_condition.name.value.startswith("__")
    # selections, depth of what stands in them, and depth below __schema, 0 outside of it
    left = [(definition.selection_set, 1, int(is_about_schema))]
    while left:
        selections, level, inner = left.pop()
        for one in selections.selections:
            directives += len(one.directives or ())
            if isinstance(one, FieldNode):
                number += 1
                aliases += one.alias is not None
                here = 1 if not inner and one.name.value in _ABOUT_THE_SCHEMA else inner
                whole = max(whole, level)
                if here:
                    deepest = max(deepest, here)
                else:
                    depth = max(depth, level)
                if one.selection_set:
                    left.append((one.selection_set, level + 1, here and here + 1))
            elif isinstance(one, FragmentSpreadNode):
                spread = known.get(one.name.value, _NOTHING)
                number += spread.fields
                aliases += spread.aliases
                directives += spread.directives
                below = spread.whole_depth
                whole = max(whole, below and level - 1 + below)
                if inner:
                    deepest = max(deepest, below and inner - 1 + below)
                else:
                    depth = max(depth, spread.depth and level - 1 + spread.depth)
                    deepest = max(deepest, spread.introspection_depth)
            else:
                nested: Any = one
                left.append((nested.selection_set, level, inner))
    return Counts(
        fields=min(number, MOST_COUNTED),
        aliases=min(aliases, MOST_COUNTED),
        directives=min(directives, MOST_COUNTED),
        depth=depth,
        introspection_depth=deepest,
        variables=len(variables),
        whole_depth=whole,
    )


_NOTHING = Counts()
