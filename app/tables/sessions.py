"""Who is signed in, by which chain of refresh tokens, and what was done with rights."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.tables.columns import instant, key, ref


class SessionRow(SQLModel, table=True):
    """One sign-in in one role; of its refresh token only hashes are kept.

    `family_hash` stays as long as the session, `refresh_hash` is that of the newest token.
    """

    __tablename__ = "sessions"

    id: int = key()
    account_id: int = ref("accounts.id")
    role: str
    subject_id: int | None = None
    family_hash: str = Field(unique=True)
    refresh_hash: str
    created_at: datetime = instant()
    renewed_at: datetime = instant()
    expires_at: datetime = instant()
    ended_at: datetime | None = instant(default=None, nullable=True, index=True)
    ended_why: str | None = None


class AuditRow(SQLModel, table=True):
    """One line of the audit log; `account_id` outlives its account, so it refers to none.

    `role` is empty for the system itself. Nothing here is ever a secret.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_account_id_id", "account_id", "id"),
        Index("ix_audit_log_action_id", "action", "id"),
    )

    id: int = key()
    created_at: datetime = instant()
    account_id: int | None = None
    role: str | None = None
    session_id: int | None = None
    action: str
    target_kind: str | None = None
    target_id: int | None = None
    outcome: str
    detail: str
    request_id: str
