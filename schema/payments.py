"""Payments and refunds as clients see them."""

from datetime import datetime
from enum import StrEnum

import strawberry

from app.services import payments
from schema.common import Money
from schema.fields import Entity, column, computed, entity, key


@strawberry.enum(description="支付状态。State of a payment attempt.")
class PaymentStatus(StrEnum):
    CREATED = "CREATED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CLOSED = "CLOSED"


@strawberry.enum(description="退款状态。State of a refund.")
class RefundStatus(StrEnum):
    REQUESTED = "REQUESTED"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@strawberry.enum(description="退款原因。Cause of a refund.")
class RefundReason(StrEnum):
    GROUP_FAILED = "GROUP_FAILED"
    LEFT_GROUP = "LEFT_GROUP"
    LATE_PAYMENT = "LATE_PAYMENT"
    DUPLICATE_PAYMENT = "DUPLICATE_PAYMENT"
    AFTERSALE = "AFTERSALE"


@entity("一次支付尝试。A payment attempt.", visible_to=payments.visible_to)
class Payment(Entity):
    id: strawberry.ID = key()
    status: PaymentStatus = computed("status", by=PaymentStatus, description="状态。State.")
    amount: Money = computed("amount_fen", by=Money.of, description="金额。Amount.")
    provider: str = column("支付渠道。The provider.")
    created_at: datetime = column("发起时间。Begun at.")


@entity("退款。A refund.", visible_to=payments.refunds_visible_to)
class Refund(Entity):
    id: strawberry.ID = key()
    status: RefundStatus = computed("status", by=RefundStatus, description="状态。State.")
    reason: RefundReason = computed("reason_kind", by=RefundReason, description="原因。Cause.")
    amount: Money = computed("amount_fen", by=Money.of, description="金额。Amount.")
    created_at: datetime = column("发起时间。Requested at.")
    finished_at: datetime | None = column("到账时间。Finished at.")
