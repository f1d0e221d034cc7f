"""Who may see a live room, and who runs it: its host, and staff."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, false, or_, select, true

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import Forbidden, NotFound
from app.rules import live_rooms as rules
from app.services.sight import leads_to
from app.statements import Prepared, Shaped, among, bind
from app.tables.accounts import AccountRow
from app.tables.columns import table
from app.tables.live_rooms import LiveRoomRow

ROOMS = table(LiveRoomRow)
ACCOUNTS = table(AccountRow)
HOSTS = (Role.DISTRIBUTOR, Role.SUPPLIER, Role.ADMIN)
MODERATORS = (*HOSTS, Role.AGENT)

_SEEN = Shaped(lambda viewer, room_id: visible_to(viewer).where(ROOMS.c.id == room_id))
_LOCKED = Prepared(
    select(*ROOMS.c).where(ROOMS.c.id == bind("room")).with_for_update(key_share=True)
)
_NICKNAMES = Prepared(
    select(ACCOUNTS.c.id, ACCOUNTS.c.nickname).where(among(ACCOUNTS.c.id, "accounts"))
)


def visible_to(viewer: Viewer) -> Select[Any]:
    """Cancelled, expired and banned rooms are for their host and for staff."""
    query = select(*ROOMS.c)
    if viewer.is_staff:
        return query
    public = ROOMS.c.status.in_(rules.PUBLIC)
    if viewer.id is None:
        return query.where(public)
    return query.where(or_(public, ROOMS.c.host_id == viewer.id))


def run_by(viewer: Viewer, room_id: Column[Any]) -> ColumnElement[bool]:
    """Whether the viewer runs the room that a column names."""
    if viewer.is_staff:
        return true()
    if viewer.id is None:
        return false()
    return leads_to(room_id, select(*ROOMS.c).where(ROOMS.c.host_id == viewer.id))


def runs(viewer: Viewer, room: Any) -> bool:
    return viewer.is_staff or (viewer.id is not None and viewer.id == room.host_id)


async def get(db: Reader, viewer: Viewer, room_id: int) -> Row[Any]:
    """Raises NotFound for a room that is not there or not shown to the viewer."""
    row = await db.first(*_SEEN.of(viewer=viewer, room_id=room_id))
    if row is None:
        raise NotFound("LiveRoom")
    return row


async def hosted(unit: Unit, viewer: Viewer, room_id: int) -> Row[Any]:
    """The room under lock, for its host or an admin; others get NotFound or Forbidden."""
    viewer.must_be(*HOSTS)
    row = await locked(unit, viewer, room_id)
    if row.host_id != viewer.id and viewer.role is not Role.ADMIN:
        raise Forbidden
    return row


async def moderated(unit: Unit, viewer: Viewer, room_id: int) -> Row[Any]:
    """The room under lock, for its host or staff; others get NotFound or Forbidden."""
    viewer.must_be(*MODERATORS)
    row = await locked(unit, viewer, room_id)
    if not runs(viewer, row):
        raise Forbidden
    return row


async def locked(unit: Unit, viewer: Viewer, room_id: int) -> Row[Any]:
    """The room, held until the unit ends. Raises NotFound like `get`."""
    await get(unit.db, viewer, room_id)
    return await hold(unit, room_id)


async def hold(unit: Unit, room_id: int) -> Row[Any]:
    """The room, held until the unit ends; whoever may not see it must not get here."""
    row = await unit.db.first(_LOCKED, {"room": room_id})
    assert row is not None
    return row


async def names(db: Reader, account_ids: set[int]) -> dict[int, str]:
    rows = await db.all(_NICKNAMES, {"accounts": account_ids})
    return {row.id: row.nickname for row in rows}
