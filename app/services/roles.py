"""Who may act as what: admins give and take roles, and taking one ends its sessions."""

from sqlalchemy import delete, insert, select, update

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import InvalidInput, NotFound
from app.rules.audit import Action
from app.services import accounts, audit, sessions
from app.services.accounts import ROLES
from app.services.distributors import DISTRIBUTORS
from app.services.suppliers import SUPPLIERS

_SUBJECTS = {Role.SUPPLIER: SUPPLIERS, Role.DISTRIBUTOR: DISTRIBUTORS}
KINDS = {Role.SUPPLIER: "Supplier", Role.DISTRIBUTOR: "Distributor"}
"""What a role is held for, by the GraphQL type; the others are held for nothing."""


async def grant(
    unit: Unit, viewer: Viewer, *, account_id: int, role: Role, subject_id: int | None
) -> list[int]:
    """Gives the account a role, for `subject_id` where the role takes one; the sessions it ends.

    A role held already is held for the new subject from now on. Raises NotFound, InvalidInput.
    """
    viewer.must_be(Role.ADMIN)
    return await _grant(unit, viewer, account_id, role, subject_id)


async def appoint(unit: Unit, *, account_id: int, role: Role, subject_id: int | None) -> list[int]:
    """Like `grant`, by whoever sits at the machine: the first admin has nobody to ask."""
    return await _grant(unit, Viewer(), account_id, role, subject_id)


async def revoke(unit: Unit, viewer: Viewer, *, account_id: int, role: Role) -> list[int]:
    """Takes a role away; the sessions that end with it. Raises NotFound, InvalidInput."""
    viewer.must_be(Role.ADMIN)
    if role is Role.ADMIN and account_id == viewer.id:
        raise InvalidInput("role", "不能撤销自己的管理员角色", "is your own: ask another admin")
    await accounts.hold(unit, account_id)
    gone = await unit.changed(
        delete(ROLES).where(ROLES.c.account_id == account_id, ROLES.c.role == role)
    )
    if not gone:
        raise NotFound("AccountRole")
    ended = await _end(unit, account_id, role)
    await audit.note(unit, viewer, Action.REVOKE_ROLE, ("Account", account_id), detail=role)
    return ended


async def _grant(
    unit: Unit, viewer: Viewer, account_id: int, role: Role, subject_id: int | None
) -> list[int]:
    await accounts.hold(unit, account_id)
    await _check(unit, role, subject_id)
    held = ROLES.c.account_id == account_id, ROLES.c.role == role
    known = await unit.db.first(select(ROLES.c.subject_id).where(*held))
    if known is not None and known.subject_id == subject_id:
        return []
    ended: list[int] = []
    if known is None:
        values = {"account_id": account_id, "role": role, "subject_id": subject_id}
        await unit.insert(insert(ROLES).values(**values))
    else:
        await unit.changed(update(ROLES).where(*held).values(subject_id=subject_id))
        ended = await _end(unit, account_id, role)
    detail = role if subject_id is None else f"{role} {KINDS[role]} {subject_id}"
    await audit.note(unit, viewer, Action.GRANT_ROLE, ("Account", account_id), detail=detail)
    return ended


async def _end(unit: Unit, account_id: int, role: Role) -> list[int]:
    live = await sessions.live(unit.db, account_id, role=role)
    return await sessions.end(unit, live, why=sessions.ROLE_REVOKED)


async def _check(unit: Unit, role: Role, subject_id: int | None) -> None:
    if role is Role.GUEST:
        raise InvalidInput("role", "游客不是可授予的角色", "guests hold no role")
    subjects = _SUBJECTS.get(role)
    if subjects is None:
        if subject_id is not None:
            raise InvalidInput("subjectId", "该角色不属于任何店铺", "this role is held for nothing")
        return
    if subject_id is None:
        raise InvalidInput("subjectId", "请指明供应商或分销商", "name the supplier or distributor")
    if await unit.db.first(select(subjects.c.id).where(subjects.c.id == subject_id)) is None:
        raise NotFound(KINDS[role])
