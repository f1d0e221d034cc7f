"""Free units as they change, for everybody."""

from asyncio import gather
from typing import Any

from app.auth import Role, Viewer
from app.services import stocks
from app.services.orders_cancel import cancel_trade
from app.tables.products import SkuRow
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid

STOCK = """subscription($skuIds: [ID!]!, $after: String) {
  stockUpdated(skuIds: $skuIds, after: $after) { __typename
    ... on StockUpdate { cursor seq levels { available sku { id available } } }
    ... on StreamGap { cursor } } }"""


def skus(*keys: int) -> list[str]:
    return [gid("Sku", key) for key in keys]


def levels(told: Any) -> dict[str, int]:
    """{SKU: free units}; the SKU itself says the same."""
    for one in told["levels"]:
        assert one["sku"]["available"] == one["available"]
    return {one["sku"]["id"]: one["available"] for one in told["levels"]}


async def test_all_skus_are_shown_first_and_then_those_that_change(api: Api, mall: Mall) -> None:
    shopper, other = await mall.consumer(), await mall.product(stock=9)
    first, second = (await mall.product(stock=9, skus=2)).sku_ids
    mine, theirs = skus(first, second)
    async with api.stream(STOCK, skuIds=[mine, theirs]) as events:
        assert levels(await events.next()) == {mine: 9, theirs: 9}
        trade = await mall.order(shopper, second, 2)
        assert levels(await events.next()) == {theirs: 7}
        await mall.order(shopper, other.sku_id)
        await mall.pay(shopper, trade)
        await mall.database.change(cancel_trade, shopper, trade_id=await mall.order(shopper, first))
        assert levels(await events.next()) == {mine: 9}
        assert levels(await events.next()) == {mine: 9}
        async with mall.unit() as unit:
            await stocks.sync(unit, first, 3, 2)
            await stocks.sync(unit, second, 30, 2)
        assert levels(await events.next()) == {mine: 3, theirs: 28}
    assert mall.bus._subscribers == {}


async def test_the_last_word_on_every_sku_is_what_the_shelf_holds(api: Api, mall: Mall) -> None:
    """Forty orders at once, and a client that is cut in the middle."""
    product = await mall.product(stock=500, skus=4)
    shoppers = await mall.shoppers(40)
    after, seen = None, {}
    async with api.stream(STOCK, skuIds=skus(*product.sku_ids)) as events:
        first = await events.next()
        seen |= levels(first)
        await gather(
            *(mall.order(one, product.sku_ids[n % 4], n % 3 + 1) for n, one in enumerate(shoppers))
        )
        for _ in range(13):
            told = await events.next()
            seen, after = seen | levels(told), told["cursor"]
    async with api.stream(STOCK, skuIds=skus(*product.sku_ids), after=after) as events:
        for _ in range(27):
            seen |= levels(await events.next())
    async with mall.database.read() as db:
        free = await stocks.available(db, product.sku_ids)
    assert seen == {gid("Sku", key): units for key, units in free.items()}
    assert sum(free.values()) == 4 * 500 - sum(n % 3 + 1 for n in range(40))


async def test_history_that_is_gone_is_one_gap_and_then_goes_on(api: Api, mall: Mall) -> None:
    product = await mall.product()
    old = api.resources.cursors.sign("stock", ["another", "3"])
    async with api.stream(STOCK, skuIds=skus(product.sku_id), after=old) as events:
        assert (await events.next())["__typename"] == "StreamGap"
        await mall.order(await mall.consumer(), product.sku_id)
        assert levels(await events.next()) == {gid("Sku", product.sku_id): 9}


async def test_what_nobody_may_see_is_left_out(api: Api, mall: Mall) -> None:
    """Also for the supplier, whose goods they are: all are told the same."""
    shown, hidden = (await mall.product(skus=2)).sku_ids
    seller = await mall.supplier_viewer((await mall.row(SkuRow, shown)).supplier_id)
    await mall.change(SkuRow, hidden, status="DELISTED")
    for version, viewer in enumerate((Viewer(), seller, await mall.account(Role.ADMIN)), 2):
        async with api.stream(STOCK, viewer, skuIds=[*skus(shown, hidden), "nonsense"]) as events:
            assert levels(await events.next()) == {gid("Sku", shown): 8 + version}
            for sku_id in (hidden, shown):
                async with mall.unit() as unit:
                    assert await stocks.sync(unit, sku_id, 9 + version, version)
            assert levels(await events.next()) == {gid("Sku", shown): 9 + version}


async def test_lists_that_cannot_be_followed_are_refused(api: Api, mall: Mall) -> None:
    product = await mall.product()
    hidden = await mall.product(status="DELISTED")
    for wrong in (*BAD_IDS, gid("Sku", 999), gid("Sku", hidden.sku_id)):
        async with api.stream(STOCK, skuIds=[wrong]) as events:
            assert await events.code() == "NOT_FOUND"
    for given in ([], skus(product.sku_id) * 101):
        async with api.stream(STOCK, skuIds=given) as events:
            assert await events.code() == "BAD_USER_INPUT"
    async with api.stream(STOCK, skuIds=skus(product.sku_id), after="nonsense") as events:
        assert await events.code() == "BAD_CURSOR"
