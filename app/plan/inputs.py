"""Variables and arguments: coerced by graphql-core's rules, with a short way for plain scalars."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import strawberry
from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    VariableNode,
    is_required_input_field,
    type_from_ast,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from graphql.language import Visitor, visit
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

_INT = 2**31
_PLAIN: dict[str, Callable[[Any], bool]] = {
    "Int": lambda value: type(value) is int and -_INT <= value < _INT,
    "String": lambda value: type(value) is str,
    "ID": lambda value: type(value) is str,
    "Boolean": lambda value: type(value) is bool,
}


@dataclass(frozen=True)
class _InputField:
    python_name: str
    check: Callable[[Any], bool]
    may_be_null: bool
    may_be_absent: bool


@dataclass(frozen=True)
class PlainInput:
    """An input object of plain scalars: what each field is, and the class that holds them."""

    fields: Mapping[str, _InputField]
    make: Callable[..., Any]

    def __call__(self, given: Any) -> bool:
        """Whether this is one, with nothing missing and nothing besides."""
        if type(given) is not dict or not given.keys() <= self.fields.keys():
            return False
        for name, one in self.fields.items():
            if name not in given:
                fits = one.may_be_absent
            elif given[name] is None:
                fits = one.may_be_null
            else:
                fits = one.check(given[name])
            if not fits:
                return False
        return True

    def made(self, given: dict[str, Any]) -> Any:
        """The object; a field that is not given has the default of its class."""
        return self.make(**{self.fields[name].python_name: one for name, one in given.items()})


def plain_input(kind: Any) -> PlainInput | None:
    """For an input object all of whose fields are plain scalars."""
    if not isinstance(kind, GraphQLInputObjectType) or kind.is_one_of:
        return None
    definition = kind.extensions["strawberry-definition"]
    fields = {}
    for (name, one), known in zip(kind.fields.items(), definition.fields, strict=True):
        may_be_null = not isinstance(one.type, GraphQLNonNull)
        inner: Any = one.type if may_be_null else one.type.of_type
        check = _PLAIN.get(getattr(inner, "name", ""))
        if check is None:
            return None
        may_be_absent = not is_required_input_field(one)
        fields[name] = _InputField(known.python_name, check, may_be_null, may_be_absent)
    return PlainInput(fields, definition.origin)


class BadVariables(Exception):
    """The variables do not fit the operation; nothing was executed."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


class Variables:
    """The variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        self._plain: dict[str, tuple[Callable[[Any], bool], bool]] | None = {}
        for one in self._definitions:
            kind = type_from_ast(schema, one.type)
            is_required = isinstance(kind, GraphQLNonNull)
            inner: Any = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
            check = _PLAIN.get(getattr(inner, "name", "")) or plain_input(inner)
            if check is None or one.default_value is not None or self._plain is None:
                self._plain = None
            else:
                self._plain[one.variable.name.value] = check, is_required

    def coerced(self, given: Mapping[str, Any]) -> VariableValues:
        """Raises BadVariables."""
        if self._plain is not None:
            made: dict[str, Any] = {}
            for name, (check, is_required) in self._plain.items():
                if name in given:
                    value = given[name]
                    if check(value) or (value is None and not is_required):
                        made[name] = value
                        continue
                elif not is_required:
                    continue
                break
            else:
                return VariableValues({}, made)
        found = get_variable_values(self._schema, self._definitions, dict(given), max_errors=50)
        if isinstance(found, list):
            raise BadVariables(found)
        return found


@dataclass(frozen=True)
class FieldArguments:
    """The arguments of one field as its Python function takes them."""

    schema: strawberry.Schema
    kind: GraphQLField
    field: StrawberryField
    node: FieldNode

    @property
    def depend_on_variables(self) -> bool:
        return any(_has_variable(one) for one in self.node.arguments or ())

    def coerced(self, variables: VariableValues | None) -> dict[str, Any]:
        """Raises GraphQLError for a value that does not fit."""
        if not self.field.arguments:
            return {}
        given = get_argument_values(self.kind, self.node, variables)
        return convert_arguments(
            given,
            self.field.arguments,
            scalar_registry=self.schema.schema_converter.scalar_registry,
            config=self.schema.config,
        )

    def simply(self) -> Callable[[VariableValues], dict[str, Any]]:
        """`coerced`, short where every variable stands for a whole argument of a plain type."""
        nodes = self.node.arguments or ()
        fixed = [one for one in nodes if not _has_variable(one)]
        open_ones = [one for one in nodes if _has_variable(one)]
        by_name = {
            self.schema.config.name_converter.from_argument(one): one.python_name
            for one in self.field.arguments
        }
        plain = []
        for one in open_ones:
            kind: Any = self.kind.args[one.name.value].type
            is_required = isinstance(kind, GraphQLNonNull)
            inner = kind.of_type if is_required else kind
            made = plain_input(inner)
            is_plain = made is not None or getattr(inner, "name", "") in _PLAIN
            if not isinstance(one.value, VariableNode) or not is_plain:
                return self.coerced
            plain.append((by_name[one.name.value], one.value.name.value, is_required, made))
        try:
            constant = self._fixed(fixed)
        except Exception:  # noqa: BLE001  a literal that does not fit is told at every run
            return self.coerced

        def short(variables: VariableValues) -> dict[str, Any]:
            known, made = variables.coerced, constant.copy()
            for python, name, is_required, object_of in plain:
                value = known.get(name)
                if value is None and is_required:
                    return self.coerced(variables)
                if object_of is not None and value is not None:
                    value = object_of.made(value)
                if name in known:
                    made[python] = value
            return made

        return short

    def _fixed(self, nodes: list[ArgumentNode]) -> dict[str, Any]:
        """The arguments given as literals, coerced; the others are left out."""
        names = {one.name.value for one in nodes}
        known = {name: one for name, one in self.kind.args.items() if name in names}
        kind = GraphQLField(self.kind.type, args=known)
        node = replace(self.node, arguments=tuple(nodes))
        return replace(self, kind=kind, node=node).coerced(None)


def _has_variable(node: Node) -> bool:
    finder = _Finder()
    visit(node, finder)
    return finder.has_found


class _Finder(Visitor):
    has_found = False

    def enter_variable(self, *_: Any) -> None:
        self.has_found = True
