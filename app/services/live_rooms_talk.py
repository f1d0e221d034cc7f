"""What is said and liked in a live room, what is held back, and who may not write."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, func, insert, or_, select, update

from app.auth import Viewer
from app.db import Reader, Unit
from app.errors import InvalidInput, MessageRefused, Muted, NotFound, RoomNotLive, TooOften
from app.events import LiveMessageHeldBack, LiveMessageReleased, LiveMuteChanged
from app.rules import live_rooms as rules
from app.rules.audit import Action
from app.rules.live_rooms import RoomEventKind, RoomStatus
from app.services import audit, group_buys, live_rooms_log, live_rooms_lottery
from app.services import live_rooms_seen as seen
from app.services.live_rooms_seen import ACCOUNTS, ROOMS, get, run_by, visible_to
from app.services.sight import leads_to
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.live_rooms import LiveMessageRow, LiveMuteRow

MESSAGES = table(LiveMessageRow)
MUTES = table(LiveMuteRow)

_LIKE = Prepared(
    update(ROOMS)
    .where(ROOMS.c.id == bind("room"), ROOMS.c.status == RoomStatus.LIVE)
    .values(like_count=ROOMS.c.like_count + bind("likes"), has_news=True)
    .returning(ROOMS.c.like_count)
)
_ME_LOCKED = Prepared(
    select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == bind("me")).with_for_update(key_share=True)
)
_RECENT = Prepared(
    select(func.count().label("number"), func.min(MESSAGES.c.created_at).label("oldest")).where(
        MESSAGES.c.room_id == bind("room"),
        MESSAGES.c.account_id == bind("me"),
        MESSAGES.c.created_at > bind("since"),
    )
)
_MUTED = Prepared(
    select(MUTES.c.id, MUTES.c.until).where(
        MUTES.c.room_id == bind("room"), MUTES.c.account_id == bind("person"), ~MUTES.c.is_lifted
    )
)
_NEXT_SEQ = Prepared(
    update(ROOMS)
    .where(ROOMS.c.id == bind("room"), ROOMS.c.status.in_(rules.ON_AIR))
    .values(message_seq=ROOMS.c.message_seq + 1, has_news=True)
    .returning(ROOMS.c.message_seq)
)
_POST = Prepared(
    insert(MESSAGES).values(
        room_id=bind("room"),
        account_id=bind("me"),
        seq=bind("number"),
        kind="TEXT",
        text=bind("words"),
        is_hidden=bind("is_held_back"),
        created_at=bind("now"),
    )
)
_RELEASE = Prepared(
    update(MESSAGES)
    .where(MESSAGES.c.id == bind("message"), MESSAGES.c.is_hidden)
    .values(is_hidden=False, seq=bind("number"))
)


def messages_visible_to(viewer: Viewer) -> Select[Any]:
    """Messages that were held back are for their author, the host and staff."""
    query = select(*MESSAGES.c).where(leads_to(MESSAGES.c.room_id, visible_to(viewer)))
    if viewer.is_staff:
        return query
    if viewer.id is None:
        return query.where(~MESSAGES.c.is_hidden)
    return query.where(
        or_(
            ~MESSAGES.c.is_hidden,
            MESSAGES.c.account_id == viewer.id,
            run_by(viewer, MESSAGES.c.room_id),
        )
    )


def mutes_visible_to(viewer: Viewer) -> Select[Any]:
    """Who may not write is between the host, staff and nobody else."""
    return select(*MUTES.c).where(run_by(viewer, MUTES.c.room_id))


async def nicknames(db: Reader, _viewer: Viewer, rows: Sequence[Any]) -> list[str]:
    """The names of these rows' accounts, masked."""
    names = await seen.names(db, {row.account_id for row in rows})
    return [group_buys.masked(names[row.account_id]) for row in rows]


async def post(unit: Unit, viewer: Viewer, *, room_id: int, text: str) -> int:
    """The key of the message. One with sensitive words is stored, but only its host sees it.

    The audience gets it with the room's next tick. Raises MessageRefused for an empty or long
    text, TooOften past 5 messages in 10 seconds, Muted.
    """
    account_id = viewer.account_id
    if len(text) > 4 * rules.MAX_MESSAGE_CHARS:
        raise MessageRefused
    text = rules.cleaned(text)
    if not 0 < len(text) <= rules.MAX_MESSAGE_CHARS:
        raise MessageRefused
    # one message of a person at a time: the rate is counted under this lock
    await unit.db.first(_ME_LOCKED, {"me": account_id})
    await _check_rate(unit, account_id, room_id)
    seq = await _next_seq(unit, viewer, room_id)
    await _check_mute(unit, account_id, room_id)
    is_hidden = rules.is_sensitive(text)
    posted = {
        "room": room_id,
        "me": account_id,
        "number": seq,
        "words": text,
        "is_held_back": is_hidden,
        "now": unit.clock(),
    }
    message_id = await unit.insert(_POST, posted)
    if is_hidden:
        kind = RoomEventKind.MESSAGE_HELD_BACK
        await live_rooms_log.note(unit, room_id, kind, message_id=message_id)
        unit.emit(LiveMessageHeldBack(room_id, message_id))
    else:
        await live_rooms_lottery.enter(unit, room_id, account_id, text)
    return message_id


async def like(unit: Unit, viewer: Viewer, *, room_id: int, count: int = 1) -> int:
    """Adds `count` likes (1 to 100); how many the room has now. Guests may like too."""
    if not 1 <= count <= rules.MAX_LIKES_AT_ONCE:
        raise InvalidInput("count", "点赞数须为 1-100", "1 to 100")
    row = await unit.returned(_LIKE, {"room": room_id, "likes": count})
    if row is None:
        raise RoomNotLive((await get(unit.db, viewer, room_id)).status)
    return int(row.like_count)


async def messages_after(
    db: Reader, viewer: Viewer, room_id: int, seq: int, *, limit: int = 100
) -> list[Row[Any]]:
    """What was said past `seq`, oldest first. Raises NotFound like `get`."""
    await get(db, viewer, room_id)
    return await db.all(
        messages_visible_to(viewer)
        .where(MESSAGES.c.room_id == room_id, MESSAGES.c.seq > seq)
        .order_by(MESSAGES.c.seq)
        .limit(limit)
    )


async def release(unit: Unit, viewer: Viewer, *, message_id: int) -> None:
    """Lets the audience see a message that was held back, as the newest; again changes nothing."""
    message = await _moderated_message(unit, viewer, message_id)
    if not message.is_hidden:
        return
    seq = await _next_seq(unit, viewer, message.room_id)
    if not await unit.changed(_RELEASE, {"message": message_id, "number": seq}):
        return
    kind = RoomEventKind.MESSAGE_RELEASED
    await live_rooms_log.note(unit, message.room_id, kind, message_id=message_id)
    target = "LiveMessage", message_id
    await audit.note(unit, viewer, Action.RELEASE_LIVE_MESSAGE, target)
    unit.emit(LiveMessageReleased(message.room_id, message_id))


async def mute(unit: Unit, viewer: Viewer, *, message_id: int, seconds: int | None = None) -> int:
    """Lets the author of a message write no more in its room, by default for good; the mute.

    A new mute takes the place of the one that there is. The host cannot be muted.
    """
    if seconds is not None and not 1 <= seconds <= rules.MAX_MUTE_S:
        raise InvalidInput("seconds", "时长须为 1 秒至 30 天", "1 second to 30 days")
    message = await _moderated_message(unit, viewer, message_id)
    room_id, person = message.room_id, message.account_id
    if person == (await get(unit.db, viewer, room_id)).host_id:
        raise InvalidInput("messageId", "不能禁言主播", "the host cannot be muted")
    now = unit.clock()
    until = None if seconds is None else now + timedelta(seconds=seconds)
    await _lift(unit, room_id, person)
    mute_id = await unit.insert(
        insert(MUTES).values(
            room_id=room_id,
            account_id=person,
            muted_by=viewer.account_id,
            until=until,
            is_lifted=False,
            created_at=now,
        )
    )
    await _tell_mute(unit, viewer, room_id, mute_id, RoomEventKind.MUTED)
    return mute_id


async def lift(unit: Unit, viewer: Viewer, *, mute_id: int) -> None:
    """Lets somebody write again; again changes nothing."""
    viewer.must_be(*seen.MODERATORS)
    found = await unit.db.first(mutes_visible_to(viewer).where(MUTES.c.id == mute_id))
    if found is None:
        raise NotFound("LiveMute")
    await seen.moderated(unit, viewer, found.room_id)
    if await unit.changed(
        update(MUTES).where(MUTES.c.id == mute_id, ~MUTES.c.is_lifted).values(is_lifted=True)
    ):
        await _tell_mute(unit, viewer, found.room_id, mute_id, RoomEventKind.MUTE_LIFTED)


async def _tell_mute(
    unit: Unit, viewer: Viewer, room_id: int, mute_id: int, kind: RoomEventKind
) -> None:
    await live_rooms_log.note(unit, room_id, kind, mute_id=mute_id)
    action = Action.MUTE_LIVE_VIEWER if kind is RoomEventKind.MUTED else Action.LIFT_LIVE_MUTE
    await audit.note(unit, viewer, action, ("LiveMute", mute_id))
    unit.emit(LiveMuteChanged(room_id, mute_id))


async def _lift(unit: Unit, room_id: int, person: int) -> None:
    active = MUTES.c.room_id == room_id, MUTES.c.account_id == person, ~MUTES.c.is_lifted
    await unit.changed(update(MUTES).where(*active).values(is_lifted=True))


async def _moderated_message(unit: Unit, viewer: Viewer, message_id: int) -> Row[Any]:
    """The message, its room held; for the host or staff."""
    viewer.must_be(*seen.MODERATORS)
    query = messages_visible_to(viewer).where(MESSAGES.c.id == message_id)
    message = await unit.db.first(query)
    if message is None:
        raise NotFound("LiveMessage")
    await seen.moderated(unit, viewer, message.room_id)
    message = await unit.db.first(query)  # again: it may have been released while we waited
    assert message is not None
    return message


async def _check_rate(unit: Unit, account_id: int, room_id: int) -> None:
    since = unit.clock() - timedelta(seconds=rules.RATE_WINDOW_S)
    recent = await unit.db.first(_RECENT, {"room": room_id, "me": account_id, "since": since})
    assert recent is not None
    if recent.number >= rules.MESSAGES_PER_WINDOW:
        raise TooOften(round((recent.oldest - since).total_seconds(), 1))


async def _check_mute(unit: Unit, account_id: int, room_id: int) -> None:
    """Asked while the room is held, so that a mute that was told of is a mute that holds."""
    muted = await unit.db.first(_MUTED, {"room": room_id, "person": account_id})
    until: datetime | None = None if muted is None else muted.until
    if muted is not None and (until is None or until > unit.clock()):
        raise Muted(until)


async def _next_seq(unit: Unit, viewer: Viewer, room_id: int) -> int:
    """The next number of the room's messages, only while it is on air."""
    row = await unit.returned(_NEXT_SEQ, {"room": room_id})
    if row is None:
        raise RoomNotLive((await get(unit.db, viewer, room_id)).status)
    return int(row.message_seq)
