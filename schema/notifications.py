"""Notifications as their account sees them."""

from datetime import datetime
from typing import Annotated

import strawberry

from app import ids
from app.auth import Viewer
from app.db import Reader
from app.rules.notifications import Kind, Words
from app.services import notifications
from schema.common import Connection, StreamEvent, StreamGap, StreamOpened
from schema.fields import Entity, batch, column, computed, entity, key, tally
from schema.problems import InvalidInputProblem, NotFoundProblem
from schema.reads import PageOf

strawberry.enum(
    Kind, name="NotificationKind", description="通知种类。What a notification tells of."
)


def _title(words: Words) -> str:
    return words.title


def _text(words: Words) -> str:
    return words.text


def _target(kind: str | None, target: int | None) -> strawberry.ID | None:
    return None if kind is None or target is None else strawberry.ID(ids.encode(kind, target))


@entity("通知，本人可见。A notification, its account's.", visible_to=notifications.visible_to)
class Notification(Entity):
    id: strawberry.ID = key()
    kind: Kind = computed("kind", by=Kind, description="种类。What it tells of.")
    title: str = batch(
        notifications.worded,
        "标题，按查看者的语言。Title in the viewer's language.",
        columns=("id", "kind", "data"),
        wrap=_title,
    )
    text: str = batch(
        notifications.worded,
        "内容，按查看者的语言。Words in the viewer's language.",
        columns=("id", "kind", "data"),
        wrap=_text,
    )
    target_id: strawberry.ID | None = computed(
        "target_kind", "target_id", by=_target, description="相关对象的全局 ID。Where it leads."
    )
    created_at: datetime = column("时间。When.")
    read_at: datetime | None = column("已读时间，未读为空。When it was read; null before.")


async def _unread(db: Reader, viewer: Viewer, _page_of: PageOf) -> int:
    return await notifications.unread(db, viewer)


@strawberry.type(description="通知列表。A page of notifications.")
class NotificationConnection(Connection[Notification]):
    unread_count: int = tally(_unread, "未读总数。How many are not read.")


@strawberry.type(description="一条新通知。A new notification.")
class NotificationArrived(StreamEvent):
    notification: Notification = strawberry.field(description="通知。The notification.")
    unread_count: int = strawberry.field(description="此刻的未读总数。How many are not read now.")


@strawberry.type(description="有通知被读（可能在别的设备）。Some were read, maybe elsewhere.")
class NotificationsSeen(StreamEvent):
    unread_count: int = strawberry.field(description="此刻的未读总数。How many are not read now.")


NotificationEvent = Annotated[
    NotificationArrived | NotificationsSeen | StreamOpened | StreamGap,
    strawberry.union("NotificationEvent", description="通知流中的事件。An event about them."),
]


@strawberry.input(
    description="标为已读：upTo 与 ids 二选一。Marks as read: give either upTo or ids."
)
class ReadNotificationsInput:
    up_to: strawberry.ID | None = strawberry.field(
        default=None, description="这一条及更早的全部。This one and all older ones."
    )
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="这些，至多 100 条。These, at most 100."
    )


@strawberry.type(description="标记之后。How it stands after marking.")
class ReadNotifications:
    marked: int = strawberry.field(description="新标为已读的条数。How many were marked now.")
    unread_count: int = strawberry.field(description="未读总数。How many are not read.")


ReadNotificationsResult = Annotated[
    ReadNotifications | NotFoundProblem | InvalidInputProblem,
    strawberry.union("ReadNotificationsResult", description="标记结果。How it stands or why not."),
]
