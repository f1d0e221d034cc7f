"""Goods: who sees what, search, filters, facets, pages."""

from datetime import timedelta
from typing import Any

import pytest

from app.auth import Role, Viewer
from app.errors import BadCursor, NotFound
from app.services import products, products_store, stocks
from app.services.pages import count, keyset
from app.services.products import PriceBand, ProductFilter, ProductSort
from app.services.products_store import ProductDraft, SkuDraft
from app.tables.products import SkuRow
from tests.factories import Mall

GUEST = Viewer()
ALL = ProductFilter()


async def shelved(mall: Mall, title: str, *, price_fen: int = 2990, **more: Any) -> int:
    """A product that the search knows; each has a supplier and a category unless told."""
    values: dict[str, Any] = {
        "supplier_id": more.pop("supplier_id", None) or await mall.supplier(),
        "category_id": more.pop("category_id", None) or await mall.category(),
        "title": title,
        "skus": (sku(f"C{next(mall.numbers)}", price_fen),),
    }
    async with mall.unit() as unit:
        key, sku_ids = await products_store.store(unit, ProductDraft(**values | more))
        await stocks.sync(unit, sku_ids[0], 5, 1)
    return key


def sku(code: str, price_fen: int, **options: str) -> SkuDraft:
    return SkuDraft(code, options, price_fen // 2, price_fen * 4 // 5, price_fen, price_fen * 2)


async def found(
    mall: Mall,
    search: str | None = None,
    *,
    viewer: Viewer = GUEST,
    filter: ProductFilter = ALL,
    sort: ProductSort = ProductSort.DEFAULT,
) -> list[int]:
    async with mall.database.read() as db:
        match = await products.match_of(db, search)
        listing = products.listing(viewer, filter=filter, sort=sort, match=match)
        page = await keyset(db, listing, 100)
        assert await count(db, listing) == len(page.rows)
    return [row.id for row in page.rows]


async def test_search_finds_words_in_the_title_and_ranks_them_first(any_mall: Mall) -> None:
    mall = any_mall
    noodles = await shelved(mall, "鸡蛋挂面", description="配东北大米一起吃")
    rice = await shelved(mall, "五常大米 5kg")
    await shelved(mall, "纯棉毛巾")
    assert await found(mall, "大米") == [rice, noodles]
    assert await found(mall, "大米 5KG") == [rice]
    assert await found(mall, "面") == [noodles]


async def test_search_without_a_full_match_takes_any_word(any_mall: Mall) -> None:
    mall = any_mall
    towel = await shelved(mall, "纯棉毛巾")
    await shelved(mall, "五常大米")
    assert await found(mall, "毛巾 洗发水") == [towel]
    assert await found(mall, "洗发水") == []


@pytest.mark.parametrize(
    "text", ['大米" OR "毛巾', "大米*) OR (毛巾", "' OR 1=1 --", "NOT 毛巾", "大" * 10_000]
)
async def test_hostile_searches_are_only_text(any_mall: Mall, text: str) -> None:
    await shelved(any_mall, "五常大米")
    assert len(await found(any_mall, text)) <= 1


async def test_search_of_signs_only_is_no_search(mall: Mall) -> None:
    rice, towel = await shelved(mall, "大米", sort=1), await shelved(mall, "毛巾", sort=2)
    assert await found(mall, "！？🙂") == [rice, towel]


async def test_a_new_title_is_found_and_the_old_one_is_not(any_mall: Mall) -> None:
    mall = any_mall
    key = await shelved(mall, "五常大米")
    async with mall.unit() as unit:
        await unit.execute(
            products.PRODUCTS.update().where(products.PRODUCTS.c.id == key).values(title="毛巾")
        )
        await products_store.index(unit, key)
    assert await found(mall, "大米") == []
    assert await found(mall, "毛巾") == [key]


async def test_the_public_sees_goods_on_sale_of_approved_suppliers(mall: Mall) -> None:
    supplier = await mall.supplier()
    shown = await shelved(mall, "大米", supplier_id=supplier)
    early = await shelved(mall, "新米", supplier_id=supplier, status="PRE_SALE", sort=1)
    gone = await shelved(mall, "陈米", supplier_id=supplier, status="DELISTED", sort=2)
    barred = await shelved(
        mall, "尾货", supplier_id=await mall.supplier(status="SUSPENDED"), sort=3
    )
    owner = await mall.supplier_viewer(supplier)
    assert await found(mall) == [shown, early]
    assert await found(mall, viewer=owner) == [shown, early, gone]
    assert await found(mall, viewer=await mall.staff()) == [shown, early, gone, barred]
    async with mall.database.read() as db:
        with pytest.raises(NotFound):
            await products.get(db, GUEST, gone)
        assert (await products.get(db, owner, gone)).title == "陈米"


async def test_skus_options_and_stock_follow_their_product(mall: Mall) -> None:
    hidden = await shelved(
        mall,
        "衬衫",
        status="DELISTED",
        options={"颜色": ("白",)},
        skus=(sku("W", 9900, 颜色="白"),),
    )
    owner = await mall.staff()
    for select, viewer, number in (
        (products.skus_visible_to, GUEST, 0),
        (products.options_visible_to, GUEST, 0),
        (products.stocks_visible_to, GUEST, 0),
        (products.skus_visible_to, owner, 1),
        (products.options_visible_to, owner, 1),
        (products.stocks_visible_to, owner, 1),
    ):
        async with mall.database.read() as db:
            assert len(await db.all(select(viewer))) == number, (select.__name__, viewer.role)
    (row,) = await mall.rows(SkuRow, product_id=hidden)
    assert row.option_key == "颜色=白"


async def test_supply_prices_stay_with_their_side_of_the_trade(mall: Mall) -> None:
    product = await mall.product(price_fen=10_000)
    rows = await mall.rows(SkuRow, product_id=product.id)
    viewers = [
        GUEST,
        await mall.consumer(),
        await mall.account(Role.DISTRIBUTOR),
        await mall.supplier_viewer(product.supplier_id),
        await mall.supplier_viewer(await mall.supplier()),
        await mall.staff(),
    ]
    async with mall.database.read() as db:
        seen = [(await products.supply_prices(db, one, rows))[0] for one in viewers]
    assert seen == [None, None, 8000, 5000, None, 5000]


async def test_filters_narrow_together(any_mall: Mall) -> None:
    mall = any_mall
    async with mall.unit() as unit:
        food = await products_store.store_category(unit, name="食品", sort=0)
        grain = await products_store.store_category(unit, name="米面", parent_id=food, sort=0)
    cheap = await shelved(mall, "小米", category_id=grain, price_fen=990)
    dear = await shelved(mall, "大米", category_id=food, price_fen=9900)
    await shelved(mall, "毛巾", price_fen=990)
    assert await found(mall, filter=ProductFilter(category_id=food)) == [cheap, dear]
    assert await found(mall, filter=ProductFilter(category_id=grain)) == [cheap]
    assert await found(mall, filter=ProductFilter(category_id=food, price_min_fen=991)) == [dear]
    assert await found(mall, filter=ProductFilter(category_id=food, price_max_fen=990)) == [cheap]
    assert await found(mall, "大米", filter=ProductFilter(category_id=grain)) == []
    assert await found(mall, filter=ProductFilter(category_id=10**9)) == []
    assert await found(mall, filter=ProductFilter(ids=(dear,))) == [dear]


async def test_sold_out_goods_can_be_left_out(mall: Mall) -> None:
    full, empty = await mall.product(stock=1), await mall.product(stock=0)
    assert await found(mall, filter=ProductFilter(in_stock=True)) == [full.id]
    assert await found(mall, filter=ProductFilter(in_stock=False)) == [empty.id]


async def test_sorts_are_what_they_say(mall: Mall) -> None:
    first = await shelved(mall, "甲", price_fen=3000)
    mall.clock.advance(minutes=1)
    second = await shelved(mall, "乙", price_fen=1000)
    mall.clock.advance(minutes=1)
    third = await shelved(mall, "丙", price_fen=2000)
    orders = {sort: await found(mall, sort=sort) for sort in ProductSort}
    assert orders[ProductSort.PRICE_ASC] == [second, third, first]
    assert orders[ProductSort.PRICE_DESC] == [first, third, second]
    assert orders[ProductSort.NEWEST] == [third, second, first]
    assert orders[ProductSort.RELEVANCE] == orders[ProductSort.DEFAULT] == [first, second, third]


@pytest.mark.parametrize("sort", list(ProductSort))
async def test_pages_meet_without_gap_or_repetition(any_mall: Mall, sort: ProductSort) -> None:
    mall = any_mall
    for number in range(7):
        await shelved(mall, f"大米{number}", price_fen=1000 + 500 * (number % 3))
        mall.clock.now += timedelta(seconds=number % 2)
    whole = await found(mall, "大米", sort=sort)
    seen: list[int] = []
    after: list[Any] | None = None
    async with mall.database.read() as db:
        match = await products.match_of(db, "大米")
        listing = products.listing(GUEST, filter=ALL, sort=sort, match=match)
        for _ in range(4):
            page = await keyset(db, listing, 2, after)
            seen += [row.id for row in page.rows]
            after = page.key_of(page.rows[-1])
    assert (seen, page.has_next) == (whole, False)
    assert len(set(seen)) == 7


@pytest.mark.parametrize("after", [[], [1], [1, 2, 3], ["x", 1], [None, 1], [1, True]])
async def test_a_cursor_of_another_order_is_refused(mall: Mall, after: list[Any]) -> None:
    listing = products.listing(GUEST, filter=ALL, sort=ProductSort.SALES, match=None)
    async with mall.database.read() as db:
        with pytest.raises(BadCursor):
            await keyset(db, listing, 2, after)


async def test_facets_count_what_the_other_filters_leave(any_mall: Mall) -> None:
    mall = any_mall
    one, other = await mall.supplier(), await mall.supplier()
    grain, cloth = await mall.category(), await mall.category()
    for price in (1500, 1900, 4000):
        await shelved(mall, "大米", supplier_id=one, category_id=grain, price_fen=price)
    await shelved(mall, "大米图案毛巾", supplier_id=other, category_id=cloth, price_fen=40_000)
    await shelved(mall, "袜子", supplier_id=other, category_id=cloth)
    async with mall.database.read() as db:
        match = await products.match_of(db, "大米")
        facets = await products.facets(
            db, GUEST, filter=ProductFilter(supplier_id=one), match=match
        )
        whole = await products.facets(db, GUEST, filter=ALL, match=match)
    assert facets.categories == ((grain, 3),)
    assert facets.suppliers == ((one, 3), (other, 1))
    assert facets.price_bands == (PriceBand(0, 2000, 2), PriceBand(2000, 5000, 1))
    assert whole.categories == ((grain, 3), (cloth, 1))
    assert whole.price_bands[-1] == PriceBand(30_000, None, 1)


async def test_category_facets_go_one_level_below_the_filter(any_mall: Mall) -> None:
    mall = any_mall
    async with mall.unit() as unit:
        food = await products_store.store_category(unit, name="食品", sort=0)
        grain = await products_store.store_category(unit, name="米面", parent_id=food, sort=0)
        rice = await products_store.store_category(unit, name="大米", parent_id=grain, sort=0)
        fruit = await products_store.store_category(unit, name="水果", parent_id=food, sort=1)
    for category in (rice, rice, fruit):
        await shelved(mall, "好货", category_id=category)
    levels = {None: ((food, 3),), food: ((grain, 2), (fruit, 1)), grain: ((rice, 2),), rice: ()}
    for category, expected in levels.items():
        async with mall.database.read() as db:
            facets = await products.facets(
                db, GUEST, filter=ProductFilter(category_id=category), match=None
            )
        assert facets.categories == expected


async def test_choices_of_options_are_found(mall: Mall) -> None:
    shirt = await shelved(
        mall, "衬衫", options={"颜色": ("雾蓝",)}, skus=(sku("W", 9900, 颜色="雾蓝"),)
    )
    await shelved(mall, "衬衫")
    assert await found(mall, "雾蓝衬衫") == [shirt]


async def test_a_searched_page_costs_two_statements(mall: Mall) -> None:
    for number in range(5):
        await shelved(mall, f"五常大米{number}")
    with mall.selects() as selects:
        async with mall.database.read() as db:
            match = await products.match_of(db, "五常大米")
            listing = products.listing(GUEST, filter=ALL, sort=ProductSort.DEFAULT, match=match)
            await keyset(db, listing, 5)
    assert len(selects) == 2
