"""The shelf of a room, and what its prices are worth in a cart."""

import pytest

from app.auth import Role, Viewer
from app.errors import InvalidInput, NotFound, RoomNotLive
from app.services import carts, live_rooms, live_rooms_shelf
from app.services.carts_pricing import PricedCart
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.tables.orders import OrderLineRow, OrderRow
from tests.factories import Mall


async def shown(mall: Mall, count: int = 2, status: str = "LIVE") -> tuple[int, Viewer, list[int]]:
    """(room, host, SKUs of 2990 fen that are shown for 2500)."""
    host = await mall.account(Role.DISTRIBUTOR)
    skus = [(await mall.product(price_fen=2990)).sku_id for _ in range(count)]
    prices = dict.fromkeys(skus, 2500)
    room = await mall.live_room(prices, host_id=host.account_id, status=status)
    return room, host, skus


async def keys(mall: Mall, room: int) -> list[int]:
    rows = await mall.rows(LiveProductRow, room_id=room)
    return [row.id for row in sorted(rows, key=lambda row: row.position)]


async def priced(mall: Mall, viewer: Viewer) -> PricedCart:
    async with mall.database.read() as db:
        cart = await carts.current(db, viewer)
        assert cart is not None
        return await carts.priced(db, viewer, cart.id)


async def price(mall: Mall, viewer: Viewer) -> tuple[int, int | None]:
    """(unit price in fen, room) of the one line of a cart."""
    (line,) = (await priced(mall, viewer)).lines
    return line.unit_price_fen, line.live_room_id


async def test_goods_come_and_go_while_the_room_is_on_air(any_mall: Mall) -> None:
    mall = any_mall
    room, host, _ = await shown(mall)
    one, two = await keys(mall, room)
    more = await mall.product(price_fen=2990)
    change = mall.database.change
    three = await change(live_rooms_shelf.add, host, room_id=room, sku_id=more.sku_id)
    await change(live_rooms_shelf.pin, host, room_id=room, live_product_id=one)
    await change(live_rooms_shelf.remove, host, live_product_id=one)
    assert await keys(mall, room) == [two, three]
    await change(live_rooms_shelf.reorder, host, room_id=room, live_product_ids=[three])
    assert await keys(mall, room) == [three, two]
    assert await mall.rows(LiveProductRow, room_id=room, is_pinned=True) == []


async def test_another_rooms_goods_are_not_ordered_here(mall: Mall) -> None:
    room, host, _ = await shown(mall)
    other, _, _ = await shown(mall)
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await mall.database.change(
                live_rooms_shelf.reorder,
                host,
                room_id=room,
                live_product_ids=await keys(mall, other),
            )


async def test_the_shelf_of_a_room_that_is_over_is_closed(mall: Mall) -> None:
    room, host, skus = await shown(mall, status="ENDED")
    (key, _) = await keys(mall, room)
    change = mall.database.change
    async with mall.unchanged():
        with pytest.raises(RoomNotLive):
            await change(live_rooms_shelf.add, host, room_id=room, sku_id=skus[0])
        with pytest.raises(RoomNotLive):
            await change(live_rooms_shelf.remove, host, live_product_id=key)


async def test_a_shelf_holds_a_hundred(mall: Mall) -> None:
    room, host, _ = await shown(mall, count=0)
    product = await mall.product(price_fen=2990, skus=101)
    change = mall.database.change
    for sku_id in product.sku_ids[:100]:
        await change(live_rooms_shelf.add, host, room_id=room, sku_id=sku_id)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await change(live_rooms_shelf.add, host, room_id=room, sku_id=product.sku_ids[100])


async def test_the_price_holds_while_the_room_is_live_and_again_after_a_pause(mall: Mall) -> None:
    room, host, (sku,) = await shown(mall, count=1)
    shopper = await mall.consumer()
    await mall.add(shopper, sku, live_room_id=room)
    change, seen = mall.database.change, [await price(mall, shopper)]
    for move in (live_rooms.pause, live_rooms.start, live_rooms.end):
        await change(move, host, room_id=room)
        seen.append(await price(mall, shopper))
    assert seen == [(2500, room), (2990, None), (2500, room), (2990, None)]


async def test_goods_off_the_shelf_cost_what_the_shop_asks(mall: Mall) -> None:
    room, host, (sku,) = await shown(mall, count=1)
    shopper = await mall.consumer()
    await mall.add(shopper, sku, live_room_id=room)
    (key,) = await keys(mall, room)
    await mall.database.change(live_rooms_shelf.remove, host, live_product_id=key)
    assert await price(mall, shopper) == (2990, None)
    (problem,) = (await priced(mall, shopper)).problems
    assert (problem.kind, problem.data) == (
        "PRICE_CHANGED",
        {"before_fen": 2500, "price_fen": 2990},
    )
    await mall.place(shopper)
    (line,) = await mall.rows(OrderLineRow)
    assert (line.unit_price_fen, line.live_room_id) == (2990, None)


async def test_the_last_room_of_a_line_is_the_one_that_counts(mall: Mall) -> None:
    room, _, (sku,) = await shown(mall, count=1)
    other = await mall.live_room({sku: 2400})
    shopper = await mall.consumer()
    await mall.add(shopper, sku, live_room_id=room)
    await mall.add(shopper, sku, live_room_id=other)
    assert await price(mall, shopper) == (2400, other)
    await mall.place(shopper)
    (line,), (order,) = await mall.rows(OrderLineRow), await mall.rows(OrderRow)
    assert (line.live_room_id, order.live_room_id, line.quantity) == (other, other, 2)


async def test_a_line_of_a_room_that_is_over_is_nobodys_sale(mall: Mall) -> None:
    room, host, (sku,) = await shown(mall, count=1)
    shopper = await mall.consumer()
    await mall.add(shopper, sku, live_room_id=room)
    await mall.database.change(live_rooms.end, host, room_id=room)
    await mall.place(shopper)
    (line,) = await mall.rows(OrderLineRow)
    assert (line.unit_price_fen, line.live_room_id) == (2990, None)
    assert (await mall.row(LiveRoomRow, room)).status == "ENDED"
