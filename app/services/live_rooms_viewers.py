"""Who watches a live room: once per person, across sockets, processes and reconnections.

Each process knows its own viewers and writes them to the database in batches, so that coming and
going writes nothing. A person counts while some process has seen them lately.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, case, func, select, update

from app.auth import Viewer
from app.db import Reader, Unit
from app.rules.live_rooms import ON_AIR
from app.services.live_rooms_seen import ROOMS
from app.statements import Prepared
from app.tables.columns import table
from app.tables.live_rooms import LiveViewerRow

VIEWERS = table(LiveViewerRow)
FLUSH = timedelta(seconds=15)  # how often a process says who is watching
FRESH = timedelta(seconds=35)  # two flushes and a little: who misses one is not gone
_AT_ONCE = 500  # rows of one statement

_ON_AIR = Prepared(select(ROOMS.c.id).where(ROOMS.c.status.in_(ON_AIR)).order_by(ROOMS.c.id))


class Presence:
    """The viewers of this process: how many streams each has open, by room."""

    def __init__(self) -> None:
        self._open: Counter[tuple[int, str]] = Counter()
        self._seen: set[tuple[int, str]] = set()

    def entered(self, room_id: int, viewer: Viewer) -> None:
        """A stream of the room has begun; each is followed by one `left`."""
        if (who := _name_of(viewer)) is not None:
            self._open[room_id, who] += 1
            self._seen.add((room_id, who))

    def left(self, room_id: int, viewer: Viewer) -> None:
        if (who := _name_of(viewer)) is not None:
            self._open[room_id, who] -= 1
            if self._open[room_id, who] <= 0:
                del self._open[room_id, who]

    def seen(self, room_id: int, viewer: Viewer) -> None:
        """Somebody has watched the room, nobody knows for how long."""
        if (who := _name_of(viewer)) is not None:
            self._seen.add((room_id, who))

    def take(self) -> set[tuple[int, str]]:
        """Everybody who watches now or has watched since the last time."""
        there, self._seen = self._seen | self._open.keys(), set()
        return there


async def note(unit: Unit, there: Collection[tuple[int, str]]) -> None:
    """Says that these people watch these rooms now: one statement for up to 500 of them."""
    now, people = unit.clock(), sorted(there)  # sorted: two processes never wait for each other
    for start in range(0, len(people), _AT_ONCE):
        statement = unit.upsert(VIEWERS).values(
            [
                {"room_id": room_id, "who": who, "seen_at": now}
                for room_id, who in people[start : start + _AT_ONCE]
            ]
        )
        await unit.execute(
            statement.on_conflict_do_update(
                index_elements=[VIEWERS.c.room_id, VIEWERS.c.who],
                set_={"seen_at": statement.excluded.seen_at},
            )
        )


async def on_air(db: Reader) -> list[int]:
    """The rooms whose viewers are counted."""
    return [row.id for row in await db.all(_ON_AIR)]


async def count(unit: Unit, room_ids: Sequence[int]) -> int:
    """Counts the viewers of these rooms; in how many of them the number has changed.

    Every process does so after its own batch; the peak only grows, so their order means nothing.
    """
    fresh, changed = unit.clock() - FRESH, 0
    there = VIEWERS.c.room_id == ROOMS.c.id
    now = _how_many().where(there, VIEWERS.c.seen_at > fresh).scalar_subquery()
    ever = _how_many().where(there).scalar_subquery()
    is_other = (ROOMS.c.viewer_count != now) | (ROOMS.c.viewer_total != ever)
    counted = {
        "viewer_count": now,
        "viewer_total": ever,
        "viewer_peak": case((now > ROOMS.c.viewer_peak, now), else_=ROOMS.c.viewer_peak),
        "has_news": True,
    }
    for room_id in room_ids:
        statement = update(ROOMS).where(ROOMS.c.id == room_id, is_other).values(**counted)
        changed += await unit.changed(statement)
    return changed


def _how_many() -> Select[Any]:
    return select(func.count()).select_from(VIEWERS)


def _name_of(viewer: Viewer) -> str | None:
    """A digest of the account or the guest's key; nobody for a guest without one."""
    if viewer.id is not None:
        name = f"account:{viewer.id}"
    elif viewer.guest_key is not None:
        name = f"guest:{viewer.guest_key}"
    else:
        return None
    return hashlib.sha256(name.encode()).hexdigest()[:32]
