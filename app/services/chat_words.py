"""How facts read in a chat: states, actions, moments and amounts in Chinese and English."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from app.money import formatted
from llm.plan import Language

CHINA = timezone(timedelta(hours=8))
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
Words = Mapping[str, tuple[str, str]]

ORDER_STATES: Words = {
    "PENDING_PAYMENT": ("待付款", "awaiting payment"),
    "AWAITING_GROUP": ("待成团", "waiting for its group"),
    "AWAITING_SHIPMENT": ("待发货", "awaiting shipment"),
    "PARTIALLY_SHIPPED": ("部分发货", "partly shipped"),
    "SHIPPED": ("运输中", "on its way"),
    "OUT_FOR_DELIVERY": ("派送中", "out for delivery"),
    "DELIVERED": ("已签收", "delivered"),
    "COMPLETED": ("已完成", "completed"),
    "CANCELLED": ("已取消", "cancelled"),
    "CLOSED": ("已关闭", "closed"),
}
GROUP_STATES: Words = {
    "OPEN": ("拼团中", "open"),
    "FILLED": ("已成团", "complete"),
    "FAILED": ("未成团", "failed"),
}
REFUND_STATES: Words = {
    "REQUESTED": ("退款已提交", "requested"),
    "PROCESSING": ("退款处理中", "being processed"),
    "SUCCEEDED": ("退款已到账", "paid back"),
    "FAILED": ("退款处理中，正在重新提交", "being retried"),
}
PRODUCT_STATES: Words = {
    "ON_SALE": ("在售", "on sale"),
    "SOLD_OUT": ("已售罄", "sold out"),
    "DELISTED": ("已下架", "no longer sold"),
}
ACTIONS: Words = {
    "PAY": ("付款", "pay"),
    "CANCEL": ("取消订单", "cancel"),
    "CONFIRM": ("确认收货", "confirm receipt"),
    "SHIP": ("发货", "ship"),
}
OFFERS: Words = {
    "EXPEDITE": ("人工催件", "have a colleague chase the parcel"),
    "DELAY_COMPENSATION": (
        "延误赔付券（由客服核实后发放）",
        "a coupon for the delay (issued after a check)",
    ),
    "EXCHANGE": ("换成同款的其他规格", "an exchange for another size or colour"),
    "PERSON": ("人工客服跟进", "a colleague who takes over"),
}
OFFER_REPLIES: Words = {
    "EXPEDITE": ("转人工催件", "please connect me to an agent"),
    "DELAY_COMPENSATION": ("转人工申请延误赔付", "please connect me to an agent"),
    "EXCHANGE": ("我想换货", "I want to exchange it"),
    "PERSON": ("转人工", "talk to a human"),
}
LABELS: Words = {
    "order": ("订单", "Order"),
    "status": ("状态", "Status"),
    "goods": ("商品", "Item"),
    "amount": ("金额", "Amount"),
    "carrier": ("快递", "Carrier"),
    "waybill": ("运单号", "Waybill"),
    "trace": ("最新物流", "Latest news"),
    "eta": ("预计送达", "Expected"),
    "expires_at": ("付款截止", "Pay by"),
    "ship_by": ("最晚发货", "Ships by"),
    "refund": ("退款金额", "Refund"),
    "refund_status": ("退款进度", "Refund status"),
    "joined": ("已参团", "Joined"),
    "remaining": ("还差", "Missing"),
    "group_ends": ("截止时间", "Ends"),
    "price": ("价格", "Price"),
    "stock": ("库存", "In stock"),
    "count": ("件数", "Items"),
    "return_by": ("无理由退货截止", "Returnable until"),
    "with": ("同时取消", "Cancelled with it"),
    "choices": ("您的订单", "Your orders"),
    "group": ("拼团", "Group"),
    "product": ("商品", "Product"),
    "cart": ("购物车", "Cart"),
    "rule": ("规则", "Rules"),
    "parcel": ("物流", "Parcel"),
}


def word(words: Words, key: str, language: Language) -> str:
    """The word for `key`; a key without one stands for itself."""
    pair = words.get(key)
    return key if pair is None else pair[1 if language is Language.EN else 0]


def day(at: datetime, language: Language) -> str:
    """`11月25日`, in Chinese time."""
    local = at.astimezone(CHINA)
    if language is Language.EN:
        return f"{local.day} {_MONTHS[local.month - 1]}"
    return f"{local.month}月{local.day}日"


def moment(at: datetime, language: Language) -> str:
    """`11月25日 18:30`, in Chinese time."""
    return f"{day(at, language)} {at.astimezone(CHINA):%H:%M}"


def amount(fen: int, language: Language) -> str:
    return formatted(fen, "en" if language is Language.EN else "zh")
