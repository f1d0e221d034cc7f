"""Carts of shoppers and guests."""

import sqlalchemy as sa
from alembic import op

revision = "0005_carts"
down_revision = "0004_live_rooms"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "carts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("guest_key", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(account_id IS NULL) <> (guest_key IS NULL)", name=op.f("ck_carts_owner")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_carts_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carts")),
    )
    op.create_index(
        "uq_carts_active_account",
        "carts",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("status = 'ACTIVE'"),
        postgresql_where=sa.text("status = 'ACTIVE'"),
    )
    op.create_index(
        "uq_carts_active_guest",
        "carts",
        ["guest_key"],
        unique=True,
        sqlite_where=sa.text("status = 'ACTIVE'"),
        postgresql_where=sa.text("status = 'ACTIVE'"),
    )
    op.create_table(
        "cart_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cart_id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("is_selected", sa.Boolean(), nullable=False),
        sa.Column("price_when_added_fen", sa.BigInteger(), nullable=False),
        sa.Column("live_room_id", sa.Integer(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_cart_lines_quantity")),
        sa.ForeignKeyConstraint(["cart_id"], ["carts.id"], name=op.f("fk_cart_lines_cart_id")),
        sa.ForeignKeyConstraint(
            ["live_room_id"], ["live_rooms.id"], name=op.f("fk_cart_lines_live_room_id")
        ),
        sa.ForeignKeyConstraint(["sku_id"], ["skus.id"], name=op.f("fk_cart_lines_sku_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cart_lines")),
    )
    op.create_index(op.f("ix_cart_lines_sku_id"), "cart_lines", ["sku_id"], unique=False)
    op.create_index(
        "uq_cart_lines_cart_id_sku_id", "cart_lines", ["cart_id", "sku_id"], unique=True
    )


def downgrade() -> None:
    op.drop_index("uq_cart_lines_cart_id_sku_id", table_name="cart_lines")
    op.drop_index(op.f("ix_cart_lines_sku_id"), table_name="cart_lines")
    op.drop_table("cart_lines")
    op.drop_index(
        "uq_carts_active_guest",
        table_name="carts",
        sqlite_where=sa.text("status = 'ACTIVE'"),
        postgresql_where=sa.text("status = 'ACTIVE'"),
    )
    op.drop_index(
        "uq_carts_active_account",
        table_name="carts",
        sqlite_where=sa.text("status = 'ACTIVE'"),
        postgresql_where=sa.text("status = 'ACTIVE'"),
    )
    op.drop_table("carts")
