"""Indexes that follow the orders of the product list, whatever the status of a product."""

from alembic import op

revision = "0013_product_orders"
down_revision = "0012_search"
branch_labels = None
depends_on = None

OLD = {
    "ix_products_status_category_id_sort": ["status", "category_id", "sort"],
    "ix_products_status_min_price_fen": ["status", "min_price_fen"],
    "ix_products_status_sold_count": ["status", "sold_count"],
}
NEW = {
    "ix_products_sort_id": ["sort", "id"],
    "ix_products_sold_count_id": ["sold_count", "id"],
    "ix_products_min_price_fen_id": ["min_price_fen", "id"],
    "ix_products_created_at_id": ["created_at", "id"],
    "ix_products_category_id_sort": ["category_id", "sort"],
}


def upgrade() -> None:
    for name in OLD:
        op.drop_index(name, table_name="products")
    for name, columns in NEW.items():
        op.create_index(name, "products", columns, unique=False)


def downgrade() -> None:
    for name in NEW:
        op.drop_index(name, table_name="products")
    for name, columns in OLD.items():
        op.create_index(name, "products", columns, unique=False)
