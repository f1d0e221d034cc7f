"""What the code has decided must be said: moves, their branches, and their plan line."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Act(StrEnum):
    TELL = "TELL"
    QUOTE = "QUOTE"
    ASK_WHICH = "ASK_WHICH"
    DECLINE = "DECLINE"
    SOOTHE = "SOOTHE"
    OFFER = "OFFER"
    HAND_OFF = "HAND_OFF"
    GREET = "GREET"
    THANK = "THANK"
    NOT_FOUND = "NOT_FOUND"
    CONFIRM = "CONFIRM"


class Intent(StrEnum):
    LOGISTICS = "LOGISTICS"
    EXPEDITE = "EXPEDITE"
    ORDER_STATUS = "ORDER_STATUS"
    CANCEL_ORDER = "CANCEL_ORDER"
    CHANGE_ADDRESS = "CHANGE_ADDRESS"
    RETURN = "RETURN"
    EXCHANGE = "EXCHANGE"
    REFUND_PROGRESS = "REFUND_PROGRESS"
    FREIGHT = "FREIGHT"
    INVOICE = "INVOICE"
    PRICE_PROTECTION = "PRICE_PROTECTION"
    WARRANTY = "WARRANTY"
    QUALITY = "QUALITY"
    FRESH_CLAIM = "FRESH_CLAIM"
    DELIVERY_TIME = "DELIVERY_TIME"
    COUPON = "COUPON"
    MEMBERSHIP = "MEMBERSHIP"
    GROUP_BUY = "GROUP_BUY"
    GROUP_REFUND = "GROUP_REFUND"
    LIVE_ROOM = "LIVE_ROOM"
    LOTTERY = "LOTTERY"
    PRODUCT_QUESTION = "PRODUCT_QUESTION"
    STOCK = "STOCK"
    PAYMENT = "PAYMENT"
    PRIVACY = "PRIVACY"
    COMMISSION = "COMMISSION"
    SETTLEMENT = "SETTLEMENT"
    SUPPLY = "SUPPLY"
    COMPLAINT = "COMPLAINT"
    HUMAN = "HUMAN"
    GREETING = "GREETING"
    THANKS = "THANKS"
    SMALL_TALK = "SMALL_TALK"
    UNKNOWN = "UNKNOWN"


class Mood(StrEnum):
    CALM = "CALM"
    UPSET = "UPSET"
    ANGRY = "ANGRY"


class Record(StrEnum):
    NONE = "NONE"
    ORDER = "ORDER"
    GROUP = "GROUP"
    POLICY = "POLICY"
    PRODUCT = "PRODUCT"
    CART = "CART"


class Language(StrEnum):
    ZH = "ZH"
    EN = "EN"


class Kind(StrEnum):
    """The sort of value behind a placeholder: MONEY brings its sign, COUNT is a bare number."""

    NAME = "NAME"
    CODE = "CODE"
    TEXT = "TEXT"
    MONEY = "MONEY"
    TIME = "TIME"
    COUNT = "COUNT"
    LIST = "LIST"


_KINDS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.NAME: "user.name order.title order.carrier group.title policy.title "
        "product.title offer.title",
        Kind.CODE: "order.no order.waybill policy.clause ticket.no",
        Kind.TEXT: "order.trace refund.status policy.text",
        Kind.MONEY: "order.amount group.price refund.amount product.price offer.amount "
        "coupon.amount cart.amount",
        Kind.TIME: "order.placed_at order.paid_at order.shipped_at order.eta order.expires_at "
        "order.ship_by group.expires_at refund.at",
        Kind.COUNT: "group.joined group.size group.remaining product.stock cart.count",
        Kind.LIST: "order.actions orders.choices",
    }
)
PLACEHOLDERS: Mapping[str, Kind] = MappingProxyType(
    {name: kind for kind, names in _KINDS.items() for name in names.split()}
)

TALK = frozenset({Intent.GREETING, Intent.THANKS, Intent.SMALL_TALK})
BUSINESS = tuple(intent for intent in Intent if intent not in TALK)
ACTION_INTENTS = (
    Intent.CANCEL_ORDER,
    Intent.CHANGE_ADDRESS,
    Intent.EXPEDITE,
    Intent.RETURN,
    Intent.EXCHANGE,
    Intent.REFUND_PROGRESS,
)
ORDER_INTENTS = (
    *ACTION_INTENTS,
    Intent.LOGISTICS,
    Intent.ORDER_STATUS,
    Intent.DELIVERY_TIME,
    Intent.PAYMENT,
    Intent.FREIGHT,
    Intent.INVOICE,
    Intent.PRICE_PROTECTION,
    Intent.WARRANTY,
    Intent.QUALITY,
    Intent.FRESH_CLAIM,
    Intent.COMPLAINT,
    Intent.UNKNOWN,
)
GROUP_INTENTS = (Intent.GROUP_BUY, Intent.GROUP_REFUND, Intent.ORDER_STATUS, Intent.REFUND_PROGRESS)
PRODUCT_INTENTS = (Intent.PRODUCT_QUESTION, Intent.STOCK, Intent.COUPON, Intent.LIVE_ROOM)
CART_INTENTS = (
    Intent.PAYMENT,
    Intent.COUPON,
    Intent.PRODUCT_QUESTION,
    Intent.STOCK,
    Intent.UNKNOWN,
)

_ORDER = ("order.title", "order.amount", "order.placed_at", "order.actions")
_PARCEL = ("order.waybill", "order.trace", "order.eta", "order.shipped_at", "order.title")
_REFUND = ("refund.amount", "refund.status", "refund.at")

# state -> (must be said, may be said); a parcel on its way always has a carrier
_ORDER_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "PENDING_PAYMENT": (("order.no",), (*_ORDER, "order.expires_at")),
        "AWAITING_GROUP": (
            ("order.no",),
            (*_ORDER, "order.paid_at", "group.remaining", "group.expires_at"),
        ),
        "AWAITING_SHIPMENT": (("order.no",), (*_ORDER, "order.paid_at", "order.ship_by")),
        "PARTIALLY_SHIPPED": (
            ("order.no",),
            (*_PARCEL, "order.carrier", "order.ship_by", "order.actions"),
        ),
        "SHIPPED": (("order.no", "order.carrier"), (*_PARCEL, "order.actions")),
        "OUT_FOR_DELIVERY": (("order.no", "order.carrier"), (*_PARCEL, "order.actions")),
        "DELIVERED": (
            ("order.no",),
            ("order.carrier", "order.waybill", "order.trace", "order.title", "order.actions"),
        ),
        "COMPLETED": (("order.no",), ("order.title", "order.amount", "order.actions", *_REFUND)),
        "CANCELLED": (("order.no",), ("order.title", "order.amount", *_REFUND)),
        "CLOSED": (("order.no",), ("order.title", "order.amount", *_REFUND)),
    }
)
_GROUP_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "OPEN": (
            ("group.title", "group.remaining"),
            ("group.joined", "group.size", "group.expires_at", "group.price", "order.no"),
        ),
        "FILLED": (("group.title",), ("group.size", "group.price", "order.no", "order.ship_by")),
        "FAILED": (("group.title",), ("order.no", *_REFUND)),
    }
)
STATES: Mapping[Record, tuple[str, ...]] = MappingProxyType(
    {
        Record.NONE: ("",),
        Record.ORDER: tuple(_ORDER_FIELDS),
        Record.GROUP: ("OPEN", "FILLED", "FAILED"),
        Record.POLICY: ("COVERED", "NOT_COVERED"),
        Record.PRODUCT: ("ON_SALE", "SOLD_OUT", "DELISTED"),
        Record.CART: ("FILLED", "EMPTY"),
    }
)


@dataclass(frozen=True, slots=True)
class Branch:
    """One kind of reply: what it stands for and which placeholders it takes."""

    intent: Intent
    record: Record
    state: str
    act: Act
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def key(self) -> "Key":
        return (self.intent, self.record, self.state, self.act)


Key = tuple[Intent, Record, str, Act]


def _order_branches() -> Iterable[Branch]:
    for state, (required, optional) in _ORDER_FIELDS.items():
        for intent in ORDER_INTENTS:
            yield Branch(intent, Record.ORDER, state, Act.TELL, required, (*optional, "user.name"))
        for intent in ACTION_INTENTS:
            no = ("order.title", "order.actions", "user.name")
            yield Branch(intent, Record.ORDER, state, Act.DECLINE, ("order.no",), no)
            if state not in {"CANCELLED", "CLOSED"}:
                sure = ("order.title", "order.amount", "refund.amount", "user.name")
                yield Branch(intent, Record.ORDER, state, Act.CONFIRM, ("order.no",), sure)


def _record_branches() -> Iterable[Branch]:
    for state, (required, optional) in _GROUP_FIELDS.items():
        for intent in GROUP_INTENTS:
            yield Branch(intent, Record.GROUP, state, Act.TELL, required, (*optional, "user.name"))
    for intent in PRODUCT_INTENTS:
        may = ("product.price", "product.stock", "group.price", "user.name")
        yield Branch(intent, Record.PRODUCT, "ON_SALE", Act.TELL, ("product.title",), may)
        for state in ("SOLD_OUT", "DELISTED"):
            yield Branch(
                intent, Record.PRODUCT, state, Act.TELL, ("product.title",), ("user.name",)
            )
    for intent in CART_INTENTS:
        cart = ("cart.amount", "coupon.amount", "user.name")
        yield Branch(intent, Record.CART, "FILLED", Act.TELL, ("cart.count",), cart)
        yield Branch(intent, Record.CART, "EMPTY", Act.TELL, (), ("user.name",))


def _policy_branches() -> Iterable[Branch]:
    for intent in BUSINESS:
        may = ("policy.title", "policy.clause", "user.name")
        yield Branch(intent, Record.POLICY, "COVERED", Act.QUOTE, ("policy.text",), may)
        yield Branch(intent, Record.POLICY, "NOT_COVERED", Act.DECLINE, (), ("user.name",))


def _talk_branches() -> Iterable[Branch]:
    none, name = (Record.NONE, ""), ("user.name",)
    for intent in (*ORDER_INTENTS, Intent.GROUP_BUY, Intent.GROUP_REFUND):
        yield Branch(intent, *none, Act.ASK_WHICH, ("orders.choices",), name)
        yield Branch(intent, *none, Act.NOT_FOUND, (), ("orders.choices", *name))
    for intent in PRODUCT_INTENTS:
        yield Branch(intent, *none, Act.ASK_WHICH, (), name)
        yield Branch(intent, *none, Act.NOT_FOUND, (), name)
    for intent in Intent:
        yield Branch(intent, *none, Act.SOOTHE, (), name)
        yield Branch(intent, *none, Act.HAND_OFF, ("ticket.no",), name)
    for intent in BUSINESS:
        may = ("offer.amount", "coupon.amount", "order.no", *name)
        yield Branch(intent, *none, Act.OFFER, ("offer.title",), may)
    yield Branch(Intent.GREETING, *none, Act.GREET, (), ("order.no", "product.title", *name))
    yield Branch(Intent.THANKS, *none, Act.THANK, (), name)
    yield Branch(Intent.SMALL_TALK, *none, Act.TELL, (), name)
    yield Branch(Intent.SMALL_TALK, *none, Act.DECLINE, (), name)
    yield Branch(Intent.UNKNOWN, *none, Act.DECLINE, (), name)
    yield Branch(Intent.SMALL_TALK, *none, Act.ASK_WHICH, (), name)
    yield Branch(Intent.PRIVACY, *none, Act.CONFIRM, (), name)
    yield Branch(Intent.HUMAN, *none, Act.CONFIRM, (), name)


_ALL = (*_order_branches(), *_record_branches(), *_policy_branches(), *_talk_branches())
BRANCHES: Mapping[Key, Branch] = MappingProxyType({branch.key: branch for branch in _ALL})


@dataclass(frozen=True, slots=True)
class Move:
    """One thing to say; `fields` must be said, `allowed` may be said besides."""

    act: Act
    intent: Intent
    mood: Mood = Mood.CALM
    record: Record = Record.NONE
    state: str = ""
    fields: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    language: Language = Language.ZH

    @property
    def key(self) -> Key:
        return (self.intent, self.record, self.state, self.act)

    @property
    def available(self) -> frozenset[str]:
        """Every placeholder this move has a value for."""
        return frozenset(self.fields) | frozenset(self.allowed)

    @property
    def banned(self) -> tuple[str, ...]:
        """The placeholders, in braces, that decoding must never produce for this move."""
        return tuple(slot(name) for name in PLACEHOLDERS if name not in self.available)

    def line(self) -> str:
        """The prompt of a plan-line model: control pieces and placeholders, no shopper text."""
        return "".join(
            (
                f"<|plan|><|act:{self.act}|><|intent:{self.intent}|><|mood:{self.mood}|>",
                f"<|record:{self.record}|><|state:{self.state or 'NONE'}|>",
                f"<|lang:{self.language}|><|must|>",
                *(slot(name) for name in self.fields),
                "<|may|>",
                *(slot(name) for name in self.allowed),
                "<|reply|>",
            )
        )


def slot(name: str) -> str:
    """The text of a placeholder as it stands in a reply."""
    return "{" + name + "}"


def control_pieces() -> tuple[str, ...]:
    """Every `<|...|>` piece a plan line can hold, each one vocabulary entry of our own model."""
    states = dict.fromkeys(state for names in STATES.values() for state in names if state)
    return (
        "<|plan|>",
        *(f"<|act:{act}|>" for act in Act),
        *(f"<|intent:{intent}|>" for intent in Intent),
        *(f"<|mood:{mood}|>" for mood in Mood),
        *(f"<|record:{record}|>" for record in Record),
        "<|state:NONE|>",
        *(f"<|state:{state}|>" for state in states),
        *(f"<|lang:{language}|>" for language in Language),
        "<|must|>",
        "<|may|>",
        "<|reply|>",
    )


def build(
    key: Key,
    have: Collection[str],
    *,
    say: Collection[str] = (),
    mood: Mood = Mood.CALM,
    language: Language = Language.ZH,
) -> Move | None:
    """The move of a branch for the placeholders `have` holds values for.

    None when there is no such branch or a required value is missing. `say` names optional
    placeholders that must be said in this reply; those without a value are left out.
    """
    branch = BRANCHES.get(key)
    if branch is None or not set(branch.required) <= set(have):
        return None
    may = tuple(name for name in branch.optional if name in have)
    must = (*branch.required, *(name for name in may if name in say))
    return Move(
        act=branch.act,
        intent=branch.intent,
        mood=mood,
        record=branch.record,
        state=branch.state,
        fields=must,
        allowed=tuple(name for name in may if name not in must),
        language=language,
    )


_LINE = re.compile(
    r"<\|plan\|><\|act:(?P<act>\w+)\|><\|intent:(?P<intent>\w+)\|><\|mood:(?P<mood>\w+)\|>"
    r"<\|record:(?P<record>\w+)\|><\|state:(?P<state>\w+)\|><\|lang:(?P<language>\w+)\|>"
    r"<\|must\|>(?P<fields>(?:\{[a-z_.]+\})*)<\|may\|>(?P<allowed>(?:\{[a-z_.]+\})*)<\|reply\|>"
)


def parse_line(line: str) -> Move:
    """The move a plan line was made from; raises ValueError for anything else."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("not a plan line")
    part = match.groupdict()
    move = Move(
        act=Act(part["act"]),
        intent=Intent(part["intent"]),
        mood=Mood(part["mood"]),
        record=Record(part["record"]),
        state="" if part["state"] == "NONE" else part["state"],
        fields=tuple(re.findall(r"[a-z_.]+", part["fields"])),
        allowed=tuple(re.findall(r"[a-z_.]+", part["allowed"])),
        language=Language(part["language"]),
    )
    unknown = move.available - PLACEHOLDERS.keys()
    if unknown or move.state not in STATES[move.record]:
        raise ValueError("plan line names an unknown placeholder or state")
    return move
