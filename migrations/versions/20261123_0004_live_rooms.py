"""Live rooms, the goods shown in them and their messages."""

import sqlalchemy as sa
from alembic import op

revision = "0004_live_rooms"
down_revision = "0003_distributors"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "live_rooms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host_id", sa.Integer(), nullable=False),
        sa.Column("supplier_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("cover", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message_seq", sa.Integer(), nullable=False),
        sa.Column("like_count", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["accounts.id"], name=op.f("fk_live_rooms_host_id")),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["suppliers.id"], name=op.f("fk_live_rooms_supplier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_rooms")),
    )
    op.create_index(op.f("ix_live_rooms_host_id"), "live_rooms", ["host_id"], unique=False)
    op.create_index(op.f("ix_live_rooms_supplier_id"), "live_rooms", ["supplier_id"], unique=False)
    op.create_table(
        "live_messages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("is_hidden", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_live_messages_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["live_rooms.id"], name=op.f("fk_live_messages_room_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_messages")),
        sa.UniqueConstraint("room_id", "seq", name=op.f("uq_live_messages_room_id_seq")),
    )
    op.create_index(
        op.f("ix_live_messages_account_id"), "live_messages", ["account_id"], unique=False
    )
    op.create_table(
        "live_products",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("room_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("live_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.CheckConstraint("live_price_fen > 0", name=op.f("ck_live_products_price")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_live_products_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["room_id"], ["live_rooms.id"], name=op.f("fk_live_products_room_id")
        ),
        sa.ForeignKeyConstraint(["sku_id"], ["skus.id"], name=op.f("fk_live_products_sku_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_products")),
        sa.UniqueConstraint("room_id", "sku_id", name=op.f("uq_live_products_room_id_sku_id")),
    )
    op.create_index(
        op.f("ix_live_products_product_id"), "live_products", ["product_id"], unique=False
    )
    op.create_index(op.f("ix_live_products_sku_id"), "live_products", ["sku_id"], unique=False)
    op.create_index(
        "uq_live_products_pinned",
        "live_products",
        ["room_id"],
        unique=True,
        sqlite_where=sa.text("is_pinned"),
        postgresql_where=sa.text("is_pinned"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_live_products_pinned",
        table_name="live_products",
        sqlite_where=sa.text("is_pinned"),
        postgresql_where=sa.text("is_pinned"),
    )
    op.drop_index(op.f("ix_live_products_sku_id"), table_name="live_products")
    op.drop_index(op.f("ix_live_products_product_id"), table_name="live_products")
    op.drop_table("live_products")
    op.drop_index(op.f("ix_live_messages_account_id"), table_name="live_messages")
    op.drop_table("live_messages")
    op.drop_index(op.f("ix_live_rooms_supplier_id"), table_name="live_rooms")
    op.drop_index(op.f("ix_live_rooms_host_id"), table_name="live_rooms")
    op.drop_table("live_rooms")
