"""Roles: given and taken by admins, and gone with their sessions."""

from asyncio import gather

import pytest

from app.auth import Role, Viewer
from app.errors import Forbidden, InvalidInput, MallError, NotFound, Unauthenticated
from app.services import roles, sessions
from app.tables.accounts import AccountRoleRow
from app.tables.sessions import AuditRow, SessionRow
from tests.factories import Mall
from tests.services.test_sign_ins import desk, enter


async def grant(mall: Mall, admin: Viewer, person: Viewer, role: Role, subject=None) -> list[int]:
    return await mall.database.change(
        roles.grant, admin, account_id=person.account_id, role=role, subject_id=subject
    )


async def revoke(mall: Mall, admin: Viewer, person: Viewer, role: Role) -> list[int]:
    return await mall.database.change(roles.revoke, admin, account_id=person.account_id, role=role)


async def held(mall: Mall, person: Viewer) -> dict[str, int | None]:
    rows = await mall.rows(AccountRoleRow, account_id=person.id)
    return {row.role: row.subject_id for row in rows}


async def test_a_person_may_hold_several_roles(any_mall: Mall) -> None:
    admin, person = await any_mall.account(Role.ADMIN), await any_mall.consumer()
    supplier = await any_mall.supplier()
    assert await grant(any_mall, admin, person, Role.SUPPLIER, supplier) == []
    assert await grant(any_mall, admin, person, Role.AGENT) == []
    assert await held(any_mall, person) == {"CONSUMER": None, "SUPPLIER": supplier, "AGENT": None}
    lines = await any_mall.rows(AuditRow)
    assert [(one.action, one.role, one.account_id, one.target_id, one.detail) for one in lines] == [
        ("GRANT_ROLE", "ADMIN", admin.id, person.id, f"SUPPLIER Supplier {supplier}"),
        ("GRANT_ROLE", "ADMIN", admin.id, person.id, "AGENT"),
    ]


async def test_a_role_that_is_held_is_given_again_without_a_trace(any_mall: Mall) -> None:
    admin, person = await any_mall.account(Role.ADMIN), await any_mall.consumer()
    async with any_mall.unchanged():
        assert await grant(any_mall, admin, person, Role.CONSUMER) == []


async def test_another_shop_takes_the_place_of_the_first_and_its_sessions(any_mall: Mall) -> None:
    admin, first, second = (
        await any_mall.account(Role.ADMIN),
        await any_mall.supplier(),
        await any_mall.supplier(),
    )
    person = await any_mall.supplier_viewer(first)
    await any_mall.identity(person, "supplier-1")
    opened = await enter(desk(any_mall), "supplier-1")
    ended = await grant(any_mall, admin, person, Role.SUPPLIER, second)
    assert ended == [opened.viewer.session_id]
    assert await held(any_mall, person) == {"SUPPLIER": second}


async def test_a_role_that_is_taken_ends_its_sessions_and_leaves_the_others(
    any_mall: Mall,
) -> None:
    admin, person = await any_mall.account(Role.ADMIN), await any_mall.consumer()
    await any_mall.identity(person, "consumer-1")
    await grant(any_mall, admin, person, Role.AGENT)
    at = desk(any_mall)
    shopping, working = await enter(at), await enter(at, role=Role.AGENT)
    assert await revoke(any_mall, admin, person, Role.AGENT) == [working.viewer.session_id]
    assert await held(any_mall, person) == {"CONSUMER": None}
    rows = {row.id: row.ended_why for row in await any_mall.rows(SessionRow)}
    assert rows == {shopping.viewer.session_id: None, working.viewer.session_id: "ROLE_REVOKED"}
    assert (await any_mall.rows(AuditRow))[-1].action == "REVOKE_ROLE"


@pytest.mark.parametrize("role", [Role.CONSUMER, Role.DISTRIBUTOR, Role.SUPPLIER, Role.AGENT])
async def test_only_admins_give_and_take(mall: Mall, role: Role) -> None:
    person, other = await mall.account(role, subject_id=1), await mall.consumer()
    async with mall.unchanged():
        for viewer, refusal in ((person, Forbidden), (Viewer(), Unauthenticated)):
            with pytest.raises(refusal):
                await grant(mall, viewer, viewer if viewer.id else other, Role.ADMIN)
            with pytest.raises(refusal):
                await revoke(mall, viewer, other, Role.CONSUMER)


@pytest.mark.parametrize(
    ("role", "subject", "refusal"),
    [
        (Role.GUEST, None, InvalidInput),
        (Role.SUPPLIER, None, InvalidInput),
        (Role.DISTRIBUTOR, None, InvalidInput),
        (Role.AGENT, 1, InvalidInput),
        (Role.SUPPLIER, 99, NotFound),
        (Role.DISTRIBUTOR, 99, NotFound),
    ],
)
async def test_a_role_is_held_for_what_it_takes_and_for_nothing_else(
    mall: Mall, role: Role, subject: int | None, refusal: type[MallError]
) -> None:
    admin, person = await mall.account(Role.ADMIN), await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(refusal):
            await grant(mall, admin, person, role, subject)


async def test_nobody_gives_to_nobody_or_takes_what_is_not_held(mall: Mall) -> None:
    admin, person = await mall.account(Role.ADMIN), await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await grant(mall, admin, Viewer(Role.CONSUMER, 99), Role.AGENT)
        with pytest.raises(NotFound):
            await revoke(mall, admin, person, Role.AGENT)
        with pytest.raises(NotFound):
            await revoke(mall, admin, Viewer(Role.CONSUMER, 99), Role.AGENT)


async def test_an_admin_cannot_lock_everybody_out(mall: Mall) -> None:
    admin = await mall.account(Role.ADMIN)
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await revoke(mall, admin, admin, Role.ADMIN)


async def test_no_session_begins_in_a_role_that_is_being_taken(any_mall: Mall) -> None:
    admin, person = await any_mall.account(Role.ADMIN), await any_mall.consumer()
    await any_mall.identity(person, "consumer-1")
    for _ in range(5):
        await grant(any_mall, admin, person, Role.AGENT)
        at = desk(any_mall)
        await gather(
            any_mall.outcome(enter(at, role=Role.AGENT)),
            any_mall.outcome(enter(at, role=Role.AGENT)),
            revoke(any_mall, admin, person, Role.AGENT),
            any_mall.outcome(enter(at, role=Role.AGENT)),
        )
        async with any_mall.database.read() as db:
            assert await sessions.live(db, person.account_id, role=Role.AGENT) == []


async def test_the_first_admin_is_appointed_at_the_machine(any_mall: Mall) -> None:
    person = await any_mall.consumer()
    await any_mall.database.change(
        roles.appoint, account_id=person.account_id, role=Role.ADMIN, subject_id=None
    )
    assert await held(any_mall, person) == {"CONSUMER": None, "ADMIN": None}
    (line,) = await any_mall.rows(AuditRow)
    assert (line.action, line.account_id, line.role) == ("GRANT_ROLE", None, None)
