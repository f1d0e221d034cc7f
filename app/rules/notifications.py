"""What people are told when they are not looking: kinds, their facts, and their words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from app import money
from app.errors import Locale

_CHINA = timedelta(hours=8)


class Kind(StrEnum):
    """What a notification tells of."""

    ORDER_SHIPPED = "ORDER_SHIPPED"
    PARCEL_DELIVERED = "PARCEL_DELIVERED"
    ORDER_DELIVERED = "ORDER_DELIVERED"
    ORDER_RECEIVED = "ORDER_RECEIVED"
    REFUND_MADE = "REFUND_MADE"
    GROUP_BUY_FILLED = "GROUP_BUY_FILLED"
    GROUP_BUY_FAILED = "GROUP_BUY_FAILED"
    GROUP_BUY_SEAT_MOVED = "GROUP_BUY_SEAT_MOVED"
    CHAT_ANSWERED = "CHAT_ANSWERED"


@dataclass(frozen=True, slots=True)
class Words:
    title: str
    text: str


_WORDS: Mapping[Kind, tuple[Words, Words]] = {
    Kind.ORDER_SHIPPED: (
        Words("订单已发货", "订单 {no} 已由{carrier}发出，运单号 {waybill}"),
        Words("Your order is on its way", "Order {no}, {carrier_code} waybill {waybill}"),
    ),
    Kind.PARCEL_DELIVERED: (
        Words("包裹已送达", "订单 {no} 的一个包裹已送达"),
        Words("A parcel has arrived", "A parcel of order {no} was delivered"),
    ),
    Kind.ORDER_DELIVERED: (
        Words("包裹已送达", "订单 {no} 的包裹已送达，{receive_at} 将自动确认收货"),
        Words("A parcel has arrived", "Order {no} counts as received on {receive_at}"),
    ),
    Kind.ORDER_RECEIVED: (
        Words("订单已自动确认收货", "订单 {no} 已完成"),
        Words("Your order is complete", "Order {no} counts as received"),
    ),
    Kind.REFUND_MADE: (
        Words("退款已退回", "{no} 的退款 {amount_fen} 已原路退回"),
        Words("Your refund is made", "{amount_fen} of {no} went back the way it came"),
    ),
    Kind.GROUP_BUY_FILLED: (
        Words("拼团成功", "订单 {no} 已成团，商家即将发货"),
        Words("Your group is full", "Order {no} goes to its supplier now"),
    ),
    Kind.GROUP_BUY_FAILED: (
        Words("拼团未成功", "订单 {no} 未能成团，已付款项将原路退回"),
        Words("Your group did not fill", "The money of order {no} goes back the way it came"),
    ),
    Kind.GROUP_BUY_SEAT_MOVED: (
        Words("已为您换到另一个团", "您的席位已转到另一个 {size} 人团"),
        Words("You have a seat in another group", "Your seat is now in another group of {size}"),
    ),
    Kind.CHAT_ANSWERED: (
        Words("人工客服已回复", "您咨询的问题有了新的回复"),
        Words("You have an answer", "A colleague has answered your question"),
    ),
}


def words(kind: str, facts: Mapping[str, Any], locale: Locale) -> Words:
    """The words of a notification; every number in them is one of its facts.

    A fact `..._fen` reads as money, `..._at` (an instant in ISO 8601) as a day in China. Raises
    KeyError for a fact that is missing.
    """
    zh, en = _WORDS[Kind(kind)]
    chosen = zh if locale == "zh" else en
    shown = {name: _shown(name, value, locale) for name, value in facts.items()}
    return Words(chosen.title.format_map(shown), chosen.text.format_map(shown))


def _shown(name: str, value: Any, locale: Locale) -> Any:
    if name.endswith("_fen"):
        return money.formatted(value, locale)
    if name.endswith("_at"):
        return (datetime.fromisoformat(value) + _CHINA).strftime("%Y-%m-%d")
    return value
