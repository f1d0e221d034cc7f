"""Parcels, what lies in them, and their trace."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import SQLModel

from app.tables.columns import instant, key, ref


class ShipmentRow(SQLModel, table=True):
    __tablename__ = "shipments"
    __table_args__ = (UniqueConstraint("carrier_code", "waybill", "order_id"),)

    id: int = key()
    order_id: int = ref("orders.id")
    carrier_code: str
    carrier_name: str
    waybill: str
    status: str  # CREATED, PICKED_UP, IN_TRANSIT, OUT_FOR_DELIVERY, DELIVERED, EXCEPTION, RETURNED
    eta: datetime | None = instant(default=None, nullable=True)
    delivered_at: datetime | None = instant(default=None, nullable=True)
    created_at: datetime = instant()


class ShipmentLineRow(SQLModel, table=True):
    __tablename__ = "shipment_lines"
    __table_args__ = (
        UniqueConstraint("shipment_id", "order_line_id"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    id: int = key()
    shipment_id: int = ref("shipments.id", index=False)
    order_line_id: int = ref("order_lines.id")
    quantity: int


class TraceEventRow(SQLModel, table=True):
    __tablename__ = "trace_events"
    __table_args__ = (UniqueConstraint("shipment_id", "happened_at", "code"),)

    id: int = key()
    shipment_id: int = ref("shipments.id", index=False)
    happened_at: datetime = instant()
    code: str
    text: str
