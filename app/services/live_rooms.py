"""Live rooms: announcing one, its moves between states, and what time does to it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import InvalidInput, RoomNotLive, WrongState
from app.events import LiveProductPinned, LiveRoomMoved
from app.rules import live_rooms as rules
from app.rules.audit import Action
from app.rules.live_rooms import RoomEventKind, RoomStatus
from app.services import (
    audit,
    live_rooms_figures,
    live_rooms_log,
    live_rooms_lottery,
    live_rooms_shelf,
    live_rooms_viewers,
)
from app.services import live_rooms_seen as seen
from app.services.live_rooms_seen import HOSTS, ROOMS, get, visible_to
from app.services.pages import Listing
from app.statements import Prepared, bind

__all__ = ["ROOMS", "get", "visible_to"]

SYSTEM = Viewer()

_BEAT = Prepared(
    update(ROOMS)
    .where(ROOMS.c.id == bind("room"), ROOMS.c.status == bind("state"))
    .values(host_seen_at=bind("now"), due_at=bind("due"))
)
_IS_TIMED = ROOMS.c.status.in_((RoomStatus.SCHEDULED, *rules.ON_AIR))
_NEXT_DUE = Prepared(
    select(ROOMS.c.due_at)
    .where(_IS_TIMED, ROOMS.c.due_at.is_not(None))
    .order_by(ROOMS.c.due_at)
    .limit(1)
)
_DUE = Prepared(
    select(*ROOMS.c)
    .where(_IS_TIMED, ROOMS.c.due_at <= bind("now"))
    .order_by(ROOMS.c.due_at)
    .limit(1)
    .with_for_update(key_share=True, skip_locked=True)
)


def listing(viewer: Viewer, *, status: RoomStatus | None) -> Listing:
    """Rooms, newest first."""
    query = visible_to(viewer)
    if status is not None:
        query = query.where(ROOMS.c.status == status)
    return Listing(query, [(ROOMS.c.id, True)])


async def host_names(db: Reader, _viewer: Viewer, rows: Sequence[Any]) -> list[str]:
    names = await seen.names(db, {row.host_id for row in rows})
    return [names[row.host_id] for row in rows]


async def schedule(
    unit: Unit,
    viewer: Viewer,
    *,
    title: str,
    starts_at: datetime,
    goods: Sequence[tuple[int, int | None]] = (),
    cover: str = "",
) -> int:
    """Announces a room with its first goods, (SKU, live price or None); the key of the room."""
    viewer.must_be(*HOSTS)
    title = rules.cleaned(title)
    if not 0 < len(title) <= rules.MAX_TITLE_CHARS:
        raise InvalidInput(
            "title",
            f"标题须为 1-{rules.MAX_TITLE_CHARS} 个字",
            f"1 to {rules.MAX_TITLE_CHARS} characters",
        )
    now = unit.clock()
    if starts_at < now - timedelta(minutes=5):
        raise InvalidInput("startsAt", "开播时间已过", "lies in the past")
    room_id = await unit.insert(
        insert(ROOMS).values(
            host_id=viewer.account_id,
            supplier_id=viewer.subject_id if viewer.role is Role.SUPPLIER else None,
            title=title,
            cover=cover,
            status=RoomStatus.SCHEDULED,
            starts_at=starts_at,
            due_at=rules.due_at(RoomStatus.SCHEDULED, now, starts_at),
            message_seq=0,
            like_count=0,
            event_seq=0,
            viewer_count=0,
            viewer_peak=0,
            viewer_total=0,
            has_news=False,
            told_message_seq=0,
            told_likes=0,
            told_viewers=0,
            version=0,
            created_at=now,
        )
    )
    for sku_id, price_fen in goods[: live_rooms_shelf.MAX_GOODS]:
        await live_rooms_shelf.add(
            unit, viewer, room_id=room_id, sku_id=sku_id, live_price_fen=price_fen
        )
    await audit.note(unit, viewer, Action.SCHEDULE_LIVE_ROOM, ("LiveRoom", room_id))
    return room_id


async def start(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    """Goes on air, or back on air after a pause."""
    await _move(unit, viewer, room_id, RoomStatus.LIVE)


async def pause(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    """Prices of the room hold no more until it is started again; in 15 minutes it ends."""
    await _move(unit, viewer, room_id, RoomStatus.PAUSED)


async def end(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    """Ends the show for good; nothing stays pinned."""
    await _move(unit, viewer, room_id, RoomStatus.ENDED)


async def offer_replay(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    await _move(unit, viewer, room_id, RoomStatus.REPLAY_READY)


async def cancel(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    """Calls off a room that has not begun."""
    await _move(unit, viewer, room_id, RoomStatus.CANCELLED)


async def ban(unit: Unit, viewer: Viewer, *, room_id: int, reason: str) -> None:
    """Staff takes a room away in whatever state it is; the reason is for its host and the log."""
    viewer.must_be(Role.AGENT, Role.ADMIN)
    room = await seen.locked(unit, viewer, room_id)
    reason = rules.cleaned(reason)
    if not 0 < len(reason) <= rules.MAX_REASON_CHARS:
        raise InvalidInput(
            "reason",
            f"原因须为 1-{rules.MAX_REASON_CHARS} 个字",
            f"1 to {rules.MAX_REASON_CHARS} characters",
        )
    if not await _moved(unit, room, RoomStatus.BANNED, ban_reason=reason):
        return
    await audit.note(unit, viewer, Action.BAN_LIVE_ROOM, ("LiveRoom", room_id), detail=reason)


async def beat(unit: Unit, viewer: Viewer, *, room_id: int) -> None:
    """The host is there: the room stays on air for another 30 s, a paused one for 15 minutes.

    A room that was paused meanwhile stays paused until the host starts it again.
    """
    room = await seen.hosted(unit, viewer, room_id)
    if room.status not in rules.ON_AIR:
        raise RoomNotLive(room.status)
    now = unit.clock()
    due = rules.due_at(RoomStatus(room.status), now, room.starts_at)
    await unit.changed(_BEAT, {"room": room_id, "state": room.status, "now": now, "due": due})


async def move_due(unit: Unit) -> int:
    """Moves one room on whose time is up: its host is lost, or never came. How many."""
    now = unit.clock()
    room = await unit.db.first(_DUE, {"now": now})
    if room is None:
        return 0
    target = rules.moved_by_time(RoomStatus(room.status))
    assert target is not None
    if not await _moved(unit, room, target):
        return 0
    target_row = "LiveRoom", int(room.id)
    await audit.note(unit, SYSTEM, Action.MOVE_LIVE_ROOM, target_row, detail=target)
    return 1


async def next_due(db: Reader) -> datetime | None:
    """When time moves the next room on."""
    due: datetime | None = await db.value(_NEXT_DUE)
    return due


async def _move(unit: Unit, viewer: Viewer, room_id: int, target: RoomStatus) -> None:
    """A move to the state that the room is in changes nothing; a forbidden one is WrongState."""
    room = await seen.hosted(unit, viewer, room_id)
    if await _moved(unit, room, target):
        await audit.note(unit, viewer, Action.MOVE_LIVE_ROOM, ("LiveRoom", room_id), detail=target)


async def _moved(unit: Unit, room: Row[Any], target: RoomStatus, **values: Any) -> bool:
    """Moves a locked room and does what comes with it; False when it is there already.

    Raises WrongState for a move that its state does not allow.
    """
    if room.status == target:
        return False
    now = unit.clock()
    values |= {
        "status": target,
        "version": ROOMS.c.version + 1,
        "due_at": rules.due_at(target, now, room.starts_at),
    }
    if target is RoomStatus.LIVE:
        values |= {"started_at": func.coalesce(ROOMS.c.started_at, now), "host_seen_at": now}
    if target is RoomStatus.ENDED:
        values["ended_at"] = now
    if target not in rules.ON_AIR:
        values["viewer_count"] = 0
    guards = ROOMS.c.id == room.id, ROOMS.c.status == room.status
    is_allowed = target in rules.MOVES[RoomStatus(room.status)]
    if is_allowed and room.status in rules.ON_AIR:
        await live_rooms_viewers.count(unit, [room.id])
    if not is_allowed or not await unit.changed(update(ROOMS).where(*guards).values(**values)):
        raise WrongState("LiveRoom", room.status)
    await live_rooms_log.note(unit, room.id, RoomEventKind.MOVED, status=target)
    unit.emit(LiveRoomMoved(room.id, target))
    if room.status in rules.ON_AIR and target not in rules.ON_AIR:
        await _leave_air(unit, room, target)
    return True


async def _leave_air(unit: Unit, room: Row[Any], target: RoomStatus) -> None:
    """Nothing stays pinned, lotteries are drawn or called off, the figures are written."""
    if await live_rooms_shelf.unpin(unit, room.id):
        await live_rooms_log.note(unit, room.id, RoomEventKind.PINNED)
        unit.emit(LiveProductPinned(room.id, None))
    if target is RoomStatus.ENDED:
        await live_rooms_lottery.close_early(unit, room.id)
    else:
        await live_rooms_lottery.call_off(unit, room.id)
    await live_rooms_figures.write(unit, room.id)
