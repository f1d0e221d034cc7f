"""Parcels as clients see them."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.rules.shipments import ShipmentStatus
from app.services import shipments
from schema.fields import Entity, column, computed, entity, key, many, one
from schema.problems import (
    InvalidInputProblem,
    NotFoundProblem,
    ShipmentRefusedProblem,
    WrongStateProblem,
)
from schema.refs import OrderLineRef, OrderRef, ShipmentLineRef, TraceEventRef

strawberry.enum(ShipmentStatus, description="包裹状态。State of a parcel.")


@entity("物流轨迹节点。A node of a parcel's trace.", visible_to=shipments.trace_visible_to)
class TraceEvent(Entity):
    id: strawberry.ID = key()
    happened_at: datetime = column("时间。When.")
    code: str = column("节点代码。Code of the node.")
    text: str = column("说明。Words for people.")


@entity("包裹中的商品。What lies in a parcel.", visible_to=shipments.lines_visible_to)
class ShipmentLine(Entity):
    id: strawberry.ID = key()
    quantity: int = column("件数。Units.")
    order_line: OrderLineRef | None = one("order_line_id", "OrderLine", "订单行。The order line.")


@entity("包裹。A parcel.", visible_to=shipments.visible_to)
class Shipment(Entity):
    id: strawberry.ID = key()
    carrier_code: str = column("快递公司代码。Code of the carrier.")
    carrier_name: str = column("快递公司。The carrier.")
    waybill: str = column("运单号。Waybill number.")
    status: ShipmentStatus = computed("status", by=ShipmentStatus, description="状态。State.")
    eta: datetime | None = column("预计送达。Expected at.")
    delivered_at: datetime | None = column("签收时间。Delivered at.")
    order: OrderRef | None = one("order_id", "Order", "所属订单。Its order.")
    lines: list[ShipmentLineRef] = many("ShipmentLine", "shipment_id", "商品。Its goods.")
    trace: list[TraceEventRef] = many(
        "TraceEvent",
        "shipment_id",
        "轨迹，新的在前。Trace, newest first.",
        order=("-happened_at", "-id"),
    )


@strawberry.input(description="本包裹中某订单行的件数。Units of an order line in this parcel.")
class ShipOrderLineInput:
    order_line_id: strawberry.ID = strawberry.field(description="订单行。The order line.")
    quantity: int = strawberry.field(description="件数。Units.")


@strawberry.input(description="发货。Ships an order or part of it.")
class ShipOrderInput:
    order_id: strawberry.ID = strawberry.field(description="订单。The order.")
    carrier_code: str = strawberry.field(description="快递公司代码，如 SF。Code of the carrier.")
    waybill: str = strawberry.field(description="运单号。Waybill number.")
    lines: list[ShipOrderLineInput] | None = strawberry.field(
        default=None, description="缺省为全部未发商品。By default all that is left to ship."
    )


ShipOrderResult = Annotated[
    Shipment | NotFoundProblem | InvalidInputProblem | WrongStateProblem | ShipmentRefusedProblem,
    strawberry.union("ShipOrderResult", description="发货结果。The parcel or why not."),
]
