"""Where a person's parcels go."""

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, false, select

from app.auth import Viewer
from app.db import Reader
from app.errors import InvalidInput
from app.rules.orders import Address
from app.statements import Prepared, Shaped, bind
from app.tables.accounts import AddressRow
from app.tables.columns import table

ADDRESSES = table(AddressRow)


def visible_to(viewer: Viewer) -> Select[Any]:
    is_own = false() if viewer.id is None else ADDRESSES.c.account_id == viewer.id
    return select(*ADDRESSES.c).where(is_own)


_DEFAULT = Shaped(
    lambda viewer: (
        visible_to(viewer).order_by(ADDRESSES.c.is_default.desc(), ADDRESSES.c.id).limit(1)
    )
)


def province_of(account: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Where an account's goods go by default, as far as a price depends on it."""
    return (
        select(ADDRESSES.c.province)
        .where(ADDRESSES.c.account_id == account)
        .order_by(ADDRESSES.c.is_default.desc(), ADDRESSES.c.id)
        .limit(1)
        .scalar_subquery()
    )


_PROVINCE = Prepared(select(province_of(bind("account")).label("province")))


async def default(db: Reader, viewer: Viewer) -> Address | None:
    """The viewer's default address, else the oldest one; a guest has none."""
    if viewer.id is None:
        return None
    row = await db.first(*_DEFAULT.of(viewer=viewer))
    if row is None:
        return None
    return Address(row.receiver, row.phone, row.province, row.city, row.street)


async def province(db: Reader, viewer: Viewer) -> str | None:
    """`province_of` the viewer, None for a guest."""
    if viewer.id is None:
        return None
    found: str | None = await db.value(_PROVINCE, {"account": viewer.id})
    return found


async def chosen(db: Reader, viewer: Viewer, given: Address | None) -> Address:
    """The given address or else the default one, checked. Raises InvalidInput."""
    address = given or await default(db, viewer)
    if address is None:
        raise InvalidInput("address", "请填写收货地址", "is needed: no default address is stored")
    return address.checked()
