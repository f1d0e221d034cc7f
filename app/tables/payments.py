"""Payment attempts, what providers told us, and refunds."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from app.tables.columns import fen, instant, key, ref

PRIMARY_SUCCESS = text("status = 'SUCCEEDED' AND role = 'PRIMARY'")


class PaymentRow(SQLModel, table=True):
    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("provider", "provider_no"),
        UniqueConstraint("trade_id", "attempt_no"),
        CheckConstraint("amount_fen > 0", name="amount"),
        Index(
            "uq_payments_primary_success",
            "trade_id",
            unique=True,
            sqlite_where=PRIMARY_SUCCESS,
            postgresql_where=PRIMARY_SUCCESS,
        ),
    )

    id: int = key()
    trade_id: int = ref("trades.id", index=False)
    attempt_no: int
    provider: str
    provider_no: str
    amount_fen: int = fen()
    status: str  # CREATED, SUCCEEDED, FAILED, CLOSED
    role: str = "PRIMARY"  # PRIMARY, DUPLICATE
    created_at: datetime = instant()
    finished_at: datetime | None = instant(default=None, nullable=True)


class PaymentEventRow(SQLModel, table=True):
    __tablename__ = "payment_events"
    __table_args__ = (UniqueConstraint("payment_id", "provider_event_id"),)

    id: int = key()
    payment_id: int = ref("payments.id", index=False)
    provider_event_id: str
    kind: str
    created_at: datetime = instant()


class RefundRow(SQLModel, table=True):
    """Money on its way back; one refund per cause."""

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("reason_kind", "ref_id"),
        CheckConstraint("amount_fen > 0", name="amount"),
        Index("ix_refunds_status_id", "status", "id"),
    )

    id: int = key()
    trade_id: int = ref("trades.id")
    order_id: int | None = ref("orders.id", default=None)
    payment_id: int | None = ref("payments.id", default=None, index=False)
    reason_kind: str  # GROUP_FAILED, LEFT_GROUP, LATE_PAYMENT, DUPLICATE_PAYMENT, AFTERSALE
    ref_id: int
    amount_fen: int = fen()
    status: str  # REQUESTED, PROCESSING, SUCCEEDED, FAILED
    attempts: int = 0
    created_at: datetime = instant()
    finished_at: datetime | None = instant(default=None, nullable=True)
