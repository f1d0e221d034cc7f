"""Forward references between the words, so that schema files never import each other."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.accounts import Account, Address
    from schema.carts import Cart, CartLine
    from schema.chat import ChatMessage, Conversation
    from schema.distributors import Distributor
    from schema.group_buys import GroupBuy, GroupBuyActivity, GroupBuyActivitySku, GroupBuyMember
    from schema.live_lotteries import LiveLottery, LiveLotteryEntry
    from schema.live_rooms import LiveMessage, LiveMute, LiveProduct, LiveRoom
    from schema.orders import Order, OrderEvent, OrderLine, Trade
    from schema.payments import Payment, Refund
    from schema.products import Category, Product, ProductOption, Sku
    from schema.shipments import Shipment, ShipmentLine, TraceEvent
    from schema.suppliers import Supplier

AddressRef = Annotated["Address", strawberry.lazy("schema.accounts")]
AccountRef = Annotated["Account", strawberry.lazy("schema.accounts")]
CartRef = Annotated["Cart", strawberry.lazy("schema.carts")]
CartLineRef = Annotated["CartLine", strawberry.lazy("schema.carts")]
ConversationRef = Annotated["Conversation", strawberry.lazy("schema.chat")]
ChatMessageRef = Annotated["ChatMessage", strawberry.lazy("schema.chat")]
DistributorRef = Annotated["Distributor", strawberry.lazy("schema.distributors")]
GroupBuyRef = Annotated["GroupBuy", strawberry.lazy("schema.group_buys")]
GroupBuyActivityRef = Annotated["GroupBuyActivity", strawberry.lazy("schema.group_buys")]
GroupBuyActivitySkuRef = Annotated["GroupBuyActivitySku", strawberry.lazy("schema.group_buys")]
GroupBuyMemberRef = Annotated["GroupBuyMember", strawberry.lazy("schema.group_buys")]
LiveRoomRef = Annotated["LiveRoom", strawberry.lazy("schema.live_rooms")]
LiveProductRef = Annotated["LiveProduct", strawberry.lazy("schema.live_rooms")]
LiveMessageRef = Annotated["LiveMessage", strawberry.lazy("schema.live_rooms")]
LiveMuteRef = Annotated["LiveMute", strawberry.lazy("schema.live_rooms")]
LiveLotteryRef = Annotated["LiveLottery", strawberry.lazy("schema.live_lotteries")]
LiveLotteryEntryRef = Annotated["LiveLotteryEntry", strawberry.lazy("schema.live_lotteries")]
TradeRef = Annotated["Trade", strawberry.lazy("schema.orders")]
OrderRef = Annotated["Order", strawberry.lazy("schema.orders")]
OrderLineRef = Annotated["OrderLine", strawberry.lazy("schema.orders")]
OrderEventRef = Annotated["OrderEvent", strawberry.lazy("schema.orders")]
PaymentRef = Annotated["Payment", strawberry.lazy("schema.payments")]
RefundRef = Annotated["Refund", strawberry.lazy("schema.payments")]
CategoryRef = Annotated["Category", strawberry.lazy("schema.products")]
ProductRef = Annotated["Product", strawberry.lazy("schema.products")]
ProductOptionRef = Annotated["ProductOption", strawberry.lazy("schema.products")]
SkuRef = Annotated["Sku", strawberry.lazy("schema.products")]
ShipmentRef = Annotated["Shipment", strawberry.lazy("schema.shipments")]
ShipmentLineRef = Annotated["ShipmentLine", strawberry.lazy("schema.shipments")]
TraceEventRef = Annotated["TraceEvent", strawberry.lazy("schema.shipments")]
SupplierRef = Annotated["Supplier", strawberry.lazy("schema.suppliers")]
