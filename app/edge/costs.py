"""What an operation may cost at worst: one unit for every object that it can answer with.

The price of a document is made once. What hangs on a variable (`first`, lists of ids) stays open
in it as a sum of products, which a request fills in within a few microseconds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_operation_ast,
    value_from_ast_untyped,
)

from resolvers.pages import MOST
from schema.fields import Many, declared_in, price_in

LIST = 10  # objects in a list that nothing bounds: what a shop's services put together
CHANGE = 10  # a mutation or the beginning of a stream, beside what it answers with
INTROSPECTION = {"__schema": 5000, "__type": 100}  # of the whole schema: 75 ms in one piece
_Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType


@dataclass(frozen=True, slots=True)
class Open:
    """A number of objects that a variable decides; `default` where it is not given."""

    variable: str
    default: int

    def size(self, variables: Mapping[str, Any]) -> int:
        """What cannot be read as a number is refused later, and counts in full until then."""
        if self.variable not in variables:
            return self.default
        given = variables[self.variable]
        return _bounded(len(given) if isinstance(given, list) else given)


_Terms = Counter[tuple[Open, ...]]
"""A sum of products: how often each product of open sizes is taken; () is what is known."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`known` units, what variables add to them, and the units of talking, which count apart.

    Nothing is free: what answers with no object at all costs one unit.
    """

    known: int = 0
    chat: int = 0
    opened: tuple[tuple[int, tuple[Open, ...]], ...] = ()

    def units(self, variables: Mapping[str, Any]) -> int:
        total = self.known
        for times, sizes in self.opened:
            product = times
            for one in sizes:
                product *= one.size(variables)
            total += product
        return total or 1


def priced(schema: GraphQLSchema, ast: DocumentNode, operation_name: str | None) -> Cost:
    """The cost of a valid operation whose document has passed the guard."""
    operation = get_operation_ast(ast, operation_name)
    assert operation is not None
    made = _Pricing(schema, ast, operation)
    root = schema.get_root_type(operation.operation)
    assert root is not None
    terms = made.object(root, [operation.selection_set], None)
    known = terms.pop((), 0)
    opened = tuple((times, sizes) for sizes, times in terms.items() if times)
    return Cost(known=known, chat=made.chat, opened=opened)


@dataclass
class _Pricing:
    schema: GraphQLSchema
    ast: DocumentNode
    operation: OperationDefinitionNode
    chat: int = 0
    _fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    _defaults: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.ast.definitions:
            if isinstance(one, FragmentDefinitionNode):
                self._fragments[one.name.value] = one
        for given in self.operation.variable_definitions or ():
            if given.default_value is not None:
                default = value_from_ast_untyped(given.default_value)
                self._defaults[given.variable.name.value] = default

    def object(
        self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode], page: _Terms | None
    ) -> _Terms:
        """What is selected of one object; `page` is the size of the lists of a connection."""
        total: _Terms = Counter()
        for nodes in self._collected(kind, sets).values():
            total.update(self._field(kind, nodes, page))
        return total

    def _field(
        self, parent: GraphQLObjectType, nodes: list[FieldNode], page: _Terms | None
    ) -> _Terms:
        name = nodes[0].name.value
        if name.startswith("__"):
            return Counter({(): INTROSPECTION.get(name, 0)})
        known = parent.fields[name]
        price = price_in(_metadata(known))
        weight = price.units
        if weight is None:
            weight = CHANGE if self._is_deed(parent) else 0
        if price.is_chat:
            self.chat += weight
            weight = 0
        total: _Terms = Counter({(): weight})
        answer = get_named_type(known.type)
        if isinstance(answer, _Composite):
            paged = self._argument(known, nodes[0], "first")
            each = self._any(answer, [one.selection_set for one in nodes], paged)
            each[()] += 1
            total.update(_times(each, self._size(known, nodes[0], page)))
        return total

    def _any(self, kind: GraphQLNamedType, sets: list[Any], page: _Terms | None) -> _Terms:
        """The dearest of the types that this may be, term by term."""
        if isinstance(kind, GraphQLObjectType):
            return self.object(kind, sets, page)
        most: _Terms = Counter()
        for one in self.schema.get_possible_types(kind):  # type: ignore[arg-type]
            most |= self.object(one, sets, page)
        return most

    def _size(self, known: GraphQLField, node: FieldNode, page: _Terms | None) -> _Terms:
        """How many objects a field answers with."""
        kind: Any = known.type.of_type if isinstance(known.type, GraphQLNonNull) else known.type
        if not isinstance(kind, GraphQLList):
            return Counter({(): 1})
        declared, price = declared_in(_metadata(known)), price_in(_metadata(known))
        if price.size is not None:
            return Counter({(): price.size})
        if isinstance(declared, Many):
            return Counter({(): declared.limit})
        for name, argument in known.args.items():
            inner: Any = argument.type
            if isinstance(inner, GraphQLNonNull):
                inner = inner.of_type
            if isinstance(inner, GraphQLList):
                return self._argument(known, node, name) or Counter({(): LIST})
        return page if page is not None else Counter({(): LIST})

    def _argument(self, known: GraphQLField, node: FieldNode, name: str) -> _Terms | None:
        """The size that an argument asks for; None for a field that has no such argument."""
        if name not in known.args:
            return None
        given: ArgumentNode | None = next(
            (one for one in node.arguments or () if one.name.value == name), None
        )
        default = _bounded(known.args[name].default_value)
        if given is None:
            return Counter({(): default})
        match given.value:
            case VariableNode(name=variable):
                if variable.value in self._defaults:
                    default = _bounded(self._defaults[variable.value])
                return Counter({(Open(variable.value, default),): 1})
            case IntValueNode(value=digits):
                return Counter({(): _bounded(int(digits))})
            case ListValueNode(values=values):
                return Counter({(): _bounded(len(values))})
        return Counter({(): MOST})

    def _collected(
        self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode]
    ) -> dict[str, list[FieldNode]]:
        """Fields by response key, merged as they are when they are executed."""
        found: dict[str, list[FieldNode]] = {}
        for one in sets:
            for node in self._fields(kind, one, set()):
                key = (node.alias or node.name).value
                found.setdefault(key, []).append(node)
        return found

    def _fields(
        self, kind: GraphQLObjectType, selections: SelectionSetNode, seen: set[str]
    ) -> Iterator[FieldNode]:
        for one in selections.selections:
            if isinstance(one, FieldNode):
                yield one
            elif isinstance(one, InlineFragmentNode):
                condition = one.type_condition
                if condition is None or self._is(kind, condition.name.value):
                    yield from self._fields(kind, one.selection_set, seen)
            elif isinstance(one, FragmentSpreadNode) and one.name.value not in seen:
                seen.add(one.name.value)
                fragment = self._fragments[one.name.value]
                if self._is(kind, fragment.type_condition.name.value):
                    yield from self._fields(kind, fragment.selection_set, seen)

    def _is(self, kind: GraphQLObjectType, condition: str) -> bool:
        named = self.schema.type_map[condition]
        return named is kind or (
            isinstance(named, GraphQLInterfaceType | GraphQLUnionType)
            and self.schema.is_sub_type(named, kind)
        )

    def _is_deed(self, kind: GraphQLObjectType) -> bool:
        return kind in {self.schema.mutation_type, self.schema.subscription_type}


def _metadata(known: GraphQLField) -> Mapping[Any, Any]:
    definition = known.extensions.get("strawberry-definition")
    return {} if definition is None else definition.metadata


def _times(each: _Terms, size: _Terms) -> _Terms:
    product: _Terms = Counter()
    for sizes, times in each.items():
        for more, often in size.items():
            product[*sizes, *more] += times * often
    return product


def _bounded(size: Any) -> int:
    """A size as the resolvers take it; whatever else it is, they refuse."""
    is_number = isinstance(size, int) and not isinstance(size, bool)
    return min(max(size, 0), MOST) if is_number else MOST
