"""Shipping through the schema: the supplier's verb, and nobody else's."""

import pytest

from app.auth import Role, Viewer
from app.tables.orders import OrderLineRow, OrderRow
from tests.factories import Mall, Product
from tests.resolvers.conftest import BAD_IDS, Api, gid

SHIP = """mutation($input: ShipOrderInput!) { shipOrder(input: $input) {
  ... on Shipment { id carrierName waybill status lines { quantity orderLine { id title } }
    trace { code text } order { status availableActions } }
  ... on Problem { code } ... on InvalidInputProblem { field }
  ... on WrongStateProblem { state } } }"""
WAYBILL = "SF1234567890123"


async def sold(mall: Mall, quantity: int = 1) -> tuple[Viewer, Product, str]:
    """(buyer, product, order): paid and waiting for its parcel."""
    buyer, product = await mall.consumer(), await mall.product()
    await mall.bought(buyer, product.sku_id, quantity)
    (order,) = await mall.rows(OrderRow)
    return buyer, product, gid("Order", order.id)


def parcel(order: str, **more: object) -> dict[str, object]:
    return {"orderId": order, "carrierCode": "SF", "waybill": WAYBILL, **more}


async def test_the_supplier_ships_and_the_buyer_sees_the_parcel(api: Api, mall: Mall) -> None:
    buyer, product, order = await sold(mall, 2)
    supplier = await mall.supplier_viewer(product.supplier_id)
    made = await api.ask(SHIP, supplier, input=parcel(order))
    assert (made["waybill"], made["status"], made["carrierName"]) == (
        WAYBILL,
        "CREATED",
        "顺丰速运",
    )
    assert [line["quantity"] for line in made["lines"]] == [2]
    assert [node["code"] for node in made["trace"]] == ["CREATED"]
    assert made["order"]["status"] == "SHIPPED"
    query = "query($id: ID!) { order(id: $id) { status shipments { waybill } availableActions } }"
    assert await api.ask(query, buyer, id=order) == {
        "status": "SHIPPED",
        "shipments": [{"waybill": WAYBILL}],
        "availableActions": ["CONFIRM"],
    }


async def test_part_of_an_order_can_leave_first(api: Api, mall: Mall) -> None:
    _, product, order = await sold(mall, 3)
    (line,) = await mall.rows(OrderLineRow)
    supplier = await mall.supplier_viewer(product.supplier_id)
    part = [{"orderLineId": gid("OrderLine", line.id), "quantity": 2}]
    made = await api.ask(SHIP, supplier, input=parcel(order, lines=part))
    assert made["order"]["status"] == "PARTIALLY_SHIPPED"
    rest = parcel(order, waybill="SF1234567890124")
    made = await api.ask(SHIP, supplier, input=rest)
    assert [line["quantity"] for line in made["lines"]] == [1]
    assert made["order"]["status"] == "SHIPPED"


async def test_more_than_is_left_is_refused(api: Api, mall: Mall) -> None:
    _, product, order = await sold(mall, 2)
    (line,) = await mall.rows(OrderLineRow)
    supplier = await mall.supplier_viewer(product.supplier_id)
    lines = [{"orderLineId": gid("OrderLine", line.id), "quantity": 3}]
    problem = await api.problem(SHIP, supplier, input=parcel(order, lines=lines))
    assert problem == {"code": "SHIPMENT_REFUSED"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"carrierCode": "PIGEON"}, "carrierCode"),
        ({"waybill": "!"}, "waybill"),
        ({"waybill": ""}, "waybill"),
        ({"lines": []}, "lines"),
    ],
)
async def test_a_parcel_that_cannot_be_is_refused(
    api: Api, mall: Mall, change: dict[str, object], field: str
) -> None:
    _, product, order = await sold(mall)
    supplier = await mall.supplier_viewer(product.supplier_id)
    problem = await api.problem(SHIP, supplier, input=parcel(order) | change)
    assert problem == {"code": "INVALID_INPUT", "field": field}


async def test_an_order_is_shipped_once(api: Api, mall: Mall) -> None:
    _, product, order = await sold(mall)
    supplier = await mall.supplier_viewer(product.supplier_id)
    first = await api.ask(SHIP, supplier, input=parcel(order))
    async with mall.unchanged():
        assert (await api.ask(SHIP, supplier, input=parcel(order)))["id"] == first["id"]
    again = parcel(order, waybill="SF1234567890124")
    problem = await api.problem(SHIP, supplier, input=again)
    assert problem == {"code": "WRONG_STATE", "state": "SHIPPED"}


async def test_another_suppliers_order_is_not_there(api: Api, mall: Mall) -> None:
    _, _, order = await sold(mall)
    other = await mall.supplier_viewer(await mall.supplier())
    assert await api.problem(SHIP, other, input=parcel(order)) == {"code": "NOT_FOUND"}


async def test_an_unpaid_order_is_not_there_for_its_supplier(api: Api, mall: Mall) -> None:
    product = await mall.product()
    await mall.order(await mall.consumer(), product.sku_id)
    (order,) = await mall.rows(OrderRow)
    supplier = await mall.supplier_viewer(product.supplier_id)
    problem = await api.problem(SHIP, supplier, input=parcel(gid("Order", order.id)))
    assert problem == {"code": "NOT_FOUND"}


async def test_an_id_of_no_order_or_line_is_not_found(api: Api, mall: Mall) -> None:
    _, product, order = await sold(mall)
    supplier = await mall.supplier_viewer(product.supplier_id)
    for wrong in (*BAD_IDS, gid("Order", 999), gid("OrderLine", 999)):
        assert await api.problem(SHIP, supplier, input=parcel(wrong)) == {"code": "NOT_FOUND"}
        lines = [{"orderLineId": wrong, "quantity": 1}]
        problem = await api.problem(SHIP, supplier, input=parcel(order, lines=lines))
        assert problem == {"code": "NOT_FOUND"}


async def test_shipping_is_the_suppliers_verb(api: Api, mall: Mall) -> None:
    buyer, _, order = await sold(mall)
    distributor = await mall.account(Role.DISTRIBUTOR, subject_id=1)
    for viewer in (buyer, distributor, await mall.staff()):
        assert await api.code(SHIP, viewer, input=parcel(order)) == "FORBIDDEN"
    assert await api.code(SHIP, input=parcel(order)) == "UNAUTHENTICATED"


async def test_a_foreign_parcel_is_not_there(api: Api, mall: Mall) -> None:
    _, product, order = await sold(mall)
    supplier = await mall.supplier_viewer(product.supplier_id)
    made = await api.ask(SHIP, supplier, input=parcel(order))
    query = "query($id: ID!) { node(id: $id) { id } }"
    for other in (await mall.consumer(), Viewer(), await mall.supplier_viewer(77)):
        assert await api.ask(query, other, id=made["id"]) is None
