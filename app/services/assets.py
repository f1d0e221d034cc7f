"""Uploaded pictures: who sees them, and how much of them an account may leave here."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, false, func, insert, select

from app.auth import Viewer
from app.db import Reader, Unit
from app.pictures import Picture
from app.rules.assets import Used, check_quota, quota_of
from app.tables.accounts import AccountRow
from app.tables.assets import AssetRow
from app.tables.columns import table

ASSETS = table(AssetRow)
ACCOUNTS = table(AccountRow)
DAY = timedelta(days=1)


def visible_to(viewer: Viewer) -> Select[Any]:
    """A picture is its owner's; staff sees all. Others get to it by its link."""
    query = select(*ASSETS.c)
    if viewer.is_staff:
        return query
    return query.where(false() if viewer.id is None else ASSETS.c.owner_id == viewer.id)


async def linked(db: Reader, link: str) -> Row[Any] | None:
    """The picture behind a link, whoever asks."""
    return await db.first(select(*ASSETS.c).where(ASSETS.c.link == link))


async def is_kept(db: Reader, sha256: str) -> bool:
    return await db.first(select(ASSETS.c.id).where(ASSETS.c.sha256 == sha256)) is not None


async def check(db: Reader, viewer: Viewer, now: datetime, *, more_bytes: int = 0) -> None:
    """Raises Unauthenticated for a guest, QuotaExceeded when there is no room for one more."""
    quota = quota_of(viewer.role)
    mine = ASSETS.c.owner_id == viewer.account_id
    kept = await db.value(select(func.coalesce(func.sum(ASSETS.c.size_bytes), 0)).where(mine))
    taken = await db.value(
        select(func.count()).select_from(ASSETS).where(mine, ASSETS.c.created_at > now - DAY)
    )
    check_quota(quota, Used(int(kept), int(taken)), more_bytes=more_bytes)


async def add(unit: Unit, viewer: Viewer, picture: Picture) -> Row[Any]:
    """The viewer's row of a picture whose file is there; the same picture twice is one row.

    Holds the owner's row, so that uploads at the same time are counted one after the other.
    Raises like `check`.
    """
    owner_id = viewer.account_id
    await unit.db.first(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == owner_id).with_for_update())
    mine = select(*ASSETS.c).where(ASSETS.c.owner_id == owner_id, ASSETS.c.sha256 == picture.sha256)
    known = await unit.db.first(mine)
    if known is not None:
        return known
    await check(unit.db, viewer, unit.clock(), more_bytes=len(picture.data))
    await unit.insert(
        insert(ASSETS).values(
            owner_id=owner_id,
            link=secrets.token_urlsafe(16),
            sha256=picture.sha256,
            media_type=picture.media_type,
            size_bytes=len(picture.data),
            width=picture.width,
            height=picture.height,
            created_at=unit.clock(),
        )
    )
    made = await unit.db.first(mine)
    assert made is not None
    return made
