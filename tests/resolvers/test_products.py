"""The product list, its facets and pages, one product, and what they cost in statements."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from app.auth import Role, Viewer
from app.tables.products import SkuRow
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid

PAGE = """query($first: Int! = 20, $after: String, $filter: ProductFilter, $search: String,
    $sort: ProductSort! = DEFAULT) {
  products(first: $first, after: $after, filter: $filter, search: $search, sort: $sort) {
    nodes { id title }
    edges { cursor node { id } }
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    facets { categories { category { id } count } suppliers { supplier { id } count }
             prices { low { amountMinor } high { amountMinor } count } } } }"""
PRODUCT = """query($id: ID!) { product(id: $id) {
  id title status priceRange { low { amountMinor formatted } high { formatted(locale: EN) } }
  supplier { id name shipping { amountMinor } } category { id parent { id } }
  options { name choices }
  skus { code price { amountMinor currency } supplyPrice { amountMinor } available
         options { name value } product { id } } } }"""
TWO_LISTS = """query($first: Int!) {
  new: products(first: $first, sort: NEWEST) { nodes { ...Tile } }
  cheap: products(first: $first, sort: PRICE_ASC) { nodes { ...Tile } } }
  fragment Tile on Product { title supplier { name } category { name } skus { available }
    groupBuys { remaining product { title supplier { name } } activity { size } } }"""


@contextmanager
def statements(mall: Mall) -> Generator[list[str]]:
    """Every statement but the opening and closing of transactions."""
    seen: list[str] = []

    def note(statement: str) -> None:
        if statement.split(maxsplit=1)[0].upper() not in {"BEGIN", "COMMIT", "ROLLBACK"}:
            seen.append(statement)

    stop = mall.database.watch(note)
    try:
        yield seen
    finally:
        stop()


async def titles(api: Api, **arguments: object) -> list[str]:
    return [node["title"] for node in (await api.ask(PAGE, **arguments))["nodes"]]


async def test_the_list_has_facets_and_a_total(api: Api, mall: Mall) -> None:
    shop = await mall.supplier()
    cheap = await mall.product(supplier_id=shop, price_fen=1500)
    dear = await mall.product(price_fen=25_000)
    page = await api.ask(PAGE)
    assert {node["id"] for node in page["nodes"]} == {
        gid("Product", one.id) for one in (cheap, dear)
    }
    assert page["totalCount"] == 2
    counts = {one["supplier"]["id"]: one["count"] for one in page["facets"]["suppliers"]}
    assert counts == {gid("Supplier", shop): 1, gid("Supplier", dear.supplier_id): 1}
    assert [one["count"] for one in page["facets"]["categories"]] == [1, 1]
    assert sum(one["count"] for one in page["facets"]["prices"]) == 2


async def test_facets_and_totals_cost_nothing_unless_asked_for(api: Api, mall: Mall) -> None:
    await mall.product()
    with mall.selects() as selects:
        await api.ask("{ products { nodes { title } } }")
    assert len(selects) == 1


async def test_pages_follow_each_other_without_hole_or_repetition(api: Api, mall: Mall) -> None:
    made = [await mall.product(price_fen=100 * (number % 3 + 1)) for number in range(7)]
    seen, after = [], None
    for has_next in (True, True, False):
        page = await api.ask(PAGE, first=3, after=after, sort="PRICE_ASC")
        seen += [node["id"] for node in page["nodes"]]
        info = page["pageInfo"]
        assert info["hasNextPage"] is has_next
        assert info["hasPreviousPage"] is (after is not None)
        assert info["endCursor"] == page["edges"][-1]["cursor"]
        assert page["totalCount"] == 7
        after = info["endCursor"]
    assert sorted(seen) == sorted(gid("Product", one.id) for one in made)
    assert len(set(seen)) == 7


async def test_a_cursor_of_another_list_or_of_nobody_is_refused(api: Api, mall: Mall) -> None:
    for _ in range(3):
        await mall.product()
    page = await api.ask(PAGE, first=1, sort="PRICE_ASC")
    cursor = page["pageInfo"]["endCursor"]
    for after in ("", "nonsense", cursor[:-2] + "AA", cursor + "A", "A" + cursor):
        assert await api.code(PAGE, after=after, sort="PRICE_ASC") == "BAD_CURSOR", after
    assert await api.code(PAGE, after=cursor, sort="SALES") == "BAD_CURSOR"
    assert await api.code(PAGE, after=cursor, sort="PRICE_ASC", search="小米") == "BAD_CURSOR"
    rooms = "query($after: String) { liveRooms(after: $after) { nodes { id } } }"
    assert await api.code(rooms, after=cursor) == "BAD_CURSOR"


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_has_one_to_a_hundred_items(api: Api, first: int) -> None:
    assert await api.code(PAGE, first=first) == "BAD_USER_INPUT"


async def test_a_search_of_more_than_a_hundred_characters_is_refused(api: Api) -> None:
    assert await api.code(PAGE, search="米" * 101) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "search", ["%", "*", '"', "' OR 1=1 --", "NEAR(", "🙂", "a:b", "\x00", " "]
)
async def test_signs_of_the_search_language_are_just_text(
    api: Api, mall: Mall, search: str
) -> None:
    await mall.product()
    assert (await api.answer(PAGE, search=search)).errors is None


async def test_a_filter_by_an_id_of_nothing_matches_nothing(api: Api, mall: Mall) -> None:
    await mall.product()
    for wrong in BAD_IDS:
        for name in ("categoryId", "supplierId"):
            assert await titles(api, filter={name: wrong}) == []


async def test_filters_narrow_the_list(api: Api, mall: Mall) -> None:
    sold_out = await mall.product(stock=0, price_fen=1000, title="卖完的")
    await mall.product(price_fen=5000, title="有货的")
    shop = gid("Supplier", sold_out.supplier_id)
    assert await titles(api, filter={"inStock": True}) == ["有货的"]
    assert await titles(api, filter={"priceMax": 1000}) == ["卖完的"]
    assert await titles(api, filter={"priceMin": 1001}) == ["有货的"]
    assert await titles(api, filter={"supplierId": shop}) == ["卖完的"]
    assert await titles(api, filter={"supplierId": shop, "inStock": True}) == []


async def test_one_product_with_everything_about_it(api: Api, mall: Mall) -> None:
    made = await mall.product(stock=7, price_fen=123_456)
    product = await api.ask(PRODUCT, id=gid("Product", made.id))
    row = await mall.row(SkuRow, made.sku_id)
    (option,) = row.options.items()
    assert product["status"] == "ON_SALE"
    assert product["priceRange"] == {
        "low": {"amountMinor": 123_456, "formatted": "¥1,234.56"},
        "high": {"formatted": "CNY 1,234.56"},
    }
    assert product["supplier"]["id"] == gid("Supplier", made.supplier_id)
    assert product["supplier"]["shipping"] == {"amountMinor": 800}
    assert product["category"]["parent"] is None
    assert product["skus"] == [
        {
            "code": row.code,
            "price": {"amountMinor": 123_456, "currency": "CNY"},
            "supplyPrice": None,
            "available": 7,
            "options": [{"name": option[0], "value": option[1]}],
            "product": {"id": product["id"]},
        }
    ]


async def test_the_supply_price_is_for_the_trade_only(api: Api, mall: Mall) -> None:
    made = await mall.product(price_fen=1000)
    query = "query($id: ID!) { node(id: $id) { ... on Sku { supplyPrice { amountMinor } } } }"
    seen = {}
    for viewer in (
        Viewer(),
        await mall.consumer(),
        await mall.account(Role.DISTRIBUTOR, subject_id=1),
        await mall.supplier_viewer(made.supplier_id),
        await mall.staff(),
    ):
        price = (await api.ask(query, viewer, id=gid("Sku", made.sku_id)))["supplyPrice"]
        seen[viewer.role.value] = price and price["amountMinor"]
    assert seen == {
        "GUEST": None,
        "CONSUMER": None,
        "DISTRIBUTOR": 800,
        "SUPPLIER": 500,
        "AGENT": 500,
    }


async def test_an_id_of_no_product_is_null(api: Api, mall: Mall) -> None:
    await mall.product()
    for wrong in BAD_IDS:
        assert await api.ask(PRODUCT, id=wrong) is None


async def test_goods_that_are_not_shown_are_not_there(api: Api, mall: Mall) -> None:
    delisted = await mall.product(status="DELISTED")
    banned = await mall.product(supplier_id=await mall.supplier(status="SUSPENDED"))
    for made in (delisted, banned):
        assert await api.ask(PRODUCT, id=gid("Product", made.id)) is None
        owner = await mall.supplier_viewer(made.supplier_id)
        assert (await api.ask(PRODUCT, owner, id=gid("Product", made.id)))["id"]
    assert (await api.ask(PAGE))["totalCount"] == 0


async def test_a_supplier_sees_only_the_own_goods(api: Api, mall: Mall) -> None:
    mine, other = await mall.product(), await mall.product()
    viewer = await mall.supplier_viewer(mine.supplier_id)
    page = await api.ask(PAGE, viewer)
    assert [node["id"] for node in page["nodes"]] == [gid("Product", mine.id)]
    assert await api.ask(PRODUCT, viewer, id=gid("Product", other.id)) is None


async def test_two_lists_with_groups_and_suppliers_cost_the_same_for_any_page(
    api: Api, mall: Mall
) -> None:
    for _ in range(20):
        product = await mall.product(stock=50)
        await mall.opened(await mall.activity(product), product.sku_id)
    costs = {}
    for per_page in (5, 20):
        with statements(mall) as seen:
            answer = await api.answer(TWO_LISTS, first=per_page)
        tiles = [*answer.data["new"]["nodes"], *answer.data["cheap"]["nodes"]]
        assert len(tiles) == 2 * per_page
        for tile in tiles:
            (group,) = tile["groupBuys"]
            assert group["remaining"] == 2
            assert group["product"]["supplier"] == tile["supplier"]
        costs[per_page] = len(seen)
    # the two lists; suppliers, categories, SKUs, groups; stock, activities, the groups' products
    most = 5 if api.executor == "planned" else 9  # what one row leads to, the plan joins to it
    assert costs == {5: most, 20: most}


async def test_categories_are_a_tree(api: Api, mall: Mall) -> None:
    top = await mall.category()
    query = "{ categories { id name children { id } } }"
    assert [one["id"] for one in await api.ask(query)] == [gid("Category", top)]
