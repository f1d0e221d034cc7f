"""Trades and orders as clients see them."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.rules.orders import Action, Cause, OrderStatus, TradeStatus
from app.services import orders
from schema.common import AddressInput, Money, StreamEvent, StreamGap, StreamOpened
from schema.fields import Entity, batch, column, computed, entity, key, many, one
from schema.problems import (
    CartEmptyProblem,
    IdempotencyKeyReusedProblem,
    InvalidInputProblem,
    LimitExceededProblem,
    NotFoundProblem,
    OutOfStockProblem,
    PaymentFailedProblem,
    PriceChangedProblem,
    SkuUnavailableProblem,
    TradeExpiredProblem,
    WrongStateProblem,
)
from schema.refs import (
    DistributorRef,
    GroupBuyRef,
    OrderEventRef,
    OrderLineRef,
    OrderRef,
    PaymentRef,
    ProductRef,
    RefundRef,
    ShipmentRef,
    SkuRef,
    SupplierRef,
    TradeRef,
)

strawberry.enum(TradeStatus, description="交易状态。State of a trade.")
strawberry.enum(OrderStatus, description="订单状态。State of an order.")
strawberry.enum(
    Action,
    name="OrderAction",
    description="可执行的操作。What the viewer may do with an order now.",
)
strawberry.enum(
    Cause,
    name="OrderCause",
    description="订单为何有消息：流转，或付款、包裹、退款的进展。Why there is news of an order.",
)


@strawberry.type(description="规格取值。One option and its value.")
class LineOption:
    name: str = strawberry.field(description="选项名。Name.")
    value: str = strawberry.field(description="取值。Value.")


def _line_options(options: dict[str, str]) -> list[LineOption]:
    return [LineOption(name=name, value=value) for name, value in options.items()]


@strawberry.type(description="下单时的收货信息。Where the goods go, as given at checkout.")
class Receiver:
    name: str = strawberry.field(description="收货人。Who receives.")
    phone: str = strawberry.field(description="电话，发货方之外脱敏。Masked but for the shipper.")
    province: str = strawberry.field(description="省。Province.")
    city: str = strawberry.field(description="市。City.")
    street: str = strawberry.field(description="详细地址。Street and house.")


def _receiver(known: dict[str, str] | None) -> Receiver | None:
    return None if known is None else Receiver(**known)


@entity("订单中的一行。A line of an order.", visible_to=orders.lines_visible_to)
class OrderLine(Entity):
    id: strawberry.ID = key()
    title: str = column("下单时的标题。Title when it was bought.")
    options: list[LineOption] = computed(
        "options", by=_line_options, description="规格。Options when it was bought."
    )
    quantity: int = column("件数。Units.")
    shipped_quantity: int = column("已发件数。Units shipped.")
    unit_price: Money = computed(
        "unit_price_fen", by=Money.of, description="单价。Price of a unit."
    )
    payable: Money = computed(
        "payable_fen", by=Money.of, description="应付（含运费与优惠分摊）。With its shares."
    )
    refunded: Money = computed("refunded_fen", by=Money.of, description="已退。Refunded so far.")
    sku: SkuRef | None = one("sku_id", "Sku", "规格，下架后为空。Null when no longer sold.")
    product: ProductRef | None = one("product_id", "Product", "商品，下架后为空。Null when gone.")


@entity("订单的一次流转。A move of an order.", visible_to=orders.events_visible_to)
class OrderEvent(Entity):
    id: strawberry.ID = key()
    kind: str = column("事件。What happened.")
    to_status: OrderStatus = computed(
        "to_status", by=OrderStatus, description="之后的状态。State after."
    )
    created_at: datetime = column("时间。When.")


@entity(
    "订单：一个供应商的那部分。The part of a trade that one supplier fulfils.",
    visible_to=orders.visible_to,
)
class Order(Entity):
    id: strawberry.ID = key()
    no: str = column("订单号。Number for people.")
    status: OrderStatus = computed("status", by=OrderStatus, description="状态。State.")
    goods: Money = computed("goods_fen", by=Money.of, description="商品金额。Price of the goods.")
    shipping: Money = computed("shipping_fen", by=Money.of, description="运费。Shipping fee.")
    discount: Money = computed("discount_fen", by=Money.of, description="优惠。Discount.")
    payable: Money = computed("payable_fen", by=Money.of, description="应付。To pay.")
    paid: Money = computed("paid_fen", by=Money.of, description="已付。Paid.")
    refunded: Money = computed("refunded_fen", by=Money.of, description="已退。Refunded.")
    receiver: Receiver | None = batch(
        orders.receivers,
        "收货信息；供应商仅在发货期间可见。Where it goes; suppliers see it while they ship.",
        columns=("id", "status", "buyer_id", "supplier_id", "receiver"),
        wrap=_receiver,
    )
    created_at: datetime = column("下单时间。Placed at.")
    paid_at: datetime | None = column("付款时间。Paid at.")
    shipped_at: datetime | None = column("发货时间。Shipped at.")
    completed_at: datetime | None = column("完成时间。Completed at.")
    cancelled_at: datetime | None = column("取消时间。Cancelled at.")
    available_actions: list[Action] = batch(
        orders.actions,
        "当前可执行的操作。What the viewer may do now.",
        columns=("id", "status", "buyer_id", "supplier_id"),
    )
    supplier: SupplierRef | None = one("supplier_id", "Supplier", "供应商。The supplier.")
    distributor: DistributorRef | None = one(
        "distributor_id", "Distributor", "分销商店铺。The shop it was sold through, if any."
    )
    group_buy: GroupBuyRef | None = one("group_id", "GroupBuy", "所属的团。The group, if any.")
    trade: TradeRef | None = one("trade_id", "Trade", "所属交易，仅买家可见。The buyer's trade.")
    lines: list[OrderLineRef] = many("OrderLine", "order_id", "商品行。Its lines.")
    shipments: list[ShipmentRef] = many("Shipment", "order_id", "包裹。Its parcels.")
    refunds: list[RefundRef] = many("Refund", "order_id", "退款。Its refunds.")
    timeline: list[OrderEventRef] = many("OrderEvent", "order_id", "流转记录。Its moves in order.")


@entity("交易：一次付款，含若干订单。What is paid at once.", visible_to=orders.trades_visible_to)
class Trade(Entity):
    id: strawberry.ID = key()
    no: str = column("交易号。Number for people.")
    status: TradeStatus = computed("status", by=TradeStatus, description="状态。State.")
    goods: Money = computed("goods_fen", by=Money.of, description="商品金额。Price of the goods.")
    shipping: Money = computed("shipping_fen", by=Money.of, description="运费。Shipping fees.")
    discount: Money = computed("discount_fen", by=Money.of, description="优惠。Discount.")
    payable: Money = computed("payable_fen", by=Money.of, description="应付。To pay.")
    paid: Money = computed("paid_fen", by=Money.of, description="已付。Paid.")
    refunded: Money = computed("refunded_fen", by=Money.of, description="已退。Refunded.")
    expires_at: datetime = column("付款截止。To be paid before.")
    created_at: datetime = column("下单时间。Placed at.")
    orders: list[OrderRef] = many("Order", "trade_id", "各供应商的订单。Orders per supplier.")
    payments: list[PaymentRef] = many("Payment", "trade_id", "支付尝试。Payment attempts.")
    refunds: list[RefundRef] = many("Refund", "trade_id", "退款。Refunds.")


@strawberry.input(description="把购物车中选中的商品下单。Orders what is selected in the cart.")
class PlaceTradeInput:
    expected_payable: int = strawberry.field(
        description="页面显示的应付金额（分）；不一致则拒绝。The amount shown, in fen."
    )
    address: AddressInput | None = strawberry.field(
        default=None, description="收货地址，缺省为默认地址。By default the default address."
    )
    idempotency_key: str = strawberry.field(description="幂等键。Repeats get the same trade.")


@strawberry.input(description="支付一笔交易。Pays a trade.")
class PayTradeInput:
    trade_id: strawberry.ID = strawberry.field(description="交易。The trade.")
    idempotency_key: str = strawberry.field(description="幂等键。Repeats pay once.")


PlaceTradeResult = Annotated[
    Trade
    | NotFoundProblem
    | CartEmptyProblem
    | InvalidInputProblem
    | PriceChangedProblem
    | OutOfStockProblem
    | SkuUnavailableProblem
    | LimitExceededProblem
    | IdempotencyKeyReusedProblem,
    strawberry.union("PlaceTradeResult", description="下单结果。The trade or why not."),
]
PayTradeResult = Annotated[
    Trade
    | NotFoundProblem
    | InvalidInputProblem
    | PaymentFailedProblem
    | TradeExpiredProblem
    | WrongStateProblem
    | IdempotencyKeyReusedProblem,
    strawberry.union("PayTradeResult", description="支付结果。The trade or why not."),
]


@strawberry.input(description="取消未付款的交易。Cancels an unpaid trade.")
class CancelTradeInput:
    trade_id: strawberry.ID = strawberry.field(description="交易。The trade.")


@strawberry.input(description="确认收货。Confirms that an order has arrived.")
class ConfirmOrderInput:
    order_id: strawberry.ID = strawberry.field(description="订单。The order.")


CancelTradeResult = Annotated[
    Trade | NotFoundProblem | WrongStateProblem,
    strawberry.union("CancelTradeResult", description="取消结果。The trade or why not."),
]
ConfirmOrderResult = Annotated[
    Order | NotFoundProblem | WrongStateProblem,
    strawberry.union("ConfirmOrderResult", description="确认结果。The order or why not."),
]


@strawberry.type(description="订单的一次变化及其后的样子。What befell an order, and how it stands.")
class OrderUpdate(StreamEvent):
    order_id: strawberry.ID = strawberry.field(description="哪个订单。Which order.")
    cause: Cause = strawberry.field(description="为何。What happened.")
    status: OrderStatus = strawberry.field(description="此事之后的状态。State after this event.")
    previous_status: OrderStatus | None = strawberry.field(
        description="流转之前的状态；未流转为空。State before a move; null for anything else."
    )
    order: OrderRef | None = strawberry.field(
        description="订单的现状；不再可见时为空。The order as it is now; null when out of sight."
    )


OrderStreamEvent = Annotated[
    OrderUpdate | StreamOpened | StreamGap,
    strawberry.union("OrderStreamEvent", description="订单流中的事件。An event about orders."),
]
