"""What the shop may propose in a chat and what it may cost; each once a conversation."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app import money


class OfferKind(StrEnum):
    EXPEDITE = "EXPEDITE"
    DELAY_COMPENSATION = "DELAY_COMPENSATION"
    EXCHANGE = "EXCHANGE"
    PERSON = "PERSON"


@dataclass(frozen=True, slots=True)
class Compensation:
    """What a late shipment is worth (policy record `delay_compensation`)."""

    rate_bp: int
    floor_fen: int
    cap_fen: int

    def amount_fen(self, paid_fen: int) -> int:
        return max(self.floor_fen, min(self.cap_fen, money.share_bp(paid_fen, self.rate_bp)))


@dataclass(frozen=True, slots=True)
class Case:
    """The order a shopper talks about. `ship_by` is the latest promised moment of shipping."""

    status: str
    paid_fen: int
    ship_by: datetime | None = None
    traced_at: datetime | None = None  # last news of a parcel that has not arrived
    is_returnable: bool = False
    compensation: Compensation | None = None
    stale_after: timedelta | None = None  # how long a parcel may be silent


@dataclass(frozen=True, slots=True)
class Offer:
    kind: OfferKind
    amount_fen: int | None = None


_WAITING = frozenset({"AWAITING_SHIPMENT", "PARTIALLY_SHIPPED"})
_MOVING = frozenset({"SHIPPED", "PARTIALLY_SHIPPED"})
_ABOUT_DELIVERY = frozenset(
    {"LOGISTICS", "EXPEDITE", "ORDER_STATUS", "DELIVERY_TIME", "CANCEL_ORDER", "COMPLAINT"}
)


def propose(
    case: Case | None, *, intent: str, now: datetime, made: Collection[str]
) -> Offer | None:
    """The best offer of this turn that was not made before in the conversation, else None.

    A late shipment is compensated, a silent parcel is chased, a return may become an exchange, a
    complaint gets a person.
    """
    for offer in _eligible(case, intent, now):
        if offer.kind not in made:
            return offer
    return None


def _eligible(case: Case | None, intent: str, now: datetime) -> list[Offer]:
    found: list[Offer] = []
    if case is not None and intent in _ABOUT_DELIVERY:
        is_late = case.status in _WAITING and case.ship_by is not None and case.ship_by < now
        if is_late and case.compensation is not None:
            amount_fen = case.compensation.amount_fen(case.paid_fen)
            found.append(Offer(OfferKind.DELAY_COMPENSATION, amount_fen))
        if _is_silent(case, now):
            found.append(Offer(OfferKind.EXPEDITE))
    if case is not None and intent == "RETURN" and case.is_returnable:
        found.append(Offer(OfferKind.EXCHANGE))
    if intent == "COMPLAINT":
        found.append(Offer(OfferKind.PERSON))
    return found


def _is_silent(case: Case, now: datetime) -> bool:
    return (
        case.status in _MOVING
        and case.traced_at is not None
        and case.stale_after is not None
        and case.traced_at < now - case.stale_after
    )
