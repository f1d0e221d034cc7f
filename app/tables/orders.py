"""Trades (what a shopper pays at once), their orders per supplier, order lines and order events."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.tables.columns import document, fen, instant, key, ref


class TradeRow(SQLModel, table=True):
    __tablename__ = "trades"
    __table_args__ = (
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= paid_fen", name="refunded"),
        CheckConstraint("payable_fen = goods_fen + shipping_fen - discount_fen", name="payable"),
        Index("ix_trades_status_expires_at", "status", "expires_at"),
    )

    id: int = key()
    no: str = Field(unique=True)
    buyer_id: int = ref("accounts.id")
    status: str  # PENDING_PAYMENT, PAID, CANCELLED
    goods_fen: int = fen()
    shipping_fen: int = fen()
    discount_fen: int = fen(default=0)
    payable_fen: int = fen()
    paid_fen: int = fen(default=0)
    refunded_fen: int = fen(default=0)
    expires_at: datetime = instant()
    paid_at: datetime | None = instant(default=None, nullable=True)
    version: int = 0
    created_at: datetime = instant()


class OrderRow(SQLModel, table=True):
    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("trade_id", "supplier_id"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= paid_fen", name="refunded"),
        Index("ix_orders_supplier_id_status_id", "supplier_id", "status", "id"),
        Index("ix_orders_buyer_id_id", "buyer_id", "id"),
        Index("ix_orders_status_auto_receive_at", "status", "auto_receive_at"),
    )

    id: int = key()
    no: str = Field(unique=True)
    trade_id: int = ref("trades.id", index=False)
    supplier_id: int = ref("suppliers.id", index=False)
    distributor_id: int | None = ref("distributors.id", default=None)
    buyer_id: int = ref("accounts.id", index=False)
    # PENDING_PAYMENT, AWAITING_GROUP, AWAITING_SHIPMENT, PARTIALLY_SHIPPED, SHIPPED, COMPLETED,
    # CANCELLED, CLOSED: app/rules/orders.py
    status: str
    group_id: int | None = ref("group_buy_groups.id", default=None)
    live_room_id: int | None = ref("live_rooms.id", default=None, index=False)
    goods_fen: int = fen()
    shipping_fen: int = fen()
    discount_fen: int = fen(default=0)
    payable_fen: int = fen()
    paid_fen: int = fen(default=0)
    refunded_fen: int = fen(default=0)
    receiver: dict[str, Any] = (
        document()
    )  # name, phone, province, city, street as given at checkout
    paid_at: datetime | None = instant(default=None, nullable=True)
    shipped_at: datetime | None = instant(default=None, nullable=True)
    completed_at: datetime | None = instant(default=None, nullable=True)
    cancelled_at: datetime | None = instant(default=None, nullable=True)
    cancel_reason: str | None = None
    auto_receive_at: datetime | None = instant(default=None, nullable=True)
    version: int = 0
    created_at: datetime = instant()


class OrderLineRow(SQLModel, table=True):
    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= paid_fen", name="refunded"),
        CheckConstraint("shipped_quantity >= 0 AND shipped_quantity <= quantity", name="shipped"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    id: int = key()
    order_id: int = ref("orders.id")
    sku_id: int = ref("skus.id")
    product_id: int = ref("products.id")
    live_room_id: int | None = ref("live_rooms.id", default=None)  # whose price was paid
    title: str
    options: dict[str, str] = document()
    quantity: int
    unit_price_fen: int = fen()
    supply_price_fen: int = fen()
    discount_fen: int = fen(default=0)
    shipping_fen: int = fen(default=0)
    payable_fen: int = fen()  # quantity * unit price + shipping share - discount share
    paid_fen: int = fen(default=0)
    refunded_fen: int = fen(default=0)
    shipped_quantity: int = 0


class OrderEventRow(SQLModel, table=True):
    """One move of an order's state machine and who made it."""

    __tablename__ = "order_events"

    id: int = key()
    order_id: int = ref("orders.id")
    actor_role: str
    actor_id: int | None = None
    kind: str
    from_status: str | None = None
    to_status: str
    created_at: datetime = instant()
