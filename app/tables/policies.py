"""Rules of the mall as documents, as the clauses they are cut into, and as structured records."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import SQLModel

from app.tables.columns import document, instant, key, ref


class PolicyDocumentRow(SQLModel, table=True):
    __tablename__ = "policy_documents"
    __table_args__ = (UniqueConstraint("code", "version"),)

    id: int = key()
    code: str  # "price-protection": the same for all versions
    version: int
    title: str
    audience: str  # ALL, CONSUMER, DISTRIBUTOR, SUPPLIER
    category_id: int | None = ref("categories.id", default=None)
    supplier_id: int | None = ref("suppliers.id", default=None)
    valid_from: datetime = instant()
    valid_to: datetime | None = instant(default=None, nullable=True)
    text: str
    created_at: datetime = instant()


class PolicyClauseRow(SQLModel, table=True):
    __tablename__ = "policy_clauses"
    __table_args__ = (UniqueConstraint("document_id", "no"),)

    id: int = key()
    document_id: int = ref("policy_documents.id", index=False)
    no: str  # "3", "3.2"
    heading: str = ""
    text: str
    search_tokens: str = ""


class PolicyRecordRow(SQLModel, table=True):
    """A rule as data: topic key -> value, valid for an audience, product kind and period."""

    __tablename__ = "policy_records"
    __table_args__ = (
        UniqueConstraint("clause_id", "topic", "condition_key"),
        Index("ix_policy_records_topic", "topic"),
    )

    id: int = key()
    clause_id: int = ref("policy_clauses.id", index=False)
    document_id: int = ref("policy_documents.id")
    topic: str  # refund_days, freight_payer, ...
    condition_key: str = ""  # "", "fresh", "quality_fault", "remote": which case the value is for
    conditions: dict[str, Any] = document()
    value: dict[str, Any] = document()
    audience: str
    valid_from: datetime = instant()
    valid_to: datetime | None = instant(default=None, nullable=True)
