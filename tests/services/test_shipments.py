"""Parcels: what is sent, by whom, and where it is."""

from asyncio import gather
from collections import Counter
from datetime import timedelta

import pytest

from app.auth import Viewer
from app.errors import Forbidden, InvalidInput, NotFound, ShipmentRefused, WrongState
from app.services import orders, shipments
from app.tables.orders import OrderLineRow, OrderRow
from app.tables.shipments import ShipmentLineRow, ShipmentRow, TraceEventRow
from app.workers import expiries
from tests.factories import START, Mall, Product

WAYBILL = "SF1234567890123"


async def paid(mall: Mall, *quantities: int) -> tuple[Viewer, Viewer, Product, int]:
    """(buyer, supplier, product, order) of a paid order with a line per quantity."""
    product, buyer = await mall.product(skus=len(quantities)), await mall.consumer()
    for sku_id, quantity in zip(product.sku_ids, quantities, strict=True):
        await mall.add(buyer, sku_id, quantity)
    await mall.pay(buyer, await mall.place(buyer))
    (order,) = await mall.rows(OrderRow, buyer_id=buyer.id)
    return buyer, await mall.supplier_viewer(product.supplier_id), product, order.id


async def ship(mall: Mall, viewer: Viewer, order_id: int, waybill: str = WAYBILL, **more) -> int:
    async with mall.unit() as unit:
        return await shipments.ship(
            unit, viewer, order_id=order_id, **{"carrier_code": "SF", "waybill": waybill} | more
        )


async def trace(mall: Mall, shipment_id: int, minute: int, code: str) -> bool:
    async with mall.unit() as unit:
        return await shipments.trace(
            unit,
            shipment_id=shipment_id,
            happened_at=START + timedelta(minutes=minute),
            code=code,
            text=code,
        )


async def test_everything_left_goes_in_one_parcel(mall: Mall) -> None:
    _, supplier, product, order_id = await paid(mall, 2, 1)
    shipment_id = await ship(mall, supplier, order_id)
    order = await mall.row(OrderRow, order_id)
    assert (order.status, order.shipped_at) == ("SHIPPED", mall.clock())
    assert order.auto_receive_at == mall.clock() + timedelta(days=10)
    lines = await mall.rows(ShipmentLineRow, shipment_id=shipment_id)
    assert [one.quantity for one in lines] == [2, 1]
    assert [await mall.stock(one) for one in product.sku_ids] == [(8, 0, 0), (9, 0, 0)]
    parcel = await mall.row(ShipmentRow, shipment_id)
    assert (parcel.status, parcel.carrier_name) == ("CREATED", "顺丰速运")
    assert [one.code for one in await mall.rows(TraceEventRow)] == ["CREATED"]


async def test_an_order_leaves_in_parts(mall: Mall) -> None:
    _, supplier, product, order_id = await paid(mall, 3)
    (line,) = await mall.rows(OrderLineRow)
    await ship(mall, supplier, order_id, lines={line.id: 1})
    assert (await mall.row(OrderRow, order_id)).status == "PARTIALLY_SHIPPED"
    assert await mall.stock(product.sku_id) == (9, 2, 0)
    async with mall.unchanged():
        with pytest.raises(ShipmentRefused):
            await ship(mall, supplier, order_id, "SF0000000000001", lines={line.id: 3})
    await ship(mall, supplier, order_id, "SF0000000000001", lines={line.id: 1})
    await ship(mall, supplier, order_id, "SF0000000000002")
    assert (await mall.row(OrderRow, order_id)).status == "SHIPPED"
    assert await mall.stock(product.sku_id) == (7, 0, 0)


async def test_the_same_waybill_again_is_the_same_parcel(mall: Mall) -> None:
    _, supplier, _, order_id = await paid(mall, 2)
    shipment_id = await ship(mall, supplier, order_id)
    async with mall.unchanged():
        assert await ship(mall, supplier, order_id) == shipment_id


async def test_parcels_sent_at_once_hold_no_more_than_was_ordered(any_mall: Mall) -> None:
    mall = any_mall
    _, supplier, product, order_id = await paid(mall, 3)
    (line,) = await mall.rows(OrderLineRow)
    outcomes = await gather(
        *(
            mall.outcome(ship(mall, supplier, order_id, f"SF{number:013d}", lines={line.id: 1}))
            for number in range(8)
        )
    )
    assert Counter(one if isinstance(one, str) else "sent" for one in outcomes) == {
        "sent": 3,
        "WRONG_STATE": 5,
    }
    assert await mall.stock(product.sku_id) == (7, 0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"carrier_code": "XX"},
        {"waybill": "12"},
        {"carrier_code": "ZTO"},
        {"lines": {}},
    ],
)
async def test_a_parcel_that_cannot_be_is_refused(mall: Mall, wrong) -> None:
    _, supplier, _, order_id = await paid(mall, 2)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await ship(mall, supplier, order_id, **wrong)


@pytest.mark.parametrize("units", [0, -1])
async def test_a_parcel_holds_something(mall: Mall, units: int) -> None:
    _, supplier, _, order_id = await paid(mall, 2)
    (line,) = await mall.rows(OrderLineRow)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await ship(mall, supplier, order_id, lines={line.id: units})


async def test_a_line_of_another_order_is_not_found(mall: Mall) -> None:
    _, supplier, _, order_id = await paid(mall, 2)
    await paid(mall, 2)
    other = (await mall.rows(OrderLineRow))[-1]
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await ship(mall, supplier, order_id, lines={other.id: 1})


async def test_only_the_supplier_of_the_order_ships_it(mall: Mall) -> None:
    buyer, _, _, order_id = await paid(mall, 1)
    stranger = await mall.supplier_viewer(await mall.supplier())
    for viewer, refusal in ((buyer, Forbidden), (stranger, NotFound)):
        async with mall.unchanged():
            with pytest.raises(refusal):
                await ship(mall, viewer, order_id)


async def test_an_unpaid_order_is_not_there_to_ship(mall: Mall) -> None:
    product, buyer = await mall.product(), await mall.consumer()
    await mall.order(buyer, product.sku_id)
    supplier = await mall.supplier_viewer(product.supplier_id)
    (order,) = await mall.rows(OrderRow)
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await ship(mall, supplier, order.id)


async def test_a_late_report_never_moves_a_parcel_back(mall: Mall) -> None:
    _, supplier, _, order_id = await paid(mall, 1)
    shipment_id = await ship(mall, supplier, order_id)
    assert await trace(mall, shipment_id, 90, "OUT_FOR_DELIVERY")
    assert await trace(mall, shipment_id, 30, "PICKED_UP")
    assert (await mall.row(ShipmentRow, shipment_id)).status == "OUT_FOR_DELIVERY"
    assert await trace(mall, shipment_id, 99, "DELIVERED")
    parcel = await mall.row(ShipmentRow, shipment_id)
    assert (parcel.status, parcel.delivered_at) == ("DELIVERED", START + timedelta(minutes=99))


async def test_a_node_told_twice_changes_nothing(mall: Mall) -> None:
    _, supplier, _, order_id = await paid(mall, 1)
    shipment_id = await ship(mall, supplier, order_id)
    await trace(mall, shipment_id, 30, "PICKED_UP")
    async with mall.unchanged():
        assert not await trace(mall, shipment_id, 30, "PICKED_UP")


async def test_an_unknown_node_or_parcel_is_refused(mall: Mall) -> None:
    _, supplier, _, order_id = await paid(mall, 1)
    shipment_id = await ship(mall, supplier, order_id)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await trace(mall, shipment_id, 1, "TELEPORTED")
        with pytest.raises(NotFound):
            await trace(mall, 404, 1, "PICKED_UP")


async def test_parcels_are_seen_by_who_sees_the_order(mall: Mall) -> None:
    buyer, supplier, _, order_id = await paid(mall, 1)
    await ship(mall, supplier, order_id)
    stranger = await mall.consumer()
    counts = []
    for viewer in (buyer, supplier, await mall.staff(), stranger, Viewer()):
        async with mall.database.read() as db:
            queries = (
                shipments.visible_to(viewer),
                shipments.lines_visible_to(viewer),
                shipments.trace_visible_to(viewer),
            )
            counts.append([len(await db.all(query)) for query in queries])
    assert counts == [[1, 1, 1]] * 3 + [[0, 0, 0]] * 2


async def test_the_buyer_confirms_what_was_shipped(mall: Mall) -> None:
    buyer, supplier, _, order_id = await paid(mall, 1)
    async with mall.unchanged():
        with pytest.raises(WrongState):
            async with mall.unit() as unit:
                await orders.confirm(unit, buyer, order_id=order_id)
    await ship(mall, supplier, order_id)
    async with mall.unchanged():
        with pytest.raises(NotFound):
            async with mall.unit() as unit:
                await orders.confirm(unit, supplier, order_id=order_id)
    async with mall.unit() as unit:
        await orders.confirm(unit, buyer, order_id=order_id)
    order = await mall.row(OrderRow, order_id)
    assert (order.status, order.completed_at) == ("COMPLETED", mall.clock())
    async with mall.unchanged(), mall.unit() as unit:
        await orders.confirm(unit, buyer, order_id=order_id)


async def test_what_nobody_confirmed_counts_as_received_after_ten_days(mall: Mall) -> None:
    _, supplier, _, order_id = await paid(mall, 1)
    await ship(mall, supplier, order_id)
    mall.clock.advance(days=9, hours=23)
    assert await expiries.once(mall.database) == 0
    mall.clock.advance(hours=1)
    assert await expiries.once(mall.database) == 1
    assert (await mall.row(OrderRow, order_id)).status == "COMPLETED"
