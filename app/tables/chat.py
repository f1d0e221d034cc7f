"""Conversations, their messages, the event log of every reply, and hand-off tickets."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.tables.columns import document, instant, key, ref


class ConversationRow(SQLModel, table=True):
    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_account_id_id", "account_id", "id"),)

    id: int = key()
    account_id: int = ref("accounts.id", index=False)
    role: str  # the role the viewer talks in
    state: str = "BOT"  # BOT, QUEUED, HUMAN
    opened_from_type: str | None = None  # Order, Product, Cart, LiveRoom
    opened_from_id: int | None = None
    event_seq: int = 0
    slots: dict[str, Any] = document()  # what is carried from turn to turn: order in question, ...
    running_message_id: int | None = None
    running_since: datetime | None = instant(default=None, nullable=True)
    created_at: datetime = instant()
    updated_at: datetime = instant()


class ChatMessageRow(SQLModel, table=True):
    __tablename__ = "chat_messages"
    __table_args__ = (UniqueConstraint("conversation_id", "client_id"),)

    id: int = key()
    conversation_id: int = ref("conversations.id", index=False)
    client_id: str | None = None  # the sender's idempotency key
    author: str  # SHOPPER, BOT, HUMAN
    text: str
    intent: str | None = None
    mood: str | None = None
    status: str  # RECEIVED, ANSWERING, ANSWERED, CANCELLED, FAILED for questions; DONE for answers
    reply_to_id: int | None = None
    writer: str | None = None  # MODEL, TEMPLATE
    model: str | None = None
    prompt_version: str | None = None
    citations: list[dict[str, Any]] = document(default_factory=list)
    created_at: datetime = instant()


class ChatEventRow(SQLModel, table=True):
    """One event of a conversation's append-only log; `seq` counts from 1 without gaps."""

    __tablename__ = "chat_events"
    __table_args__ = (UniqueConstraint("conversation_id", "seq"),)

    id: int = key()
    conversation_id: int = ref("conversations.id", index=False)
    message_id: int | None = ref("chat_messages.id", default=None, index=False)
    seq: int
    kind: str
    data: dict[str, Any] = document()
    created_at: datetime = instant()


class TicketRow(SQLModel, table=True):
    __tablename__ = "tickets"

    id: int = key()
    no: str = Field(unique=True)
    conversation_id: int = ref("conversations.id")
    reason: str
    summary: dict[str, Any] = document()
    status: str  # QUEUED, TAKEN, CLOSED
    created_at: datetime = instant()
