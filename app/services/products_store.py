"""Taking goods into the mall: categories, products with options and SKUs, the search index."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product as combinations

from sqlalchemy import delete, func, insert, select, update

from app import search as texts
from app.db import Unit
from app.errors import NotFound
from app.services.products import CATEGORIES, FTS, OPTIONS, PRODUCTS, SKUS, SUPPLIERS

_DESCRIPTION_CHARS = 600  # of a description, as far as the search index reads


@dataclass(frozen=True, slots=True)
class SkuDraft:
    """`options` in the order of the product's options; empty for a product without any."""

    code: str
    options: Mapping[str, str]
    supply_price_fen: int
    distributor_price_fen: int
    price_fen: int
    market_price_fen: int
    weight_g: int = 0

    @property
    def option_key(self) -> str:
        return ";".join(f"{name}={value}" for name, value in self.options.items())


@dataclass(frozen=True, slots=True)
class ProductDraft:
    supplier_id: int
    category_id: int
    title: str
    skus: tuple[SkuDraft, ...]
    subtitle: str = ""
    description: str = ""
    image: str = ""
    status: str = "ON_SALE"
    sort: int = 0
    rating_bp: int = 0
    is_fresh: bool = False
    return_days: int = 7
    warranty_months: int = 0
    customer_limit: int | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


async def store_category(unit: Unit, *, name: str, parent_id: int | None = None, sort: int) -> int:
    """A category under its parent; its path begins with the parent's."""
    above = "/"
    if parent_id is not None:
        above = await unit.db.value(select(CATEGORIES.c.path).where(CATEGORIES.c.id == parent_id))
        if above is None:
            raise NotFound("Category")
    category_id = await unit.insert(
        insert(CATEGORIES).values(parent_id=parent_id, name=name, path="", sort=sort)
    )
    await unit.execute(
        update(CATEGORIES)
        .where(CATEGORIES.c.id == category_id)
        .values(path=f"{above}{category_id}/")
    )
    return category_id


async def store(unit: Unit, draft: ProductDraft) -> tuple[int, list[int]]:
    """A new product with its SKUs, found by the search at once: its key and theirs, in order."""
    prices = [sku.price_fen for sku in draft.skus]
    product_id = await unit.insert(
        insert(PRODUCTS).values(
            supplier_id=draft.supplier_id,
            category_id=draft.category_id,
            title=draft.title,
            subtitle=draft.subtitle,
            description=draft.description,
            image=draft.image,
            status=draft.status,
            sort=draft.sort,
            min_price_fen=min(prices),
            max_price_fen=max(prices),
            sold_count=0,
            rating_bp=draft.rating_bp,
            is_fresh=draft.is_fresh,
            return_days=draft.return_days,
            warranty_months=draft.warranty_months,
            customer_limit=draft.customer_limit,
            search_tokens="",
            version=0,
            created_at=unit.clock(),
        )
    )
    for sort, (name, choices) in enumerate(draft.options.items()):
        await unit.execute(
            insert(OPTIONS).values(
                product_id=product_id, name=name, choices=list(choices), sort=sort
            )
        )
    sku_ids = [await _store_sku(unit, draft, product_id, sku) for sku in draft.skus]
    await index(unit, product_id)
    return product_id, sku_ids


def choices_of(options: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """Every combination of the options' choices, the last option running fastest."""
    return [dict(zip(options, chosen, strict=True)) for chosen in combinations(*options.values())]


async def index(unit: Unit, product_id: int) -> None:
    """Brings lowest and highest price and the search index of a product up to date."""
    row = await unit.db.first(
        select(*PRODUCTS.c, CATEGORIES.c.name.label("category"), SUPPLIERS.c.name.label("supplier"))
        .join(CATEGORIES, CATEGORIES.c.id == PRODUCTS.c.category_id)
        .join(SUPPLIERS, SUPPLIERS.c.id == PRODUCTS.c.supplier_id)
        .where(PRODUCTS.c.id == product_id)
    )
    if row is None:
        raise NotFound("Product")
    options = await unit.db.all(select(OPTIONS.c.choices).where(OPTIONS.c.product_id == product_id))
    choices = " ".join(choice for option in options for choice in option.choices)
    # the title counts twice
    parts = (row.title, row.title, row.subtitle, row.category, row.supplier, choices)
    text = "\n".join((*parts, row.description[:_DESCRIPTION_CHARS]))
    prices = select(SKUS.c.price_fen).where(
        SKUS.c.product_id == product_id, SKUS.c.status == "ON_SALE"
    )
    await unit.execute(
        update(PRODUCTS)
        .where(PRODUCTS.c.id == product_id)
        .values(
            search_tokens=texts.tokens(text),
            min_price_fen=func.coalesce(
                prices.with_only_columns(func.min(SKUS.c.price_fen)).scalar_subquery(),
                PRODUCTS.c.min_price_fen,
            ),
            max_price_fen=func.coalesce(
                prices.with_only_columns(func.max(SKUS.c.price_fen)).scalar_subquery(),
                PRODUCTS.c.max_price_fen,
            ),
        )
    )
    if unit.db.dialect == "sqlite":
        await unit.execute(delete(FTS).where(FTS.c.rowid == product_id))
        await unit.execute(
            insert(FTS).values(
                rowid=product_id,
                bigrams=" ".join(texts.bigrams(text)),
                words=" ".join(texts.words(text)),
            )
        )


async def _store_sku(unit: Unit, draft: ProductDraft, product_id: int, sku: SkuDraft) -> int:
    return await unit.insert(
        insert(SKUS).values(
            product_id=product_id,
            supplier_id=draft.supplier_id,
            code=sku.code,
            option_key=sku.option_key,
            options=dict(sku.options),
            supply_price_fen=sku.supply_price_fen,
            distributor_price_fen=sku.distributor_price_fen,
            price_fen=sku.price_fen,
            market_price_fen=sku.market_price_fen,
            weight_g=sku.weight_g,
            status="ON_SALE",
        )
    )
