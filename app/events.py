"""What happened, in the past tense; every event belongs to one topic."""

from dataclasses import asdict, dataclass
from typing import Any

QUESTIONS = "questions"  # every process that answers listens here
SESSIONS = "sessions"  # every process that reads tokens listens here


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
    """`cause`: HELD, JOINED, RELEASED, FILLED, EXPIRED."""

    group_buy_id: int
    cause: str
    held: int
    paid: int

    @property
    def topic(self) -> str:
        return group_buy_topic(self.group_buy_id)


@dataclass(frozen=True, slots=True)
class OrderMoved(Event):
    order_id: int
    buyer_id: int
    status: str

    @property
    def topic(self) -> str:
        return order_topic(self.buyer_id)


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
