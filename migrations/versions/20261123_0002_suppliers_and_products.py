"""Suppliers, categories, products with options, SKUs and stock."""

import sqlalchemy as sa
from alembic import op

revision = "0002_suppliers_and_products"
down_revision = "0001_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sort", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["categories.id"], name=op.f("fk_categories_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_categories")),
        sa.UniqueConstraint("parent_id", "name", name=op.f("uq_categories_parent_id_name")),
    )
    op.create_index(op.f("ix_categories_path"), "categories", ["path"], unique=False)
    op.create_table(
        "suppliers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("rating_bp", sa.Integer(), nullable=False),
        sa.Column("settle_cycle", sa.String(), nullable=False),
        sa.Column("ship_from", sa.String(), nullable=False),
        sa.Column("return_address", sa.String(), nullable=False),
        sa.Column("platform_rate_bp", sa.Integer(), nullable=False),
        sa.Column("shipping_fen", sa.BigInteger(), nullable=False),
        sa.Column("remote_surcharge_fen", sa.BigInteger(), nullable=False),
        sa.Column("free_shipping_from_fen", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "platform_rate_bp BETWEEN 0 AND 10000", name=op.f("ck_suppliers_platform_rate")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppliers")),
        sa.UniqueConstraint("name", name=op.f("uq_suppliers_name")),
    )
    op.create_table(
        "products",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("supplier_id", sa.Integer(), nullable=False),
        sa.Column("category_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("subtitle", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("image", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("sort", sa.Integer(), nullable=False),
        sa.Column("min_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("max_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("sold_count", sa.Integer(), nullable=False),
        sa.Column("rating_bp", sa.Integer(), nullable=False),
        sa.Column("is_fresh", sa.Boolean(), nullable=False),
        sa.Column("return_days", sa.Integer(), nullable=False),
        sa.Column("warranty_months", sa.Integer(), nullable=False),
        sa.Column("customer_limit", sa.Integer(), nullable=True),
        sa.Column("search_tokens", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_products_category_id")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["suppliers.id"], name=op.f("fk_products_supplier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
    )
    op.create_index(op.f("ix_products_category_id"), "products", ["category_id"], unique=False)
    op.create_index(
        "ix_products_status_category_id_sort",
        "products",
        ["status", "category_id", "sort"],
        unique=False,
    )
    op.create_index(
        "ix_products_status_min_price_fen", "products", ["status", "min_price_fen"], unique=False
    )
    op.create_index(
        "ix_products_status_sold_count", "products", ["status", "sold_count"], unique=False
    )
    op.create_index(op.f("ix_products_supplier_id"), "products", ["supplier_id"], unique=False)
    op.create_table(
        "product_options",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("sort", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_product_options_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_options")),
        sa.UniqueConstraint("product_id", "name", name=op.f("uq_product_options_product_id_name")),
    )
    op.create_table(
        "skus",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("supplier_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("option_key", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("supply_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("distributor_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("market_price_fen", sa.BigInteger(), nullable=False),
        sa.Column("weight_g", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.CheckConstraint(
            "0 < supply_price_fen AND supply_price_fen <= distributor_price_fen"
            " AND distributor_price_fen <= price_fen AND price_fen <= market_price_fen",
            name=op.f("ck_skus_prices"),
        ),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_skus_product_id")),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["suppliers.id"], name=op.f("fk_skus_supplier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skus")),
        sa.UniqueConstraint("product_id", "option_key", name=op.f("uq_skus_product_id_option_key")),
        sa.UniqueConstraint("supplier_id", "code", name=op.f("uq_skus_supplier_id_code")),
    )
    op.create_table(
        "stock_movements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("delta", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("ref_type", sa.String(), nullable=False),
        sa.Column("ref_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sku_id"], ["skus.id"], name=op.f("fk_stock_movements_sku_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movements")),
        sa.UniqueConstraint(
            "kind",
            "ref_type",
            "ref_id",
            "sku_id",
            name=op.f("uq_stock_movements_kind_ref_type_ref_id_sku_id"),
        ),
    )
    op.create_index(op.f("ix_stock_movements_sku_id"), "stock_movements", ["sku_id"], unique=False)
    op.create_table(
        "stock_reservations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("owner_type", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_stock_reservations_quantity")),
        sa.ForeignKeyConstraint(["sku_id"], ["skus.id"], name=op.f("fk_stock_reservations_sku_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_reservations")),
        sa.UniqueConstraint(
            "owner_type",
            "owner_id",
            "sku_id",
            name=op.f("uq_stock_reservations_owner_type_owner_id_sku_id"),
        ),
    )
    op.create_index(
        op.f("ix_stock_reservations_sku_id"), "stock_reservations", ["sku_id"], unique=False
    )
    op.create_index(
        "ix_stock_reservations_status_expires_at",
        "stock_reservations",
        ["status", "expires_at"],
        unique=False,
    )
    op.create_table(
        "stocks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sku_id", sa.Integer(), nullable=False),
        sa.Column("on_hand", sa.Integer(), nullable=False),
        sa.Column("allocated", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("shortfall", sa.Integer(), nullable=False),
        sa.Column("source_version", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "on_hand >= 0 AND allocated >= 0 AND reserved >= 0 AND allocated + reserved <= on_hand",
            name=op.f("ck_stocks_units"),
        ),
        sa.ForeignKeyConstraint(["sku_id"], ["skus.id"], name=op.f("fk_stocks_sku_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stocks")),
        sa.UniqueConstraint("sku_id", name=op.f("uq_stocks_sku_id")),
    )


def downgrade() -> None:
    op.drop_table("stocks")
    op.drop_index("ix_stock_reservations_status_expires_at", table_name="stock_reservations")
    op.drop_index(op.f("ix_stock_reservations_sku_id"), table_name="stock_reservations")
    op.drop_table("stock_reservations")
    op.drop_index(op.f("ix_stock_movements_sku_id"), table_name="stock_movements")
    op.drop_table("stock_movements")
    op.drop_table("skus")
    op.drop_table("product_options")
    op.drop_index(op.f("ix_products_supplier_id"), table_name="products")
    op.drop_index("ix_products_status_sold_count", table_name="products")
    op.drop_index("ix_products_status_min_price_fen", table_name="products")
    op.drop_index("ix_products_status_category_id_sort", table_name="products")
    op.drop_index(op.f("ix_products_category_id"), table_name="products")
    op.drop_table("products")
    op.drop_table("suppliers")
    op.drop_index(op.f("ix_categories_path"), table_name="categories")
    op.drop_table("categories")
