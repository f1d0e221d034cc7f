"""Carts of signed-in shoppers and of guests."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import SQLModel

from app.tables.columns import fen, instant, key, ref


class CartRow(SQLModel, table=True):
    __tablename__ = "carts"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (guest_key IS NULL)", name="owner"),
        Index(
            "uq_carts_active_account",
            "account_id",
            unique=True,
            sqlite_where=text("status = 'ACTIVE'"),
            postgresql_where=text("status = 'ACTIVE'"),
        ),
        Index(
            "uq_carts_active_guest",
            "guest_key",
            unique=True,
            sqlite_where=text("status = 'ACTIVE'"),
            postgresql_where=text("status = 'ACTIVE'"),
        ),
    )

    id: int = key()
    account_id: int | None = ref("accounts.id", default=None, index=False)
    guest_key: str | None = None
    status: str = "ACTIVE"  # ACTIVE, MERGED
    version: int = 0
    updated_at: datetime = instant()


class CartLineRow(SQLModel, table=True):
    __tablename__ = "cart_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        Index("uq_cart_lines_cart_id_sku_id", "cart_id", "sku_id", unique=True),
    )

    id: int = key()
    cart_id: int = ref("carts.id", index=False)
    sku_id: int = ref("skus.id")
    quantity: int
    is_selected: bool = True
    price_when_added_fen: int = fen()
    live_room_id: int | None = ref("live_rooms.id", default=None, index=False)
    added_at: datetime = instant()
