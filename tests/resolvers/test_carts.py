"""Carts of shoppers and guests through the schema."""

import pytest

from app.auth import Viewer
from app.rules.stock import MOST_UNITS
from app.tables.carts import CartLineRow, CartRow
from app.tables.products import SkuRow
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid, mutation

CHANGED = """... on CartChanged { guestToken cart { id version
    lines { id quantity isSelected unitPrice { amountMinor } priceWhenAdded { amountMinor }
            sku { id } liveRoom { id } }
    groups { supplier { id } goods { amountMinor } shipping { amountMinor } }
    cost { goods { amountMinor } shipping { amountMinor } payable { amountMinor } }
    problems { kind lineId available price { amountMinor } } } }
  ... on Problem { code message }
  ... on OutOfStockProblem { skuId available } ... on LimitExceededProblem { limit }
  ... on InvalidInputProblem { field } ... on SkuUnavailableProblem { skuId }"""
ADD = mutation("addCartLine", CHANGED)
UPDATE = mutation("updateCartLine", CHANGED)
REMOVE = """mutation($input: RemoveCartLineInput!) { removeCartLine(input: $input) {
  ... on CartChanged { cart { lines { id } cost { payable { amountMinor } } } }
  ... on Problem { code } } }"""
CART = "{ cart { id lines { quantity } cost { payable { amountMinor } } } }"


def amount(fen: int) -> dict[str, int]:
    return {"amountMinor": fen}


async def test_a_cart_shows_lines_groups_and_what_it_costs(api: Api, mall: Mall) -> None:
    product = await mall.product(price_fen=2990)
    sku = gid("Sku", product.sku_id)
    cart = (await api.ask(ADD, await mall.consumer(), input={"skuId": sku, "quantity": 2}))["cart"]
    (line,) = cart.pop("lines")
    assert line["quantity"] == 2
    assert line["unitPrice"] == line["priceWhenAdded"] == amount(2990)
    assert (line["sku"], line["isSelected"], line["liveRoom"]) == ({"id": sku}, True, None)
    supplier = gid("Supplier", product.supplier_id)
    group = {"supplier": {"id": supplier}, "goods": amount(5980), "shipping": amount(800)}
    assert cart["groups"] == [group]
    assert cart["cost"] == {
        "goods": amount(5980),
        "shipping": amount(800),
        "payable": amount(6780),
    }
    assert cart["problems"] == []


async def test_a_guest_gets_a_token_that_leads_back_to_the_cart(api: Api, mall: Mall) -> None:
    sku = gid("Sku", (await mall.product()).sku_id)
    assert await api.ask(CART) is None
    token = (await api.ask(ADD, input={"skuId": sku}))["guestToken"]
    guest = api.resources.tokens.read(token)
    again = await api.ask(ADD, guest, input={"skuId": sku})
    assert api.resources.tokens.read(again["guestToken"]) == guest
    assert (await api.ask(CART, guest))["lines"] == [{"quantity": 2}]
    assert await api.ask(CART, Viewer(guest_key="somebody else")) is None
    assert len(await mall.rows(CartRow)) == 1


async def test_a_person_gets_no_guest_token(api: Api, mall: Mall) -> None:
    sku = gid("Sku", (await mall.product()).sku_id)
    answer = await api.ask(ADD, await mall.consumer(), input={"skuId": sku})
    assert answer["guestToken"] is None


async def test_more_than_there_is_is_refused_with_what_is_left(api: Api, mall: Mall) -> None:
    product = await mall.product(stock=3)
    sku = gid("Sku", product.sku_id)
    problem = await api.problem(ADD, await mall.consumer(), input={"skuId": sku, "quantity": 4})
    assert problem == {
        "code": "OUT_OF_STOCK",
        "message": "库存不足，仅剩 3 件",
        "skuId": sku,
        "available": 3,
    }


async def test_more_than_the_limit_is_refused(api: Api, mall: Mall) -> None:
    product = await mall.product(stock=9, customer_limit=2)
    given = {"skuId": gid("Sku", product.sku_id), "quantity": 3}
    problem = await api.problem(ADD, await mall.consumer(), input=given)
    assert (problem["code"], problem["limit"]) == ("LIMIT_EXCEEDED", 2)


async def test_goods_off_the_shelf_are_refused(api: Api, mall: Mall) -> None:
    product = await mall.product(status="DELISTED")
    given = {"skuId": gid("Sku", product.sku_id)}
    problem = await api.problem(ADD, await mall.consumer(), input=given)
    assert (problem["code"], problem["skuId"]) == ("SKU_UNAVAILABLE", given["skuId"])


@pytest.mark.parametrize("quantity", [0, -1])
async def test_a_quantity_that_nobody_can_mean_is_refused(
    api: Api, mall: Mall, quantity: int
) -> None:
    given = {"skuId": gid("Sku", (await mall.product()).sku_id), "quantity": quantity}
    problem = await api.problem(ADD, await mall.consumer(), input=given)
    assert problem["code"] == "INVALID_INPUT"


async def test_more_than_a_line_holds_is_refused(api: Api, mall: Mall) -> None:
    sku = gid("Sku", (await mall.product(stock=20_000)).sku_id)
    given = {"skuId": sku, "quantity": 10_000}
    problem = await api.problem(ADD, await mall.consumer(), input=given)
    assert (problem["code"], problem["limit"]) == ("LIMIT_EXCEEDED", MOST_UNITS)


async def test_an_id_of_no_sku_is_not_found(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    for wrong in (*BAD_IDS, gid("Sku", 999)):
        assert (await api.problem(ADD, viewer, input={"skuId": wrong}))["code"] == "NOT_FOUND"


async def test_a_room_that_does_not_show_the_goods_is_not_found(api: Api, mall: Mall) -> None:
    sku = gid("Sku", (await mall.product()).sku_id)
    for room in (gid("LiveRoom", 9), "nonsense", gid("LiveRoom", await mall.live_room({}))):
        given = {"skuId": sku, "liveRoomId": room}
        assert (await api.problem(ADD, await mall.consumer(), input=given))["code"] == "NOT_FOUND"


async def test_the_price_of_a_live_room_counts_while_it_is_live(api: Api, mall: Mall) -> None:
    product = await mall.product(price_fen=2990)
    room = await mall.live_room({product.sku_id: 2500})
    given = {"skuId": gid("Sku", product.sku_id), "liveRoomId": gid("LiveRoom", room)}
    (line,) = (await api.ask(ADD, await mall.consumer(), input=given))["cart"]["lines"]
    assert line["unitPrice"] == amount(2500)
    assert line["liveRoom"] == {"id": gid("LiveRoom", room)}


async def test_a_line_is_changed_and_taken_away(api: Api, mall: Mall) -> None:
    viewer, product = await mall.consumer(), await mall.product()
    await mall.add(viewer, product.sku_id, 1)
    (row,) = await mall.rows(CartLineRow)
    line = gid("CartLine", row.id)
    cart = (await api.ask(UPDATE, viewer, input={"lineId": line, "quantity": 5}))["cart"]
    assert cart["lines"][0]["quantity"] == 5
    cart = (await api.ask(UPDATE, viewer, input={"lineId": line, "isSelected": False}))["cart"]
    assert cart["cost"]["payable"] == amount(0)
    cart = (await api.ask(REMOVE, viewer, input={"lineId": line}))["cart"]
    assert cart == {"lines": [], "cost": {"payable": amount(0)}}
    assert (await api.problem(REMOVE, viewer, input={"lineId": line}))["code"] == "NOT_FOUND"


async def test_a_foreign_line_is_not_there(api: Api, mall: Mall) -> None:
    await mall.add(await mall.consumer(), (await mall.product()).sku_id, 1)
    (row,) = await mall.rows(CartLineRow)
    line = gid("CartLine", row.id)
    for other in (await mall.consumer(), Viewer(), Viewer(guest_key="g"), await mall.staff()):
        for query, given in (
            (UPDATE, {"lineId": line, "quantity": 2}),
            (REMOVE, {"lineId": line}),
        ):
            problem = await api.problem(query, other, input=given)
            assert problem["code"] == "NOT_FOUND"
        node = "query($id: ID!) { node(id: $id) { id } }"
        assert await api.ask(node, other, id=line) is None
        assert await api.ask(node, other, id=gid("Cart", row.cart_id)) is None


async def test_an_id_of_no_line_is_not_found(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    await mall.add(viewer, (await mall.product()).sku_id)
    for wrong in (*BAD_IDS, gid("CartLine", 999)):
        for query in (UPDATE, REMOVE):
            problem = await api.problem(query, viewer, input={"lineId": wrong})
            assert problem["code"] == "NOT_FOUND"


async def test_a_refused_change_leaves_the_line(api: Api, mall: Mall) -> None:
    viewer, product = await mall.consumer(), await mall.product(stock=3)
    await mall.add(viewer, product.sku_id, 1)
    (row,) = await mall.rows(CartLineRow)
    given = {"lineId": gid("CartLine", row.id), "quantity": 4, "isSelected": False}
    assert (await api.problem(UPDATE, viewer, input=given))["code"] == "OUT_OF_STOCK"


async def test_what_has_changed_since_is_told(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    product = await mall.product(stock=5, price_fen=1000, skus=3)
    dearer, short, gone = product.sku_ids
    for sku_id in product.sku_ids:
        await mall.add(viewer, sku_id, 5)
    await mall.change(SkuRow, dearer, price_fen=1100)
    await mall.change(SkuRow, gone, status="DELISTED")
    await mall.order(await mall.consumer(), short, 2)
    cart = await api.ask("{ cart { problems { kind available price { amountMinor } } } }", viewer)
    assert cart["problems"] == [
        {"kind": "PRICE_CHANGED", "available": None, "price": amount(1100)},
        {"kind": "STOCK_SHORT", "available": 3, "price": None},
        {"kind": "SKU_UNAVAILABLE", "available": None, "price": None},
    ]
