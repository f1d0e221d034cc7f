"""Distributors and their listings."""

import sqlalchemy as sa
from alembic import op

revision = "0003_distributors"
down_revision = "0002_suppliers_and_products"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "distributors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("shop_name", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "parent_id IS NULL OR parent_id <> id", name=op.f("ck_distributors_parent")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_distributors_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["distributors.id"], name=op.f("fk_distributors_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_distributors")),
        sa.UniqueConstraint("account_id", name=op.f("uq_distributors_account_id")),
        sa.UniqueConstraint("slug", name=op.f("uq_distributors_slug")),
    )
    op.create_index(op.f("ix_distributors_parent_id"), "distributors", ["parent_id"], unique=False)
    op.create_table(
        "distributor_listings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("distributor_id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["distributor_id"],
            ["distributors.id"],
            name=op.f("fk_distributor_listings_distributor_id"),
        ),
        sa.ForeignKeyConstraint(
            ["sku_id"], ["skus.id"], name=op.f("fk_distributor_listings_sku_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_distributor_listings")),
        sa.UniqueConstraint(
            "distributor_id", "sku_id", name=op.f("uq_distributor_listings_distributor_id_sku_id")
        ),
    )
    op.create_index(
        op.f("ix_distributor_listings_sku_id"), "distributor_listings", ["sku_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_distributor_listings_sku_id"), table_name="distributor_listings")
    op.drop_table("distributor_listings")
    op.drop_index(op.f("ix_distributors_parent_id"), table_name="distributors")
    op.drop_table("distributors")
