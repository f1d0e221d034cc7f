"""Signing in, and what a guest brings along."""

from asyncio import gather

import pytest

from app.auth import Role, Viewer
from app.errors import InvalidInput, LoginRefused, PlatformUnavailable, RoleNotHeld
from app.gateways.platforms import DevPlatform, Platforms
from app.services import accounts, carts
from app.tables.accounts import AccountRow, AddressRow, IdentityRow
from app.tables.carts import CartLineRow, CartRow
from tests.factories import HOME, Mall

GUEST = Viewer(guest_key="guest-1", locale="en")
PLATFORMS = Platforms({"DEV": DevPlatform()})


async def login(mall: Mall, open_id: str, platform: str = "DEV", **more) -> Viewer:
    async with mall.unit() as unit:
        return await accounts.login(unit, platform=platform, open_id=open_id, **more)


async def test_a_dev_code_names_the_role(mall: Mall) -> None:
    person = await mall.account(Role.SUPPLIER, subject_id=5)
    await mall.identity(person, "supplier-1")
    assert await login(mall, "supplier-1") == Viewer(Role.SUPPLIER, person.id, 5)


@pytest.mark.parametrize("name", ["supplier-99", "distributor-99", "agent-99", "admin-99"])
async def test_an_unknown_dev_name_is_refused(mall: Mall, name: str) -> None:
    async with mall.unchanged():
        with pytest.raises(LoginRefused):
            await login(mall, name)


async def test_an_unknown_dev_consumer_is_made_on_the_fly_and_once(mall: Mall) -> None:
    first, again = await login(mall, "consumer-99"), await login(mall, "consumer-99")
    assert first == again
    assert first.role is Role.CONSUMER
    assert len(await mall.rows(AccountRow)) == 1


async def test_a_role_that_is_not_held_is_refused(mall: Mall) -> None:
    await mall.identity(await mall.consumer(), "consumer-1")
    async with mall.unchanged():
        with pytest.raises(RoleNotHeld):
            await login(mall, "consumer-1", role=Role.ADMIN)


async def test_a_new_name_of_a_real_platform_becomes_a_consumer_once(mall: Mall) -> None:
    first, again = await gather(*(login(mall, "o-1", "WECHAT") for _ in range(2)))
    assert first == again
    assert first.role is Role.CONSUMER
    assert len(await mall.rows(IdentityRow, platform="WECHAT")) == 1
    assert len(await mall.rows(AccountRow)) == 1


async def test_the_same_name_on_another_platform_is_somebody_else(mall: Mall) -> None:
    assert (await login(mall, "o-1", "WECHAT")).id != (await login(mall, "o-1", "ALIPAY")).id


async def test_a_guests_cart_moves_into_the_accounts(mall: Mall) -> None:
    product = await mall.product(stock=20, skus=2)
    both, single = product.sku_ids
    person = await mall.consumer()
    await mall.identity(person, "consumer-1")
    await mall.add(person, both, 2)
    await mall.add(GUEST, both, 3)
    await mall.add(GUEST, single, 1)
    viewer = await login(mall, "consumer-1", guest=GUEST)
    assert viewer == Viewer(Role.CONSUMER, person.id, locale="en")
    lines = await mall.rows(CartLineRow)
    assert [(one.sku_id, one.quantity) for one in lines] == [(both, 5), (single, 1)]
    assert {one.status for one in await mall.rows(CartRow, guest_key="guest-1")} == {"MERGED"}
    async with mall.database.read() as db:
        assert await carts.current(db, GUEST) is None


async def test_signing_in_twice_merges_a_guests_cart_once(mall: Mall) -> None:
    product = await mall.product()
    await mall.identity(await mall.consumer(), "consumer-1")
    await mall.add(GUEST, product.sku_id, 3)
    await login(mall, "consumer-1", guest=GUEST)
    async with mall.unchanged():
        await login(mall, "consumer-1", guest=GUEST)


async def test_a_refused_sign_in_leaves_the_guests_cart(mall: Mall) -> None:
    await mall.add(GUEST, (await mall.product()).sku_id)
    async with mall.unchanged():
        with pytest.raises(LoginRefused):
            await login(mall, "supplier-99", guest=GUEST)


async def test_accounts_and_addresses_are_private(mall: Mall) -> None:
    me, other, agent = await mall.consumer(), await mall.consumer(), await mall.staff()
    async with mall.database.read() as db:
        seen = [row.id for row in await db.all(accounts.visible_to(me))]
        seen_by_staff = [row.id for row in await db.all(accounts.visible_to(agent))]
        seen_by_guest = await db.all(accounts.visible_to(GUEST))
        addresses = await db.all(accounts.addresses_visible_to(other))
    assert seen == [me.id]
    assert seen_by_staff == [me.id, other.id, agent.id]
    assert seen_by_guest == []
    assert [row.account_id for row in addresses] == [other.id]


async def test_roles_of_many_accounts_cost_one_statement(mall: Mall) -> None:
    people = [await mall.consumer(), await mall.staff()]
    rows = await mall.rows(AccountRow)
    async with mall.database.read() as db:
        with mall.selects() as selects:
            found = await accounts.roles(db, people[0], rows)
    assert found == [[Role.CONSUMER], [Role.AGENT]]
    assert len(selects) == 1


async def test_parcels_go_to_the_default_address(mall: Mall) -> None:
    person = await mall.consumer()
    async with mall.database.read() as db:
        assert await accounts.default_address(db, person) == HOME
        (row,) = await db.all(accounts.addresses_visible_to(person))
    await mall.change(AddressRow, row.id, account_id=(await mall.consumer()).id)
    async with mall.database.read() as db:
        with pytest.raises(InvalidInput):
            await accounts.default_address(db, person)


async def test_a_dev_code_is_its_own_open_id() -> None:
    assert await PLATFORMS.identify("DEV", "consumer-12") == "consumer-12"


@pytest.mark.parametrize("code", ["", "root", "consumer-0", "consumer-1 ", "consumer-1\n", "x-1"])
async def test_a_code_of_another_shape_is_refused(code: str) -> None:
    with pytest.raises(LoginRefused):
        await PLATFORMS.identify("DEV", code)


async def test_a_platform_that_is_not_set_up_says_so() -> None:
    with pytest.raises(PlatformUnavailable) as refusal:
        await PLATFORMS.identify("WECHAT", "071abc")
    assert refusal.value.data == {"platform": "WECHAT"}
