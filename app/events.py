"""What happened, in the past tense; every event belongs to one topic."""

from dataclasses import asdict, dataclass
from typing import Any

QUESTIONS = "questions"  # every process that answers listens here
SESSIONS = "sessions"  # every process that reads tokens listens here
STOCK = "stock"  # one topic for all SKUs: a list of them is followed at one place


def group_buy_topic(group_buy_id: int) -> str:
    return f"group_buy:{group_buy_id}"


def live_room_topic(room_id: int) -> str:
    return f"live_room:{room_id}"


def live_room_host_topic(room_id: int) -> str:
    """What the audience of a room must not see."""
    return f"live_room_host:{room_id}"


def conversation_topic(conversation_id: int) -> str:
    return f"conversation:{conversation_id}"


def order_topic(buyer_id: int) -> str:
    return f"orders:{buyer_id}"


def supplier_order_topic(supplier_id: int) -> str:
    return f"supplier_orders:{supplier_id}"


def distributor_order_topic(distributor_id: int) -> str:
    return f"distributor_orders:{distributor_id}"


def notification_topic(account_id: int) -> str:
    return f"notifications:{account_id}"


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; fields are JSON values, so that any bus can carry them."""

    @property
    def topic(self) -> str:
        raise NotImplementedError

    def payload(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GroupBuyChanged(Event):
    """The group as the change left it, of one transaction with it; `expires_at` is ISO 8601.

    `cause`: HELD, OPENED, JOINED, RELEASED, LEADER_CHANGED, FILLED, EXPIRED, STOPPED.
    """

    group_buy_id: int
    cause: str
    status: str
    size: int
    held: int
    paid: int
    expires_at: str

    @property
    def topic(self) -> str:
        return group_buy_topic(self.group_buy_id)


@dataclass(frozen=True, slots=True)
class OrderMoved(Event):
    """`cause` is a Cause of app/rules/orders.py; `previous` the status before a move."""

    order_id: int
    buyer_id: int
    status: str
    cause: str = "UPDATED"
    previous: str | None = None

    @property
    def topic(self) -> str:
        return order_topic(self.buyer_id)


@dataclass(frozen=True, slots=True)
class SupplierOrderMoved(Event):
    """The same for the supplier who ships it."""

    order_id: int
    supplier_id: int
    status: str
    cause: str
    previous: str | None = None

    @property
    def topic(self) -> str:
        return supplier_order_topic(self.supplier_id)


@dataclass(frozen=True, slots=True)
class DistributorOrderMoved(Event):
    """The same for the shop through which it was sold."""

    order_id: int
    distributor_id: int
    status: str
    cause: str
    previous: str | None = None

    @property
    def topic(self) -> str:
        return distributor_order_topic(self.distributor_id)


@dataclass(frozen=True, slots=True)
class StockChanged(Event):
    """The free units of these SKUs are not what they were; a unit tells of all of them at once."""

    sku_ids: list[int]

    @property
    def topic(self) -> str:
        return STOCK


@dataclass(frozen=True, slots=True)
class NotificationPosted(Event):
    account_id: int
    notification_id: int

    @property
    def topic(self) -> str:
        return notification_topic(self.account_id)


@dataclass(frozen=True, slots=True)
class NotificationsRead(Event):
    """Some were read on one device: the others count again."""

    account_id: int
    count: int

    @property
    def topic(self) -> str:
        return notification_topic(self.account_id)


@dataclass(frozen=True, slots=True)
class LiveRoomEvent(Event):
    """Base of what everybody in a room is told."""

    room_id: int

    @property
    def topic(self) -> str:
        return live_room_topic(self.room_id)


@dataclass(frozen=True, slots=True)
class LiveMessagesPosted(LiveRoomEvent):
    """The messages of one tick; `skipped` more were posted than are shown as they come."""

    message_ids: list[int]
    skipped: int


@dataclass(frozen=True, slots=True)
class LiveLikesTallied(LiveRoomEvent):
    likes: int


@dataclass(frozen=True, slots=True)
class LiveViewersChanged(LiveRoomEvent):
    viewers: int
    peak: int


@dataclass(frozen=True, slots=True)
class LiveStockChanged(LiveRoomEvent):
    """Units that are left of the goods that changed, by SKU: [(sku_id, available)]."""

    stock: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class LiveProductPinned(LiveRoomEvent):
    """`live_product_id` is None when the pin was taken away."""

    live_product_id: int | None


@dataclass(frozen=True, slots=True)
class LiveShelfChanged(LiveRoomEvent):
    """Goods have come, gone, or changed places or prices."""


@dataclass(frozen=True, slots=True)
class LiveRoomMoved(LiveRoomEvent):
    status: str


@dataclass(frozen=True, slots=True)
class LiveLotteryMoved(LiveRoomEvent):
    """A lottery was opened, drawn or called off."""

    lottery_id: int
    status: str


@dataclass(frozen=True, slots=True)
class LiveHostEvent(Event):
    """Base of what only the host and staff are told."""

    room_id: int

    @property
    def topic(self) -> str:
        return live_room_host_topic(self.room_id)


@dataclass(frozen=True, slots=True)
class LiveMessageHeldBack(LiveHostEvent):
    message_id: int


@dataclass(frozen=True, slots=True)
class LiveMessageReleased(LiveHostEvent):
    message_id: int


@dataclass(frozen=True, slots=True)
class LiveMuteChanged(LiveHostEvent):
    mute_id: int


@dataclass(frozen=True, slots=True)
class LiveFiguresMoved(LiveHostEvent):
    """What the room has come to has grown: a sale, viewers, likes."""


@dataclass(frozen=True, slots=True)
class ChatEventAppended(Event):
    """One row of `chat_events`; `data` is the row's data."""

    conversation_id: int
    message_id: int | None
    seq: int
    kind: str
    data: dict[str, Any]

    @property
    def topic(self) -> str:
        return conversation_topic(self.conversation_id)


@dataclass(frozen=True, slots=True)
class MessageReceived(Event):
    """A question waits for its answer; the chat workers listen on one topic for all of them."""

    conversation_id: int
    message_id: int

    @property
    def topic(self) -> str:
        return QUESTIONS


@dataclass(frozen=True, slots=True)
class ReplyCancelled(Event):
    """A running reply was called off; the process that writes it stops at once."""

    message_id: int

    @property
    def topic(self) -> str:
        return QUESTIONS


@dataclass(frozen=True, slots=True)
class SessionsEnded(Event):
    """No token of these sessions counts any more, wherever it is shown."""

    session_ids: list[int]

    @property
    def topic(self) -> str:
        return SESSIONS
