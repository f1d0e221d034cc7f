"""Where a statement, a service or a root fails, both executors tell the same at the same path."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from app import ids
from app.errors import NotFound
from app.services import accounts, group_buys, live_rooms, orders, pages, products, stocks
from tests.plan.conftest import Fair
from tests.plan.executors import Executors, Json

LOST = {
    "products": "{ products { nodes { id } } viewer { role } }",
    "product_options": "{ products(first: 2) { nodes { options { id } } } }",
    "stocks": "{ products(first: 2) { nodes { skus { code available } } } }",
    "suppliers": 'query { product(id: "UHJvZHVjdDox") { id } viewer { role } }',
}
"""Tables, and queries that read them: by a root's list, children, a batch, a key."""


async def wrong(fair: Fair, query: str, who: str = "guest", **variables: Any) -> Json:
    """The answer of both, which holds an error."""
    answer = await fair.both(query, who, **variables)
    assert "errors" in answer, answer
    return answer


@pytest.mark.parametrize("lost", LOST)
async def test_a_statement_that_fails_is_told_at_its_fields(own_fair: Fair, lost: str) -> None:
    async with own_fair.mall.unit() as unit:
        await unit.connection.execute(text(f"ALTER TABLE {lost} RENAME TO gone"))
    answer = await wrong(own_fair, LOST[lost])
    assert {one["extensions"]["code"] for one in answer["errors"]} == {"INTERNAL"}


async def test_a_statement_that_fails_is_told_where_it_began(own_fair: Fair) -> None:
    """Edges come with the rows above them: what fails there takes these along."""
    async with own_fair.mall.unit() as unit:
        await unit.connection.execute(text("ALTER TABLE categories RENAME TO gone"))
    query = 'query { product(id: "UHJvZHVjdDox") { id category { name } } viewer { role } }'
    answer = await own_fair.executors.planned(query, own_fair.context("guest"), {})
    assert answer["data"] == {"product": None, "viewer": {"role": "GUEST"}}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["product"], "INTERNAL")


async def test_a_batch_that_fails_is_told_at_every_field(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise RuntimeError("no stock today")

    monkeypatch.setattr(stocks, "available", fails)
    query = "{ products(first: 2) { nodes { title skus { code available } } } viewer { role } }"
    answer = await wrong(fair, query)
    assert answer["data"] is None
    assert {one["extensions"]["code"] for one in answer["errors"]} == {"INTERNAL"}
    await wrong(fair, 'query { product(id: "UHJvZHVjdDox") { skus { available } } cart { id } }')


async def test_a_refusal_of_a_batch_keeps_its_code_and_words(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: Any) -> Any:
        raise NotFound("Stock")

    monkeypatch.setattr(stocks, "available", refuses)
    query = 'query { node(id: "U2t1OjE") { id ... on Sku { available } } }'
    for who, message in (
        ("guest", "找不到该内容"),
        ("consumer who reads English", "no such Stock"),
    ):
        (error,) = (await wrong(fair, query, who))["errors"]
        assert (error["extensions"]["code"], error["message"]) == ("NOT_FOUND", message)
        assert error["path"] == ["node", "available"]


async def test_a_wrap_that_fails_is_told_at_its_row(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of many rows: the others of a nullable list stand."""

    async def partly(_db: Any, _viewer: Any, rows: Sequence[Any]) -> list[Any]:
        return [{"name": "x"} if row.id % 2 else None for row in rows]

    monkeypatch.setattr(orders.receivers, "__code__", partly.__code__)
    answer = await wrong(fair, "{ orders(first: 4) { nodes { no receiver { name } } } }", "admin")
    assert len(answer["errors"]) == 2


async def test_values_of_a_batch_that_do_not_fit_have_one_answer(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "{ viewer { account { nickname roles } } }"
    for value in (None, "GUEST", ["GUEST", None], ["MYSTERY"], 5, [[]]):

        async def odd(_db: Any, _viewer: Any, rows: Sequence[Any], value: Any = value) -> list[Any]:
            return [value for _ in rows]

        monkeypatch.setattr(accounts.roles, "__code__", odd.__code__)
        monkeypatch.setattr(accounts.roles, "__defaults__", odd.__defaults__)
        await wrong(fair, query, "consumer")


async def test_a_count_that_fails_leaves_the_list(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise RuntimeError("cannot count")

    monkeypatch.setattr(pages, "count", fails)
    answer = await wrong(fair, "{ products(first: 2) { totalCount nodes { id } } }")
    assert answer["data"]["products"]["totalCount"] is None
    assert len(answer["data"]["products"]["nodes"]) == 2
    monkeypatch.setattr(products, "facets", fails)
    answer = await wrong(
        fair, "{ products(first: 2) { nodes { id } facets { prices { count } } } }"
    )
    assert answer["data"] is None


async def test_a_nullable_root_that_refuses_leaves_the_others(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ids.decode

    def picky(global_id: str) -> tuple[str, int]:
        if global_id == "refuse":
            raise NotFound("anything") from RuntimeError("inside")
        if global_id == "break":
            raise RuntimeError("inside")
        return known(global_id)

    monkeypatch.setattr(ids, "decode", picky)
    monkeypatch.setattr("resolvers.reads.NotFound", ZeroDivisionError)  # so that it gets through
    query = """query($id: ID!, $other: ID!) {
      bad: product(id: $id) { id } good: product(id: $other) { id skus { code } }
      node(id: $id) { id } viewer { role } }"""
    for wrong_id, code in (("refuse", "NOT_FOUND"), ("break", "INTERNAL")):
        answer = await wrong(fair, query, id=wrong_id, other="UHJvZHVjdDox")
        assert answer["data"]["bad"] is None
        assert answer["data"]["good"]["skus"][0]["code"]
        assert [one["extensions"]["code"] for one in answer["errors"]] == [code, code]


async def test_a_list_that_fails_to_be_made_is_told_at_its_root(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plans that are new, for others have their statements already."""
    fresh = Executors(fair.executors.schema)
    fair.api.executors = fresh

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no statement")

    monkeypatch.setattr(live_rooms.listing, "__code__", fails.__code__)
    monkeypatch.setattr(live_rooms.listing, "__kwdefaults__", None)
    answer = await wrong(fair, "{ viewer { role } liveRooms { nodes { id } } }")
    assert answer["data"] is None
    monkeypatch.setattr(group_buys, "masked", fails)
    await wrong(fair, 'query { groupBuy(id: "R3JvdXBCdXk6Mg") { size members { nickname } } }')
