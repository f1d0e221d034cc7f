"""Root fields of goods: the product list, one product, the categories."""

from collections.abc import Collection
from typing import Annotated, Any

import strawberry

from app import ids
from app.bus import Message
from app.context import Context, Info
from app.db import Reader
from app.errors import BadUserInput, NotFound
from app.events import STOCK
from app.services import products
from app.services.products import ProductSort
from resolvers.pages import MOST, After, First, checked_first
from resolvers.reads import by_id, root
from resolvers.streams import At, Stream, stream
from schema.products import (
    Category,
    Product,
    ProductConnection,
    ProductFilter,
    Sku,
    StockEvent,
    StockLevel,
    StockUpdate,
)
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


@strawberry.type
class ProductSubscription:
    @stream(
        "规格的可售数量：先给现状，之后每次变化再推送。"
        "Free units of SKUs: as they are now, then after every change.",
        StockEvent,
    )
    def stock_updated(
        self,
        info: Info,  # noqa: ARG002
        sku_ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="规格，1-100 个；不可见的略去。SKUs, 1 to 100."),
        ],
        after: After = None,  # noqa: ARG002
    ) -> Stream:
        followed = _skus(sku_ids)

        async def look(context: Context, at: At) -> StockUpdate:
            update = await _levels(context, followed, at)
            if update is None:
                raise NotFound("Sku")
            return update

        async def tell(context: Context, message: Message, at: At) -> StockUpdate | None:
            return await _levels(context, changed(message), at)

        def changed(message: Message) -> frozenset[int]:
            return followed.intersection(message.payload["sku_ids"])

        def merged(message: Message) -> str:
            # as good as a later event about the same SKUs: both are told from the stock as it is
            return repr(sorted(changed(message)))

        return Stream(
            STOCK,
            look,
            tell,
            is_public=True,
            merged=merged,
            wanted=lambda message: not followed.isdisjoint(message.payload["sku_ids"]),
        )


async def _levels(context: Context, keys: Collection[int], at: At) -> StockUpdate | None:
    """The free units as they are now of those that anybody may see; None when there are none."""
    found = await context.resources.database.look(lambda db: products.levels(db, keys))
    levels = [StockLevel(available=free, sku=Sku.of(row)) for row, free in found]
    return StockUpdate(cursor=at.cursor, seq=at.seq, levels=levels) if levels else None


def _skus(global_ids: list[strawberry.ID]) -> frozenset[int]:
    """The keys; an id that is none of ours names nothing that could be seen."""
    if not 1 <= len(global_ids) <= MOST:
        raise BadUserInput("skuIds", f"须为 1 到 {MOST} 个", f"must be 1 to {MOST}")
    keys = {_key(one, "Sku") for one in global_ids}
    return frozenset(key for key in keys if key)


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
