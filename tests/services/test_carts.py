"""Carts: what lies in them, what it costs now, and what has changed."""

import random
from asyncio import gather

import pytest

from app.auth import Viewer
from app.errors import (
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutOfStock,
    SkuUnavailable,
    Unauthenticated,
)
from app.services import carts, carts_pricing
from app.services.carts_pricing import CartProblem, PricedCart
from app.tables.accounts import AddressRow
from app.tables.carts import CartLineRow, CartRow
from app.tables.live_rooms import LiveRoomRow
from app.tables.products import ProductRow, SkuRow
from app.tables.suppliers import SupplierRow
from tests.factories import FAR, Mall

GUEST = Viewer(guest_key="guest-1")


async def priced(mall: Mall, viewer: Viewer, **more) -> PricedCart:
    async with mall.database.read() as db:
        cart = await carts.current(db, viewer)
        assert cart is not None
        return await carts.priced(db, viewer, cart.id, **more)


async def line_of(mall: Mall, sku_id: int) -> int:
    (line,) = await mall.rows(CartLineRow, sku_id=sku_id)
    return line.id


async def test_adding_at_once_adds_up_in_one_line(any_mall: Mall) -> None:
    mall = any_mall
    product, shopper = await mall.product(stock=50), await mall.consumer()
    await gather(*(mall.add(shopper, product.sku_id, 2) for _ in range(10)))
    (line,) = await mall.rows(CartLineRow)
    assert line.quantity == 20


async def test_a_change_in_one_hop_puts_and_prices_what_a_unit_does(any_mall: Mall) -> None:
    mall = any_mall
    product, limited = await mall.product(skus=2), await mall.product(customer_limit=2)
    by_unit, by_change = await mall.consumer(), await mall.consumer()

    async def add(sku_id: int) -> None:
        await mall.add(by_unit, sku_id)
        await mall.database.change(
            lambda unit: carts.add_line(unit, by_change, sku_id=sku_id, quantity=1)
        )

    for sku_id in (*product.sku_ids, limited.sku_id, product.sku_id):
        await add(sku_id)
    (row,) = await mall.rows(CartRow, account_id=by_change.id)
    (priced_by_look,) = await mall.database.look(lambda db: carts.priced_many(db, by_change, [row]))
    kept = await priced(mall, by_unit)
    assert priced_by_look.quote.payable_fen == kept.quote.payable_fen == 4 * 2990 + 2 * 800
    told = [(one.sku_id, one.quantity, one.available, one.options) for one in kept.lines]
    assert [
        (one.sku_id, one.quantity, one.available, one.options) for one in priced_by_look.lines
    ] == told
    assert priced_by_look.groups[0].shipping_fen == kept.groups[0].shipping_fen


@pytest.mark.parametrize("province", ["浙江省", "新疆维吾尔自治区"])
async def test_what_a_cart_is_told_to_cost_is_what_an_order_asks(mall: Mall, province: str) -> None:
    """The amounts of a cart and those that an order splits over its lines are the same ones."""
    shopper, draw = await mall.consumer(), random.Random(20)
    (home,) = await mall.rows(AddressRow, account_id=shopper.account_id)
    await mall.change(AddressRow, home.id, province=province)
    for _ in range(3):
        for price_fen in (draw.randrange(1, 20_000), draw.randrange(1, 400)):
            product = await mall.product(price_fen=price_fen, stock=50)
            await mall.add(shopper, product.sku_id, draw.randrange(1, 6))
            cart = await priced(mall, shopper)
            told = await mall.database.look(
                lambda db, cart=cart: carts_pricing.costs(db, shopper.id, cart.cart_id)
            )
            parcels = {one.supplier_id: one for one in cart.quote.parcels}
            assert told.groups == cart.groups
            assert [(one.goods_fen, one.shipping_fen) for one in told.groups] == [
                (parcels[one.supplier_id].goods_fen, parcels[one.supplier_id].shipping_fen)
                for one in told.groups
            ]
            assert told.goods_fen == cart.quote.goods_fen
            assert told.shipping_fen == cart.quote.shipping_fen
            assert told.payable_fen == cart.quote.payable_fen == cart.payable_fen


async def test_putting_units_into_a_cart_takes_three_statements(mall: Mall) -> None:
    product, limited = await mall.product(), await mall.product(customer_limit=9)
    shopper = await mall.consumer()
    kinds: list[str] = []
    stop = mall.database.watch(lambda statement: kinds.append(statement.split()[0]))

    async def add(sku_id: int) -> list[str]:
        kinds.clear()
        await mall.database.change(
            lambda unit: carts.add_line(unit, shopper, sku_id=sku_id, quantity=1)
        )
        return list(kinds)

    for _ in range(2):
        assert await add(product.sku_id) == ["SELECT", "INSERT", "INSERT"]
    assert await add(limited.sku_id) == ["SELECT", "INSERT", "INSERT", "SELECT", "SELECT"]
    stop()


async def test_a_carts_version_counts_its_changes(mall: Mall) -> None:
    product, shopper = await mall.product(), await mall.consumer()
    cart_id = await mall.add(shopper, product.sku_id)
    assert (await mall.row(CartRow, cart_id)).version == 1
    assert await mall.add(shopper, product.sku_id) == cart_id
    mall.clock.advance(minutes=1)
    line_id = await line_of(mall, product.sku_id)
    await mall.database.change(lambda unit: carts.remove_line(unit, shopper, line_id=line_id))
    row = await mall.row(CartRow, cart_id)
    assert (row.version, row.updated_at) == (3, mall.clock())


async def test_a_cart_is_told_per_supplier(mall: Mall) -> None:
    shopper = await mall.consumer()
    near = await mall.product(price_fen=3000)
    dear = await mall.product(price_fen=9900)
    await mall.add(shopper, near.sku_id, 2)
    await mall.add(shopper, dear.sku_id)
    cart = await priced(mall, shopper)
    assert [(one.supplier_id, one.goods_fen, one.shipping_fen) for one in cart.groups] == [
        (near.supplier_id, 6000, 800),
        (dear.supplier_id, 9900, 0),
    ]
    assert (cart.goods_fen, cart.shipping_fen, cart.payable_fen) == (15_900, 800, 16_700)
    assert cart.problems == ()


async def test_shipping_knows_the_province(mall: Mall) -> None:
    shopper = await mall.consumer()
    await mall.add(shopper, (await mall.product()).sku_id)
    assert (await priced(mall, shopper, province=FAR.province)).shipping_fen == 1800


async def test_only_selected_lines_cost(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=3000)
    await mall.add(shopper, product.sku_id)
    async with mall.unit() as unit:
        line_id = await line_of(mall, product.sku_id)
        await carts.update_line(unit, shopper, line_id=line_id, is_selected=False)
    cart = await priced(mall, shopper)
    assert (cart.payable_fen, len(cart.lines), cart.selected) == (0, 1, ())


async def test_every_change_since_adding_is_told(mall: Mall) -> None:
    shopper = await mall.consumer()
    dearer, gone, short = [await mall.product(price_fen=3000) for _ in range(3)]
    for one in (dearer, gone, short):
        await mall.add(shopper, one.sku_id, 3)
    await mall.change(SkuRow, dearer.sku_id, price_fen=3500)
    await mall.change(ProductRow, gone.id, status="DELISTED")
    await mall.order(await mall.consumer(), short.sku_id, 8)
    cart = await priced(mall, shopper)
    assert cart.problems == (
        CartProblem(
            "PRICE_CHANGED",
            await line_of(mall, dearer.sku_id),
            {"before_fen": 3000, "price_fen": 3500},
        ),
        CartProblem("SKU_UNAVAILABLE", await line_of(mall, gone.sku_id)),
        CartProblem("STOCK_SHORT", await line_of(mall, short.sku_id), {"available": 2}),
    )
    assert cart.goods_fen == 3 * 3500 + 3 * 3000  # what is gone costs nothing


async def test_units_bought_before_count_towards_the_limit(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(skus=2, customer_limit=3)
    first, second = product.sku_ids
    await mall.bought(shopper, first, 2)
    await mall.add(shopper, second)
    async with mall.unchanged():
        with pytest.raises(LimitExceeded) as refusal:
            await mall.add(shopper, first)
    assert refusal.value.data == {"limit": 1}


async def test_a_lowered_limit_is_a_problem_of_every_line_of_the_product(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(skus=2)
    for sku_id in product.sku_ids:
        await mall.add(shopper, sku_id, 2)
    await mall.change(ProductRow, product.id, customer_limit=3)
    problems = (await priced(mall, shopper)).problems
    assert [(one.kind, one.data) for one in problems] == [("LIMIT_EXCEEDED", {"limit": 3})] * 2


async def test_a_live_price_ends_with_the_room(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=3000)
    room_id = await mall.live_room({product.sku_id: 1500})
    await mall.add(shopper, product.sku_id, live_room_id=room_id)
    assert (await priced(mall, shopper)).goods_fen == 1500
    await mall.change(LiveRoomRow, room_id, status="ENDED")
    cart = await priced(mall, shopper)
    assert cart.goods_fen == 3000
    assert cart.lines[0].live_room_id is None
    assert [one.data for one in cart.problems] == [{"before_fen": 1500, "price_fen": 3000}]
    async with mall.database.read() as db:
        assert await carts.unit_prices(db, shopper, await mall.rows(CartLineRow)) == [3000]


async def test_a_room_that_is_over_gives_no_price(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(price_fen=3000)
    room_id = await mall.live_room({product.sku_id: 1500}, status="ENDED")
    await mall.add(shopper, product.sku_id, live_room_id=room_id)
    (line,) = await mall.rows(CartLineRow)
    assert (line.live_room_id, line.price_when_added_fen) == (None, 3000)


async def test_a_room_that_does_not_show_the_sku_is_not_found(mall: Mall) -> None:
    shown, other = await mall.product(), await mall.product()
    room_id, shopper = await mall.live_room({shown.sku_id: 1500}), await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await mall.add(shopper, other.sku_id, live_room_id=room_id)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (SkuRow, {"status": "DELISTED"}),
        (ProductRow, {"status": "DELISTED"}),
        (SupplierRow, {"status": "SUSPENDED"}),
    ],
)
async def test_what_is_not_on_sale_cannot_be_added(mall: Mall, kind, change) -> None:
    shopper, product = await mall.consumer(), await mall.product()
    keys = {SkuRow: product.sku_id, ProductRow: product.id, SupplierRow: product.supplier_id}
    await mall.change(kind, keys[kind], **change)
    async with mall.unchanged():
        with pytest.raises(SkuUnavailable):
            await mall.add(shopper, product.sku_id)


@pytest.mark.parametrize(
    ("quantity", "refusal"), [(0, InvalidInput), (-3, InvalidInput), (1000, LimitExceeded)]
)
async def test_a_quantity_out_of_range_is_refused(mall: Mall, quantity: int, refusal) -> None:
    shopper, product = await mall.consumer(), await mall.product(stock=5000)
    async with mall.unchanged():
        with pytest.raises(refusal):
            await mall.add(shopper, product.sku_id, quantity)


async def test_more_than_the_stock_cannot_be_added(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(stock=3)
    await mall.add(shopper, product.sku_id, 2)
    async with mall.unchanged():
        with pytest.raises(OutOfStock) as refusal:
            await mall.add(shopper, product.sku_id, 2)
    assert refusal.value.data == {"sku_id": product.sku_id, "available": 3}


async def test_an_unknown_sku_is_not_found(mall: Mall) -> None:
    shopper = await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await mall.add(shopper, 404)


async def test_a_guest_needs_a_key(mall: Mall) -> None:
    product = await mall.product()
    async with mall.unchanged():
        with pytest.raises(Unauthenticated):
            await mall.add(Viewer(), product.sku_id)


async def test_a_line_changes_and_goes(mall: Mall) -> None:
    product = await mall.product()
    await mall.add(GUEST, product.sku_id, 2)
    line_id = await line_of(mall, product.sku_id)
    async with mall.unit() as unit:
        await carts.update_line(unit, GUEST, line_id=line_id, quantity=5)
    assert (await priced(mall, GUEST)).lines[0].quantity == 5
    async with mall.unit() as unit:
        await carts.remove_line(unit, GUEST, line_id=line_id)
    assert (await priced(mall, GUEST)).lines == ()


async def test_raising_a_line_beyond_the_stock_is_refused(mall: Mall) -> None:
    shopper, product = await mall.consumer(), await mall.product(stock=3)
    await mall.add(shopper, product.sku_id, 2)
    line_id = await line_of(mall, product.sku_id)
    async with mall.unchanged():
        with pytest.raises(OutOfStock):
            async with mall.unit() as unit:
                await carts.update_line(unit, shopper, line_id=line_id, quantity=4)


async def test_somebody_elses_cart_is_not_there(mall: Mall) -> None:
    owner, product = await mall.consumer(), await mall.product()
    cart_id = await mall.add(owner, product.sku_id)
    line_id = await line_of(mall, product.sku_id)
    for stranger in (await mall.consumer(), GUEST, Viewer(), await mall.staff()):
        async with mall.unchanged():
            with pytest.raises(NotFound):
                async with mall.unit() as unit:
                    await carts.update_line(unit, stranger, line_id=line_id, quantity=1)
            with pytest.raises(NotFound):
                async with mall.unit() as unit:
                    await carts.remove_line(unit, stranger, line_id=line_id)
        async with mall.database.read() as db:
            with pytest.raises(NotFound):
                await carts.priced(db, stranger, cart_id)
