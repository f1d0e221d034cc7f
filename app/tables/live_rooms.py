"""Live-stream rooms, the goods shown in them, and what the audience writes."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from app.tables.columns import document, fen, instant, key, ref

PINNED = text("is_pinned")
HAS_NEWS = text("has_news")
HAS_NEWS_SQLITE = text("has_news = 1")  # as statements spell it there: else no use of the index
IS_ACTIVE = text("NOT is_lifted")


class LiveRoomRow(SQLModel, table=True):
    """`due_at` is when the clock moves the room on; `told_...` is what the last tick has told."""

    __tablename__ = "live_rooms"
    __table_args__ = (
        Index("ix_live_rooms_status_due_at", "status", "due_at"),
        Index(
            "ix_live_rooms_has_news",
            "id",
            sqlite_where=HAS_NEWS_SQLITE,
            postgresql_where=HAS_NEWS,
        ),
    )

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
    event_seq: int = 0
    viewer_count: int = 0
    viewer_peak: int = 0
    viewer_total: int = 0
    host_seen_at: datetime | None = instant(default=None, nullable=True)
    due_at: datetime | None = instant(default=None, nullable=True)
    ban_reason: str | None = None
    has_news: bool = False
    told_message_seq: int = 0
    told_likes: int = 0
    told_viewers: int = 0
    tallied_at: datetime | None = instant(default=None, nullable=True)
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
    told_available: int | None = None  # units that the audience was last told of


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


class LiveRoomEventRow(SQLModel, table=True):
    """One event of a room, written in the transaction of the change; `seq` counts them densely."""

    __tablename__ = "live_room_events"
    __table_args__ = (UniqueConstraint("room_id", "seq"),)

    id: int = key()
    room_id: int = ref("live_rooms.id", index=False)
    seq: int
    kind: str  # app/rules/live_rooms.py: RoomEventKind
    sku_id: int | None = ref("skus.id", default=None, index=False)
    lottery_id: int | None = ref("live_lotteries.id", default=None, index=False)
    message_id: int | None = ref("live_messages.id", default=None, index=False)
    data: dict[str, Any] = document()
    is_host_only: bool = False
    created_at: datetime = instant()


class LiveMuteRow(SQLModel, table=True):
    """Somebody may not write in a room, for good or until a moment."""

    __tablename__ = "live_mutes"
    __table_args__ = (
        Index(
            "uq_live_mutes_active",
            "room_id",
            "account_id",
            unique=True,
            sqlite_where=IS_ACTIVE,
            postgresql_where=IS_ACTIVE,
        ),
        Index("ix_live_mutes_room_id_account_id", "room_id", "account_id"),
    )

    id: int = key()
    room_id: int = ref("live_rooms.id", index=False)
    account_id: int = ref("accounts.id", index=False)
    muted_by: int = ref("accounts.id", index=False)
    until: datetime | None = instant(default=None, nullable=True)
    is_lifted: bool = False
    created_at: datetime = instant()


class LiveViewerRow(SQLModel, table=True):
    """Somebody who watches or has watched a room; fresh while `seen_at` is."""

    __tablename__ = "live_viewers"
    __table_args__ = (
        UniqueConstraint("room_id", "who"),
        Index("ix_live_viewers_room_id_seen_at", "room_id", "seen_at"),
    )

    id: int = key()
    room_id: int = ref("live_rooms.id", index=False)
    who: str  # a digest: whom it names nobody needs to know
    seen_at: datetime = instant()


class LiveRoomFiguresRow(SQLModel, table=True):
    """What a room has come to, written once, when it ends."""

    __tablename__ = "live_room_figures"
    __table_args__ = (UniqueConstraint("room_id"),)

    id: int = key()
    room_id: int = ref("live_rooms.id", index=False)
    messages: int
    likes: int
    viewers_total: int
    viewers_peak: int
    orders: int
    units: int
    turnover_fen: int = fen()
    created_at: datetime = instant()
