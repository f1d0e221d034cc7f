"""What an operation selects of an object type, fragments merged and conditions decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)

Flags = Mapping[str, bool]


class NotTaken(Exception):
    """Why a plan leaves an operation to the generic executor: a stable code and the details."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


@dataclass
class Picked:
    """One response key of an object, and every place of the document that asks for it."""

    key: str
    name: str
    nodes: list[FieldNode] = field(default_factory=list)


@dataclass(frozen=True)
class Selections:
    """The selections of one operation, with its conditional variables decided by `flags`."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    flags: Flags = field(default_factory=dict)

    def root(self, kind: GraphQLObjectType) -> list[Picked]:
        return self._picked(kind, [self.operation.selection_set])

    def below(self, kind: GraphQLObjectType, picked: Picked) -> list[Picked]:
        """What is asked of the object of that type which stands under this key."""
        sets = [one.selection_set for one in picked.nodes if one.selection_set is not None]
        return self._picked(kind, sets)

    def _picked(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> list[Picked]:
        found: dict[str, Picked] = {}
        seen: set[str] = set()
        for one in sets:
            self._collect(kind, one, found, seen)
        return list(found.values())

    def _collect(
        self,
        kind: GraphQLObjectType,
        selections: SelectionSetNode,
        found: dict[str, Picked],
        seen: set[str],
    ) -> None:
        for one in selections.selections:
            if not self._is_included(one):
                continue
            if isinstance(one, FieldNode):
                name = one.name.value
                key = one.alias.value if one.alias else name
                found.setdefault(key, Picked(key, name)).nodes.append(one)
            elif isinstance(one, InlineFragmentNode):
                condition = one.type_condition
                if condition is None or self._matches(kind, condition.name.value):
                    self._collect(kind, one.selection_set, found, seen)
            elif isinstance(one, FragmentSpreadNode) and one.name.value not in seen:
                seen.add(one.name.value)
                fragment = self.fragments[one.name.value]
                if self._matches(kind, fragment.type_condition.name.value):
                    self._collect(kind, fragment.selection_set, found, seen)

    def _matches(self, kind: GraphQLObjectType, condition: str) -> bool:
        if condition == kind.name:
            return True
        other = self.schema.type_map[condition]
        return isinstance(other, GraphQLAbstractType) and self.schema.is_sub_type(other, kind)

    def _is_included(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name not in {"skip", "include"}:
                raise NotTaken("directive", name)
            (argument,) = directive.arguments or ()
            value = argument.value
            is_set = (
                self.flags[value.name.value]
                if isinstance(value, VariableNode)
                else bool(getattr(value, "value", False))
            )
            if is_set is (name == "skip"):
                return False
        return True


def selections_of(
    document: DocumentNode, operation_name: str | None, schema: GraphQLSchema
) -> Selections:
    """The selections of the named operation, of the only one without a name. Raises NotTaken."""
    operations: list[OperationDefinitionNode] = []
    fragments: dict[str, FragmentDefinitionNode] = {}
    for one in document.definitions:
        if isinstance(one, FragmentDefinitionNode):
            fragments[one.name.value] = one
        elif isinstance(one, OperationDefinitionNode):
            operations.append(one)
    chosen = [
        one
        for one in operations
        if operation_name is None or (one.name and one.name.value == operation_name)
    ]
    if len(chosen) != 1:
        raise NotTaken("operation", operation_name or "")
    return Selections(schema, chosen[0], fragments)


def conditions(selections: Selections, *, most: int) -> tuple[str, ...]:
    """The variables of @skip and @include anywhere in the document; NotTaken for more than `most`.

    Every combination of their values is a selection of its own.
    """
    found: dict[str, None] = {}
    waiting: list[SelectionSetNode] = [selections.operation.selection_set]
    waiting += [one.selection_set for one in selections.fragments.values()]
    while waiting:
        for one in waiting.pop().selections:
            for directive in one.directives or ():
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        found[argument.value.name.value] = None
            inner = getattr(one, "selection_set", None)
            if inner is not None:
                waiting.append(inner)
    for variable in selections.operation.variable_definitions or ():
        name = variable.variable.name.value
        if name in found and not isinstance(variable.type, NonNullTypeNode):
            raise NotTaken("conditions", f"${name} may be null")
    if len(found) > most:
        raise NotTaken("conditions", f"{len(found)} variables")
    return tuple(found)
