"""The card of a turn: the facts as a client draws them, before any prose."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from app.services.chat_events import (
    Card,
    CardKind,
    CardRow,
    Choice,
    ChoiceOption,
    Offer,
    OfferKind,
)
from app.services.chat_facts import Facts
from app.services.chat_orders import OrderFacts, Own
from app.services.chat_words import (
    GROUP_STATES,
    LABELS,
    OFFER_REPLIES,
    OFFERS,
    ORDER_STATES,
    PRODUCT_STATES,
    amount,
    day,
    word,
)
from llm.plan import TALK, Intent, Language
from llm.policy import Decision, Evidence, Kind

_RETURNS = frozenset({Intent.RETURN, Intent.FREIGHT, Intent.EXCHANGE})
_ORDER_ROWS = (
    ("goods", "order.title"),
    ("amount", "order.amount"),
    ("carrier", "order.carrier"),
    ("waybill", "order.waybill"),
    ("trace", "order.trace"),
    ("eta", "order.eta"),
    ("expires_at", "order.expires_at"),
    ("ship_by", "order.ship_by"),
    ("refund", "refund.amount"),
    ("refund_status", "refund.status"),
)
_GROUP_ROWS = (
    ("order", "order.no"),
    ("price", "group.price"),
    ("joined", "group.joined"),
    ("remaining", "group.remaining"),
    ("group_ends", "group.expires_at"),
    ("refund", "refund.amount"),
    ("refund_status", "refund.status"),
)
_PERSON = ("转人工", "talk to a human")
_WHILE_OPEN = frozenset({"remaining", "group_ends"})
_QUICK: Mapping[Intent, tuple[tuple[str, str], ...]] = {
    Intent.LOGISTICS: (("预计什么时候到", "when will it arrive"), ("帮我催一下", "please hurry")),
    Intent.RETURN: (
        ("怎么申请退货", "how do I return it"),
        ("退货运费谁出", "who pays the postage"),
    ),
    Intent.FREIGHT: (("怎么申请退货", "how do I return it"),),
    Intent.QUALITY: (("要拍哪些照片", "which photos do you need"),),
    Intent.COMPLAINT: (_PERSON,),
    Intent.GROUP_BUY: (("拼团没成功钱什么时候退", "when is a failed group refunded"),),
    Intent.GREETING: (("我的快递到哪了", "where is my parcel"), ("怎么退货", "how do I return it")),
}
_YES_NO = (("确认", "confirm"), ("先不用", "no"))
# what an unclear message may have meant, as something to tap
_GUESS: Mapping[Intent, tuple[str, str]] = {
    Intent.LOGISTICS: ("我的快递到哪了", "where is my parcel"),
    Intent.ORDER_STATUS: ("查我的订单", "check my order"),
    Intent.RETURN: ("我要退货", "I want to return it"),
    Intent.EXCHANGE: ("我要换货", "I want to exchange it"),
    Intent.REFUND_PROGRESS: ("退款到哪了", "where is my refund"),
    Intent.QUALITY: ("商品有质量问题", "the item is faulty"),
    Intent.FRESH_CLAIM: ("生鲜坏了怎么赔", "the fruit is rotten"),
    Intent.INVOICE: ("怎么开发票", "I need an invoice"),
    Intent.COUPON: ("优惠券怎么用", "how do coupons work"),
    Intent.GROUP_BUY: ("我的拼团进度", "how is my group"),
    Intent.PAYMENT: ("支持哪些支付方式", "how can I pay"),
    Intent.WARRANTY: ("保修多久", "how long is the warranty"),
    Intent.DELIVERY_TIME: ("什么时候发货", "when will it ship"),
    Intent.EXPEDITE: ("帮我催一下", "please hurry"),
}


def card(
    facts: Facts, decision: Decision, language: Language, intent: Intent, guesses: Sequence[Intent]
) -> Card:
    """The one card of a turn; a NOTICE with something to tap when there is no record to show."""
    quick = _quick(decision, intent, guesses, language)
    title = "集市客服" if language is Language.ZH else "Jishi"
    notice = Card(title, "NOTICE", title, quick_replies=quick)
    if decision.kind is Kind.REFUSE or intent in TALK:
        return notice
    return _record_card(facts, quick, language, intent) or notice


def _record_card(
    facts: Facts, quick: tuple[str, ...], language: Language, intent: Intent
) -> Card | None:
    """The record of the turn that says most."""
    made: Card | None = None
    if facts.meant.choices and facts.order is None:
        made = _choices_card(facts.meant.choices, quick, language)
    elif facts.group is not None:
        made = _group_card(facts, facts.group, quick, language)
    elif facts.order is not None:
        made = _order_card(facts.order, facts, quick, language, intent)
    elif facts.product is not None and intent in {Intent.PRODUCT_QUESTION, Intent.STOCK}:
        made = _product_card(facts, facts.product, quick, language)
    elif facts.cart is not None and not facts.rules.quotes:
        made = _cart_card(facts.cart, quick, language)
    elif facts.rules.citations:
        made = _policy_card(facts, quick)
    return made


def choice(choices: Sequence[Own], language: Language) -> Choice:
    prompt = "请选择订单" if language is Language.ZH else "Which order?"
    options = tuple(
        ChoiceOption(f"{one.title} {_state(one, language)}", one.row.no, one.row.id)
        for one in choices
    )
    return Choice(prompt, prompt, options)


def offer(
    kind: OfferKind, amount_fen: int | None, order_id: int | None, language: Language
) -> Offer:
    title = word(OFFERS, kind, language)
    return Offer(title, kind, title, word(OFFER_REPLIES, kind, language), amount_fen, order_id)


def offer_values(kind: str, amount_fen: int | None, language: Language) -> dict[str, str]:
    values = {"offer.title": word(OFFERS, kind, language)}
    if amount_fen is not None:
        values["offer.amount"] = amount(amount_fen, language)
    return values


def _order_card(
    order: OrderFacts, facts: Facts, quick: tuple[str, ...], language: Language, intent: Intent
) -> Card:
    rows = [CardRow(word(LABELS, "status", language), word(ORDER_STATES, order.state, language))]
    rows += _rows(_ORDER_ROWS, order.values, language)
    days = _return_days(order)
    if intent in _RETURNS and days and order.received_at is not None:
        until = day(order.received_at + timedelta(days=days), language)
        rows.append(CardRow(word(LABELS, "return_by", language), until))
    if intent is Intent.CANCEL_ORDER and order.can_cancel and order.siblings:
        also = f"同一笔付款的另外 {order.siblings} 个订单"
        if language is Language.EN:
            also = f"{order.siblings} more orders of the same payment"
        rows.append(CardRow(word(LABELS, "with", language), also))
    title = f"{word(LABELS, 'order', language)} {order.own.row.no}"
    kind: CardKind = "PARCEL" if order.parcels and intent is Intent.LOGISTICS else "ORDER"
    return Card(
        _spoken(title, rows),
        kind,
        title,
        tuple(rows),
        quick,
        order_id=order.own.row.id,
        product_id=facts.product_id,
        group_buy_id=order.own.row.group_id,
    )


def _return_days(order: OrderFacts) -> int:
    """Days that all goods of the order may be sent back in, 0 when one of them may not."""
    return min((0 if one.is_fresh else one.return_days for one in order.goods), default=0)


def _group_card(facts: Facts, group: Evidence, quick: tuple[str, ...], language: Language) -> Card:
    rows = [CardRow(word(LABELS, "status", language), word(GROUP_STATES, group.state, language))]
    pairs = [pair for pair in _GROUP_ROWS if group.state == "OPEN" or pair[0] not in _WHILE_OPEN]
    rows += _rows(pairs, group.facts, language)
    title = f"{word(LABELS, 'group', language)} {group.facts['group.title']}"
    return Card(
        _spoken(title, rows), "GROUP", title, tuple(rows), quick, group_buy_id=facts.group_id
    )


def _product_card(
    facts: Facts, product: Evidence, quick: tuple[str, ...], language: Language
) -> Card:
    pairs = (("price", "product.price"), ("stock", "product.stock"))
    state = word(PRODUCT_STATES, product.state, language)
    rows = [CardRow(word(LABELS, "status", language), state)]
    rows += _rows(pairs, product.facts, language)
    title = product.facts["product.title"]
    return Card(
        _spoken(title, rows), "PRODUCT", title, tuple(rows), quick, product_id=facts.product_id
    )


def _cart_card(cart: Evidence, quick: tuple[str, ...], language: Language) -> Card:
    pairs = (("count", "cart.count"), ("amount", "cart.amount"))
    rows = tuple(_rows(pairs, cart.facts, language))
    title = word(LABELS, "cart", language)
    return Card(_spoken(title, rows), "CART", title, rows, quick)


def _policy_card(facts: Facts, quick: tuple[str, ...]) -> Card:
    cited = tuple(facts.rules.citations.values())
    rows = tuple(CardRow(one.fallback_text, one.text) for one in cited)
    return Card(_spoken(cited[0].title, rows), "POLICY", cited[0].title, rows, quick)


def _choices_card(choices: Sequence[Own], quick: tuple[str, ...], language: Language) -> Card:
    rows = tuple(CardRow(one.row.no, f"{one.title}，{_state(one, language)}") for one in choices)
    title = word(LABELS, "choices", language)
    return Card(_spoken(title, rows), "CHOICES", title, rows, quick)


def _quick(
    decision: Decision, intent: Intent, guesses: Sequence[Intent], language: Language
) -> tuple[str, ...]:
    """What to tap next: a yes for a proposal, a person for a refusal, else what usually follows."""
    if decision.kind is Kind.HAND_OFF:
        return ()
    if decision.kind is Kind.PROPOSE:
        pairs: Sequence[tuple[str, str]] = _YES_NO
    elif decision.kind is Kind.REFUSE:
        pairs = (*(_GUESS[one] for one in guesses if one in _GUESS), _PERSON)
    else:
        pairs = _QUICK.get(intent, ())
    return tuple(pair[1 if language is Language.EN else 0] for pair in pairs)


def _rows(
    pairs: Sequence[tuple[str, str]], values: Mapping[str, str], language: Language
) -> list[CardRow]:
    return [
        CardRow(word(LABELS, label, language), values[name])
        for label, name in pairs
        if name in values
    ]


def _state(one: Own, language: Language) -> str:
    return word(ORDER_STATES, one.row.status, language)


def _spoken(title: str, rows: Sequence[CardRow]) -> str:
    """The card in one line, for clients that cannot draw it."""
    return "；".join((title, *(f"{row.label}：{row.value}" for row in rows)))
