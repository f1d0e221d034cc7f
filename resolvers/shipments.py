"""The supplier's verb: shipping an order or part of it."""

from collections import Counter
from typing import Annotated

import strawberry

from app import ids
from app.auth import Role
from app.context import Info
from app.services import shipments
from resolvers.problems import returns_problems
from schema.shipments import ShipOrderInput, ShipOrderResult


@strawberry.type
class ShipmentMutation:
    @strawberry.mutation(description="发货，供应商专用。Ships an order; suppliers only.")
    @returns_problems
    async def ship_order(
        self,
        info: Info,
        input: Annotated[ShipOrderInput, strawberry.argument(description="发货内容。What leaves.")],
    ) -> ShipOrderResult:
        info.context.viewer.must_be(Role.SUPPLIER)
        shipment_id = await info.context.resources.database.change(
            shipments.ship,
            info.context.viewer,
            order_id=ids.key_of("Order", input.order_id),
            carrier_code=input.carrier_code,
            waybill=input.waybill,
            lines=_lines(input),
        )
        return await info.context.load.one("Shipment", shipment_id)


def _lines(given: ShipOrderInput) -> dict[int, int] | None:
    """Units by order line; None for all that is left. A line named twice counts together."""
    if given.lines is None:
        return None
    units: Counter[int] = Counter()
    for one in given.lines:
        units[ids.key_of("OrderLine", one.order_line_id)] += one.quantity
    return dict(units)
