"""The short ways of variables and arguments give what graphql-core and strawberry give."""

import inspect
from typing import Any

import pytest
from graphql import FieldNode, GraphQLError, OperationDefinitionNode, parse
from graphql.execution.values import VariableValues, get_variable_values

from app.plan.inputs import BadVariables, FieldArguments, PlainInput, Variables, plain_input
from app.services.products import ProductSort
from resolvers.products import ProductQuery
from resolvers.reads import ROOT
from schema.products import ProductFilter
from tests.plan.executors import Executors

QUERY = """query($n: Int!, $after: String, $sort: ProductSort! = SALES, $filter: ProductFilter) {
  products(first: $n, after: $after, sort: $sort, filter: $filter) { totalCount } }"""
PLAIN = """query($n: Int!, $after: String, $is: Boolean, $id: ID, $filter: ProductFilter) {
  products(first: $n, after: $after, filter: $filter) { totalCount }
  product(id: $id) @skip(if: $is) { id } }"""
GIVEN: list[dict[str, Any]] = [
    {},
    {"n": 3},
    {"n": 3, "after": None, "is": None, "id": None, "filter": None},
    {"n": 3, "after": "x", "is": False, "id": "y", "unknown": 1},
    {"n": None},
    {"n": True},
    {"n": "3"},
    {"n": 3.0},
    {"n": 2**31},
    {"n": -(2**31)},
    {"n": 3, "after": 5},
    {"n": 3, "is": 1},
    {"n": 3, "id": 5},
    {"n": 3, "id": 5.5},
    {"n": 3, "filter": {}},
    {"n": 3, "filter": {"priceMin": 1, "inStock": True, "categoryId": None}},
    {"n": 3, "filter": {"priceMin": "1"}},
    {"n": 3, "filter": {"nothing": 1}},
    {"n": 3, "filter": []},
]


def operation(query: str) -> OperationDefinitionNode:
    (found,) = parse(query).definitions
    assert isinstance(found, OperationDefinitionNode)
    return found


def arguments(executors: Executors, query: str) -> FieldArguments:
    """Those of the first root field."""
    node = operation(query).selection_set.selections[0]
    assert isinstance(node, FieldNode)
    schema = executors.schema
    assert schema._schema.query_type is not None
    kind = schema._schema.query_type.fields[node.name.value]
    return FieldArguments(schema, kind, kind.extensions["strawberry-definition"], node)


def bound(given: dict[str, Any]) -> dict[str, Any]:
    """All arguments of the function of `products`; what is not given has its default."""
    made = inspect.signature(ProductQuery.__strawberry_definition__.fields[0].metadata[ROOT]).bind(
        None, None, **given
    )
    made.apply_defaults()
    return made.arguments


@pytest.mark.parametrize("query", [QUERY, PLAIN], ids=["with a default", "plain"])
@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_variables_are_coerced_as_graphql_does(
    executors: Executors, query: str, given: dict[str, Any]
) -> None:
    graph = executors.schema._schema
    asked = operation(query)
    expected = get_variable_values(graph, asked.variable_definitions or (), given)
    if isinstance(expected, VariableValues):
        coerced, found = Variables(graph, asked).coerced(given), arguments(executors, query)
        assert coerced.coerced.keys() == expected.coerced.keys()
        assert bound(found.simply()(coerced)) == bound(found.coerced(expected))
        return
    with pytest.raises(BadVariables) as bad:
        Variables(graph, asked).coerced(given)
    assert [one.message for one in bad.value.errors] == [one.message for one in expected]


@pytest.mark.parametrize(
    "given",
    [
        "first: $n",
        "first: $n, after: $after",
        "after: $after, first: 5",
        "first: $n, filter: $filter",
        "first: 7, sort: NEWEST, filter: {priceMin: 5}",
        "filter: {priceMin: $n, inStock: true}",
        "first: $maybe, filter: $filter, after: $after",
        "",
    ],
)
@pytest.mark.parametrize(
    "variables",
    [
        {"n": 3},
        {"n": 3, "after": "x"},
        {"n": 3, "after": None},
        {"n": 3, "filter": {"inStock": True, "supplierId": None}},
        {"n": 3, "filter": {}},
    ],
    ids=str,
)
def test_the_short_way_to_arguments_gives_the_same(
    executors: Executors, given: str, variables: dict[str, Any]
) -> None:
    defined = "$n: Int!, $maybe: Int, $after: String, $filter: ProductFilter"
    query = f"query({defined}) {{ products{f'({given})' if given else ''} {{ totalCount }} }}"
    found = arguments(executors, query)
    coerced = Variables(executors.schema._schema, operation(query)).coerced(variables)
    assert bound(found.simply()(coerced)) == bound(found.coerced(coerced))


def test_arguments_have_the_names_and_types_of_their_function(executors: Executors) -> None:
    found = arguments(
        executors, "{ products(first: 7, sort: NEWEST, filter: {priceMin: 5}) { a } }"
    )
    assert not found.depend_on_variables
    assert found.simply()(VariableValues({}, {})) == {
        "first": 7,
        "sort": ProductSort.NEWEST,
        "filter": ProductFilter(price_min=5),
    }


def test_a_variable_that_is_null_where_a_value_is_needed_is_told(executors: Executors) -> None:
    """A variable without `!` may stand there because the argument has a default."""
    found = arguments(executors, "query($n: Int) { products(first: $n) { totalCount } }")
    assert found.depend_on_variables
    assert found.simply()(VariableValues({}, {}))["first"] == 20
    with pytest.raises(GraphQLError):
        found.simply()(VariableValues({}, {"n": None}))


def test_one_answer_cannot_change_the_arguments_of_the_next(executors: Executors) -> None:
    found = arguments(executors, "query($n: Int!) { products(first: $n, sort: SALES) { a } }")
    short = found.simply()
    first = short(VariableValues({}, {"n": 1}))
    first["sort"] = "spoilt"
    assert short(VariableValues({}, {"n": 1}))["sort"] is ProductSort.SALES


def test_an_input_of_plain_fields_is_one(executors: Executors) -> None:
    kinds = executors.schema._schema.type_map
    found = plain_input(kinds["ProductFilter"])
    assert isinstance(found, PlainInput)
    assert found({"priceMin": 1, "inStock": None})
    assert not found({"priceMin": 1.0})
    assert not found({"more": 1})
    assert found.made({"priceMin": 1}) == ProductFilter(price_min=1)
    required = plain_input(kinds["PayTradeInput"])
    assert required is not None
    assert not required({"tradeId": "x"})
    assert not required({"tradeId": "x", "idempotencyKey": None})


@pytest.mark.parametrize("kind", ["PlaceTradeInput", "ScheduleLiveRoomInput", "LoginWithCodeInput"])
def test_an_input_that_holds_more_is_left_to_graphql(executors: Executors, kind: str) -> None:
    assert plain_input(executors.schema._schema.type_map[kind]) is None
