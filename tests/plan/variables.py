"""Values for the variables of a document: what they are is told by where they are used."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLInputType,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_list_type,
    visit,
)

from app import ids

KINDS = {
    "product": "Product",
    "order": "Order",
    "groupBuy": "GroupBuy",
    "liveRoom": "LiveRoom",
    "productId": "Product",
    "categoryId": "Category",
    "supplierId": "Supplier",
    "accountId": "Account",
    "roomId": "LiveRoom",
    "lotteryId": "LiveLottery",
}
BAD_IDS = ("", "nonsense", ids.encode("Sku", 10**9), ids.encode("Nothing", 1))
EXAMPLES: dict[str, tuple[Any, ...]] = {
    "Int": (1, 3, 100),
    "Boolean": (True, False),
    "String": ("米", None),
}


class _Uses(Visitor):
    """Which argument of which field each variable is given to."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info = info
        self.found: dict[str, tuple[str, str, GraphQLInputType]] = {}
        self._field = ""

    def enter_field(self, node: Any, *_: Any) -> None:
        self._field = node.name.value

    def enter_argument(self, node: Any, *_: Any) -> None:
        if isinstance(node.value, VariableNode):
            kind = self._info.get_input_type()
            assert kind is not None
            self.found[node.value.name.value] = (self._field, node.name.value, kind)


def fillings(
    document: DocumentNode, schema: GraphQLSchema, known: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Sets of variables for the document's one operation: required ones, and every optional one."""
    info = TypeInfo(schema)
    uses = _Uses(info)
    visit(document, TypeInfoVisitor(info, uses))
    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    required: dict[str, list[Any]] = {}
    optional: dict[str, list[Any]] = {}
    for one in operation.variable_definitions or ():
        name = one.variable.name.value
        field, argument, kind = uses.found.get(name, ("", "", schema.type_map["Boolean"]))
        values = _values(field, argument, kind, known)
        (required if _is_required(one) else optional)[name] = values
    base = [dict(zip(required, chosen, strict=True)) for chosen in product(*required.values())]
    more = [
        {**base[0], name: value} for name, values in optional.items() for value in values if base
    ]
    return base + more


def _is_required(definition: VariableDefinitionNode) -> bool:
    return isinstance(definition.type, NonNullTypeNode) and definition.default_value is None


def _values(
    field: str, argument: str, kind: GraphQLInputType, known: Mapping[str, Sequence[str]]
) -> list[Any]:
    """A few values that find something, find nothing, and are none of ours."""
    named = get_named_type(kind)
    if is_list_type(get_nullable_type(kind)):
        everything = [one for some in known.values() for one in (*some[:3], *some[-3:])]
        made: list[Any] = [everything[:100], [*BAD_IDS, everything[0], everything[0]]]
    elif named.name == "ID" and field == "node":
        made = [*(some[0] for some in known.values()), *BAD_IDS]
    elif named.name == "ID":
        own = known[KINDS[field if argument == "id" else argument]]
        made = [*own[:2], own[-1], BAD_IDS[1], BAD_IDS[2]]
    elif is_enum_type(named):
        made = list(named.values)
    elif argument == "after":
        made = ["nonsense", None]
    elif named.name == "ProductFilter":
        made = _filters(known)
    else:
        made = list(EXAMPLES[named.name])
    return made


def _filters(known: Mapping[str, Sequence[str]]) -> list[Any]:
    return [
        {"inStock": True},
        {"inStock": False, "priceMin": 1000, "priceMax": 2990},
        {"categoryId": known["Category"][0], "supplierId": known["Supplier"][0]},
        {"categoryId": "nonsense"},
        None,
    ]
