"""What an account is to be told: a kind and its facts, never prose."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import SQLModel

from app.tables.columns import document, instant, key, ref

_IS_UNREAD = text("read_at IS NULL")


class NotificationRow(SQLModel, table=True):
    """`data` holds what the words of its kind are made of; the target is (GraphQL type, key)."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_account_id_id", "account_id", "id"),
        Index(
            "ix_notifications_unread",
            "account_id",
            "id",
            sqlite_where=_IS_UNREAD,
            postgresql_where=_IS_UNREAD,
        ),
    )

    id: int = key()
    account_id: int = ref("accounts.id", index=False)
    kind: str
    data: dict[str, Any] = document()
    target_kind: str | None = None
    target_id: int | None = None
    created_at: datetime = instant()
    read_at: datetime | None = instant(default=None, nullable=True)
