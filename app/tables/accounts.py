"""People and how they sign in."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from app.tables.columns import instant, key, ref


class AccountRow(SQLModel, table=True):
    __tablename__ = "accounts"

    id: int = key()
    nickname: str
    phone: str | None = Field(default=None, unique=True)
    tag: str = ""  # 新客, 老客, PLUS 会员, 高退货率: shown to staff only
    region: str = ""
    created_at: datetime = instant()


class AccountRoleRow(SQLModel, table=True):
    """One role of a person; `subject_id` is the supplier or distributor it is held for."""

    __tablename__ = "account_roles"
    __table_args__ = (UniqueConstraint("account_id", "role"),)

    id: int = key()
    account_id: int = ref("accounts.id")
    role: str
    subject_id: int | None = None


class IdentityRow(SQLModel, table=True):
    """A platform's name for a person (openid); one per platform and open id."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("platform", "open_id"),)

    id: int = key()
    account_id: int = ref("accounts.id")
    platform: str
    open_id: str


class AddressRow(SQLModel, table=True):
    __tablename__ = "addresses"

    id: int = key()
    account_id: int = ref("accounts.id")
    receiver: str
    phone: str
    province: str
    city: str
    street: str
    is_default: bool = False
