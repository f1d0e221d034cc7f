"""What operations cost at worst, who may spend how much, and what the caller is told of it."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from graphql import parse

from app import graphql
from app.auth import Role
from app.edge.costs import CHANGE, Cost, priced
from app.edge.gate import ALLOWANCES
from schema.fields import ENTITIES, Many
from tests.edge.asking import ask, error_of
from tests.plan import corpus
from tests.serving import Server, served

SCHEMA = graphql.build()._schema
COST = {"x-jishi-cost": "1"}
WIDE = "{ products(first: 100) { nodes { skus { product { id } } } } }"


def cost(query: str, **variables: Any) -> int:
    return priced(SCHEMA, parse(query), None).units(variables)


def test_a_list_costs_its_page_times_what_each_object_costs() -> None:
    connection, node, pages, sku, money = 1, 1, 7, 1, 1
    each = node + 100 * (sku + money)
    query = "{ products(first: 7) { nodes { id skus { price { amountMinor } } } } }"
    assert cost(query) == connection + pages * each


def test_a_page_that_is_not_asked_for_has_its_default_size() -> None:
    assert cost("{ products { nodes { id } } }") == 1 + 20
    assert cost("query($n: Int! = 5) { products(first: $n) { nodes { id } } }") == 1 + 5


@pytest.mark.parametrize(
    ("given", "size"),
    [(7, 7), (0, 0), (-5, 0), (10**30, 100), (100, 100), (1000, 100), ("many", 100), (True, 100)],
)
def test_a_page_costs_what_its_variable_says_and_never_more_than_can_be(
    given: object, size: int
) -> None:
    query = "query($n: Int!) { products(first: $n) { nodes { id } } }"
    assert cost(query, n=given) == 1 + size


def test_edges_and_nodes_of_one_page_are_two_lists() -> None:
    lists = "edges { cursor node { id } } nodes { id }"
    query = f"{{ products(first: 3) {{ {lists} pageInfo {{ endCursor }} }} }}"
    assert cost(query) == 1 + 3 * 2 + 3 + 1


def test_ids_cost_as_many_objects() -> None:
    assert cost('{ nodes(ids: ["a", "b", "c"]) { id } }') == 3
    assert cost("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["a"] * 40) == 40
    assert cost("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["a"] * 4000) == 100


def test_of_several_types_the_dearest_counts() -> None:
    query = """query($id: ID!) { node(id: $id) { id
        ... on Product { skus { id } } ... on Order { lines { sku { id } } } } }"""
    assert cost(query, id="a") == 1 + 100 * 2


def test_the_same_field_twice_is_one_field() -> None:
    once = "{ products { nodes { skus { id } } } }"
    more = "fragment F on Query { products { nodes { skus { code } } } }"
    twice = f"{{ products {{ nodes {{ skus {{ id }} }} }} ...F }} {more}"
    assert cost(once) == cost(twice)
    aliased = "{ a: products { nodes { id } } b: products { nodes { id } } }"
    assert cost(aliased) == 2 * cost("{ products { nodes { id } } }")


def test_what_counts_over_a_whole_list_has_a_weight() -> None:
    assert cost("{ products { totalCount } }") == 1 + 20


def test_changes_cost_more_than_looking_and_signing_in_most() -> None:
    def changed(name: str, kind: str) -> int:
        return cost(f"mutation($i: {kind}!) {{ {name}(input: $i) {{ __typename }} }}")

    assert changed("updateCartLine", "UpdateCartLineInput") == CHANGE + 1
    assert changed("placeTrade", "PlaceTradeInput") == 50 + 1
    assert changed("loginWithCode", "LoginWithCodeInput") == 1000 + 1


def test_talking_counts_apart() -> None:
    query = """mutation($i: SendMessageInput!) {
        a: sendMessage(input: $i) { __typename } b: sendMessage(input: $i) { __typename } }"""
    assert priced(SCHEMA, parse(query), None) == Cost(known=2, chat=20)


def test_the_least_that_anything_costs_is_one() -> None:
    assert cost("{ __typename }") == 1


def test_what_hangs_on_variables_costs_microseconds() -> None:
    query = """query($a: Int!, $b: Int!) { products(first: $a) { nodes { skus { id } } }
        orders(first: $b) { nodes { lines { id } } } }"""
    made, given = priced(SCHEMA, parse(query), None), {"a": 10, "b": 5}

    def seconds() -> float:
        began = time.thread_time()
        for _ in range(1000):
            made.units(given)
        return (time.thread_time() - began) / 1000

    assert made.units(given) == 2 + 10 * 101 + 5 * 101
    assert min(seconds() for _ in range(5)) < 20e-6


def test_what_the_pages_of_the_shop_ask_for_is_within_the_budget_of_who_asks() -> None:
    """Staff's and suppliers' pages are within a shopper's, too: the dearest is a shopper's own."""
    dear = {}
    for one in corpus.shown(SCHEMA):
        units = priced(SCHEMA, parse(one.text), None).units({})
        if units > ALLOWANCES[Role.GUEST].budget:
            dear[one.source] = units
    assert dear == {"clients/playground/src/examples/orders.graphql": 51_536}
    assert ALLOWANCES[Role.CONSUMER].budget == 60_000


def test_no_budget_is_more_than_can_be_spent_at_once() -> None:
    for allowance in ALLOWANCES.values():
        assert allowance.budget <= allowance.limit.burst
    assert set(ALLOWANCES) == set(Role)


def test_every_list_of_an_entity_has_a_limit_that_counts() -> None:
    declared = [one for kind in ENTITIES.values() for one in kind.declared().values()]
    lists = [one for one in declared if isinstance(one, Many)]
    assert len(lists) == 26
    assert max(one.limit for one in lists) == 100


_on_the_server = pytest.mark.asyncio(loop_scope="module")


@_on_the_server
async def test_an_operation_past_the_budget_is_refused_with_its_numbers(server: Server) -> None:
    answer = await ask(server, WIDE, **{"accept-language": "en"})
    error = error_of(answer)
    assert error["extensions"]["code"] == "COST_LIMIT_EXCEEDED"
    assert error["message"] == "the operation may cost 20101, the limit is 20000"
    shown = error["extensions"]["cost"]
    assert (shown["requested"], shown["budget"]) == (20_101, 20_000)
    assert set(shown["rateLimit"]) == {"remaining", "resetS"}
    assert answer.json().get("data") is None


@_on_the_server
async def test_the_budget_is_that_of_the_role(server: Server) -> None:
    token = await server.sign_in()
    assert await server.ask(WIDE, token=token) == {"products": {"nodes": []}}


@_on_the_server
async def test_a_variable_decides_as_well(server: Server) -> None:
    query = WIDE.replace("{ products(first: 100)", "query($n: Int!) { products(first: $n)")
    assert await server.ask(query, {"n": 99}) == {"products": {"nodes": []}}
    error = error_of(await ask(server, query, {"n": 100}))
    assert error["extensions"]["code"] == "COST_LIMIT_EXCEEDED"


@_on_the_server
async def test_a_socket_is_told_for_the_operation_alone(server: Server) -> None:
    async with server.socket() as mine:
        await mine.start("dear", WIDE)
        frame = await mine.next()
        assert (frame["id"], frame["type"]) == ("dear", "error")
        assert frame["payload"][0]["extensions"]["code"] == "COST_LIMIT_EXCEEDED"
        await mine.start("next", "{ viewer { role } }")
        assert await mine.data("next", "viewer") == {"role": "GUEST"}


@_on_the_server
async def test_the_cost_is_shown_to_who_asks_for_it(server: Server) -> None:
    query = "{ products(first: 2) { nodes { id } } }"
    plain = await ask(server, query)
    shown = await ask(server, query, **COST)
    again = await ask(server, query)
    assert plain.content == again.content
    body = shown.json()
    cost = body.pop("extensions")["cost"]
    assert body == plain.json()
    assert (cost["requested"], cost["budget"]) == (3, 20_000)
    assert 0 < cost["rateLimit"]["remaining"] <= 200_000


async def test_nothing_is_limited_over_time_where_the_limits_are_lifted(
    migrated: Path, tmp_path: Path
) -> None:
    file = shutil.copy(migrated, tmp_path / "mall.db")
    async with served(f"sqlite+aiosqlite:///{file}", rate_share=0) as free:
        shown = await ask(free, "{ viewer { role } }", **COST)
        assert shown.json()["extensions"] == {"cost": {"requested": 1, "budget": 20_000}}
        error = error_of(await ask(free, WIDE))
        assert error["extensions"]["code"] == "COST_LIMIT_EXCEEDED"
