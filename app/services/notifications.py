"""Notifications: written in the transaction of what they tell, worded when they are read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, false, func, insert, select, update

from app.auth import Viewer
from app.db import Reader, Unit
from app.errors import NotFound
from app.events import NotificationPosted, NotificationsRead
from app.rules import notifications as rules
from app.rules.notifications import Kind, Words
from app.services.pages import Listing
from app.statements import Prepared, among, bind
from app.tables.columns import table
from app.tables.notifications import NotificationRow

NOTIFICATIONS = table(NotificationRow)

_IS_UNREAD = NOTIFICATIONS.c.account_id == bind("account"), NOTIFICATIONS.c.read_at.is_(None)
_POST = Prepared(
    insert(NOTIFICATIONS).values(
        account_id=bind("account"),
        kind=bind("what"),
        data=bind("facts"),
        target_kind=bind("about"),
        target_id=bind("about_key"),
        created_at=bind("now"),
    )
)
_UNREAD = Prepared(select(func.count().label("unread")).where(*_IS_UNREAD))
_WAITING = Prepared(
    select(NOTIFICATIONS.c.id)
    .where(
        *_IS_UNREAD,
        NOTIFICATIONS.c.kind == bind("what"),
        NOTIFICATIONS.c.target_kind == bind("about"),
        NOTIFICATIONS.c.target_id == bind("about_key"),
    )
    .limit(1)
)
_OWN = Prepared(
    select(NOTIFICATIONS.c.id).where(
        NOTIFICATIONS.c.account_id == bind("account"), among(NOTIFICATIONS.c.id, "keys")
    )
)
_READ = Prepared(
    update(NOTIFICATIONS)
    .where(*_IS_UNREAD, among(NOTIFICATIONS.c.id, "keys"))
    .values(read_at=bind("now"))
)
_READ_UP_TO = Prepared(
    update(NOTIFICATIONS)
    .where(*_IS_UNREAD, NOTIFICATIONS.c.id <= bind("last"))
    .values(read_at=bind("now"))
)


def visible_to(viewer: Viewer) -> Select[Any]:
    """A notification is for its account alone, in whichever role it has signed in."""
    query = select(*NOTIFICATIONS.c)
    return query.where(false() if viewer.id is None else NOTIFICATIONS.c.account_id == viewer.id)


def listing(viewer: Viewer) -> Listing:
    """The viewer's notifications, newest first."""
    return Listing(visible_to(viewer), [(NOTIFICATIONS.c.id, True)])


async def note(
    unit: Unit,
    account_id: int,
    kind: Kind,
    facts: Mapping[str, Any],
    target: tuple[str, int] | None = None,
) -> int:
    """Tells an account something when the unit commits; the notification.

    `target` is (GraphQL type, key) of where it leads. Raises KeyError when `facts` (JSON values)
    lack one that the words of the kind need.
    """
    rules.words(kind, facts, "zh")
    rules.words(kind, facts, "en")
    about, about_key = target or (None, None)
    posted = {
        "account": account_id,
        "what": kind,
        "facts": dict(facts),
        "about": about,
        "about_key": about_key,
        "now": unit.clock(),
    }
    notification_id = await unit.insert(_POST, posted)
    unit.emit(NotificationPosted(account_id=account_id, notification_id=notification_id))
    return notification_id


async def waits(db: Reader, account_id: int, kind: Kind, target: tuple[str, int]) -> bool:
    """Whether one like it is unread still, so that another would tell nothing new."""
    asked = {"account": account_id, "what": kind, "about": target[0], "about_key": target[1]}
    return await db.first(_WAITING, asked) is not None


async def unread(db: Reader, viewer: Viewer) -> int:
    """How many the viewer has not read."""
    return int(await db.value(_UNREAD, {"account": viewer.account_id}))


async def get(db: Reader, viewer: Viewer, notification_id: int) -> Any:
    """One of the viewer's notifications, else NotFound."""
    row = await db.first(visible_to(viewer).where(NOTIFICATIONS.c.id == notification_id))
    if row is None:
        raise NotFound("Notification")
    return row


async def worded(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[Words]:  # noqa: ARG001
    """The words of each in the viewer's language."""
    return [rules.words(row.kind, row.data, viewer.locale) for row in rows]


async def read(unit: Unit, viewer: Viewer, keys: Collection[int]) -> int:
    """Marks these as read; how many were not. Raises NotFound, having changed nothing."""
    account_id = viewer.account_id
    named = {"account": account_id, "keys": keys}
    if len(await unit.db.all(_OWN, named)) != len(set(keys)):
        raise NotFound("Notification")
    return _told(unit, account_id, await unit.changed(_READ, {**named, "now": unit.clock()}))


async def read_up_to(unit: Unit, viewer: Viewer, last: int) -> int:
    """Marks one and all older ones as read; how many were not. Raises NotFound."""
    account_id = viewer.account_id
    await get(unit.db, viewer, last)
    marked = {"account": account_id, "last": last, "now": unit.clock()}
    return _told(unit, account_id, await unit.changed(_READ_UP_TO, marked))


def _told(unit: Unit, account_id: int, count: int) -> int:
    if count:
        unit.emit(NotificationsRead(account_id=account_id, count=count))
    return count
