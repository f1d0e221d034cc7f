"""Distributors: shops that sell suppliers' goods at their own price."""

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.tables.columns import fen, instant, key, ref


class DistributorRow(SQLModel, table=True):
    __tablename__ = "distributors"
    __table_args__ = (CheckConstraint("parent_id IS NULL OR parent_id <> id", name="parent"),)

    id: int = key()
    account_id: int = Field(foreign_key="accounts.id", unique=True)
    level: int
    parent_id: int | None = ref("distributors.id", default=None)
    status: str
    shop_name: str
    slug: str = Field(unique=True)
    created_at: datetime = instant()


class DistributorListingRow(SQLModel, table=True):
    __tablename__ = "distributor_listings"
    __table_args__ = (UniqueConstraint("distributor_id", "sku_id"),)

    id: int = key()
    distributor_id: int = ref("distributors.id", index=False)
    sku_id: int = ref("skus.id")
    price_fen: int = fen()
    status: str
