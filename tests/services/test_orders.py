"""Placing, seeing, cancelling and expiring orders."""

from asyncio import gather
from collections import Counter

import pytest

from app.auth import Role, Viewer
from app.errors import (
    CartEmpty,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutOfStock,
    PriceChanged,
    SkuUnavailable,
    Unauthenticated,
    WrongState,
)
from app.rules.orders import Action
from app.services import orders, orders_cancel, orders_place
from app.tables.carts import CartLineRow
from app.tables.orders import OrderEventRow, OrderLineRow, OrderRow, TradeRow
from app.tables.products import ProductRow, SkuRow
from app.tables.suppliers import SupplierRow
from app.workers import expiries
from tests.factories import FAR, HOME, Mall


async def place(mall: Mall, viewer: Viewer, expected_payable_fen: int, **more) -> int:
    values = {"idempotency_key": mall.key(), "address": HOME} | more
    async with mall.unit() as unit:
        return await orders_place.place(
            unit, viewer, expected_payable_fen=expected_payable_fen, **values
        )


async def seen_by(mall: Mall, viewer: Viewer) -> list[int]:
    async with mall.database.read() as db:
        return [row.id for row in await db.all(orders.visible_to(viewer))]


async def test_twenty_shoppers_in_one_hop_each_never_oversell_five_units(any_mall: Mall) -> None:
    mall = any_mall
    product = await mall.product(stock=5)
    shoppers = await mall.shoppers(20)
    for one in shoppers:
        await mall.add(one, product.sku_id)
    outcomes = await gather(
        *(
            mall.outcome(
                mall.database.change(
                    lambda unit, one=one: orders_place.place(
                        unit, one, expected_payable_fen=3790, idempotency_key="once", address=HOME
                    )
                )
            )
            for one in shoppers
        )
    )
    refused = Counter(one for one in outcomes if isinstance(one, str))
    assert refused == {"OUT_OF_STOCK": 15}
    assert len(await mall.rows(TradeRow)) == 5
    assert await mall.stock(product.sku_id) == (5, 0, 5)


async def test_a_trade_splits_per_supplier_with_frozen_shares(mall: Mall) -> None:
    shopper = await mall.consumer()
    near = await mall.product(price_fen=1000, skus=2)
    dear = await mall.product(price_fen=9900)
    await mall.add(shopper, near.sku_ids[0], 2)
    await mall.add(shopper, near.sku_ids[1], 1)
    await mall.add(shopper, dear.sku_id)
    trade_id = await mall.place(shopper)
    trade = await mall.row(TradeRow, trade_id)
    assert (trade.goods_fen, trade.shipping_fen, trade.payable_fen) == (12_900, 800, 13_700)
    made = await mall.rows(OrderRow, trade_id=trade_id)
    assert [(one.supplier_id, one.payable_fen, one.status) for one in made] == [
        (near.supplier_id, 3800, "PENDING_PAYMENT"),
        (dear.supplier_id, 9900, "PENDING_PAYMENT"),
    ]
    lines = await mall.rows(OrderLineRow, order_id=made[0].id)
    assert [(one.quantity, one.shipping_fen, one.payable_fen) for one in lines] == [
        (2, 533, 2533),
        (1, 267, 1267),
    ]
    assert made[0].receiver["province"] == "浙江省"
    assert await mall.stock(near.sku_ids[0]) == (10, 0, 2)
    assert await mall.rows(CartLineRow) == []
    assert [one.kind for one in await mall.rows(OrderEventRow)] == ["PLACED", "PLACED"]


async def test_far_provinces_pay_a_surcharge_per_supplier(mall: Mall) -> None:
    shopper = await mall.consumer()
    await mall.add(shopper, (await mall.product(price_fen=1000)).sku_id)
    await mall.add(shopper, (await mall.product(price_fen=9900)).sku_id)
    trade = await mall.row(TradeRow, await mall.place(shopper, address=FAR))
    assert trade.shipping_fen == 1800 + 1000


async def test_lines_that_are_not_selected_stay_in_the_cart(mall: Mall) -> None:
    shopper = await mall.consumer()
    bought, kept = await mall.product(), await mall.product()
    await mall.add(shopper, bought.sku_id)
    await mall.add(shopper, kept.sku_id)
    (line,) = await mall.rows(CartLineRow, sku_id=kept.sku_id)
    await mall.change(CartLineRow, line.id, is_selected=False)
    await mall.place(shopper)
    assert [one.sku_id for one in await mall.rows(CartLineRow)] == [kept.sku_id]
    assert [one.sku_id for one in await mall.rows(OrderLineRow)] == [bought.sku_id]


async def test_an_order_remembers_what_was_bought(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(title="山野小米 500g")
    await mall.order(shopper, product.sku_id)
    await mall.change(ProductRow, product.id, title="别的")
    (line,) = await mall.rows(OrderLineRow)
    assert line.title == "山野小米 500g"


async def test_a_live_price_is_paid_and_the_room_remembered(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=3000)
    room_id = await mall.live_room({product.sku_id: 1500})
    await mall.add(shopper, product.sku_id, live_room_id=room_id)
    await mall.place(shopper)
    (order,) = await mall.rows(OrderRow)
    assert (order.goods_fen, order.live_room_id) == (1500, room_id)


async def test_the_default_address_is_used_when_none_is_given(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    await place(mall, shopper, 1800, address=None)
    (order,) = await mall.rows(OrderRow)
    assert order.receiver["name"] == HOME.name


async def test_a_changed_price_is_told_before_anything_is_ordered(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    await mall.change(SkuRow, product.sku_id, price_fen=1200)
    async with mall.unchanged():
        with pytest.raises(PriceChanged) as refusal:
            await place(mall, shopper, 1800)
    assert refusal.value.data == {"expected_fen": 1800, "payable_fen": 2000}


async def test_a_refused_key_may_be_used_again(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    with pytest.raises(PriceChanged):
        await place(mall, shopper, 1, idempotency_key="k")
    trade_id = await place(mall, shopper, 1800, idempotency_key="k")
    assert [one.id for one in await mall.rows(TradeRow)] == [trade_id]


async def test_a_repetition_gets_the_same_trade(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    trade_id = await place(mall, shopper, 1800, idempotency_key="k")
    async with mall.unchanged():
        assert await place(mall, shopper, 1800, idempotency_key="k") == trade_id


async def test_a_key_of_another_request_is_refused(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    await place(mall, shopper, 1800, idempotency_key="k")
    async with mall.unchanged():
        with pytest.raises(IdempotencyKeyReused):
            await place(mall, shopper, 1900, idempotency_key="k")


async def test_a_key_is_the_shoppers_own(mall: Mall) -> None:
    product = await mall.product(price_fen=1000)
    trades = set()
    for shopper in await mall.shoppers(2):
        await mall.add(shopper, product.sku_id)
        trades.add(await place(mall, shopper, 1800, idempotency_key="k"))
    assert len(trades) == 2


@pytest.mark.parametrize("key", ["", "x" * 101])
async def test_an_impossible_key_is_refused(mall: Mall, key: str) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await place(mall, shopper, 1800, idempotency_key=key)


async def test_a_double_click_orders_once(any_mall: Mall) -> None:
    mall = any_mall
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    trades = await gather(*(place(mall, shopper, 1800, idempotency_key="k") for _ in range(8)))
    assert len(set(trades)) == 1
    assert await mall.stock(product.sku_id) == (10, 0, 1)


async def test_two_checkouts_of_one_cart_order_it_once(any_mall: Mall) -> None:
    mall = any_mall
    shopper, product = await mall.consumer(), await mall.product(price_fen=1000)
    await mall.add(shopper, product.sku_id)
    outcomes = await gather(
        *(mall.outcome(place(mall, shopper, 1800)) for _ in range(6)),
    )
    assert Counter(one if isinstance(one, str) else "placed" for one in outcomes) == {
        "placed": 1,
        "CART_EMPTY": 5,
    }
    assert await mall.stock(product.sku_id) == (10, 0, 1)


async def test_two_hundred_buyers_order_fifty_units(any_mall: Mall) -> None:
    mall = any_mall
    product, shoppers = await mall.product(stock=50), await mall.shoppers(200)
    for shopper in shoppers:
        await mall.add(shopper, product.sku_id)
    outcomes = await gather(*(mall.outcome(mall.place(one)) for one in shoppers))
    assert Counter(one if isinstance(one, str) else "placed" for one in outcomes) == {
        "placed": 50,
        "OUT_OF_STOCK": 150,
    }
    assert await mall.stock(product.sku_id) == (50, 0, 50)
    assert len(await mall.rows(TradeRow)) == 50


async def test_placing_and_cancelling_the_same_goods_at_once_never_deadlocks(
    any_mall: Mall,
) -> None:
    mall = any_mall
    first, second = await mall.supplier(), await mall.supplier()
    low = await mall.product(stock=500, supplier_id=second)  # suppliers and SKUs count oppositely
    high = await mall.product(stock=500, supplier_id=first)
    leavers, comers = await mall.shoppers(15), await mall.shoppers(15)
    for shopper in leavers + comers:
        await mall.add(shopper, low.sku_id)
        await mall.add(shopper, high.sku_id)
    trades = [await mall.place(shopper) for shopper in leavers]

    async def cancel(shopper: Viewer, trade_id: int) -> None:
        async with mall.unit() as unit:
            await orders_cancel.cancel_trade(unit, shopper, trade_id=trade_id)

    deeds = [cancel(*one) for one in zip(leavers, trades, strict=True)]
    await gather(*deeds, *(mall.place(shopper) for shopper in comers))
    assert await mall.stock(low.sku_id) == await mall.stock(high.sku_id) == (500, 0, 15)


async def test_stock_gone_since_adding_refuses_the_trade(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(stock=3)
    await mall.add(shopper, product.sku_id, 3)
    await mall.order(await mall.consumer(), product.sku_id)
    async with mall.unchanged():
        with pytest.raises(OutOfStock) as refusal:
            await mall.place(shopper)
    assert refusal.value.data == {"sku_id": product.sku_id, "available": 2}


async def test_a_customer_limit_counts_all_orders(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(customer_limit=2)
    await mall.add(shopper, product.sku_id, 2)
    await mall.place(shopper)
    await mall.change(ProductRow, product.id, customer_limit=None)
    await mall.add(shopper, product.sku_id)
    await mall.change(ProductRow, product.id, customer_limit=2)
    async with mall.unchanged():
        with pytest.raises(LimitExceeded) as refusal:
            await mall.place(shopper)
    assert refusal.value.data == {"limit": 0}


async def test_a_cancelled_order_does_not_count_towards_the_limit(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(customer_limit=2)
    trade_id = await mall.order(shopper, product.sku_id, 2)
    async with mall.unit() as unit:
        await orders_cancel.cancel_trade(unit, shopper, trade_id=trade_id)
    await mall.order(shopper, product.sku_id, 2)
    assert await mall.stock(product.sku_id) == (10, 0, 2)


async def test_what_is_no_longer_sold_refuses_the_trade(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    await mall.add(shopper, product.sku_id)
    await mall.change(SupplierRow, product.supplier_id, status="SUSPENDED")
    async with mall.unchanged():
        with pytest.raises(SkuUnavailable):
            await mall.place(shopper)


async def test_an_empty_cart_cannot_be_ordered(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    async with mall.unchanged():
        with pytest.raises(CartEmpty):
            await place(mall, shopper, 0)
    await mall.order(shopper, product.sku_id)
    async with mall.unchanged():
        with pytest.raises(CartEmpty):
            await place(mall, shopper, 0)


async def test_guests_and_suppliers_do_not_order(mall: Mall) -> None:
    supplier = await mall.supplier_viewer(await mall.supplier())
    for viewer, refusal in ((Viewer(guest_key="g"), Unauthenticated), (supplier, Forbidden)):
        async with mall.unchanged():
            with pytest.raises(refusal):
                await place(mall, viewer, 1)


async def test_a_supplier_sees_an_order_once_it_is_paid(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    supplier = await mall.supplier_viewer(product.supplier_id)
    trade_id = await mall.order(shopper, product.sku_id)
    assert await seen_by(mall, supplier) == []
    await mall.pay(shopper, trade_id)
    assert await seen_by(mall, supplier) == [order.id for order in await mall.rows(OrderRow)]


async def test_orders_are_seen_by_their_sides_and_staff_alone(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    trade_id = await mall.bought(shopper, product.sku_id)
    (order,) = await mall.rows(OrderRow)
    other_supplier = await mall.supplier_viewer(await mall.supplier())
    distributor = await mall.account(Role.DISTRIBUTOR, subject_id=1)
    for viewer in (await mall.consumer(), other_supplier, distributor, Viewer(guest_key="g")):
        assert await seen_by(mall, viewer) == []
        async with mall.database.read() as db:
            assert await db.all(orders.lines_visible_to(viewer)) == []
            assert await db.all(orders.events_visible_to(viewer)) == []
            assert await db.all(orders.trades_visible_to(viewer)) == []
    for viewer in (shopper, await mall.supplier_viewer(product.supplier_id), await mall.staff()):
        assert await seen_by(mall, viewer) == [order.id]
    async with mall.database.read() as db:
        assert [row.id for row in await db.all(orders.trades_visible_to(shopper))] == [trade_id]


async def test_actions_are_those_of_the_viewers_side(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    supplier = await mall.supplier_viewer(product.supplier_id)
    trade_id = await mall.order(shopper, product.sku_id)
    (order,) = await mall.rows(OrderRow)
    assert orders.available_actions(order, shopper) == [Action.PAY, Action.CANCEL]
    await mall.pay(shopper, trade_id)
    (order,) = await mall.rows(OrderRow)
    assert orders.available_actions(order, shopper) == []
    assert orders.available_actions(order, supplier) == [Action.SHIP]
    assert orders.available_actions(order, Viewer()) == []


async def test_a_cancelled_trade_frees_its_stock_once(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    trade_id = await mall.order(shopper, product.sku_id, 4)
    async with mall.unit() as unit:
        await orders_cancel.cancel_trade(unit, shopper, trade_id=trade_id)
    (order,) = await mall.rows(OrderRow)
    assert (order.status, order.cancel_reason) == ("CANCELLED", "BUYER")
    assert await mall.stock(product.sku_id) == (10, 0, 0)
    async with mall.unchanged(), mall.unit() as unit:
        await orders_cancel.cancel_trade(unit, shopper, trade_id=trade_id)


async def test_a_paid_trade_is_not_cancelled(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    trade_id = await mall.bought(shopper, product.sku_id)
    async with mall.unchanged():
        with pytest.raises(WrongState) as refusal:
            async with mall.unit() as unit:
                await orders_cancel.cancel_trade(unit, shopper, trade_id=trade_id)
    assert refusal.value.data == {"kind": "Trade", "state": "PAID"}


async def test_nobody_else_cancels_a_trade(mall: Mall) -> None:
    product = await mall.product()
    trade_id = await mall.order(await mall.consumer(), product.sku_id)
    for viewer in (await mall.consumer(), await mall.staff()):
        async with mall.unchanged():
            with pytest.raises(NotFound):
                async with mall.unit() as unit:
                    await orders_cancel.cancel_trade(unit, viewer, trade_id=trade_id)


async def test_an_unpaid_trade_ends_after_half_an_hour(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    trade_id = await mall.order(shopper, product.sku_id, 4)
    mall.clock.advance(minutes=29, seconds=59)
    assert await expiries.once(mall.database) == 0
    mall.clock.advance(seconds=1)
    assert await expiries.once(mall.database) == 1
    assert (await mall.row(TradeRow, trade_id)).status == "CANCELLED"
    assert await mall.stock(product.sku_id) == (10, 0, 0)
    async with mall.unchanged():
        assert await expiries.once(mall.database) == 0


async def test_expiring_and_paying_at_once_has_one_winner(any_mall: Mall) -> None:
    mall = any_mall
    product, shoppers = await mall.product(stock=20), await mall.shoppers(10)
    trades = [await mall.order(one, product.sku_id) for one in shoppers]
    mall.clock.advance(minutes=29, seconds=59)
    paying = [mall.outcome(mall.pay(*one)) for one in zip(shoppers, trades, strict=True)]

    async def expire() -> str:
        mall.clock.advance(seconds=1)
        await expiries.once(mall.database)
        return "expired"

    await gather(*paying[:5], expire(), *paying[5:])
    rows = await mall.rows(OrderRow)
    states = Counter(one.status for one in rows)
    assert states["AWAITING_SHIPMENT"] + states["CANCELLED"] == 10
    assert await mall.stock(product.sku_id) == (20, states["AWAITING_SHIPMENT"], 0)
    assert all((one.paid_fen == one.payable_fen) == (one.status != "CANCELLED") for one in rows)


async def test_sales_are_counted_when_paid(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    trade_id = await mall.order(shopper, product.sku_id, 3)
    assert (await mall.row(ProductRow, product.id)).sold_count == 0
    await mall.pay(shopper, trade_id)
    assert (await mall.row(ProductRow, product.id)).sold_count == 3
