"""What an answer was made from, where it may be shown to other guests; nothing where it may not."""

import re

import pytest
from graphql import OperationType, parse
from sqlmodel import SQLModel

from app.auth import Role, Viewer
from app.plan import Answer
from tests.plan.bazaar import WHO
from tests.plan.conftest import Fair
from tests.plan.corpus import shown
from tests.plan.executors import statements
from tests.plan.variables import fillings

PRODUCT = 'query { product(id: "UHJvZHVjdDox") { %s } }'
CATALOGUE = {
    PRODUCT % "title": {"products:1", "suppliers"},
    PRODUCT % "supplier { name }": {"products:1", "suppliers:1", "suppliers"},
    PRODUCT % "category { parent { name } }": {
        "products:1", "suppliers", "categories:3", "categories:2",
    },
    PRODUCT % "options { choices }": {"products:1", "suppliers", "products", "product_options"},
    PRODUCT % "skus { code price { formatted } }": {
        "products:1", "suppliers", "products", "skus",
    },
    "{ categories { name } }": {"categories"},
    "{ categories { children { name } } }": {"categories"},
    "{ products { nodes { id } } }": {"products", "suppliers"},
    "{ products(filter: {inStock: true}) { totalCount } }": {
        "products", "suppliers", "skus", "stocks",
    },
    "{ products(first: 1) { facets { categories { count } } } }": {
        "products", "suppliers", "categories",
    },
    'query { product(id: "UHJvZHVjdDo5OTk") { title } }': {"products:999", "products", "suppliers"},
    'query { product(id: "nonsense") { title } }': set(),
}  # fmt: skip
NOT_KEPT = [
    'query { nodes(ids: ["UHJvZHVjdDox"]) { id } }',  # it might lead to anything
    PRODUCT % "skus { available }",
    PRODUCT % "groupBuys { remaining }",
    "{ groupBuys { nodes { id } } }",
    "{ liveRooms { nodes { title } } }",
    "{ groupBuyActivities { title } }",
    "{ products { nodes { groupBuys { id } } } }",
    "{ cart { id } }",
    "{ viewer { role account { id } } }",
    'query { node(id: "UHJvZHVjdDox") { id ... on Order { no } } }',
    'query { products(after: "nonsense") { totalCount } }',
    "{ orders { totalCount } }",
]


async def answer(fair: Fair, query: str, viewer: Viewer = Viewer()) -> Answer:  # noqa: B008
    taken = fair.executors.taken(query, fair.mall.database.dialect)
    return await taken.run({}, fair.api.context(viewer))


@pytest.mark.parametrize("query", CATALOGUE)
async def test_an_answer_from_the_catalogue_names_its_rows_and_tables(
    fair: Fair, query: str
) -> None:
    assert (await answer(fair, query)).tags == CATALOGUE[query]


@pytest.mark.parametrize("query", NOT_KEPT)
async def test_what_is_personal_live_or_wrong_has_no_tags(fair: Fair, query: str) -> None:
    assert (await answer(fair, query)).tags is None


@pytest.mark.parametrize("who", WHO[1:])
async def test_only_a_guest_of_whom_nothing_is_known_gets_tags(fair: Fair, who: str) -> None:
    for query in CATALOGUE:
        assert (await answer(fair, query, fair.bazaar.viewers[who])).tags is None


async def test_an_answer_in_another_language_is_tagged_like_any(fair: Fair) -> None:
    viewer = Viewer(Role.GUEST, locale="en")
    assert (await answer(fair, "{ categories { name } }", viewer)).tags == {"categories"}


async def test_whoever_does_not_keep_answers_gets_no_tags(fair: Fair) -> None:
    query = "{ categories { name } }"
    taken = fair.executors.taken(query, fair.mall.database.dialect)
    kept = await taken.run({}, fair.api.context(Viewer()), may_keep=False)
    assert kept.tags is None


async def test_no_table_is_read_without_being_named(fair: Fair) -> None:
    """Every shown query that may be kept, against the statements that it really sends."""
    graph, dialect = fair.executors.schema._schema, fair.mall.database.dialect
    names = [one.name for one in SQLModel.metadata.sorted_tables]
    kept = 0
    for one in shown(graph):
        if one.kind is not OperationType.QUERY:
            continue
        for given in fillings(parse(one.text), graph, fair.bazaar.ids):
            taken = fair.executors.taken(one.text, dialect)
            with statements(fair.mall.database) as seen:
                tags = (await taken.run(given, fair.api.context(Viewer()))).tags
            if tags is None:
                continue
            kept += 1
            text = "\n".join(seen)
            read = {name for name in names if re.search(rf"(FROM|JOIN) {name}\b", text)}
            assert read <= {tag.partition(":")[0] for tag in tags}, one.text
    assert kept >= 20
