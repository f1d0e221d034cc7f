"""Signing in and who am I."""

import pytest

from app.auth import Role, Viewer
from app.tables.accounts import AccountRow
from tests.factories import Mall
from tests.resolvers.conftest import Api, gid

LOGIN = """mutation($platform: Platform! = DEV, $code: String!) {
  loginWithCode(input: {platform: $platform, code: $code}) {
    ... on Session { token viewer { role account { nickname roles addresses { city } } } }
    ... on Problem { code message } } }"""
VIEWER = "{ viewer { role account { nickname } } }"
ADD = """mutation($sku: ID!, $quantity: Int! = 1) {
  addCartLine(input: {skuId: $sku, quantity: $quantity}) {
    ... on CartChanged { guestToken cart { id } } ... on Problem { code } } }"""
CART = "{ cart { lines { quantity sku { id } } } }"


async def test_a_guest_is_nobody(api: Api) -> None:
    assert await api.ask(VIEWER) == {"role": "GUEST", "account": None}


async def test_a_dev_code_opens_a_session_of_its_role(api: Api, mall: Mall) -> None:
    person = await mall.consumer()
    await mall.identity(person, "consumer-1")
    session = await api.ask(LOGIN, code="consumer-1")
    assert session["viewer"] == {
        "role": "CONSUMER",
        "account": {
            "nickname": (await mall.row(AccountRow, person.account_id)).nickname,
            "roles": ["CONSUMER"],
            "addresses": [{"city": "杭州市"}],
        },
    }
    viewer = api.resources.tokens.read(session["token"])
    assert viewer == person
    assert (await api.ask(VIEWER, viewer))["role"] == "CONSUMER"


@pytest.mark.parametrize("code", ["", "root", "supplier-99", "consumer-1; drop table accounts"])
async def test_a_code_of_nobody_is_refused(api: Api, code: str) -> None:
    problem = await api.noted(LOGIN, code=code)
    assert problem == {"code": "LOGIN_REFUSED", "message": "登录失败：登录码无效或已过期"}


async def test_a_platform_that_is_not_set_up_says_so_in_english(api: Api) -> None:
    problem = await api.problem(LOGIN, Viewer(locale="en"), platform="WECHAT", code="071abc")
    assert problem == {
        "code": "PLATFORM_UNAVAILABLE",
        "message": "sign-in by WECHAT is not available now",
    }


async def test_the_guests_cart_is_merged_at_sign_in(api: Api, mall: Mall) -> None:
    product = await mall.product(stock=9)
    sku = gid("Sku", product.sku_id)
    await mall.identity(person := await mall.consumer(), "consumer-1")
    await mall.add(person, product.sku_id, 1)
    token = (await api.ask(ADD, sku=sku, quantity=2))["guestToken"]
    guest = api.resources.tokens.read(token)
    session = await api.ask(LOGIN, guest, code="consumer-1")
    viewer = api.resources.tokens.read(session["token"])
    assert await api.ask(CART, viewer) == {"lines": [{"quantity": 3, "sku": {"id": sku}}]}
    assert await api.ask(CART, guest) is None


async def test_a_refused_sign_in_leaves_the_guests_cart(api: Api, mall: Mall) -> None:
    product = await mall.product()
    guest = Viewer(guest_key="g-1")
    await mall.add(guest, product.sku_id, 2)
    assert (await api.noted(LOGIN, guest, code="admin-7"))["code"] == "LOGIN_REFUSED"
    assert len((await api.ask(CART, guest))["lines"]) == 1


async def test_an_account_shows_itself_to_its_owner_alone(api: Api, mall: Mall) -> None:
    mine, other = await mall.consumer(), await mall.consumer()
    query = "query($id: ID!) { node(id: $id) { ... on Account { nickname } } }"
    own = gid("Account", mine.account_id)
    assert (await api.ask(query, mine, id=own)) is not None
    assert (await api.ask(query, other, id=own)) is None
    assert (await api.ask(query, id=own)) is None
    assert (await api.ask(query, await mall.account(Role.SUPPLIER, subject_id=1), id=own)) is None
