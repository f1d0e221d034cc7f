"""拼团: activities, the groups shoppers open in them, and their members."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.tables.columns import fen, instant, key, ref

SEATED = text("status IN ('HELD', 'JOINED')")
RUNNING = text("status IN ('HELD', 'JOINED', 'SUCCEEDED')")


class GroupBuyActivityRow(SQLModel, table=True):
    __tablename__ = "group_buy_activities"
    __table_args__ = (
        CheckConstraint("size >= 2", name="size"),
        CheckConstraint("starts_at < ends_at", name="period"),
    )

    id: int = key()
    product_id: int = ref("products.id")
    title: str
    status: str  # DRAFT, SCHEDULED, RUNNING, ENDED, STOPPED
    size: int
    duration_s: int
    hold_s: int = 600
    order_limit: int = 1  # units of one order
    starts_at: datetime = instant()
    ends_at: datetime = instant()
    created_at: datetime = instant()


class GroupBuyActivitySkuRow(SQLModel, table=True):
    __tablename__ = "group_buy_activity_skus"
    __table_args__ = (
        UniqueConstraint("activity_id", "sku_id"),
        CheckConstraint("price_fen > 0", name="price"),
    )

    id: int = key()
    activity_id: int = ref("group_buy_activities.id", index=False)
    sku_id: int = ref("skus.id")
    price_fen: int = fen()


class GroupBuyRow(SQLModel, table=True):
    """One group; `held_count` counts seats taken (paid or not), `paid_count` the paid ones."""

    __tablename__ = "group_buy_groups"
    __table_args__ = (
        CheckConstraint("held_count >= 0 AND held_count <= size", name="held"),
        CheckConstraint("paid_count >= 0 AND paid_count <= held_count", name="paid"),
        Index("ix_group_buy_groups_status_expires_at", "status", "expires_at"),
    )

    id: int = key()
    activity_id: int = ref("group_buy_activities.id")
    product_id: int = ref("products.id")
    leader_id: int = ref("accounts.id")
    size: int
    held_count: int = 0
    paid_count: int = 0
    status: str  # PENDING (leader has not paid), OPEN, FILLED, FAILED
    fail_reason: str | None = None  # EXPIRED, ACTIVITY_STOPPED, LEADER_LEFT
    expires_at: datetime = instant()
    filled_at: datetime | None = instant(default=None, nullable=True)
    version: int = 0
    created_at: datetime = instant()


class GroupBuyMemberRow(SQLModel, table=True):
    __tablename__ = "group_buy_members"
    __table_args__ = (
        Index(
            "uq_group_buy_members_seat",
            "group_id",
            "seat_no",
            unique=True,
            sqlite_where=RUNNING,
            postgresql_where=RUNNING,
        ),
        Index(
            "uq_group_buy_members_account",
            "activity_id",
            "account_id",
            unique=True,
            sqlite_where=SEATED,
            postgresql_where=SEATED,
        ),
        Index("ix_group_buy_members_status_hold_expires_at", "status", "hold_expires_at"),
    )

    id: int = key()
    group_id: int = ref("group_buy_groups.id")
    activity_id: int = ref("group_buy_activities.id", index=False)
    account_id: int = ref("accounts.id")
    order_id: int = Field(foreign_key="orders.id", unique=True)
    seat_no: int
    status: str  # HELD, JOINED, SUCCEEDED, RELEASED, REFUNDED, LEFT
    overflow: str = Field(  # REFUND, OTHER_GROUP, OPEN_NEW: what money that comes late is for
        default="REFUND", sa_column_kwargs={"server_default": "REFUND"}
    )
    moved_to_id: int | None = ref("group_buy_members.id", default=None, index=False)
    hold_expires_at: datetime = instant()
    joined_at: datetime | None = instant(default=None, nullable=True)
    created_at: datetime = instant()
