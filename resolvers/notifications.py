"""Root fields of notifications: the list, marking them as read, and their stream."""

from typing import Annotated, Any

import strawberry

from app import ids
from app.bus import Message
from app.context import Context, Info
from app.db import Unit
from app.errors import InvalidInput
from app.events import notification_topic
from app.services import notifications
from resolvers.own_streams import own_stream
from resolvers.pages import MOST, After, First, checked_first
from resolvers.problems import returns_problems
from resolvers.reads import root
from resolvers.streams import At, Stream, stream
from schema.notifications import (
    NotificationArrived,
    NotificationConnection,
    NotificationEvent,
    NotificationsSeen,
    ReadNotifications,
    ReadNotificationsInput,
    ReadNotificationsResult,
)
from schema.reads import PageOf


@strawberry.type
class NotificationQuery:
    @root("自己的通知，新的在前。The viewer's notifications.", NotificationConnection)
    def notifications(self, info: Info, first: First = 20, after: After = None) -> PageOf:
        viewer = info.context.viewer
        viewer.must_be_signed_in()
        return PageOf(
            "Notification",
            NotificationConnection,
            notifications.listing,
            {},
            first=checked_first(first),
            after=after,
            scope=f"notifications:{viewer.id}",
        )


@strawberry.type
class NotificationMutation:
    @strawberry.mutation(description="把通知标为已读。Marks notifications as read.")
    @returns_problems
    async def read_notifications(
        self,
        info: Info,
        input: Annotated[
            ReadNotificationsInput, strawberry.argument(description="哪些通知。Which ones.")
        ],
    ) -> ReadNotificationsResult:
        viewer = info.context.viewer
        viewer.must_be_signed_in()
        keys, last = _chosen(input)

        async def mark(unit: Unit) -> ReadNotifications:
            if last is None:
                marked = await notifications.read(unit, viewer, keys)
            else:
                marked = await notifications.read_up_to(unit, viewer, last)
            unread = await notifications.unread(unit.db, viewer)
            return ReadNotifications(marked=marked, unread_count=unread)

        return await info.context.resources.database.change(mark)


@strawberry.type
class NotificationSubscription:
    @stream(
        "新通知，以及在别处已读的消息；seq 为通知流内的序号。"
        "New notifications, and word of those read elsewhere.",
        NotificationEvent,
    )
    def notifications(self, info: Info, after: After = None) -> Stream:  # noqa: ARG002
        return own_stream(notification_topic(info.context.viewer.account_id), _told)


def _chosen(given: ReadNotificationsInput) -> tuple[list[int], int | None]:
    """(keys, last): one of the two says what to mark."""
    if (given.up_to is None) == (given.ids is None):
        raise InvalidInput("upTo", "请在 upTo 与 ids 中给出一个", "or ids: give one of the two")
    if given.up_to is not None:
        return [], ids.key_of("Notification", given.up_to)
    named = given.ids or []
    if not 1 <= len(named) <= MOST:
        raise InvalidInput("ids", f"须为 1 到 {MOST} 个", f"must be 1 to {MOST}")
    return [ids.key_of("Notification", one) for one in named], None


async def _told(context: Context, message: Message, at: At) -> Any:
    viewer, payload = context.viewer, message.payload
    unread = await context.resources.database.look(lambda db: notifications.unread(db, viewer))
    place: Any = {"cursor": at.cursor, "seq": at.seq, "unread_count": unread}
    if message.kind != "NotificationPosted":
        return NotificationsSeen(**place)
    notification = await context.load.one("Notification", payload["notification_id"])
    return None if notification is None else NotificationArrived(**place, notification=notification)
