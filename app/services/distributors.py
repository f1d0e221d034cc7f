"""Distributors and their listings: who may see them, taking one in, listing a SKU."""

from typing import Any

from sqlalchemy import Select, insert, or_, select

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import InvalidInput, NotFound
from app.services.sight import leads_to
from app.tables.columns import table
from app.tables.distributors import DistributorListingRow, DistributorRow
from app.tables.products import SkuRow

DISTRIBUTORS = table(DistributorRow)
LISTINGS = table(DistributorListingRow)
SKUS = table(SkuRow)


def visible_to(viewer: Viewer) -> Select[Any]:
    """Active shops are public; a distributor also sees the own entry, staff see all."""
    query = select(*DISTRIBUTORS.c)
    if viewer.is_staff:
        return query
    public = DISTRIBUTORS.c.status == "ACTIVE"
    if viewer.role is Role.DISTRIBUTOR:
        return query.where(or_(public, DISTRIBUTORS.c.id == viewer.subject_id))
    return query.where(public)


def listings_visible_to(viewer: Viewer) -> Select[Any]:
    """Listings on sale are public; a distributor sees all of the own shop."""
    query = select(*LISTINGS.c).where(leads_to(LISTINGS.c.distributor_id, visible_to(viewer)))
    if viewer.is_staff:
        return query
    public = LISTINGS.c.status == "ON_SALE"
    if viewer.role is Role.DISTRIBUTOR:
        return query.where(or_(public, LISTINGS.c.distributor_id == viewer.subject_id))
    return query.where(public)


async def enrol(
    unit: Unit, *, account_id: int, shop_name: str, slug: str, parent_id: int | None = None
) -> int:
    """A new shop: a leader's without a parent, else one level below it; there are two levels."""
    if parent_id is not None:
        parent = await unit.db.first(select(*DISTRIBUTORS.c).where(DISTRIBUTORS.c.id == parent_id))
        if parent is None or parent.level != 1:
            raise NotFound("Distributor")
    return await unit.insert(
        insert(DISTRIBUTORS).values(
            account_id=account_id,
            level=1 if parent_id is None else 2,
            parent_id=parent_id,
            status="ACTIVE",
            shop_name=shop_name,
            slug=slug,
            created_at=unit.clock(),
        )
    )


async def list_sku(unit: Unit, *, distributor_id: int, sku_id: int, price_fen: int) -> int:
    """Puts a SKU into the shop at its own price, never below the platform's price to shops."""
    sku = await unit.db.first(select(*SKUS.c).where(SKUS.c.id == sku_id))
    if sku is None:
        raise NotFound("Sku")
    if price_fen < sku.distributor_price_fen:
        raise InvalidInput("price", "售价不能低于分销价", "below the distributor price")
    return await unit.insert(
        insert(LISTINGS).values(
            distributor_id=distributor_id, sku_id=sku_id, price_fen=price_fen, status="ON_SALE"
        )
    )
