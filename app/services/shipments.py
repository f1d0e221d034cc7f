"""Shipments: suppliers send parcels, carriers tell where they are."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, insert, select, update

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import InvalidInput, NotFound, ShipmentRefused, WrongState
from app.rules.audit import Action
from app.rules.notifications import Kind
from app.rules.orders import AUTO_RECEIVE_AFTER, Cause, Move, OrderStatus, origins
from app.rules.shipments import CARRIERS, Carrier, ShipmentStatus, status_of
from app.services import audit, notifications, orders, orders_tell, stocks
from app.services.orders import LINES, ORDERS
from app.services.sight import leads_to
from app.tables.columns import table
from app.tables.shipments import ShipmentLineRow, ShipmentRow, TraceEventRow

SHIPMENTS = table(ShipmentRow)
SHIPMENT_LINES = table(ShipmentLineRow)
TRACES = table(TraceEventRow)

MOVED = ShipmentStatus.CREATED, "商家已发货，等待快递揽收"


def visible_to(viewer: Viewer) -> Select[Any]:
    """Whoever sees an order sees its parcels."""
    return select(*SHIPMENTS.c).where(leads_to(SHIPMENTS.c.order_id, orders.visible_to(viewer)))


def lines_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*SHIPMENT_LINES.c).where(
        leads_to(SHIPMENT_LINES.c.shipment_id, visible_to(viewer))
    )


def trace_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*TRACES.c).where(leads_to(TRACES.c.shipment_id, visible_to(viewer)))


async def ship(
    unit: Unit,
    viewer: Viewer,
    *,
    order_id: int,
    carrier_code: str,
    waybill: str,
    lines: Mapping[int, int] | None = None,
) -> int:
    """Sends {order line: units} of the viewer's order, or all that is left; the parcel's id.

    The same carrier and waybill again is the same parcel. Raises NotFound, WrongState,
    ShipmentRefused for more than is left, InvalidInput for an unknown carrier or waybill.
    """
    viewer.must_be(Role.SUPPLIER)
    carrier = _carrier(carrier_code, waybill)
    order = await _locked_order(unit, viewer, order_id)
    known = await _known(unit, order_id, carrier_code, waybill)
    if known is not None:
        return known
    if order.status not in origins(Move.SHIPPED):
        raise WrongState("Order", order.status)
    left = await _left(unit, order_id)
    chosen = lines if lines is not None else {key: units for key, (_, units) in left.items()}
    _check_chosen(chosen, left)
    shipment_id = await _insert(unit, order, carrier, waybill)
    units_by_sku: dict[int, int] = {}
    for line_id, units in sorted(chosen.items()):
        if units == 0:
            continue
        await _ship_line(unit, shipment_id, line_id, units)
        sku_id = left[line_id][0]
        units_by_sku[sku_id] = units_by_sku.get(sku_id, 0) + units
    await stocks.ship(unit, shipment_id, units_by_sku)
    await _move_order(unit, viewer, order, is_last=_is_last(chosen, left))
    facts = {
        "no": order.no,
        "carrier": carrier.name,
        "carrier_code": carrier.code,
        "waybill": waybill,
    }
    await notifications.note(unit, order.buyer_id, Kind.ORDER_SHIPPED, facts, ("Order", order_id))
    detail = f"{carrier.code} {waybill}"
    await audit.note(unit, viewer, Action.SHIP_ORDER, ("Order", order_id), detail=detail)
    return shipment_id


async def trace(
    unit: Unit, *, shipment_id: int, happened_at: datetime, code: str, text: str
) -> bool:
    """Takes over one node of a carrier's trace; False for one that is known.

    The parcel's state is told by all nodes together, so one that comes late moves nothing back.
    """
    if code not in set(ShipmentStatus):
        raise InvalidInput("code", "物流状态代码未知", "is not a known trace code")
    query = select(*SHIPMENTS.c).where(SHIPMENTS.c.id == shipment_id)
    shipment = await unit.db.first(query.with_for_update(key_share=True))
    if shipment is None:
        raise NotFound("Shipment")
    is_new = await unit.insert_new(
        TRACES, shipment_id=shipment_id, happened_at=happened_at, code=code, text=text
    )
    if is_new is None:
        return False
    nodes = await unit.db.all(
        select(TRACES.c.happened_at, TRACES.c.code).where(TRACES.c.shipment_id == shipment_id)
    )
    status = status_of((node.happened_at, node.code) for node in nodes)
    arrived = [node.happened_at for node in nodes if node.code == ShipmentStatus.DELIVERED]
    await unit.changed(
        update(SHIPMENTS)
        .where(SHIPMENTS.c.id == shipment_id)
        .values(status=status, delivered_at=min(arrived, default=None))
    )
    order = await orders_tell.of_order(unit, shipment.order_id, Cause.PARCEL_MOVED)
    if arrived and shipment.delivered_at is None:
        await _notify_delivered(unit, order)
    return True


async def _notify_delivered(unit: Unit, order: Row[Any]) -> None:
    """Tells the buyer of a parcel, and when the order counts as received if that is to come."""
    kind, facts = Kind.PARCEL_DELIVERED, {"no": order.no}
    if order.status == OrderStatus.SHIPPED and order.auto_receive_at is not None:
        kind, facts["receive_at"] = Kind.ORDER_DELIVERED, order.auto_receive_at.isoformat()
    await notifications.note(unit, order.buyer_id, kind, facts, ("Order", order.id))


def _carrier(code: str, waybill: str) -> Carrier:
    carrier = CARRIERS.get(code)
    if carrier is None:
        raise InvalidInput("carrierCode", "快递公司代码未知", "is not a known carrier")
    if not carrier.accepts(waybill):
        raise InvalidInput("waybill", f"不是{carrier.name}的运单号", "does not fit the carrier")
    return carrier


async def _locked_order(unit: Unit, viewer: Viewer, order_id: int) -> Row[Any]:
    mine = orders.visible_to(viewer).where(
        ORDERS.c.id == order_id, ORDERS.c.supplier_id == viewer.subject_id
    )
    order = await unit.db.first(mine.with_for_update(key_share=True))
    if order is None:
        raise NotFound("Order")
    return order


async def _known(unit: Unit, order_id: int, carrier_code: str, waybill: str) -> int | None:
    found: int | None = await unit.db.value(
        select(SHIPMENTS.c.id).where(
            SHIPMENTS.c.order_id == order_id,
            SHIPMENTS.c.carrier_code == carrier_code,
            SHIPMENTS.c.waybill == waybill,
        )
    )
    return found


async def _left(unit: Unit, order_id: int) -> dict[int, tuple[int, int]]:
    """{order line: (SKU, units not yet shipped)}."""
    rows = await unit.db.all(select(*LINES.c).where(LINES.c.order_id == order_id))
    return {row.id: (row.sku_id, row.quantity - row.shipped_quantity) for row in rows}


def _check_chosen(chosen: Mapping[int, int], left: Mapping[int, tuple[int, int]]) -> None:
    if not chosen.keys() <= left.keys():
        raise NotFound("OrderLine")
    if any(units < 0 for units in chosen.values()) or not any(chosen.values()):
        raise InvalidInput("lines", "发货数量须为正", "must name units to ship")


def _is_last(chosen: Mapping[int, int], left: Mapping[int, tuple[int, int]]) -> bool:
    return all(chosen.get(key, 0) == units for key, (_, units) in left.items())


async def _insert(unit: Unit, order: Row[Any], carrier: Carrier, waybill: str) -> int:
    now = unit.clock()
    code, text = MOVED
    shipment_id = await unit.insert(
        insert(SHIPMENTS).values(
            order_id=order.id,
            carrier_code=carrier.code,
            carrier_name=carrier.name,
            waybill=waybill,
            status=code,
            eta=now + timedelta(days=carrier.days),
            created_at=now,
        )
    )
    await unit.insert(
        insert(TRACES).values(shipment_id=shipment_id, happened_at=now, code=code, text=text)
    )
    return shipment_id


async def _ship_line(unit: Unit, shipment_id: int, line_id: int, units: int) -> None:
    shipped = await unit.changed(
        update(LINES)
        .where(LINES.c.id == line_id, LINES.c.shipped_quantity + units <= LINES.c.quantity)
        .values(shipped_quantity=LINES.c.shipped_quantity + units)
    )
    if not shipped:
        raise ShipmentRefused
    await unit.insert(
        insert(SHIPMENT_LINES).values(
            shipment_id=shipment_id, order_line_id=line_id, quantity=units
        )
    )


async def _move_order(unit: Unit, viewer: Viewer, order: Row[Any], *, is_last: bool) -> None:
    now = unit.clock()
    if is_last:
        times = {"shipped_at": now, "auto_receive_at": now + AUTO_RECEIVE_AFTER}
        moved = await orders.move(unit, order, Move.SHIPPED, viewer, **times)
    else:
        moved = await orders.move(unit, order, Move.PART_SHIPPED, viewer)
    if not moved:
        raise WrongState("Order", order.status)
