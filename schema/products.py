"""Goods as clients see them."""

from enum import StrEnum
from typing import Annotated

import strawberry

from app.auth import Viewer
from app.db import Reader
from app.services import products
from app.services.products import Facets, ProductSort
from schema.common import Connection, Money, StreamEvent, StreamGap
from schema.fields import (
    Entity,
    Value,
    batch,
    column,
    computed,
    entity,
    key,
    many,
    one,
    tally,
)
from schema.reads import PageOf
from schema.refs import CategoryRef, GroupBuyRef, ProductOptionRef, ProductRef, SkuRef, SupplierRef

strawberry.enum(ProductSort, description="商品排序。Order of products.")


@strawberry.enum(description="商品状态。State of a product.")
class ProductStatus(StrEnum):
    ON_SALE = "ON_SALE"
    PRE_SALE = "PRE_SALE"
    DELISTED = "DELISTED"


@strawberry.type(description="价格区间。Lowest and highest price of the SKUs.")
class PriceRange:
    low: Money = strawberry.field(description="最低价。Lowest price.")
    high: Money = strawberry.field(description="最高价。Highest price.")


@strawberry.type(description="一个规格选项及取值，如 颜色 = 红。One option and the value chosen.")
class OptionValue:
    name: str = strawberry.field(description="选项名。Name of the option.")
    value: str = strawberry.field(description="取值。The value.")


def option_values(options: dict[str, str]) -> list[OptionValue]:
    return [OptionValue(name=name, value=value) for name, value in options.items()]


def _price_range(low_fen: int, high_fen: int) -> PriceRange:
    return PriceRange(low=Money.of(low_fen), high=Money.of(high_fen))


@entity("商品类目。A category.", visible_to=products.categories_visible_to, cacheable=True)
class Category(Entity):
    id: strawberry.ID = key()
    name: str = column("名称。Name.")
    parent: CategoryRef | None = one("parent_id", "Category", "上级类目。The category above.")
    children: list[CategoryRef] = many(
        "Category", "parent_id", "下级类目。Categories below.", order=("sort", "id"), limit=100
    )


@entity(
    "商品的一个选项，如颜色。An option of a product.",
    visible_to=products.options_visible_to,
    cacheable=True,
)
class ProductOption(Entity):
    id: strawberry.ID = key()
    name: str = column("名称。Name.")
    choices: list[str] = column("可选值。Values to choose from.")


@entity(
    "商品规格，库存与价格的单位。What is priced, stocked and sold.",
    visible_to=products.skus_visible_to,
    cacheable=True,
)
class Sku(Entity):
    id: strawberry.ID = key()
    code: str = column("商家编码。The supplier's code.")
    product: ProductRef | None = one("product_id", "Product", "所属商品。Its product.")
    options: list[OptionValue] = computed(
        "options", by=option_values, description="各选项的取值。The values of its options."
    )
    price: Money = computed("price_fen", by=Money.of, description="零售价。Retail price.")
    market_price: Money = computed(
        "market_price_fen", by=Money.of, description="划线价。Price to compare with."
    )
    supply_price: Money | None = batch(
        products.supply_prices,
        "供货价，仅供应商本人、分销商与平台可见。Supply price; null for shoppers.",
        columns=("id", "supplier_id", "supply_price_fen", "distributor_price_fen"),
        wrap=Money.maybe,
    )
    weight_g: int = column("重量（克）。Weight in grams.")
    available: int = batch(products.available, "可售数量。Units that can be bought now.", live=True)


@entity("商品。A product.", visible_to=products.visible_to, cacheable=True)
class Product(Entity):
    id: strawberry.ID = key()
    title: str = column("标题。Title.")
    subtitle: str = column("副标题。Second line.")
    description: str = column("详情。Description.")
    image: str = column("主图地址。Address of the picture.")
    status: ProductStatus = computed("status", by=ProductStatus, description="状态。State.")
    price_range: PriceRange = computed(
        "min_price_fen",
        "max_price_fen",
        by=_price_range,
        description="价格区间。Prices of its SKUs.",
    )
    sold_count: int = column("销量。Units sold.")
    rating_bp: int = column("评分，万分比（10000 = 五星）。Rating in basis points of five stars.")
    is_fresh: bool = column("是否生鲜（不支持七天无理由）。Fresh goods have no seven-day return.")
    return_days: int = column("无理由退货天数，0 为不支持。Days for returns without a reason.")
    warranty_months: int = column("保修月数。Months of warranty.")
    customer_limit: int | None = column("每人限购件数。Units one shopper may buy.")
    supplier: SupplierRef | None = one("supplier_id", "Supplier", "供应商。Who supplies it.")
    category: CategoryRef | None = one("category_id", "Category", "类目。Its category.")
    options: list[ProductOptionRef] = many(
        "ProductOption", "product_id", "选项。Its options.", order=("sort", "id"), limit=10
    )
    skus: list[SkuRef] = many("Sku", "product_id", "规格。Its SKUs.", limit=100)
    group_buys: list[GroupBuyRef] = many(
        "GroupBuy",
        "product_id",
        "可参加的团，快到期的在前。Groups to join, the soonest to expire first.",
        order=("expires_at", "id"),
        limit=10,
        where={"status": "OPEN"},
    )


@strawberry.type(description="某类目下的商品数。Products of a category.")
class CategoryFacet(Value):
    category_id: strawberry.Private[int]
    count: int = strawberry.field(description="商品数。How many.")
    category: CategoryRef | None = one("category_id", "Category", "类目。The category.")


@strawberry.type(description="某供应商的商品数。Products of a supplier.")
class SupplierFacet(Value):
    supplier_id: strawberry.Private[int]
    count: int = strawberry.field(description="商品数。How many.")
    supplier: SupplierRef | None = one("supplier_id", "Supplier", "供应商。The supplier.")


@strawberry.type(description="某价格带的商品数。Products of a price band.")
class PriceFacet:
    low: Money = strawberry.field(description="下限（含）。From here.")
    high: Money | None = strawberry.field(description="上限（不含）。To below here.")
    count: int = strawberry.field(description="商品数。How many.")


@strawberry.type(description="筛选项及数量。What the list can be narrowed by.")
class ProductFacets:
    categories: list[CategoryFacet] = strawberry.field(description="按类目。By category.")
    suppliers: list[SupplierFacet] = strawberry.field(description="按供应商。By supplier.")
    prices: list[PriceFacet] = strawberry.field(description="按价格。By price band.")


async def _counted(db: Reader, viewer: Viewer, page_of: PageOf) -> Facets:
    narrowed = (await page_of.settled(db)).narrowed
    return await products.facets(db, viewer, filter=narrowed["filter"], match=narrowed["match"])


def _facets(counted: Facets) -> ProductFacets:
    return ProductFacets(
        categories=[
            CategoryFacet(category_id=key, count=count) for key, count in counted.categories
        ],
        suppliers=[SupplierFacet(supplier_id=key, count=count) for key, count in counted.suppliers],
        prices=[
            PriceFacet(low=Money.of(b.low_fen), high=Money.maybe(b.high_fen), count=b.count)
            for b in counted.price_bands
        ],
    )


@strawberry.type(description="商品列表。A page of products.")
class ProductConnection(Connection[Product]):
    facets: ProductFacets = tally(
        _counted, "筛选项，被选择时才统计。Counted only when selected.", wrap=_facets
    )


@strawberry.input(description="商品筛选。Narrows a list of products.")
class ProductFilter:
    category_id: strawberry.ID | None = strawberry.field(
        default=None, description="类目（含下级）。A category with all below it."
    )
    supplier_id: strawberry.ID | None = strawberry.field(
        default=None, description="供应商。A supplier."
    )
    price_min: int | None = strawberry.field(
        default=None, description="最低价（分）。At least, in fen."
    )
    price_max: int | None = strawberry.field(
        default=None, description="最高价（分）。At most, in fen."
    )
    in_stock: bool | None = strawberry.field(
        default=None, description="只看有货。Only what can be bought now."
    )


@strawberry.type(description="一个规格的可售数量。Free units of a SKU.")
class StockLevel:
    available: int = strawberry.field(description="可售数量。Units that can be bought now.")
    sku: Sku = strawberry.field(description="规格。The SKU.")


@strawberry.type(
    description="可售数量：首次为全部所订规格，之后为变化的规格。"
    "Free units: of all SKUs that are followed at first, then of those that changed."
)
class StockUpdate(StreamEvent):
    levels: list[StockLevel] = strawberry.field(description="各规格。By SKU.")


StockEvent = Annotated[
    StockUpdate | StreamGap,
    strawberry.union("StockEvent", description="库存流中的事件。An event about stock."),
]
