"""Root fields of the cart: reading it and changing its lines, for guests too."""

from typing import Annotated

import strawberry

from app import ids
from app.auth import Role, new_guest
from app.context import Context, Info
from app.services import carts
from resolvers.problems import returns_problems
from resolvers.reads import root
from schema.carts import (
    AddCartLineInput,
    AddCartLineResult,
    Cart,
    CartChanged,
    RemoveCartLineInput,
    RemoveCartLineResult,
    UpdateCartLineInput,
    UpdateCartLineResult,
)
from schema.reads import FirstOf


@strawberry.type
class CartQuery:
    @root("当前购物车，尚未加购时为空。The viewer's cart, null before the first line.", Cart | None)
    def cart(self, info: Info) -> FirstOf:  # noqa: ARG002
        return FirstOf("Cart", carts.mine)


@strawberry.type
class CartMutation:
    @strawberry.mutation(description="加入购物车；同一规格合并件数。Adds units to the cart.")
    @returns_problems
    async def add_cart_line(
        self,
        info: Info,
        input: Annotated[
            AddCartLineInput, strawberry.argument(description="加购内容。What to add.")
        ],
    ) -> AddCartLineResult:
        context = info.context
        if context.viewer.role is Role.GUEST and context.viewer.guest_key is None:
            context.act_as(new_guest(context.viewer.locale))
        room = input.live_room_id
        cart_id = await context.resources.database.change(
            carts.add_line,
            context.viewer,
            sku_id=ids.key_of("Sku", input.sku_id),
            quantity=input.quantity,
            live_room_id=None if room is None else ids.key_of("LiveRoom", room),
        )
        return await _changed(context, cart_id)

    @strawberry.mutation(description="修改件数或选中状态。Changes a line.")
    @returns_problems
    async def update_cart_line(
        self,
        info: Info,
        input: Annotated[
            UpdateCartLineInput, strawberry.argument(description="修改内容。What to change.")
        ],
    ) -> UpdateCartLineResult:
        cart_id = await info.context.resources.database.change(
            carts.update_line,
            info.context.viewer,
            line_id=ids.key_of("CartLine", input.line_id),
            quantity=input.quantity,
            is_selected=input.is_selected,
        )
        return await _changed(info.context, cart_id)

    @strawberry.mutation(description="移除一行。Takes a line away.")
    @returns_problems
    async def remove_cart_line(
        self,
        info: Info,
        input: Annotated[
            RemoveCartLineInput, strawberry.argument(description="移除哪一行。Which line.")
        ],
    ) -> RemoveCartLineResult:
        cart_id = await info.context.resources.database.change(
            carts.remove_line, info.context.viewer, line_id=ids.key_of("CartLine", input.line_id)
        )
        return await _changed(info.context, cart_id)


async def _changed(context: Context, cart_id: int) -> CartChanged:
    viewer = context.viewer
    is_guest = viewer.role is Role.GUEST
    return CartChanged(
        cart=await context.load.one("Cart", cart_id),
        guest_token=context.resources.tokens.issue(viewer) if is_guest else None,
    )
