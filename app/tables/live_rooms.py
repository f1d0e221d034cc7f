"""Live-stream rooms, the goods shown in them, and what the audience writes."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from app.tables.columns import fen, instant, key, ref

PINNED = text("is_pinned")


class LiveRoomRow(SQLModel, table=True):
    __tablename__ = "live_rooms"

    id: int = key()
    host_id: int = ref("accounts.id")
    supplier_id: int | None = ref("suppliers.id", default=None)
    title: str
    cover: str = ""
    status: str  # SCHEDULED, LIVE, PAUSED, ENDED, REPLAY_READY, CANCELLED, EXPIRED, BANNED
    starts_at: datetime = instant()
    started_at: datetime | None = instant(default=None, nullable=True)
    ended_at: datetime | None = instant(default=None, nullable=True)
    message_seq: int = 0
    like_count: int = 0
    version: int = 0
    created_at: datetime = instant()


class LiveProductRow(SQLModel, table=True):
    __tablename__ = "live_products"
    __table_args__ = (
        UniqueConstraint("room_id", "sku_id"),
        CheckConstraint("live_price_fen > 0", name="price"),
        Index(
            "uq_live_products_pinned",
            "room_id",
            unique=True,
            sqlite_where=PINNED,
            postgresql_where=PINNED,
        ),
    )

    id: int = key()
    room_id: int = ref("live_rooms.id", index=False)
    product_id: int = ref("products.id")
    sku_id: int = ref("skus.id")
    live_price_fen: int = fen()
    position: int
    is_pinned: bool = False


class LiveMessageRow(SQLModel, table=True):
    __tablename__ = "live_messages"
    __table_args__ = (UniqueConstraint("room_id", "seq"),)

    id: int = key()
    room_id: int = ref("live_rooms.id", index=False)
    account_id: int = ref("accounts.id")
    seq: int
    kind: str = "TEXT"
    text: str
    is_hidden: bool = False  # held back by the sensitive-word filter
    created_at: datetime = instant()
