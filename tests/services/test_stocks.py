"""Stock: reserved, allocated, shipped, counted; never more than there is."""

from asyncio import gather
from collections import Counter
from datetime import timedelta

import pytest

from app.errors import MallError, OutOfStock
from app.events import STOCK
from app.services import orders_cancel, stocks
from app.tables.orders import OrderRow
from app.tables.outbox import OutboxRow
from app.tables.products import StockMovementRow, StockReservationRow, StockRow
from tests.factories import START, Mall

SOON = START + timedelta(minutes=30)


async def reserve(mall: Mall, owner: int, units: dict[int, int]) -> None:
    async with mall.unit() as unit:
        await stocks.reserve(unit, "TEST", owner, units, SOON)


async def test_two_hundred_buyers_get_fifty_units(any_mall: Mall) -> None:
    mall = any_mall
    product = await mall.product(stock=50)

    async def buy(owner: int) -> str:
        try:
            await reserve(mall, owner, {product.sku_id: 1})
        except MallError as refusal:
            return refusal.code
        return "reserved"

    outcomes = await gather(*(buy(owner) for owner in range(1, 201)))
    assert Counter(outcomes) == {"reserved": 50, "OUT_OF_STOCK": 150}
    assert await mall.stock(product.sku_id) == (50, 0, 50)


async def test_baskets_in_opposite_order_do_not_deadlock(any_mall: Mall) -> None:
    mall = any_mall
    first, second = (await mall.product(stock=100, skus=2)).sku_ids
    baskets = [{first: 1, second: 1}, {second: 1, first: 1}] * 20
    await gather(*(reserve(mall, owner, one) for owner, one in enumerate(baskets, 1)))
    assert await mall.stock(first) == (100, 0, 40)
    assert await mall.stock(second) == (100, 0, 40)


async def test_too_few_units_of_one_sku_refuse_the_whole_basket(mall: Mall) -> None:
    plenty, few = await mall.product(stock=9), await mall.product(stock=2)
    async with mall.unchanged():
        with pytest.raises(OutOfStock) as refusal:
            await reserve(mall, 1, {plenty.sku_id: 1, few.sku_id: 3})
    assert refusal.value.data == {"sku_id": few.sku_id, "available": 2}


async def test_a_sku_without_stock_has_none(mall: Mall) -> None:
    async with mall.database.read() as db:
        assert await stocks.available(db, [404]) == {404: 0}


async def test_paid_units_leave_the_shelf_with_their_parcel(mall: Mall) -> None:
    sku_id = (await mall.product(stock=10)).sku_id
    await reserve(mall, 1, {sku_id: 4})
    async with mall.unit() as unit:
        assert await stocks.allocate(unit, "TEST", 1) == 1
    assert await mall.stock(sku_id) == (10, 4, 0)
    async with mall.unit() as unit:
        await stocks.ship(unit, 7, {sku_id: 4})
    assert await mall.stock(sku_id) == (6, 0, 0)
    kinds = [(one.kind, one.delta) for one in await mall.rows(StockMovementRow, sku_id=sku_id)]
    assert kinds == [("SYNC", 10), ("RESERVE", 0), ("ALLOCATE", 0), ("SHIP", -4)]


@pytest.mark.parametrize("is_paid", [False, True])
async def test_released_units_can_be_sold_again_and_only_once(mall: Mall, is_paid: bool) -> None:
    sku_id = (await mall.product(stock=10)).sku_id
    await reserve(mall, 1, {sku_id: 4})
    async with mall.unit() as unit:
        if is_paid:
            await stocks.allocate(unit, "TEST", 1)
        assert await stocks.release(unit, "TEST", 1) == 1
    assert await mall.stock(sku_id) == (10, 0, 0)
    async with mall.unchanged(), mall.unit() as unit:
        assert await stocks.release(unit, "TEST", 1) == 0
        assert await stocks.allocate(unit, "TEST", 1) == 0
    (row,) = await mall.rows(StockReservationRow, sku_id=sku_id)
    assert row.status == "RELEASED"


async def test_an_older_count_is_ignored(mall: Mall) -> None:
    sku_id = (await mall.product(stock=10)).sku_id
    async with mall.unit() as unit:
        assert await stocks.sync(unit, sku_id, 25, 3)
    async with mall.unchanged(), mall.unit() as unit:
        assert not await stocks.sync(unit, sku_id, 1, 2)
        assert not await stocks.sync(unit, sku_id, 1, 3)
    assert await mall.stock(sku_id) == (25, 0, 0)


async def test_a_count_below_the_promises_stops_sales_until_units_come_back(mall: Mall) -> None:
    sku_id = (await mall.product(stock=10)).sku_id
    await reserve(mall, 1, {sku_id: 6})
    await reserve(mall, 2, {sku_id: 2})
    async with mall.unit() as unit:
        await stocks.sync(unit, sku_id, 5, 2)
    (row,) = await mall.rows(StockRow, sku_id=sku_id)
    assert (row.on_hand, row.reserved, row.shortfall) == (8, 8, 3)
    with pytest.raises(OutOfStock):
        await reserve(mall, 3, {sku_id: 1})
    async with mall.unit() as unit:
        await stocks.release(unit, "TEST", 2)
    (row,) = await mall.rows(StockRow, sku_id=sku_id)
    assert (row.on_hand, row.reserved, row.shortfall) == (6, 6, 1)
    async with mall.unit() as unit:
        await stocks.release(unit, "TEST", 1)
    (row,) = await mall.rows(StockRow, sku_id=sku_id)
    assert (row.on_hand, row.reserved, row.shortfall) == (5, 0, 0)
    deltas = [one.delta for one in await mall.rows(StockMovementRow, sku_id=sku_id)]
    assert sum(deltas) == 5


async def told(mall: Mall) -> list[list[int]]:
    """The SKUs of every event about stock."""
    return [row.payload["sku_ids"] for row in await mall.rows(OutboxRow, topic=STOCK)]


async def test_a_unit_tells_once_of_all_skus_whose_free_units_change(any_mall: Mall) -> None:
    mall = any_mall
    shopper = await mall.consumer()
    first, second = (await mall.product(stock=9, skus=2)).sku_ids
    other = (await mall.product(stock=9)).sku_id
    before = len(await told(mall))
    for sku_id in (first, second, other):
        await mall.add(shopper, sku_id)
    assert len(await told(mall)) == before
    trade = await mall.place(shopper)
    assert [sorted(one) for one in (await told(mall))[before:]] == [[first, second, other]]
    async with mall.unit() as unit:
        await orders_cancel.cancel_trade(unit, shopper, trade_id=trade)
    assert [sorted(one) for one in (await told(mall))[before + 1 :]] == [[first, second, other]]


async def test_units_that_were_not_free_already_are_not_told_of_again(mall: Mall) -> None:
    product = await mall.product(stock=9)
    trade = await mall.order(await mall.consumer(), product.sku_id)
    before = await told(mall)
    (order,) = await mall.rows(OrderRow, trade_id=trade)
    async with mall.unit() as unit:
        await stocks.allocate(unit, stocks.ORDER, order.id)
        await stocks.ship(unit, 7, {product.sku_id: 1})
        assert await stocks.sync(unit, product.sku_id, 8, 2)
    assert await told(mall) == before
    async with mall.unit() as unit:
        assert await stocks.sync(unit, product.sku_id, 20, 3)
        assert await stocks.sync(unit, product.sku_id, 5, 4)
    assert await told(mall) == [*before, [product.sku_id]]


async def test_what_is_told_costs_a_checkout_one_insert(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    await mall.add(shopper, product.sku_id)
    before = len(await mall.rows(OutboxRow))
    trade = await mall.place(shopper)
    placed = await mall.rows(OutboxRow)
    assert [one.kind for one in placed[before:]] == ["OrderMoved", "StockChanged"]
    await mall.pay(shopper, trade)
    paid = await mall.rows(OutboxRow)
    assert [one.kind for one in paid[len(placed) :]] == ["OrderMoved", "SupplierOrderMoved"]
