"""Carts as clients see them: stored lines, prices as they are now."""

from enum import StrEnum
from typing import Annotated

import strawberry

from app import ids
from app.services import carts
from app.services.carts_pricing import Costs, PricedCart
from schema.common import Money
from schema.fields import Entity, Value, batch, column, computed, entity, key, many, one
from schema.problems import (
    InvalidInputProblem,
    LimitExceededProblem,
    NotFoundProblem,
    OutOfStockProblem,
    SkuUnavailableProblem,
)
from schema.refs import CartLineRef, CartRef, LiveRoomRef, SkuRef, SupplierRef


@strawberry.enum(description="购物车问题的种类。Kinds of problems in a cart.")
class CartProblemKind(StrEnum):
    PRICE_CHANGED = "PRICE_CHANGED"
    SKU_UNAVAILABLE = "SKU_UNAVAILABLE"
    STOCK_SHORT = "STOCK_SHORT"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"


@strawberry.type(description="购物车中需要留意的一处。Something to look at before paying.")
class CartProblem:
    kind: CartProblemKind = strawberry.field(description="种类。Kind.")
    line_id: strawberry.ID = strawberry.field(description="哪一行。The line.")
    available: int | None = strawberry.field(description="可售数量。Units left, if short.")
    price: Money | None = strawberry.field(description="现价，若有变。The price now, if changed.")


@strawberry.type(description="购物车中一个供应商的部分。The part of a cart from one supplier.")
class CartGroup(Value):
    supplier_id: strawberry.Private[int]
    goods: Money = strawberry.field(description="选中商品金额。Selected goods.")
    shipping: Money = strawberry.field(description="运费。Shipping fee.")
    supplier: SupplierRef | None = one("supplier_id", "Supplier", "供应商。The supplier.")


@strawberry.type(description="选中商品的费用。What the selected lines cost.")
class CartCost:
    goods: Money = strawberry.field(description="商品金额。Goods.")
    shipping: Money = strawberry.field(
        description="运费（默认地址）。Shipping to the default address."
    )
    payable: Money = strawberry.field(description="应付，用作 expectedPayable。To pay.")


@entity("购物车中的一行。A line of a cart.", visible_to=carts.lines_visible_to)
class CartLine(Entity):
    id: strawberry.ID = key()
    quantity: int = column("件数。Units.")
    is_selected: bool = column("是否选中结算。Will be ordered.")
    sku: SkuRef | None = one("sku_id", "Sku", "规格，下架后为空。Null when no longer sold.")
    price_when_added: Money = computed(
        "price_when_added_fen", by=Money.of, description="加入时的单价。Unit price when added."
    )
    unit_price: Money | None = batch(
        carts.unit_prices,
        "现在的单价。Unit price now.",
        columns=("id", "cart_id"),
        wrap=Money.maybe,
    )
    live_room: LiveRoomRef | None = one(
        "live_room_id", "LiveRoom", "来自哪个直播间。Added in a room."
    )


def _groups(costs: Costs) -> list[CartGroup]:
    return [
        CartGroup(
            supplier_id=group.supplier_id,
            goods=Money.of(group.goods_fen),
            shipping=Money.of(group.shipping_fen),
        )
        for group in costs.groups
    ]


def _cost(costs: Costs) -> CartCost:
    return CartCost(
        goods=Money.of(costs.goods_fen),
        shipping=Money.of(costs.shipping_fen),
        payable=Money.of(costs.payable_fen),
    )


def _problems(priced: PricedCart) -> list[CartProblem]:
    return [
        CartProblem(
            kind=CartProblemKind(problem.kind),
            line_id=strawberry.ID(ids.encode("CartLine", problem.line_id)),
            available=problem.data.get("available"),
            price=Money.maybe(problem.data.get("price_fen")),
        )
        for problem in priced.problems
    ]


@entity("购物车。A cart.", visible_to=carts.visible_to)
class Cart(Entity):
    id: strawberry.ID = key()
    version: int = column("版本，每次变化加一。Grows with every change.")
    lines: list[CartLineRef] = many("CartLine", "cart_id", "各行。Its lines.")
    groups: list[CartGroup] = batch(carts.costs_many, "按供应商分组。By supplier.", wrap=_groups)
    cost: CartCost = batch(carts.costs_many, "费用。What it costs now.", wrap=_cost)
    problems: list[CartProblem] = batch(
        carts.priced_many, "需留意之处。Changes since it was filled.", wrap=_problems
    )


@strawberry.type(description="购物车及游客凭证。The cart, and the guest's token when there is one.")
class CartChanged:
    cart: CartRef = strawberry.field(description="变化后的购物车。The cart as it is now.")
    guest_token: str | None = strawberry.field(
        description="游客首次加购时返回，之后放入 X-Guest-Token 头。Send it as X-Guest-Token."
    )


@strawberry.input(description="加入购物车。Puts units of a SKU into the cart.")
class AddCartLineInput:
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")
    quantity: int = strawberry.field(default=1, description="件数。Units.")
    live_room_id: strawberry.ID | None = strawberry.field(
        default=None, description="来自哪个直播间。The room it is bought in."
    )


@strawberry.input(description="修改购物车的一行。Changes a line.")
class UpdateCartLineInput:
    line_id: strawberry.ID = strawberry.field(description="哪一行。The line.")
    quantity: int | None = strawberry.field(
        default=None, description="新的件数。Units from now on."
    )
    is_selected: bool | None = strawberry.field(
        default=None, description="是否选中。Will be ordered."
    )


@strawberry.input(description="移除购物车的一行。Takes a line away.")
class RemoveCartLineInput:
    line_id: strawberry.ID = strawberry.field(description="哪一行。The line.")


_RESULT = "购物车或拒绝原因。The cart or why not."
AddCartLineResult = Annotated[
    CartChanged
    | NotFoundProblem
    | InvalidInputProblem
    | SkuUnavailableProblem
    | OutOfStockProblem
    | LimitExceededProblem,
    strawberry.union("AddCartLineResult", description=_RESULT),
]
UpdateCartLineResult = Annotated[
    CartChanged
    | NotFoundProblem
    | InvalidInputProblem
    | SkuUnavailableProblem
    | OutOfStockProblem
    | LimitExceededProblem,
    strawberry.union("UpdateCartLineResult", description=_RESULT),
]
RemoveCartLineResult = Annotated[
    CartChanged | NotFoundProblem,
    strawberry.union("RemoveCartLineResult", description=_RESULT),
]
