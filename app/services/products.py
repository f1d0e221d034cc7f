"""Goods: who may see them, their search and their facets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Row,
    Select,
    case,
    cast,
    column,
    exists,
    func,
    select,
)
from sqlalchemy import table as bare_table

from app import search as texts
from app.auth import Role, Viewer
from app.db import Reader
from app.errors import NotFound
from app.services import stocks
from app.services.pages import Listing, Order
from app.services.sight import leads_to
from app.statements import Prepared, among, unindexed
from app.tables.columns import table
from app.tables.products import CategoryRow, ProductOptionRow, ProductRow, SkuRow, StockRow
from app.tables.suppliers import SupplierRow

PRODUCTS = table(ProductRow)
CATEGORIES = table(CategoryRow)
OPTIONS = table(ProductOptionRow)
SKUS = table(SkuRow)
STOCKS = table(StockRow)
SUPPLIERS = table(SupplierRow)
FTS = bare_table("product_search", column("rowid"), column("bigrams"), column("words"))
SHOWN = ("ON_SALE", "PRE_SALE")
BAND_EDGES_FEN = (2_000, 5_000, 10_000, 30_000)
_RANK_SCALE = 1_000_000  # ranks are compared as integers: a float does not survive every cursor


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """What is None does not restrict. Prices compare with the lowest price of a product."""

    category_id: int | None = None  # the whole branch below it
    supplier_id: int | None = None
    price_min_fen: int | None = None
    price_max_fen: int | None = None
    in_stock: bool | None = None
    ids: tuple[int, ...] | None = None


class ProductSort(StrEnum):
    DEFAULT = "DEFAULT"
    SALES = "SALES"
    PRICE_ASC = "PRICE_ASC"
    PRICE_DESC = "PRICE_DESC"
    NEWEST = "NEWEST"
    RELEVANCE = "RELEVANCE"


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Lowest prices from `low_fen` up to, not including, `high_fen`."""

    low_fen: int
    high_fen: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """(id, count), most products first; suppliers and prices counted without their own filter.

    Categories are those one level below the category filtered by, each with all below it.
    """

    categories: tuple[tuple[int, int], ...]
    suppliers: tuple[tuple[int, int], ...]
    price_bands: tuple[PriceBand, ...]


@dataclass(frozen=True, slots=True)
class FtsMatch:
    """Products that an FTS5 expression finds, on SQLite."""

    expression: str

    def hits(self) -> CTE:
        """(id, rank). Materialised: FTS5 gives ranks only while it runs the statement itself."""
        rank = cast(func.round(-func.bm25(_whole("product_search")) * _RANK_SCALE), BigInteger)
        return (
            select(FTS.c.rowid.label("id"), rank.label("rank"))
            .where(_whole("product_search").op("MATCH")(self.expression))
            .cte("hits")
            .prefix_with("MATERIALIZED")
        )


@dataclass(frozen=True, slots=True)
class VectorMatch:
    """Products that a tsquery finds, on PostgreSQL."""

    expression: str

    def hits(self) -> CTE:
        """(id, rank)."""
        vector = func.to_tsvector("simple", PRODUCTS.c.search_tokens)
        query = func.to_tsquery("simple", self.expression)
        rank = cast(func.round(func.ts_rank(vector, query) * _RANK_SCALE), BigInteger)
        return select(PRODUCTS.c.id, rank.label("rank")).where(vector.op("@@")(query)).cte("hits")


Match = FtsMatch | VectorMatch


def visible_to(viewer: Viewer) -> Select[Any]:
    """The public sees goods on sale of approved suppliers, a supplier the own goods, staff all."""
    query = select(*PRODUCTS.c)
    if viewer.is_staff:
        return query
    if viewer.role is Role.SUPPLIER:
        return query.where(PRODUCTS.c.supplier_id == viewer.subject_id)
    approved = select(SUPPLIERS.c.id).where(SUPPLIERS.c.status == "APPROVED")
    return query.where(
        unindexed(PRODUCTS.c.status).in_(SHOWN), leads_to(PRODUCTS.c.supplier_id, approved)
    )


def skus_visible_to(viewer: Viewer) -> Select[Any]:
    query = select(*SKUS.c).where(leads_to(SKUS.c.product_id, visible_to(viewer)))
    if viewer.is_staff or viewer.role is Role.SUPPLIER:
        return query
    return query.where(SKUS.c.status == "ON_SALE")


_FOR_ANYBODY = Prepared(
    skus_visible_to(Viewer()).where(among(SKUS.c.id, "skus")).order_by(SKUS.c.id)
)


def options_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*OPTIONS.c).where(leads_to(OPTIONS.c.product_id, visible_to(viewer)))


def stocks_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*STOCKS.c).where(leads_to(STOCKS.c.sku_id, skus_visible_to(viewer)))


def categories_visible_to(_viewer: Viewer) -> Select[Any]:
    return select(*CATEGORIES.c)


async def get(db: Reader, viewer: Viewer, product_id: int) -> Row[Any]:
    """Raises NotFound for a product that is not there or not shown to the viewer."""
    row = await db.first(visible_to(viewer).where(PRODUCTS.c.id == product_id))
    if row is None:
        raise NotFound("Product")
    return row


def top_categories(viewer: Viewer) -> Listing:
    tops = categories_visible_to(viewer).where(CATEGORIES.c.parent_id.is_(None))
    return Listing(tops, [(CATEGORIES.c.sort, False), (CATEGORIES.c.id, False)])


async def available(db: Reader, _viewer: Viewer, rows: Sequence[Any]) -> list[int]:
    """Units of these SKUs that can be bought now."""
    found = await stocks.available(db, [row.id for row in rows])
    return [found[row.id] for row in rows]


async def levels(db: Reader, sku_ids: Collection[int]) -> list[tuple[Row[Any], int]]:
    """Those of these SKUs that anybody may see, with their free units; in order of their keys."""
    rows = await db.all(_FOR_ANYBODY, {"skus": sku_ids})
    free = await stocks.available(db, [row.id for row in rows])
    return [(row, free[row.id]) for row in rows]


async def supply_prices(_db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[int | None]:
    """What the viewer's own side of the trade pays: a distributor the platform's price to shops.

    The supply price is for its supplier and for staff; shoppers see neither.
    """
    return [_supply_price(viewer, row) for row in rows]


async def match_of(db: Reader, search: str | None) -> Match | None:
    """The products that hold every word, or else those that hold any.

    None when there is nothing to search for: no text, or none with a letter or digit in it.
    """
    if search is None or not (query := texts.query_tokens(search)):
        return None
    is_sqlite = db.dialect == "sqlite"
    strict: Match = (
        FtsMatch(texts.fts5_all(query)) if is_sqlite else VectorMatch(texts.tsquery_all(query))
    )
    found = query.bigrams
    if len(found) == 1 or await db.first(select(strict.hits().c.id).limit(1)) is not None:
        return strict
    if is_sqlite:
        return FtsMatch(texts.fts5_any("bigrams", found))
    return VectorMatch(texts.tsquery_any(found))


def listing(
    viewer: Viewer, *, filter: ProductFilter, sort: ProductSort, match: Match | None
) -> Listing:
    """RELEVANCE without a match is DEFAULT; DEFAULT with a match is RELEVANCE."""
    hits = None if match is None else match.hits()
    statement = _chosen(viewer, filter, hits)
    if hits is not None:
        statement = statement.add_columns(hits.c.rank)
    return Listing(statement, _order(sort, hits))


async def facets(
    db: Reader, viewer: Viewer, *, filter: ProductFilter, match: Match | None
) -> Facets:
    hits = None if match is None else match.hits()
    categories = await _branch_counts(db, filter.category_id, _chosen(viewer, filter, hits))
    owners = await _supplier_counts(db, _chosen(viewer, replace(filter, supplier_id=None), hits))
    free = replace(filter, price_min_fen=None, price_max_fen=None)
    return Facets(categories, owners, await _bands(db, _chosen(viewer, free, hits)))


def _supply_price(viewer: Viewer, sku: Any) -> int | None:
    if viewer.is_staff:
        return int(sku.supply_price_fen)
    if viewer.role is Role.SUPPLIER and viewer.subject_id == sku.supplier_id:
        return int(sku.supply_price_fen)
    return int(sku.distributor_price_fen) if viewer.role is Role.DISTRIBUTOR else None


def _chosen(viewer: Viewer, filter: ProductFilter, hits: CTE | None) -> Select[Any]:
    statement = visible_to(viewer).where(*_conditions(filter))
    if hits is not None:
        statement = statement.join(hits, hits.c.id == PRODUCTS.c.id)
    return statement


def _conditions(filter: ProductFilter) -> list[ColumnElement[bool]]:
    made: list[ColumnElement[bool]] = []
    if filter.category_id is not None:
        made.append(PRODUCTS.c.category_id.in_(_branch(filter.category_id)))
    if filter.supplier_id is not None:
        made.append(PRODUCTS.c.supplier_id == filter.supplier_id)
    if filter.price_min_fen is not None:
        made.append(PRODUCTS.c.min_price_fen >= filter.price_min_fen)
    if filter.price_max_fen is not None:
        made.append(PRODUCTS.c.min_price_fen <= filter.price_max_fen)
    if filter.in_stock is not None:
        free = (
            exists(SKUS.c.id)
            .where(SKUS.c.product_id == PRODUCTS.c.id, SKUS.c.status == "ON_SALE")
            .where(STOCKS.c.sku_id == SKUS.c.id)
            .where(STOCKS.c.on_hand - STOCKS.c.allocated - STOCKS.c.reserved > 0)
        )
        made.append(free if filter.in_stock else ~free)
    if filter.ids is not None:
        made.append(PRODUCTS.c.id.in_(filter.ids))
    return made


def _branch(category_id: int) -> Select[Any]:
    root = CATEGORIES.alias()
    return select(CATEGORIES.c.id).where(
        root.c.id == category_id, CATEGORIES.c.path.startswith(root.c.path)
    )


def _order(sort: ProductSort, hits: CTE | None) -> Order:
    if hits is not None and sort in {ProductSort.DEFAULT, ProductSort.RELEVANCE}:
        return [(hits.c.rank, True), (PRODUCTS.c.id, True)]
    orders: dict[ProductSort, Order] = {
        ProductSort.SALES: [(PRODUCTS.c.sold_count, True), (PRODUCTS.c.id, True)],
        ProductSort.PRICE_ASC: [(PRODUCTS.c.min_price_fen, False), (PRODUCTS.c.id, False)],
        ProductSort.PRICE_DESC: [(PRODUCTS.c.min_price_fen, True), (PRODUCTS.c.id, True)],
        ProductSort.NEWEST: [(PRODUCTS.c.created_at, True), (PRODUCTS.c.id, True)],
    }
    return orders.get(sort, [(PRODUCTS.c.sort, False), (PRODUCTS.c.id, False)])


def _whole(name: str) -> ColumnElement[Any]:
    """FTS5's name for the table as a whole, which is spelled like a column."""
    return column(name)


async def _branch_counts(
    db: Reader, above: int | None, chosen: Select[Any]
) -> tuple[tuple[int, int], ...]:
    found, leaf = chosen.subquery(), CATEGORIES.alias()
    number = func.count().label("number")
    rows = await db.all(
        select(CATEGORIES.c.id, number)
        .join_from(found, leaf, leaf.c.id == found.c.category_id)
        .join(CATEGORIES, leaf.c.path.startswith(CATEGORIES.c.path))
        .where(CATEGORIES.c.parent_id == above)
        .group_by(CATEGORIES.c.id)
        .order_by(number.desc(), CATEGORIES.c.id)
    )
    return tuple((row.id, row.number) for row in rows)


async def _supplier_counts(db: Reader, chosen: Select[Any]) -> tuple[tuple[int, int], ...]:
    found = chosen.subquery()
    number = func.count().label("number")
    rows = await db.all(
        select(found.c.supplier_id, number)
        .group_by(found.c.supplier_id)
        .order_by(number.desc(), found.c.supplier_id)
    )
    return tuple((row.supplier_id, row.number) for row in rows)


async def _bands(db: Reader, chosen: Select[Any]) -> tuple[PriceBand, ...]:
    found = chosen.subquery()
    band = case(
        *((found.c.min_price_fen < edge, place) for place, edge in enumerate(BAND_EDGES_FEN)),
        else_=len(BAND_EDGES_FEN),
    ).label("band")
    rows: Sequence[Row[Any]] = await db.all(
        select(band, func.count().label("number")).group_by(band).order_by(band)
    )
    lows: tuple[int, ...] = (0, *BAND_EDGES_FEN)
    highs: tuple[int | None, ...] = (*BAND_EDGES_FEN, None)
    return tuple(PriceBand(lows[row.band], highs[row.band], row.number) for row in rows)
