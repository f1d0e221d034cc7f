"""Suppliers as clients see them."""

from enum import StrEnum

import strawberry

from app.services import suppliers
from schema.common import Money
from schema.fields import Entity, column, computed, entity, key


@strawberry.enum(description="供应商状态。State of a supplier.")
class SupplierStatus(StrEnum):
    APPLIED = "APPLIED"
    APPROVED = "APPROVED"
    SUSPENDED = "SUSPENDED"


@entity(
    "供应商：货权、发货与售后的主体。Owns the goods and ships them.",
    visible_to=suppliers.visible_to,
    cacheable=True,
)
class Supplier(Entity):
    id: strawberry.ID = key()
    name: str = column("名称。Name.")
    status: SupplierStatus = computed("status", by=SupplierStatus, description="状态。State.")
    category: str = column("主营类目。Main category.")
    rating_bp: int = column("评分，万分比（10000 = 五星）。Rating in basis points of five stars.")
    ship_from: str = column("发货地。Where parcels leave from.")
    shipping: Money = computed(
        "shipping_fen", by=Money.of, description="运费。Shipping fee of an order."
    )
    free_shipping_from: Money | None = computed(
        "free_shipping_from_fen",
        by=Money.maybe,
        description="满额包邮。Free shipping from here on.",
    )
    remote_surcharge: Money = computed(
        "remote_surcharge_fen",
        by=Money.of,
        description="偏远附加费。Surcharge for remote provinces.",
    )
