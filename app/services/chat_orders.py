"""Which of the shopper's own orders a message means, and what can be said of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, or_, select

from app.auth import Viewer
from app.db import Reader
from app.rules.orders import Action
from app.services import orders, payments, shipments
from app.services.chat_words import ACTIONS, CHINA, REFUND_STATES, amount, day, moment, word
from app.tables.columns import table
from app.tables.orders import OrderLineRow, OrderRow, TradeRow
from app.tables.payments import RefundRow
from app.tables.products import ProductRow
from app.tables.shipments import ShipmentRow, TraceEventRow
from llm.intent import Understanding
from llm.plan import Intent, Language, Record
from llm.policy import Evidence

ORDERS = table(OrderRow)
LINES = table(OrderLineRow)
TRADES = table(TradeRow)
PRODUCTS = table(ProductRow)
SHIPMENTS = table(ShipmentRow)
TRACES = table(TraceEventRow)
REFUNDS = table(RefundRow)
RECENT = 30  # own orders that may be meant
MOST_CHOICES = 4
_OPEN = frozenset(
    {"PENDING_PAYMENT", "AWAITING_GROUP", "AWAITING_SHIPMENT", "PARTIALLY_SHIPPED", "SHIPPED"}
)
_PAID = frozenset({"AWAITING_SHIPMENT", "PARTIALLY_SHIPPED", "SHIPPED", "COMPLETED"})
_SENT = frozenset({"SHIPPED", "PARTIALLY_SHIPPED"})
_TO_SHIP = frozenset({"AWAITING_SHIPMENT", "PARTIALLY_SHIPPED"})
_UNSENT = frozenset({"PENDING_PAYMENT", "AWAITING_GROUP", "AWAITING_SHIPMENT"})
_ENDED = frozenset({"COMPLETED", "CANCELLED", "CLOSED"})
# which states a question is likely about when it names no order: the first that any order is in
_LIKELY: Mapping[Intent, tuple[frozenset[str], ...]] = {
    Intent.LOGISTICS: (_SENT, _TO_SHIP),
    Intent.EXPEDITE: (_TO_SHIP, _SENT),
    Intent.COMPLAINT: (_SENT, _TO_SHIP),
    Intent.DELIVERY_TIME: (_TO_SHIP, _SENT),
    Intent.CANCEL_ORDER: (_UNSENT,),
    Intent.CHANGE_ADDRESS: (_UNSENT,),
    Intent.REFUND_PROGRESS: (frozenset({"CANCELLED", "CLOSED"}),),
    Intent.ORDER_STATUS: (_OPEN,),
}


@dataclass(frozen=True, slots=True)
class Own:
    """An order with the titles of its lines."""

    row: Row[Any]
    titles: tuple[str, ...]

    @property
    def title(self) -> str:
        more = len(self.titles) - 1
        first = self.titles[0] if self.titles else ""
        return f"{first}等 {more + 1} 种商品" if more > 0 else first


@dataclass(frozen=True, slots=True)
class Meant:
    """One order, or several to choose from; `is_foreign` for a number the viewer may not see."""

    order: Own | None = None
    choices: tuple[Own, ...] = ()
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """All that can be said of one order; `state` includes what its parcel adds."""

    own: Own
    state: str
    values: Mapping[str, str]
    goods: tuple[Row[Any], ...]  # products of its lines
    ship_by: datetime | None = None
    traced_at: datetime | None = None
    received_at: datetime | None = None
    can_cancel: bool = False
    siblings: int = 0  # other orders of the same payment
    parcels: tuple[Row[Any], ...] = field(default_factory=tuple)

    def evidence(self) -> Evidence:
        return Evidence(Record.ORDER, self.state, self.values)


async def meant(
    db: Reader,
    viewer: Viewer,
    asked: Understanding,
    text: str,
    *,
    slot: int | None,
    listed: Sequence[int],
    now: datetime,
) -> Meant:
    """The order a message is about.

    A number beats a choice from the list just shown, that beats a day or a product named, that
    beats the order talked about before (`slot`), that beats the likely ones for the question.
    """
    if asked.codes:
        found = await _by_codes(db, viewer, asked.codes)
        return Meant(order=found) if found else Meant(is_foreign=True)
    own = await recent(db, viewer)
    if asked.ordinal is not None and asked.ordinal <= len(listed):
        for one in own:
            if one.row.id == listed[asked.ordinal - 1]:
                return Meant(order=one)
    named = _named(own, asked, text, now)
    if named:
        return _one_or_choice(named)
    candidates = _likely(own, asked)
    for one in own:
        if one.row.id == slot and (asked.refers_back or not candidates or one in candidates):
            return Meant(order=one)
    if not candidates and asked.intent in {Intent.LOGISTICS, Intent.ORDER_STATUS}:
        candidates = own[:1]
    return _one_or_choice(candidates)


async def recent(db: Reader, viewer: Viewer) -> list[Own]:
    """What the viewer bought lately, newest first: as a buyer, whatever role they talk in."""
    rows = await db.all(
        orders.visible_to(viewer)
        .where(ORDERS.c.buyer_id == viewer.account_id)
        .order_by(ORDERS.c.id.desc())
        .limit(RECENT)
    )
    return await _titled(db, viewer, rows)


async def facts(
    db: Reader,
    viewer: Viewer,
    own: Own,
    *,
    language: Language,
) -> OrderFacts:
    """Everything the record holds, written for a reader of `language`."""
    row = own.row
    parcels = await db.all(
        shipments.visible_to(viewer)
        .where(SHIPMENTS.c.order_id == row.id)
        .order_by(SHIPMENTS.c.id.desc())
    )
    trade = await db.first(orders.trades_visible_to(viewer).where(TRADES.c.id == row.trade_id))
    sister = orders.visible_to(viewer).where(
        ORDERS.c.trade_id == row.trade_id, ORDERS.c.id != row.id
    )
    siblings = len(await db.all(sister))
    values = _order_values(own, trade, viewer, language)
    state, traced_at = row.status, None
    if parcels:
        trace = await _last_trace(db, viewer, parcels[0].id)
        values |= _parcel_values(row, parcels[0], trace, language)
        state = _state_with_parcel(row.status, parcels[0].status)
        traced_at = trace.happened_at if trace and state != "DELIVERED" else None
    values |= await refund_values(db, viewer, row.id, language)
    return OrderFacts(
        own=own,
        state=state,
        values=values,
        goods=tuple(await _goods(db, row.id)),
        traced_at=traced_at,
        received_at=(parcels[0].delivered_at if parcels else None) or row.completed_at,
        can_cancel=Action.CANCEL in orders.available_actions(row, viewer),
        siblings=siblings,
        parcels=tuple(parcels),
    )


def promised(found: OrderFacts, within: timedelta | None, language: Language) -> OrderFacts:
    """The same order with the moment it must be shipped by, while it waits for that."""
    row = found.own.row
    if within is None or row.paid_at is None or row.status not in _TO_SHIP:
        return found
    ship_by = row.paid_at + within
    values = {**found.values, "order.ship_by": moment(ship_by, language)}
    return replace(found, values=values, ship_by=ship_by)


def choices_text(choices: Sequence[Own], language: Language) -> str:
    """`1. 订单号（商品）；2. ...` for the list placeholder."""
    if language is Language.EN:
        return "; ".join(f"{at}. {one.row.no} ({one.title})" for at, one in enumerate(choices, 1))
    return "；".join(f"{at}. {one.row.no}（{one.title}）" for at, one in enumerate(choices, 1))


def named_in(text: str, titles: Sequence[str]) -> list[int]:
    """Which titles a message names: two characters of a title's nouns are enough ("那双鞋" no)."""
    words = set(re.findall(r"[a-z\u4e00-\u9fff]{2,}", text.lower()))
    pairs = {word[at : at + 2] for word in words for at in range(len(word) - 1)} - _COMMON
    pairs = {pair for pair in pairs if not pair.isascii()}  # "T恤" names goods, "my" does not
    scores = [sum(pair in title.lower() for pair in pairs) for title in titles]
    best = max(scores, default=0)
    return [at for at, score in enumerate(scores) if score == best] if best else []


# pairs that stand in titles and in every other question
_COMMON_WORDS = (
    "什么 怎么 可以 我的 这个 那个 多少 时候 没有 商品 订单 快递 发货 退货 运费 今天 "
    "昨天 一个 一下 小时 新款 家用 家庭 大号 小号 中号 包装 礼盒 装的 套装 电子 自动 "
    "儿童 不能 能用 好的 保修 大小 上门 颜色 尺寸 正品 包邮 手机 生鲜 水果 会员 直播 "
    "拼团 优惠 支付 地址 安装 质量 问题"
)
_COMMON = frozenset(_COMMON_WORDS.split())


def _named(own: Sequence[Own], asked: Understanding, text: str, now: datetime) -> list[Own]:
    chosen = list(own)
    if asked.days_ago is not None:
        wanted = (now.astimezone(CHINA) - timedelta(days=asked.days_ago)).date()
        on_day = [one for one in own if one.row.created_at.astimezone(CHINA).date() == wanted]
        chosen = on_day or chosen
        if on_day and asked.intent in {*_LIKELY, Intent.UNKNOWN}:
            named = [on_day[at] for at in named_in(text, [" ".join(o.titles) for o in on_day])]
            return named or on_day
    named = [chosen[at] for at in named_in(text, [" ".join(one.titles) for one in chosen])]
    return _likely(named, asked) or named


def _likely(own: Sequence[Own], asked: Understanding) -> list[Own]:
    """The orders in the first of the likely states that any is in."""
    for states in _LIKELY.get(asked.intent, (_PAID,)):
        found = [one for one in own if one.row.status in states]
        if asked.intent is Intent.REFUND_PROGRESS:
            found = [one for one in found if one.row.paid_fen]
        if found:
            return found
    return []


def _one_or_choice(found: Sequence[Own]) -> Meant:
    if len(found) == 1:
        return Meant(order=found[0])
    return Meant(choices=tuple(found[:MOST_CHOICES]))


async def _by_codes(db: Reader, viewer: Viewer, codes: Sequence[str]) -> Own | None:
    """The visible order with one of these numbers, waybills or payment numbers."""
    waybills = (
        shipments.visible_to(viewer)
        .with_only_columns(SHIPMENTS.c.order_id)
        .where(SHIPMENTS.c.waybill.in_(codes))
    )
    trades = (
        orders.trades_visible_to(viewer)
        .with_only_columns(TRADES.c.id)
        .where(TRADES.c.no.in_(codes))
    )
    rows = await db.all(
        orders.visible_to(viewer)
        .where(
            or_(ORDERS.c.no.in_(codes), ORDERS.c.id.in_(waybills), ORDERS.c.trade_id.in_(trades))
        )
        .order_by(ORDERS.c.id.desc())
        .limit(1)
    )
    found = await _titled(db, viewer, rows)
    return found[0] if found else None


async def _titled(db: Reader, viewer: Viewer, rows: Sequence[Row[Any]]) -> list[Own]:
    keys = [row.id for row in rows]
    lines = await db.all(
        orders.lines_visible_to(viewer).where(LINES.c.order_id.in_(keys)).order_by(LINES.c.id)
    )
    titles: dict[int, list[str]] = {}
    for line in lines:
        titles.setdefault(line.order_id, []).append(line.title)
    return [Own(row, tuple(dict.fromkeys(titles.get(row.id, ())))) for row in rows]


async def _last_trace(db: Reader, viewer: Viewer, shipment_id: int) -> Row[Any] | None:
    return await db.first(
        shipments.trace_visible_to(viewer)
        .where(TRACES.c.shipment_id == shipment_id)
        .order_by(TRACES.c.happened_at.desc(), TRACES.c.id.desc())
        .limit(1)
    )


async def _goods(db: Reader, order_id: int) -> list[Row[Any]]:
    """The products of an order already seen to be the viewer's, delisted ones included."""
    bought = select(LINES.c.product_id).where(LINES.c.order_id == order_id)
    return await db.all(
        select(*PRODUCTS.c).where(PRODUCTS.c.id.in_(bought)).order_by(PRODUCTS.c.id)
    )


async def refund_values(
    db: Reader, viewer: Viewer, order_id: int, language: Language
) -> dict[str, str]:
    refund = await db.first(
        payments.refunds_visible_to(viewer)
        .where(REFUNDS.c.order_id == order_id)
        .order_by(REFUNDS.c.id.desc())
        .limit(1)
    )
    if refund is None:
        return {}
    return {
        "refund.amount": amount(refund.amount_fen, language),
        "refund.status": word(REFUND_STATES, refund.status, language),
        "refund.at": moment(refund.finished_at or refund.created_at, language),
    }


def _order_values(
    own: Own, trade: Row[Any] | None, viewer: Viewer, language: Language
) -> dict[str, str]:
    row = own.row
    values = {
        "order.no": row.no,
        "order.title": own.title,
        "order.amount": amount(row.payable_fen, language),
        "order.placed_at": moment(row.created_at, language),
    }
    if row.paid_at:
        values["order.paid_at"] = moment(row.paid_at, language)
    if row.shipped_at:
        values["order.shipped_at"] = moment(row.shipped_at, language)
    if row.status == "PENDING_PAYMENT" and trade is not None:
        values["order.expires_at"] = moment(trade.expires_at, language)
    actions = [word(ACTIONS, one, language) for one in orders.available_actions(row, viewer)]
    if actions:
        values["order.actions"] = ("、" if language is Language.ZH else ", ").join(actions)
    return values


def _parcel_values(
    order: Row[Any], parcel: Row[Any], trace: Row[Any] | None, language: Language
) -> dict[str, str]:
    values = {"order.carrier": parcel.carrier_name, "order.waybill": parcel.waybill}
    if trace is not None:
        values["order.trace"] = f"{moment(trace.happened_at, language)} {trace.text}"
    if parcel.eta is not None and parcel.delivered_at is None and order.status not in _ENDED:
        values["order.eta"] = day(parcel.eta, language)
    return values


def _state_with_parcel(status: str, parcel: str) -> str:
    if status == "SHIPPED" and parcel in {"OUT_FOR_DELIVERY", "DELIVERED"}:
        return parcel
    return status
