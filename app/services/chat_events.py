"""The events of a reply as typed values: what is stored as JSON and what clients see.

Every value has a `fallback_text` (Chinese) for clients that do not know its kind. Stored keys are
the field names; `seq` and the message belong to the row around the value.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

CardKind = Literal[
    "ORDER", "PARCEL", "REFUND", "GROUP", "POLICY", "PRODUCT", "CART", "CHOICES", "NOTICE"
]
OfferKind = Literal["EXPEDITE", "DELAY_COMPENSATION", "EXCHANGE", "PERSON"]
HandoffState = Literal["BOT", "QUEUED", "HUMAN"]
Writer = Literal["MODEL", "TEMPLATE", "MIXED", "HUMAN", "NONE"]


@dataclass(frozen=True, slots=True)
class CardRow:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class ChoiceOption:
    """One thing to choose; a client sends `reply` (or opens the order) when it is tapped."""

    label: str
    reply: str
    order_id: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message is stored; `is_queued` when an earlier one is still being answered."""

    kind: ClassVar[str] = "ACCEPTED"
    fallback_text: str
    is_queued: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """The facts of the turn, before any prose; ids are table keys of what the viewer may see."""

    kind: ClassVar[str] = "CARD"
    fallback_text: str
    card_kind: CardKind
    title: str
    rows: tuple[CardRow, ...] = ()
    quick_replies: tuple[str, ...] = ()
    order_id: int | None = None
    product_id: int | None = None
    group_buy_id: int | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """The next stretch of the reply; all deltas of a message in order are its text."""

    kind: ClassVar[str] = "DELTA"
    fallback_text: str
    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """The clause an answer rests on."""

    kind: ClassVar[str] = "CITATION"
    fallback_text: str
    document_code: str
    version: int
    clause_no: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Something the shop proposes; nothing happens until the shopper sends `reply`."""

    kind: ClassVar[str] = "OFFER"
    fallback_text: str
    offer_kind: OfferKind
    title: str
    reply: str
    amount_fen: int | None = None
    order_id: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The shop asks back: which of these is meant."""

    kind: ClassVar[str] = "CHOICE"
    fallback_text: str
    prompt: str
    options: tuple[ChoiceOption, ...]


@dataclass(frozen=True, slots=True)
class HandoffChanged:
    """Who answers from now on; `ticket_no` names the case for the shopper."""

    kind: ClassVar[str] = "HANDOFF_CHANGED"
    fallback_text: str
    state: HandoffState
    ticket_no: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Closes an answered message. Times count from the moment the message was stored.

    `answer_id` is the stored answer message; None when a person answers instead of the bot.
    """

    kind: ClassVar[str] = "DONE"
    fallback_text: str
    writer: Writer
    model: str | None = None
    intent: str | None = None
    mood: str | None = None
    card_ms: float | None = None
    first_text_ms: float | None = None
    total_ms: float | None = None
    prompt_version: str | None = None
    answer_id: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Closes a message that got no whole answer; `code`: CANCELLED, INTERRUPTED, INTERNAL."""

    kind: ClassVar[str] = "FAILED"
    fallback_text: str
    code: str


ChatEventValue = (
    Accepted | Card | Delta | Citation | Offer | Choice | HandoffChanged | Done | Failed
)
BY_KIND: dict[str, type[ChatEventValue]] = {
    one.kind: one
    for one in (Accepted, Card, Delta, Citation, Offer, Choice, HandoffChanged, Done, Failed)
}
CLOSING = frozenset({Done.kind, Failed.kind})


def stored(value: ChatEventValue) -> dict[str, Any]:
    """The JSON object that `read` turns back into an equal value."""
    return asdict(value)


def read(kind: str, data: dict[str, Any]) -> ChatEventValue:
    """The value of a stored event. Unknown keys of a newer version are left out."""
    shape = BY_KIND[kind]
    known = {name: data[name] for name in shape.__dataclass_fields__ if name in data}
    if shape is Card:
        known["rows"] = tuple(CardRow(**row) for row in known.get("rows", ()))
        known["quick_replies"] = tuple(known.get("quick_replies", ()))
    if shape is Choice:
        known["options"] = tuple(ChoiceOption(**option) for option in known["options"])
    return shape(**known)
