"""Placing, paying, cancelling and confirming through the schema; who sees which order."""

from collections.abc import Awaitable, Callable

import pytest

from app.auth import Role, Viewer
from app.tables.orders import OrderRow, TradeRow
from app.tables.payments import PaymentRow
from app.tables.products import SkuRow
from tests.factories import HOME, Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid

PLACE = """mutation($input: PlaceTradeInput!) { placeTrade(input: $input) {
  ... on Trade { id no status payable { amountMinor }
    orders { no status supplier { id } payable { amountMinor } lines { title quantity } } }
  ... on Problem { code } ... on OutOfStockProblem { skuId available }
  ... on PriceChangedProblem { expected { amountMinor } payable { amountMinor } }
  ... on InvalidInputProblem { field } } }"""
PAY = """mutation($input: PayTradeInput!) { payTrade(input: $input) {
  ... on Trade { id status paid { amountMinor } orders { status } payments { status provider } }
  ... on Problem { code } ... on WrongStateProblem { state } } }"""
CANCEL = """mutation($input: CancelTradeInput!) { cancelTrade(input: $input) {
  ... on Trade { status orders { status } } ... on Problem { code } } }"""
CONFIRM = """mutation($input: ConfirmOrderInput!) { confirmOrder(input: $input) {
  ... on Order { status } ... on Problem { code } ... on WrongStateProblem { state } } }"""
ORDERS = """query($status: OrderStatus, $after: String, $first: Int! = 20) {
  orders(status: $status, after: $after, first: $first) {
    nodes { id status availableActions receiver { phone } trade { id } }
    totalCount pageInfo { endCursor hasNextPage } } }"""
ORDER = """query($id: ID!) { order(id: $id) { id no availableActions trade { id }
  receiver { name phone street } lines { title } timeline { kind toStatus } } }"""
ADDRESS = {
    "receiver": HOME.name,
    "phone": HOME.phone,
    "province": HOME.province,
    "city": HOME.city,
    "street": HOME.street,
}


async def filled(mall: Mall, viewer: Viewer, *, quantity: int = 1, **product: int) -> int:
    """Puts a product of 2990 fen into the viewer's cart; its SKU."""
    made = await mall.product(price_fen=2990, **product)
    await mall.add(viewer, made.sku_id, quantity)
    return made.sku_id


def order_of(expected: int, key: str = "k-1", **more: object) -> dict[str, object]:
    return {"expectedPayable": expected, "idempotencyKey": key, **more}


async def test_a_trade_is_split_per_supplier(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    for _ in range(2):
        await filled(mall, viewer)
    trade = await api.ask(PLACE, viewer, input=order_of(2 * 3790, address=ADDRESS))
    assert trade["status"] == "PENDING_PAYMENT"
    assert trade["payable"] == {"amountMinor": 7580}
    assert [order["payable"] for order in trade["orders"]] == [{"amountMinor": 3790}] * 2
    assert len({order["supplier"]["id"] for order in trade["orders"]}) == 2
    assert (await api.ask("{ cart { lines { id } } }", viewer)) == {"lines": []}


async def test_the_same_key_gives_the_same_trade(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    sku = await filled(mall, viewer)
    first = await api.ask(PLACE, viewer, input=order_of(3790))
    async with mall.unchanged():
        assert await api.ask(PLACE, viewer, input=order_of(3790)) == first
    problem = await api.problem(PLACE, viewer, input=order_of(3791))
    assert problem["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await mall.stock(sku) == (10, 0, 1)


async def test_a_price_that_is_not_the_shown_one_is_refused(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    await filled(mall, viewer)
    assert await api.problem(PLACE, viewer, input=order_of(3000)) == {
        "code": "PRICE_CHANGED",
        "expected": {"amountMinor": 3000},
        "payable": {"amountMinor": 3790},
    }


async def test_sold_out_meanwhile_is_refused_with_what_is_left(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    sku = await filled(mall, viewer, stock=3, quantity=2)
    await mall.order(await mall.consumer(), sku, 2)
    problem = await api.problem(PLACE, viewer, input=order_of(6780))
    assert problem == {"code": "OUT_OF_STOCK", "skuId": gid("Sku", sku), "available": 1}


async def test_what_cannot_be_ordered_is_refused(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    assert (await api.problem(PLACE, viewer, input=order_of(0)))["code"] == "CART_EMPTY"
    sku = await filled(mall, viewer)
    for wrong in ("", "k" * 101):
        problem = await api.problem(PLACE, viewer, input=order_of(3790, wrong))
        assert problem == {"code": "INVALID_INPUT", "field": "idempotencyKey"}
    bad = {**ADDRESS, "phone": "12"}
    problem = await api.problem(PLACE, viewer, input=order_of(3790, address=bad))
    assert problem == {"code": "INVALID_INPUT", "field": "address.phone"}
    await mall.change(SkuRow, sku, status="DELISTED")
    codes = {"SKU_UNAVAILABLE", "CART_EMPTY", "PRICE_CHANGED"}
    assert (await api.problem(PLACE, viewer, input=order_of(3790)))["code"] in codes


async def test_a_guest_is_told_to_sign_in(api: Api, mall: Mall) -> None:
    guest = Viewer(guest_key="g")
    await filled(mall, guest)
    assert await api.code(PLACE, guest, input=order_of(3790)) == "UNAUTHENTICATED"
    assert await api.code(ORDERS, guest) == "UNAUTHENTICATED"
    pay = {"tradeId": gid("Trade", 1), "idempotencyKey": "k"}
    assert await api.code(PAY, guest, input=pay) == "UNAUTHENTICATED"
    assert await api.code(CANCEL, guest, input={"tradeId": gid("Trade", 1)}) == "UNAUTHENTICATED"


async def test_paying_moves_the_orders_on_and_happens_once(api: Api, mall: Mall) -> None:
    viewer, product = await mall.consumer(), await mall.product()
    trade = gid("Trade", await mall.order(viewer, product.sku_id))
    given = {"tradeId": trade, "idempotencyKey": "p-1"}
    paid = await api.ask(PAY, viewer, input=given)
    assert paid["status"] == "PAID"
    assert paid["paid"] == {"amountMinor": 3790}
    assert paid["orders"] == [{"status": "AWAITING_SHIPMENT"}]
    assert paid["payments"] == [{"status": "SUCCEEDED", "provider": "SIMULATED"}]
    async with mall.unchanged():
        assert await api.ask(PAY, viewer, input=given) == paid
    assert list(mall.payments.charged.values()) == [3790]


async def test_a_paid_trade_is_neither_paid_again_nor_cancelled(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    trade = gid("Trade", await mall.bought(viewer, (await mall.product()).sku_id))
    given = {"tradeId": trade, "idempotencyKey": "p-2"}
    problem = await api.problem(PAY, viewer, input=given)
    assert problem == {"code": "WRONG_STATE", "state": "PAID"}
    problem = await api.problem(CANCEL, viewer, input={"tradeId": trade})
    assert problem["code"] == "WRONG_STATE"


async def test_a_declined_charge_is_a_problem_and_can_be_tried_again(api: Api, mall: Mall) -> None:
    viewer, product = await mall.consumer(), await mall.product()
    key = await mall.order(viewer, product.sku_id)
    mall.payments.is_down = True
    given = {"tradeId": gid("Trade", key), "idempotencyKey": "p-1"}
    assert (await api.ask(PAY, viewer, input=given)) == {"code": "PAYMENT_FAILED"}
    assert (await mall.row(TradeRow, key)).status == "PENDING_PAYMENT"
    mall.payments.is_down = False
    assert (await api.ask(PAY, viewer, input=given))["status"] == "PAID"
    assert len(await mall.rows(PaymentRow)) == 1


async def test_an_expired_trade_is_not_paid(api: Api, mall: Mall) -> None:
    viewer, product = await mall.consumer(), await mall.product()
    key = await mall.order(viewer, product.sku_id)
    mall.clock.advance(minutes=31)
    given = {"tradeId": gid("Trade", key), "idempotencyKey": "p-1"}
    assert (await api.ask(PAY, viewer, input=given))["code"] == "TRADE_EXPIRED"
    assert (await mall.row(TradeRow, key)).paid_fen == 0


async def test_cancelling_gives_the_stock_back(api: Api, mall: Mall) -> None:
    viewer, product = await mall.consumer(), await mall.product()
    trade = gid("Trade", await mall.order(viewer, product.sku_id, 2))
    assert await mall.stock(product.sku_id) == (10, 0, 2)
    answer = await api.ask(CANCEL, viewer, input={"tradeId": trade})
    assert answer == {"status": "CANCELLED", "orders": [{"status": "CANCELLED"}]}
    assert await mall.stock(product.sku_id) == (10, 0, 0)


async def test_only_what_was_shipped_can_be_confirmed(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    await mall.bought(viewer, (await mall.product()).sku_id)
    (order,) = await mall.rows(OrderRow)
    given = {"orderId": gid("Order", order.id)}
    problem = await api.problem(CONFIRM, viewer, input=given)
    assert problem == {"code": "WRONG_STATE", "state": "AWAITING_SHIPMENT"}
    await mall.change(OrderRow, order.id, status="SHIPPED")
    assert await api.ask(CONFIRM, viewer, input=given) == {"status": "COMPLETED"}


Who = Callable[[Mall], Awaitable[Viewer]]


@pytest.mark.parametrize(
    "who",
    [
        lambda mall: mall.consumer(),
        lambda mall: mall.account(Role.DISTRIBUTOR, subject_id=77),
        lambda mall: mall.supplier_viewer(77),
    ],
    ids=["consumer", "distributor", "supplier"],
)
async def test_a_foreign_order_looks_like_none(api: Api, mall: Mall, who: Who) -> None:
    owner, product = await mall.consumer(), await mall.product()
    trade = await mall.bought(owner, product.sku_id)
    (order,) = await mall.rows(OrderRow)
    await mall.change(OrderRow, order.id, status="SHIPPED")
    other = await who(mall)
    key = gid("Order", order.id)
    assert await api.ask(ORDER, other, id=key) is None
    assert await api.ask("query($id: ID!) { node(id: $id) { id } }", other, id=key) is None
    foreign = gid("Trade", trade)
    assert await api.ask("query($id: ID!) { node(id: $id) { id } }", other, id=foreign) is None
    assert (await api.ask(ORDERS, other))["nodes"] == []
    given = {"tradeId": foreign, "idempotencyKey": "x"}
    assert (await api.problem(PAY, other, input=given))["code"] == "NOT_FOUND"
    problem = await api.problem(CANCEL, other, input={"tradeId": foreign})
    assert problem["code"] == "NOT_FOUND"
    assert (await api.problem(CONFIRM, other, input={"orderId": key}))["code"] == "NOT_FOUND"


async def test_an_id_of_nothing_is_not_found(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    for wrong in (*BAD_IDS, gid("Trade", 999), gid("Order", 999)):
        given = {"tradeId": wrong, "idempotencyKey": "x"}
        assert (await api.problem(PAY, viewer, input=given))["code"] == "NOT_FOUND"
        assert (await api.problem(CANCEL, viewer, input={"tradeId": wrong}))["code"] == "NOT_FOUND"
        assert (await api.problem(CONFIRM, viewer, input={"orderId": wrong}))["code"] == "NOT_FOUND"
        assert await api.ask(ORDER, viewer, id=wrong) is None


async def test_a_supplier_sees_what_is_to_be_shipped_and_no_trade(api: Api, mall: Mall) -> None:
    buyer, mine, other = await mall.consumer(), await mall.product(), await mall.product()
    for product in (mine, other):
        await mall.bought(buyer, product.sku_id)
    await mall.order(await mall.consumer(), mine.sku_id)  # not paid: not the supplier's yet
    supplier = await mall.supplier_viewer(mine.supplier_id)
    page = await api.ask(ORDERS, supplier)
    (order,) = page["nodes"]
    assert page["totalCount"] == 1
    assert order["availableActions"] == ["SHIP"]
    assert order["receiver"] == {"phone": HOME.phone}
    assert order["trade"] is None


async def test_a_buyer_sees_the_own_order_with_a_masked_phone(api: Api, mall: Mall) -> None:
    buyer = await mall.consumer()
    await mall.bought(buyer, (await mall.product()).sku_id)
    (row,) = await mall.rows(OrderRow)
    order = await api.ask(ORDER, buyer, id=gid("Order", row.id))
    assert order["no"] == row.no
    assert order["receiver"]["phone"] == "138****0001"
    assert [move["kind"] for move in order["timeline"]] == ["PLACED", "PAID"]
    assert order["trade"]["id"] == gid("Trade", row.trade_id)


async def test_pages_of_orders_follow_each_other(api: Api, mall: Mall) -> None:
    buyer, product = await mall.consumer(), await mall.product(stock=20)
    for _ in range(5):
        await mall.order(buyer, product.sku_id)
    seen, after = [], None
    for _ in range(3):
        page = await api.ask(ORDERS, buyer, first=2, after=after, status="PENDING_PAYMENT")
        seen += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == [gid("Order", row.id) for row in reversed(await mall.rows(OrderRow))]
    assert page["pageInfo"]["hasNextPage"] is False


async def test_a_cursor_of_another_persons_orders_is_refused(api: Api, mall: Mall) -> None:
    buyer, product = await mall.consumer(), await mall.product()
    await mall.order(buyer, product.sku_id)
    after = (await api.ask(ORDERS, buyer))["pageInfo"]["endCursor"]
    assert await api.code(ORDERS, await mall.consumer(), after=after) == "BAD_CURSOR"
    assert await api.code(ORDERS, buyer, after=after, status="SHIPPED") == "BAD_CURSOR"


@pytest.mark.parametrize("count", [3, 12])
async def test_a_page_of_orders_costs_the_same_for_any_length(
    api: Api, mall: Mall, count: int
) -> None:
    buyer, product = await mall.consumer(), await mall.product(stock=20)
    for _ in range(count):
        await mall.bought(buyer, product.sku_id)
    query = """{ orders { nodes { no supplier { name } lines { title sku { code } }
      shipments { waybill } refunds { status } timeline { kind } trade { no } } } }"""
    with mall.selects() as selects:
        assert len((await api.ask(query, buyer))["nodes"]) == count
    # the plan joins suppliers and trades to orders, SKUs to lines
    assert len(selects) == (5 if api.executor == "planned" else 8)
