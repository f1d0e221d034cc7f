"""Variables that do not fit are told alike; those that can be bent to fit are bent alike."""

from typing import Any

import pytest

from app.plan import Reason
from tests.plan.conftest import Fair
from tests.plan.executors import Executors

VARIED = """query($n: Int!, $id: ID, $sort: ProductSort! = SALES, $filter: ProductFilter) {
  products(first: $n, sort: $sort, filter: $filter) { nodes { title } }
  groupBuys(productId: $id) { totalCount } }"""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"n": None},
        {"n": "3"},
        {"n": 1.5},
        {"n": 2**31},
        {"n": True},
        {"n": [3]},
        {"n": 3, "id": 5.5},
        {"n": 3, "id": {"a": 1}},
        {"n": 3, "sort": None},
        {"n": 3, "sort": "sales"},
        {"n": 3, "sort": 7},
        {"n": 3, "filter": {"nothing": 1}},
        {"n": 3, "filter": {"inStock": "yes"}},
        {"n": 3, "filter": {"priceMin": 1.5, "priceMax": "many", "inStock": 1}},
        {"n": 3, "filter": "米"},
        {"n": None, "id": [], "sort": "", "filter": 1},
        {"n": 0},
        {"n": 101},
    ],
    ids=str,
)
async def test_variables_that_do_not_fit_are_told_alike(
    fair: Fair, variables: dict[str, Any]
) -> None:
    answer = await fair.both(VARIED, **variables)
    assert answer["data"] is None
    assert answer["errors"]


@pytest.mark.parametrize(
    "variables",
    [{"n": 3, "id": 7}, {"n": 3, "id": None, "filter": None}, {"n": 3.0, "more": 1}, {"n": 3}],
    ids=str,
)
async def test_variables_that_are_bent_to_fit_are_bent_alike(
    fair: Fair, variables: dict[str, Any]
) -> None:
    assert "errors" not in await fair.both(VARIED, **variables)


@pytest.mark.parametrize("given", [{}, {"is": None}, {"is": True}, {"is": False}], ids=str)
async def test_a_condition_that_has_a_default_is_decided_alike(
    fair: Fair, given: dict[str, Any]
) -> None:
    query = """query($is: Boolean! = true) {
      viewer { role @include(if: $is) account @skip(if: $is) { id } }
      categories @skip(if: $is) { id } }"""
    answer = await fair.both(query, "consumer", **given)
    assert ("errors" in answer) is (given == {"is": None})


def test_a_condition_that_may_be_null_is_left_to_the_generic_executor(executors: Executors) -> None:
    query = "query($is: Boolean = true) { viewer { role @include(if: $is) } }"
    found = executors.plan(query, "sqlite")
    assert isinstance(found, Reason)
    assert found.code == "conditions"
