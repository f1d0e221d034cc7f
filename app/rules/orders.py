"""The state machine of trades and orders, who may do what in it, and where goods may go."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum

from app.errors import InvalidInput

PAYMENT_WINDOW = timedelta(minutes=30)
AUTO_RECEIVE_AFTER = timedelta(days=10)

_PHONE = re.compile(r"\+?\d[\d-]{5,18}\d")
_LONGEST = {"name": 40, "province": 20, "city": 20, "street": 120}


class TradeStatus(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"
    PAID = "PAID"
    CANCELLED = "CANCELLED"


class OrderStatus(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"
    AWAITING_GROUP = "AWAITING_GROUP"
    AWAITING_SHIPMENT = "AWAITING_SHIPMENT"
    PARTIALLY_SHIPPED = "PARTIALLY_SHIPPED"
    SHIPPED = "SHIPPED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    CLOSED = "CLOSED"


class Move(StrEnum):
    """What happens to an order; the kind of its event row."""

    PLACED = "PLACED"
    PAID = "PAID"
    PAID_FOR_GROUP = "PAID_FOR_GROUP"
    GROUP_FILLED = "GROUP_FILLED"
    CANCELLED = "CANCELLED"
    GROUP_FAILED = "GROUP_FAILED"
    LEFT_GROUP = "LEFT_GROUP"
    PART_SHIPPED = "PART_SHIPPED"
    SHIPPED = "SHIPPED"
    RECEIVED = "RECEIVED"
    REFUNDED = "REFUNDED"


class Cause(StrEnum):
    """Why whoever follows an order is told of it: a Move by its name, or what else befell it."""

    PLACED = "PLACED"
    PAID = "PAID"
    PAID_FOR_GROUP = "PAID_FOR_GROUP"
    GROUP_FILLED = "GROUP_FILLED"
    CANCELLED = "CANCELLED"
    GROUP_FAILED = "GROUP_FAILED"
    LEFT_GROUP = "LEFT_GROUP"
    PART_SHIPPED = "PART_SHIPPED"
    SHIPPED = "SHIPPED"
    RECEIVED = "RECEIVED"
    REFUNDED = "REFUNDED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    PARCEL_MOVED = "PARCEL_MOVED"
    REFUND_REQUESTED = "REFUND_REQUESTED"
    REFUND_MADE = "REFUND_MADE"
    REFUND_FAILED = "REFUND_FAILED"
    UPDATED = "UPDATED"


class Action(StrEnum):
    PAY = "PAY"
    CANCEL = "CANCEL"
    LEAVE_GROUP = "LEAVE_GROUP"
    SHIP = "SHIP"
    CONFIRM = "CONFIRM"


class Side(StrEnum):
    """How a viewer stands to an order."""

    BUYER = "BUYER"
    SUPPLIER = "SUPPLIER"
    OTHER = "OTHER"


_S = OrderStatus
_PAID = (_S.AWAITING_GROUP, _S.AWAITING_SHIPMENT, _S.PARTIALLY_SHIPPED, _S.SHIPPED)
MOVES: Mapping[Move, tuple[frozenset[OrderStatus], OrderStatus]] = {
    Move.PAID: (frozenset({_S.PENDING_PAYMENT}), _S.AWAITING_SHIPMENT),
    Move.PAID_FOR_GROUP: (frozenset({_S.PENDING_PAYMENT}), _S.AWAITING_GROUP),
    Move.GROUP_FILLED: (frozenset({_S.AWAITING_GROUP}), _S.AWAITING_SHIPMENT),
    Move.CANCELLED: (frozenset({_S.PENDING_PAYMENT}), _S.CANCELLED),
    Move.GROUP_FAILED: (frozenset({_S.AWAITING_GROUP}), _S.CANCELLED),
    Move.LEFT_GROUP: (frozenset({_S.AWAITING_GROUP}), _S.CANCELLED),
    Move.PART_SHIPPED: (
        frozenset({_S.AWAITING_SHIPMENT, _S.PARTIALLY_SHIPPED}),
        _S.PARTIALLY_SHIPPED,
    ),
    Move.SHIPPED: (frozenset({_S.AWAITING_SHIPMENT, _S.PARTIALLY_SHIPPED}), _S.SHIPPED),
    Move.RECEIVED: (frozenset({_S.SHIPPED}), _S.COMPLETED),
    Move.REFUNDED: (frozenset(_PAID), _S.CLOSED),
}
_ACTIONS: Mapping[Side, tuple[tuple[Action, Move], ...]] = {
    Side.BUYER: (
        (Action.PAY, Move.PAID),
        (Action.CANCEL, Move.CANCELLED),
        (Action.LEAVE_GROUP, Move.LEFT_GROUP),
        (Action.CONFIRM, Move.RECEIVED),
    ),
    Side.SUPPLIER: ((Action.SHIP, Move.SHIPPED),),
    Side.OTHER: (),
}
TO_SHIP = frozenset({_S.AWAITING_SHIPMENT, _S.PARTIALLY_SHIPPED})
SEEN_BY_SUPPLIER = frozenset(
    {_S.AWAITING_SHIPMENT, _S.PARTIALLY_SHIPPED, _S.SHIPPED, _S.COMPLETED, _S.CLOSED}
)


def origins(move: Move) -> frozenset[OrderStatus]:
    """The states that `move` may start from."""
    return MOVES[move][0]


def target(move: Move) -> OrderStatus:
    return MOVES[move][1]


def actions(status: str, side: Side) -> list[Action]:
    """What that side may do now; read from the table that the moves themselves use."""
    return [action for action, move in _ACTIONS[side] if status in origins(move)]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an order goes, frozen into it when it is placed."""

    name: str
    phone: str
    province: str
    city: str
    street: str

    def checked(self) -> "Address":
        """The same address without outer blanks. Raises InvalidInput for one nobody can ship to."""
        trimmed = Address(**{part: text.strip() for part, text in asdict(self).items()})
        for part, longest in _LONGEST.items():
            if not 0 < len(getattr(trimmed, part)) <= longest:
                raise InvalidInput(
                    f"address.{part}",
                    f"收货地址不完整或过长（最多 {longest} 字）",
                    f"must have 1 to {longest} characters",
                )
        if not _PHONE.fullmatch(trimmed.phone):
            raise InvalidInput("address.phone", "收货电话格式不正确", "is not a telephone number")
        return trimmed


def receiver_for(receiver: Mapping[str, str], side: Side, status: str) -> dict[str, str] | None:
    """What that side may see of where an order goes (DOMAIN 4: the minimum).

    The supplier sees all of it while there is something to ship, nothing before or after; buyers
    and staff see their own with the phone masked.
    """
    if side is Side.SUPPLIER:
        return dict(receiver) if status in TO_SHIP else None
    return {**receiver, "phone": masked_phone(receiver["phone"])}


def masked_phone(phone: str) -> str:
    """`13800001234` -> `138****1234`; a short one is hidden whole."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else "****"
