"""Suppliers: who may see them, and taking one in."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, insert, or_, select

from app.auth import Role, Viewer
from app.db import Unit
from app.tables.columns import table
from app.tables.suppliers import SupplierRow

SUPPLIERS = table(SupplierRow)


@dataclass(frozen=True, slots=True)
class SupplierDraft:
    """`status`: APPLIED, APPROVED, SUSPENDED; `rating_bp` 10000 is five stars."""

    name: str
    status: str
    category: str
    rating_bp: int
    settle_cycle: str
    ship_from: str
    return_address: str
    platform_rate_bp: int
    shipping_fen: int
    remote_surcharge_fen: int
    free_shipping_from_fen: int | None


def visible_to(viewer: Viewer) -> Select[Any]:
    """Approved ones are public; a supplier also sees the own entry, staff see all."""
    query = select(*SUPPLIERS.c)
    if viewer.is_staff:
        return query
    public = SUPPLIERS.c.status == "APPROVED"
    if viewer.role is Role.SUPPLIER:
        return query.where(or_(public, SUPPLIERS.c.id == viewer.subject_id))
    return query.where(public)


async def enrol(unit: Unit, draft: SupplierDraft) -> int:
    return await unit.insert(insert(SUPPLIERS).values(**asdict(draft), created_at=unit.clock()))
