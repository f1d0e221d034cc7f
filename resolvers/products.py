"""Root fields of goods: the product list, one product, the categories."""

from functools import partial
from typing import Annotated, Any

import strawberry

from app import ids
from app.context import Context, Info
from app.errors import BadUserInput, NotFound
from app.services import products
from app.services.products import ProductSort
from resolvers.pages import After, First, after_values, checked_first, connection, one
from schema.common import Money
from schema.products import (
    Category,
    CategoryFacet,
    PriceFacet,
    Product,
    ProductConnection,
    ProductFacets,
    ProductFilter,
    SupplierFacet,
)

SEARCH_MOST = 100


@strawberry.type
class ProductQuery:
    @strawberry.field(description="商品列表，可筛选、搜索、排序。Products: filter, search, sort.")
    async def products(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        filter: Annotated[
            ProductFilter | None, strawberry.argument(description="筛选。Narrows the list.")
        ] = None,
        search: Annotated[
            str | None, strawberry.argument(description="搜索词，至多 100 字。Words to look for.")
        ] = None,
        sort: Annotated[
            ProductSort, strawberry.argument(description="排序。Order of the list.")
        ] = ProductSort.DEFAULT,
    ) -> ProductConnection:
        context = info.context
        chosen: dict[str, Any] = {"filter": _filter(filter), "search": _checked_search(search)}
        scope = f"products:{sort.value}:{search or ''}"
        async with context.resources.database.read() as db:
            page = await products.page(
                db,
                context.viewer,
                **chosen,
                sort=sort,
                first=checked_first(first),
                after=after_values(context, scope, after),
            )
        return connection(
            context,
            ProductConnection,
            Product,
            page,
            scope=scope,
            after=after,
            count=partial(_count, context, chosen),
            read_facets=partial(_facets, context, chosen),
        )

    @strawberry.field(description="一件商品。One product.")
    async def product(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="商品 ID。Its global id.")],
    ) -> Product | None:
        return await one(info.context, "Product", id)

    @strawberry.field(
        description="一级类目；下级见 children。Top categories, the rest as children."
    )
    async def categories(self, info: Info) -> list[Category]:
        async with info.context.resources.database.read() as db:
            return [Category.of(row) for row in await products.top_categories(db)]


async def _count(context: Context, chosen: dict[str, Any]) -> int:
    async with context.resources.database.read() as db:
        return await products.count(db, context.viewer, **chosen)


async def _facets(context: Context, chosen: dict[str, Any]) -> ProductFacets:
    async with context.resources.database.read() as db:
        facets = await products.facets(db, context.viewer, **chosen)
    return ProductFacets(
        categories=[
            CategoryFacet(category_id=key, count=count) for key, count in facets.categories
        ],
        suppliers=[SupplierFacet(supplier_id=key, count=count) for key, count in facets.suppliers],
        prices=[
            PriceFacet(low=Money.of(b.low_fen), high=Money.maybe(b.high_fen), count=b.count)
            for b in facets.price_bands
        ],
    )


def _checked_search(search: str | None) -> str | None:
    if search is not None and len(search) > SEARCH_MOST:
        raise BadUserInput("search", f"至多 {SEARCH_MOST} 字", f"at most {SEARCH_MOST} characters")
    return search


def _filter(given: ProductFilter | None) -> products.ProductFilter:
    if given is None:
        return products.ProductFilter()
    return products.ProductFilter(
        category_id=_key(given.category_id, "Category"),
        supplier_id=_key(given.supplier_id, "Supplier"),
        price_min_fen=given.price_min,
        price_max_fen=given.price_max,
        in_stock=given.in_stock,
    )


def _key(global_id: strawberry.ID | None, kind: str) -> int | None:
    """The key; an id that is none of ours matches nothing, like one of a row that is gone."""
    if global_id is None:
        return None
    try:
        return ids.key_of(kind, global_id)
    except NotFound:
        return 0
