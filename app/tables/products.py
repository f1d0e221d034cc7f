"""Goods: categories, products with options, SKUs, stock, its reservations and movements."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.tables.columns import document, fen, instant, key, ref


class CategoryRow(SQLModel, table=True):
    __tablename__ = "categories"
    __table_args__ = (UniqueConstraint("parent_id", "name"),)

    id: int = key()
    parent_id: int | None = ref("categories.id", default=None, index=False)
    name: str
    path: str = Field(index=True)  # "/1/12/120/": one prefix finds a whole branch
    sort: int = 0


class ProductRow(SQLModel, table=True):
    __tablename__ = "products"
    __table_args__ = (
        # one for each order of the list: nearly all products are shown, so a page is walked
        Index("ix_products_sort_id", "sort", "id"),
        Index("ix_products_sold_count_id", "sold_count", "id"),
        Index("ix_products_min_price_fen_id", "min_price_fen", "id"),
        Index("ix_products_created_at_id", "created_at", "id"),
        Index("ix_products_category_id_sort", "category_id", "sort"),
    )

    id: int = key()
    supplier_id: int = ref("suppliers.id")
    category_id: int = ref("categories.id")
    title: str
    subtitle: str = ""
    description: str = ""
    image: str = ""
    status: str  # ON_SALE, DELISTED, PRE_SALE
    sort: int = 0
    min_price_fen: int = fen()
    max_price_fen: int = fen()
    sold_count: int = 0
    rating_bp: int = 0
    is_fresh: bool = False
    return_days: int = 7
    warranty_months: int = 0
    customer_limit: int | None = None
    search_tokens: str = ""  # bigrams and words, blank separated: see app/search.py
    version: int = 0
    created_at: datetime = instant()


class ProductOptionRow(SQLModel, table=True):
    __tablename__ = "product_options"
    __table_args__ = (UniqueConstraint("product_id", "name"),)

    id: int = key()
    product_id: int = ref("products.id", index=False)
    name: str
    choices: list[str] = document()
    sort: int = 0


class SkuRow(SQLModel, table=True):
    __tablename__ = "skus"
    __table_args__ = (
        UniqueConstraint("supplier_id", "code"),
        UniqueConstraint("product_id", "option_key"),
        CheckConstraint(
            "0 < supply_price_fen AND supply_price_fen <= distributor_price_fen"
            " AND distributor_price_fen <= price_fen AND price_fen <= market_price_fen",
            name="prices",
        ),
    )

    id: int = key()
    product_id: int = ref("products.id", index=False)
    supplier_id: int = ref("suppliers.id", index=False)
    code: str
    option_key: str  # "颜色=红;尺码=M", "" for a product without options
    options: dict[str, str] = document()
    supply_price_fen: int = fen()
    distributor_price_fen: int = fen()
    price_fen: int = fen()
    market_price_fen: int = fen()
    weight_g: int = 0
    status: str = "ON_SALE"


class StockRow(SQLModel, table=True):
    """Units of one SKU: free to sell = on_hand - allocated - reserved."""

    __tablename__ = "stocks"
    __table_args__ = (
        CheckConstraint(
            "on_hand >= 0 AND allocated >= 0 AND reserved >= 0 AND allocated + reserved <= on_hand",
            name="units",
        ),
    )

    id: int = key()
    sku_id: int = Field(foreign_key="skus.id", unique=True)
    on_hand: int
    allocated: int = 0
    reserved: int = 0
    shortfall: int = 0
    source_version: int = 0
    version: int = 0


class StockReservationRow(SQLModel, table=True):
    __tablename__ = "stock_reservations"
    __table_args__ = (
        UniqueConstraint("owner_type", "owner_id", "sku_id"),
        Index("ix_stock_reservations_status_expires_at", "status", "expires_at"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    id: int = key()
    sku_id: int = ref("skus.id")
    quantity: int
    owner_type: str
    owner_id: int
    status: str  # HELD, ALLOCATED, RELEASED
    expires_at: datetime = instant()


class StockMovementRow(SQLModel, table=True):
    """One change of one SKU's numbers; its unique key makes a repeated change harmless."""

    __tablename__ = "stock_movements"
    __table_args__ = (UniqueConstraint("kind", "ref_type", "ref_id", "sku_id"),)

    id: int = key()
    sku_id: int = ref("skus.id")
    kind: str  # SYNC, RESERVE, RELEASE, ALLOCATE, SHIP, RETURN
    delta: int  # change of on_hand
    quantity: int
    ref_type: str
    ref_id: int
    created_at: datetime = instant()
