"""What leaves after a commit, and what was already answered: outbox and idempotency rows."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import SQLModel

from app.tables.columns import document, instant, key


class OutboxRow(SQLModel, table=True):
    """An event of a committed change; `published_at` is empty until the bus has it."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_published_at_id", "published_at", "id"),
        UniqueConstraint("topic", "seq"),
    )

    id: int = key()
    topic: str
    seq: int
    kind: str
    payload: dict[str, Any] = document()
    created_at: datetime = instant()
    published_at: datetime | None = instant(default=None, nullable=True)


class TopicRow(SQLModel, table=True):
    """How far a topic had counted when its oldest events were dropped."""

    __tablename__ = "topics"
    __table_args__ = (UniqueConstraint("topic"),)

    id: int = key()
    topic: str
    seq: int


class IdempotencyRow(SQLModel, table=True):
    """The first answer to (who, what, key); a repetition gets the same one."""

    __tablename__ = "idempotency"
    __table_args__ = (UniqueConstraint("actor_id", "operation", "idempotency_key"),)

    id: int = key()
    actor_id: int
    operation: str
    idempotency_key: str
    request_hash: str
    result_id: int | None = None
    created_at: datetime = instant()
