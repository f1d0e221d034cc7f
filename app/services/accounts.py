"""People: signing in by a platform, and the roles they hold."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, delete, false, insert, select

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import InvalidToken, LoginRefused, NotFound, RoleNotHeld
from app.gateways.platforms import DEV
from app.rules.orders import Address
from app.services import addresses, carts
from app.statements import Prepared, among, bind
from app.tables.accounts import AccountRoleRow, AccountRow, IdentityRow
from app.tables.columns import table

ACCOUNTS = table(AccountRow)
ROLES = table(AccountRoleRow)
IDENTITIES = table(IdentityRow)

_ROLES_OF_MANY = Prepared(
    select(ROLES.c.account_id, ROLES.c.role)
    .where(among(ROLES.c.account_id, "accounts"))
    .order_by(ROLES.c.id)
)
_HELD = Prepared(
    select(ROLES.c.subject_id).where(
        ROLES.c.account_id == bind("account"), ROLES.c.role == bind("acting_as")
    )
)


def visible_to(viewer: Viewer) -> Select[Any]:
    """An account is its owner's; staff sees all."""
    query = select(*ACCOUNTS.c)
    if viewer.is_staff:
        return query
    return query.where(false() if viewer.id is None else ACCOUNTS.c.id == viewer.id)


def addresses_visible_to(viewer: Viewer) -> Select[Any]:
    return addresses.visible_to(viewer)


async def roles_of(db: Reader, account_id: int) -> list[Row[Any]]:
    query = select(*ROLES.c).where(ROLES.c.account_id == account_id)
    return await db.all(query.order_by(ROLES.c.id))


async def roles(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[list[Role]]:  # noqa: ARG001
    """The roles of each of these accounts, in one statement."""
    keys = [row.id for row in rows]
    found = await db.all(_ROLES_OF_MANY, {"accounts": keys})
    return [[Role(one.role) for one in found if one.account_id == key] for key in keys]


async def check_held(db: Reader, viewer: Viewer) -> None:
    """Raises InvalidToken for a role, or one for another subject, that is not held any more.

    Requests need not ask: a role that is taken ends its sessions. A stream outlives its request.
    """
    acting = {"account": viewer.account_id, "acting_as": viewer.role}
    held = await db.first(_HELD, acting)
    if held is None or held.subject_id != viewer.subject_id:
        raise InvalidToken


async def default_address(db: Reader, viewer: Viewer) -> Address:
    """Where the viewer's parcels go unless told otherwise. Raises InvalidInput when unknown."""
    return await addresses.chosen(db, viewer, None)


async def login(
    unit: Unit,
    *,
    platform: str,
    open_id: str,
    role: Role | None = None,
    guest: Viewer | None = None,
) -> Viewer:
    """Who signs in with that platform's name, in `role` or the role that a DEV code names.

    An unknown name becomes a new consumer; under DEV only one that says so, `consumer-77`. The
    guest's cart moves into the account's. Raises LoginRefused, and RoleNotHeld for `role`.
    """
    named = _named(open_id) if platform == DEV else None
    account_id = await _known(unit.db, platform, open_id)
    if account_id is None:
        if platform == DEV and named is not Role.CONSUMER:
            raise LoginRefused
        account_id = await _register(unit, platform, open_id)
    await hold(unit, account_id)
    wanted = role or named
    held = {Role(row.role): row for row in await roles_of(unit.db, account_id)}
    chosen = wanted or (Role.CONSUMER if Role.CONSUMER in held else next(iter(held), None))
    if chosen is None or chosen not in held:
        raise LoginRefused if role is None else RoleNotHeld
    if guest is not None and guest.guest_key is not None:
        await carts.merge_guest(unit, guest_key=guest.guest_key, account_id=account_id)
    locale = guest.locale if guest is not None else "zh"
    return Viewer(chosen, account_id, held[chosen].subject_id, locale=locale)


async def hold(unit: Unit, account_id: int) -> None:
    """Until the commit nobody else gives, takes or begins to use a role. Raises NotFound."""
    query = select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account_id)
    if await unit.db.first(query.with_for_update(key_share=True)) is None:
        raise NotFound("Account")


def _named(open_id: str) -> Role | None:
    """The role in a DEV name like `supplier-1`."""
    prefix = open_id.partition("-")[0].upper()
    return Role(prefix) if prefix in set(Role) else None


async def _known(db: Reader, platform: str, open_id: str) -> int | None:
    query = select(IDENTITIES.c.account_id).where(
        IDENTITIES.c.platform == platform, IDENTITIES.c.open_id == open_id
    )
    found: int | None = await db.value(query)
    return found


async def _register(unit: Unit, platform: str, open_id: str) -> int:
    """A new consumer; the same person signing in twice at once still gets one account."""
    now = unit.clock()
    nickname = f"用户{secrets.randbelow(1_000_000):06d}"
    account_id = await unit.insert(insert(ACCOUNTS).values(nickname=nickname, created_at=now))
    is_new = await unit.insert_new(
        IDENTITIES, account_id=account_id, platform=platform, open_id=open_id
    )
    if is_new is None:
        await unit.changed(delete(ACCOUNTS).where(ACCOUNTS.c.id == account_id))
        known = await _known(unit.db, platform, open_id)
        assert known is not None
        return known
    await unit.insert(
        insert(ROLES).values(account_id=account_id, role=Role.CONSUMER, subject_id=None)
    )
    return account_id
