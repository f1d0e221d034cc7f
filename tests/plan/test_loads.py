"""Rows as a plan reads them: children exactly to their limits, in as few statements as may be."""

from typing import Any

import pytest
from sqlalchemy import func, literal_column, select

from app.auth import Role, Viewer
from app.plan.loads import KeyLoad, ManyLoad, asker_of, tables_of
from app.services import orders, products
from app.services.products import ProductFilter, ProductSort
from app.statements import Prepared
from app.tables.columns import table
from app.tables.products import ProductRow
from resolvers.loaders import first_of_each
from schema.chat import Conversation
from schema.fields import ENTITIES, Many, declared_of
from schema.group_buys import GroupBuy, GroupBuyActivity
from schema.live_rooms import LiveRoom
from schema.products import Category, Product, Sku
from tests.factories import Mall
from tests.plan.conftest import Fair
from tests.plan.executors import Executors, statements
from tests.resolvers.conftest import asked

CHILDREN = [
    (Product, "group_buys", 10),
    (GroupBuyActivity, "group_buys", 20),
    (LiveRoom, "recent_messages", 50),
    (LiveRoom, "pinned", 1),
    (Conversation, "messages", 50),
    (GroupBuy, "members", 100),
    (Category, "children", 100),
]
GROUPED = """query($first: Int!) {
  new: products(first: $first, sort: NEWEST) { nodes { ...Tile } }
  cheap: products(first: $first, sort: PRICE_ASC) { nodes { ...Tile } } }
  fragment Tile on Product { title supplier { name } category { name } skus { code available }
    groupBuys { remaining product { title supplier { name } } activity { size } } }"""


def many(parent: type, name: str, dialect: str, *columns: str) -> ManyLoad:
    declared = declared_of(parent)[name]
    assert isinstance(declared, Many)
    load = ManyLoad(ENTITIES[declared.kind], dialect, declared=declared)
    for one in ("id", *columns):
        load.column(one)
    return load


async def read(mall: Mall, load: ManyLoad, viewer: Viewer, keys: list[int]) -> list[Any]:
    async def work(db: Any) -> Any:
        return await load.read(db, asker_of(viewer), keys)

    return [tuple(row) for row in await mall.database.look(work)]


async def expected(
    mall: Mall, load: ManyLoad, viewer: Viewer, keys: list[int]
) -> list[tuple[int, int]]:
    """(parent, child) as the generic loaders read them, parents in the order of their keys."""
    statement = first_of_each(load.entity.visible_to(viewer), load.declared, keys)
    async with mall.database.read() as db:
        rows = await db.all(statement)
    pairs = [(getattr(row, load.declared.foreign_key), row.id) for row in rows]
    return sorted(pairs, key=lambda pair: pair[0])


@pytest.mark.parametrize(("parent", "name", "limit"), CHILDREN)
@pytest.mark.parametrize("who", ["consumer", "guest", "admin"])
async def test_every_parent_has_its_first_children_and_no_more(
    fair: Fair, who: str, parent: type, name: str, limit: int
) -> None:
    mall, viewer = fair.mall, fair.bazaar.viewers[who]
    load = many(parent, name, mall.database.dialect)
    assert load.declared.limit == limit
    for keys in ([1], [2], [1, 2], [2, 1, 3], [1, 999], [999], list(range(1, 30))):
        assert await read(mall, load, viewer, keys) == await expected(mall, load, viewer, keys)


async def test_children_within_their_limits_cost_one_statement(fair: Fair) -> None:
    load = many(GroupBuy, "members", fair.mall.database.dialect)
    with statements(fair.mall.database) as seen:
        await read(fair.mall, load, Viewer(), list(range(1, 30)))
    assert ["row_number" in one for one in seen] == [False]


@pytest.mark.parametrize(
    ("keys", "windows"),
    [
        ([1], [False]),  # a limit is enough for one
        ([1, 2, 3], [False, True]),
        ([3, 2, 1, *range(50, 80)], [False, True]),  # together they would be within their limits
        ([1, 3], [False, True]),
    ],
    ids=str,
)
async def test_children_over_their_limits_are_numbered(
    fair: Fair, keys: list[int], windows: list[bool]
) -> None:
    """Product 1 has 26 groups, of which it shows 10."""
    load = many(Product, "group_buys", fair.mall.database.dialect, "status")
    with statements(fair.mall.database) as seen:
        rows = await read(fair.mall, load, Viewer(), keys)
    assert ["row_number" in one for one in seen] == windows
    assert [row[0] for row in rows].count(1) == 10
    assert {row[2] for row in rows} == {"OPEN"}


async def test_no_more_is_read_than_may_be_shown_and_one(
    fair: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a table holds for two parents, the first look takes 2 x 10 + 1 rows of it."""
    load = many(Product, "group_buys", fair.mall.database.dialect)
    sizes: list[int] = []

    async def work(db: Any) -> None:
        tuples = db.tuples

        async def counted(prepared: Prepared, values: dict[str, Any]) -> Any:
            rows = await tuples(prepared, values)
            sizes.append(len(rows))
            return rows

        monkeypatch.setattr(db, "tuples", counted)
        await load.read(db, asker_of(Viewer()), [1, 2])

    await fair.mall.database.look(work)
    assert sizes == [21, 10]


async def test_one_statement_serves_all_viewers_of_a_role_and_all_numbers_of_keys(
    fair: Fair,
) -> None:
    load = KeyLoad(Product, fair.mall.database.dialect)
    load.column("title")

    async def look(viewer: Viewer, keys: list[int]) -> int:
        async def work(db: Any) -> Any:
            return await load.read(db, asker_of(viewer), keys)

        return len(await fair.mall.database.look(work))

    suppliers = [Viewer(Role.SUPPLIER, 1, key) for key in (1, 2)]
    everything = [await look(one, list(range(1, 40))) for one in suppliers]
    assert everything == [await look(one, list(range(1, 100))) for one in suppliers]
    assert everything[0] != everything[1]
    assert len(load._statements) == 1


async def test_the_same_rows_come_for_few_keys_and_for_many(fair: Fair) -> None:
    load = KeyLoad(Sku, fair.mall.database.dialect)
    load.column("code")
    found = {}
    for size in (1, 2, 3, 5, 8, 9, 16):

        async def work(db: Any, size: int = size) -> Any:
            return await load.read(db, asker_of(Viewer()), list(range(1, size + 1)))

        found[size] = [tuple(row) for row in await fair.mall.database.look(work)]
    whole = dict(found[16])
    for size, rows in found.items():
        assert dict(rows) == {key: code for key, code in whole.items() if key <= size}
        assert len(rows) == len(dict(rows)), "no row twice"


async def test_two_lists_cost_the_same_for_any_length(any_mall: Mall, executors: Executors) -> None:
    for _ in range(12):
        product = await any_mall.product(stock=50)
        await any_mall.opened(await any_mall.activity(product), product.sku_id)
    costs = {}
    async with asked(any_mall, executors, executor="planned") as api:
        for first in (1, 2, 5, 12):
            with statements(any_mall.database) as seen:
                answer = await executors.planned(GROUPED, api.context(Viewer()), {"first": first})
            assert len(answer["data"]["new"]["nodes"]) == first
            costs[first] = len(seen)
    assert costs == {1: 5, 2: 5, 5: 5, 12: 5}


def test_the_tables_of_a_statement_are_those_it_names_anywhere() -> None:
    rows = table(ProductRow)
    assert tables_of(select(rows.c.id)) == {"products"}
    assert tables_of(products.visible_to(Viewer())) == {"products", "suppliers"}
    assert tables_of(products.visible_to(Viewer(Role.ADMIN, 1))) == {"products"}
    assert tables_of(orders.lines_visible_to(Viewer(Role.CONSUMER, 1))) == {"order_lines", "orders"}
    inner = select(func.count()).select_from(products.skus_visible_to(Viewer()).subquery())
    assert tables_of(inner) == {"skus", "products", "suppliers"}
    everything = products.listing(
        Viewer(), filter=ProductFilter(in_stock=True, category_id=1), sort=ProductSort.SALES,
        match=None,
    )  # fmt: skip
    assert tables_of(everything.statement) == {
        "products", "suppliers", "skus", "stocks", "categories",
    }  # fmt: skip
    assert tables_of(select(literal_column("1"))) == frozenset()


@pytest.mark.parametrize(("fields", "cost"), [("id name", 3), ("name", 3), ("id ratingBp", 4)])
async def test_what_came_with_other_rows_is_not_read_again(
    fair: Fair, fields: str, cost: int
) -> None:
    """The cart, what it costs, its lines with all that these lead to; suppliers where need be."""
    query = f"""{{ cart {{ groups {{ supplier {{ {fields} }} }}
      lines {{ sku {{ product {{ supplier {{ id name }} }} }} }} }} }}"""
    await fair.both(query, "consumer")
    with statements(fair.mall.database) as seen:
        answer = await fair.executors.planned(query, fair.context("consumer"), {})
    suppliers = [one["supplier"] for one in answer["data"]["cart"]["groups"]]
    assert suppliers
    assert None not in suppliers
    assert len(seen) == cost


async def test_the_node_of_an_edge_may_be_asked_for_twice(fair: Fair) -> None:
    query = """{ products(first: 3) { edges { a: node { id } cursor
      b: node { title supplier { name } } } nodes { ratingBp } } }"""
    answer = await fair.both(query)
    assert list(answer["data"]["products"]["edges"][0]) == ["a", "cursor", "b"]
    assert list(answer["data"]["products"]["edges"][0]["b"]) == ["title", "supplier"]
