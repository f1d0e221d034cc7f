"""Root fields of orders: lists, placing a trade, paying it, shipping."""

from typing import Annotated, Any

import strawberry

from app import ids
from app.auth import Role
from app.bus import Message
from app.context import Context, Info
from app.errors import Forbidden
from app.events import distributor_order_topic, order_topic, supplier_order_topic
from app.rules.orders import Cause, OrderStatus
from app.services import checkout, orders, orders_cancel, orders_place
from resolvers.addresses import address_of
from resolvers.own_streams import own_stream
from resolvers.pages import After, First, checked_first
from resolvers.problems import returns_problems
from resolvers.reads import by_id, root
from resolvers.streams import At, Stream, stream
from schema.common import Connection
from schema.fields import Price
from schema.orders import (
    CancelTradeInput,
    CancelTradeResult,
    ConfirmOrderInput,
    ConfirmOrderResult,
    Order,
    OrderStreamEvent,
    OrderUpdate,
    PayTradeInput,
    PayTradeResult,
    PlaceTradeInput,
    PlaceTradeResult,
)
from schema.reads import ById, PageOf

_TRADE = Price(units=50)  # locks stock, asks a provider


@strawberry.type
class OrderQuery:
    @root(
        "订单，新的在前；买家见自己的，供应商见待发与已发的。The viewer's orders.",
        Connection[Order],
    )
    def orders(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        status: Annotated[
            OrderStatus | None, strawberry.argument(description="只看某状态。Only this state.")
        ] = None,
    ) -> PageOf:
        viewer = info.context.viewer
        viewer.must_be_signed_in()
        return PageOf(
            "Order",
            Connection,
            orders.listing,
            {"status": status},
            first=checked_first(first),
            after=after,
            scope=f"orders:{viewer.role}:{viewer.id}:{status}",
        )

    @root("一个订单。One order.", Order | None)
    def order(
        self,
        info: Info,  # noqa: ARG002
        id: Annotated[strawberry.ID, strawberry.argument(description="订单 ID。Its global id.")],
    ) -> ById:
        return by_id("Order", id)


@strawberry.type
class OrderMutation:
    @strawberry.mutation(
        description="下单：锁定库存 30 分钟。Orders the selected lines of the cart.",
        metadata=_TRADE.metadata(),
    )
    @returns_problems
    async def place_trade(
        self,
        info: Info,
        input: Annotated[
            PlaceTradeInput, strawberry.argument(description="下单内容。What to order.")
        ],
    ) -> PlaceTradeResult:
        context = info.context
        context.viewer.must_be_signed_in()
        trade_id = await context.resources.database.change(
            orders_place.place,
            context.viewer,
            expected_payable_fen=input.expected_payable,
            idempotency_key=input.idempotency_key,
            address=address_of(input.address),
        )
        return await context.load.one("Trade", trade_id)

    @strawberry.mutation(description="支付交易。Pays a trade.", metadata=_TRADE.metadata())
    @returns_problems
    async def pay_trade(
        self,
        info: Info,
        input: Annotated[PayTradeInput, strawberry.argument(description="支付内容。What to pay.")],
    ) -> PayTradeResult:
        resources = info.context.resources
        trade_id = await checkout.pay(
            resources.database,
            resources.payments,
            info.context.viewer,
            trade_id=ids.key_of("Trade", input.trade_id),
            idempotency_key=input.idempotency_key,
        )
        return await info.context.load.one("Trade", trade_id)

    @strawberry.mutation(description="取消未付款的交易，释放库存。Cancels an unpaid trade.")
    @returns_problems
    async def cancel_trade(
        self,
        info: Info,
        input: Annotated[
            CancelTradeInput, strawberry.argument(description="哪笔交易。Which trade.")
        ],
    ) -> CancelTradeResult:
        trade_id = ids.key_of("Trade", input.trade_id)
        await info.context.resources.database.change(
            orders_cancel.cancel_trade, info.context.viewer, trade_id=trade_id
        )
        return await info.context.load.one("Trade", trade_id)

    @strawberry.mutation(description="确认收货。Confirms that an order has arrived.")
    @returns_problems
    async def confirm_order(
        self,
        info: Info,
        input: Annotated[
            ConfirmOrderInput, strawberry.argument(description="哪个订单。Which order.")
        ],
    ) -> ConfirmOrderResult:
        order_id = ids.key_of("Order", input.order_id)
        await info.context.resources.database.change(
            orders.confirm, info.context.viewer, order_id=order_id
        )
        return await info.context.load.one("Order", order_id)


@strawberry.type
class OrderSubscription:
    @stream(
        "自己的订单、包裹、付款与退款的每次变化。"
        "Whatever befalls the viewer's orders, with parcels, payments and refunds.",
        OrderStreamEvent,
    )
    def order_updated(self, info: Info, after: After = None) -> Stream:  # noqa: ARG002
        return own_stream(order_topic(info.context.viewer.account_id), _told)

    @stream(
        "所代表供应商的订单，待发货起可见；分销商为经其店铺售出的订单。"
        "Orders of the supplier, from when they are to be shipped, or of the distributor's shop.",
        OrderStreamEvent,
    )
    def supplier_orders(self, info: Info, after: After = None) -> Stream:  # noqa: ARG002
        viewer = info.context.viewer
        viewer.must_be(Role.SUPPLIER, Role.DISTRIBUTOR)
        if viewer.subject_id is None:
            raise Forbidden
        is_supplier = viewer.role is Role.SUPPLIER
        topic = supplier_order_topic if is_supplier else distributor_order_topic
        return own_stream(topic(viewer.subject_id), _told)


async def _told(context: Context, message: Message, at: At) -> Any:
    """An order as the viewer may see it after what befell it."""
    payload = message.payload
    previous = payload.get("previous")
    return OrderUpdate(
        cursor=at.cursor,
        seq=at.seq,
        order_id=strawberry.ID(ids.encode("Order", payload["order_id"])),
        cause=Cause(payload.get("cause", Cause.UPDATED)),
        status=OrderStatus(payload["status"]),
        previous_status=None if previous is None else OrderStatus(previous),
        order=await context.load.one("Order", payload["order_id"]),
    )
