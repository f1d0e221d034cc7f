"""Live rooms: their states, their limits, and which words the audience does not see."""

import re
import unicodedata
from datetime import datetime, timedelta
from enum import StrEnum

MAX_MESSAGE_CHARS = 200
MAX_LIKES_AT_ONCE = 100
MESSAGES_PER_WINDOW = 5
RATE_WINDOW_S = 10
MAX_TITLE_CHARS = 60
MAX_REASON_CHARS = 100
MAX_MUTE_S = 30 * 24 * 3600
MESSAGES_AT_ONCE = 50  # of one tick that the audience is shown as they come
MESSAGES_LOGGED_AT_ONCE = 500  # of one tick; more wait for the next
HOST_TTL = timedelta(seconds=30)  # without a sign of the host, the room pauses (DOMAIN 1.7)
PAUSE_TTL = timedelta(minutes=15)  # then it ends
START_TTL = timedelta(hours=2)  # past the announced time, a room that nobody opened expires


class RoomStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    LIVE = "LIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"
    REPLAY_READY = "REPLAY_READY"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    BANNED = "BANNED"


class RoomEventKind(StrEnum):
    """What the log of a room tells of; those of `HOST_ONLY` are for the host and staff."""

    MOVED = "MOVED"
    PINNED = "PINNED"
    SHELF_CHANGED = "SHELF_CHANGED"
    MESSAGES_POSTED = "MESSAGES_POSTED"
    TALLIED = "TALLIED"
    LOTTERY_OPENED = "LOTTERY_OPENED"
    LOTTERY_CLOSED = "LOTTERY_CLOSED"
    MESSAGE_HELD_BACK = "MESSAGE_HELD_BACK"
    MESSAGE_RELEASED = "MESSAGE_RELEASED"
    MUTED = "MUTED"
    MUTE_LIFTED = "MUTE_LIFTED"


HOST_ONLY = (
    RoomEventKind.MESSAGE_HELD_BACK,
    RoomEventKind.MESSAGE_RELEASED,
    RoomEventKind.MUTED,
    RoomEventKind.MUTE_LIFTED,
)
PUBLIC = (
    RoomStatus.SCHEDULED,
    RoomStatus.LIVE,
    RoomStatus.PAUSED,
    RoomStatus.ENDED,
    RoomStatus.REPLAY_READY,
)
ON_AIR = (RoomStatus.LIVE, RoomStatus.PAUSED)
MOVES: dict[RoomStatus, frozenset[RoomStatus]] = {
    RoomStatus.SCHEDULED: frozenset(
        {RoomStatus.LIVE, RoomStatus.CANCELLED, RoomStatus.EXPIRED, RoomStatus.BANNED}
    ),
    RoomStatus.LIVE: frozenset({RoomStatus.PAUSED, RoomStatus.ENDED, RoomStatus.BANNED}),
    RoomStatus.PAUSED: frozenset({RoomStatus.LIVE, RoomStatus.ENDED, RoomStatus.BANNED}),
    RoomStatus.ENDED: frozenset({RoomStatus.REPLAY_READY, RoomStatus.BANNED}),
    RoomStatus.REPLAY_READY: frozenset({RoomStatus.BANNED}),
    RoomStatus.CANCELLED: frozenset({RoomStatus.BANNED}),
    RoomStatus.EXPIRED: frozenset({RoomStatus.BANNED}),
    RoomStatus.BANNED: frozenset(),
}

_SENSITIVE = (
    "刷单", "返现群", "加微信", "加薇信", "加v信", "私聊转账", "代开发票", "高仿", "包治百病",
    "博彩", "赌博", "棋牌上分", "色情", "约炮", "傻逼", "去死", "垃圾主播", "银行卡密码",
    "验证码发我",
)  # fmt: skip
_FILLING = re.compile(r"[\W_]+")
_CONTACT = re.compile(r"(?:微信|薇信|vx|wx|qq|扣扣)[号:：]?[a-z0-9]{5,}|1[3-9]\d{9}")


def sources_of(target: RoomStatus) -> tuple[RoomStatus, ...]:
    """The states from which a room may come to `target`."""
    return tuple(state for state, targets in MOVES.items() if target in targets)


def due_at(status: RoomStatus, now: datetime, starts_at: datetime) -> datetime | None:
    """When the clock moves a room on that came to `status` now, or whose host was heard of now."""
    match status:
        case RoomStatus.SCHEDULED:
            return max(now, starts_at) + START_TTL
        case RoomStatus.LIVE:
            return now + HOST_TTL
        case RoomStatus.PAUSED:
            return now + PAUSE_TTL
    return None


def moved_by_time(status: RoomStatus) -> RoomStatus | None:
    """Where the clock moves a room that is due."""
    return {
        RoomStatus.SCHEDULED: RoomStatus.EXPIRED,
        RoomStatus.LIVE: RoomStatus.PAUSED,
        RoomStatus.PAUSED: RoomStatus.ENDED,
    }.get(status)


def is_sensitive(text: str) -> bool:
    """Whether a message is kept from the audience: abuse, fraud, or a way to trade elsewhere.

    Looks through spaces, signs and full-width letters put between the characters.
    """
    bare = _FILLING.sub("", unicodedata.normalize("NFKC", text).lower())
    return any(word in bare for word in _SENSITIVE) or _CONTACT.search(bare) is not None


def cleaned(text: str) -> str:
    """The message without control characters and outer blanks."""
    kept = (sign for sign in text if unicodedata.category(sign)[0] != "C" or sign in "\n\t")
    return " ".join("".join(kept).split())
