"""Root fields of goods: the product list, one product, the categories."""

from typing import Annotated, Any

import strawberry

from app import ids
from app.context import Info
from app.db import Reader
from app.errors import BadUserInput, NotFound
from app.services import products
from app.services.products import ProductSort
from resolvers.pages import After, First, checked_first
from resolvers.reads import by_id, root
from schema.products import Category, Product, ProductConnection, ProductFilter
from schema.reads import ById, LookUp, PageOf, Rows

SEARCH_MOST = 100


@strawberry.type
class ProductQuery:
    @root("商品列表，可筛选、搜索、排序。Products: filter, search, sort.", ProductConnection)
    def products(
        self,
        info: Info,  # noqa: ARG002
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
    ) -> PageOf:
        return PageOf(
            "Product",
            ProductConnection,
            products.listing,
            {"filter": _filter(filter), "sort": sort, "match": None},
            first=checked_first(first),
            after=after,
            scope=f"products:{sort.value}:{search or ''}",
            look_up=_match(_checked_search(search)),
        )

    @root("一件商品。One product.", Product | None)
    def product(
        self,
        info: Info,  # noqa: ARG002
        id: Annotated[strawberry.ID, strawberry.argument(description="商品 ID。Its global id.")],
    ) -> ById:
        return by_id("Product", id)

    @root("一级类目；下级见 children。Top categories, the rest as children.", list[Category])
    def categories(self, info: Info) -> Rows:  # noqa: ARG002
        return Rows("Category", products.top_categories, limit=100)


def _match(search: str | None) -> LookUp | None:
    if search is None:
        return None

    async def look_up(db: Reader) -> dict[str, Any]:
        return {"match": await products.match_of(db, search)}

    return look_up


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
