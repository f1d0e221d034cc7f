"""Suppliers: who owns the goods, ships them and is paid for them."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from app.tables.columns import fen, instant, key


class SupplierRow(SQLModel, table=True):
    __tablename__ = "suppliers"
    __table_args__ = (
        CheckConstraint("platform_rate_bp BETWEEN 0 AND 10000", name="platform_rate"),
    )

    id: int = key()
    name: str = Field(unique=True)
    status: str  # APPLIED, APPROVED, SUSPENDED
    category: str = ""
    rating_bp: int = 0  # 10000 = five stars
    settle_cycle: str = "T+7"
    ship_from: str = ""
    return_address: str = ""
    platform_rate_bp: int = 0
    shipping_fen: int = fen(default=0)
    remote_surcharge_fen: int = fen(default=0)
    free_shipping_from_fen: int | None = fen(default=None, nullable=True)
    created_at: datetime = instant()
