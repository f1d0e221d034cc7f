"""Root fields of the chat: sending, calling off, and the event stream of a conversation."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, cast

import strawberry

from app import ids
from app.bus import Gap
from app.context import Context, Info
from app.db import Unit
from app.errors import BadCursor
from app.events import conversation_topic
from app.services import chat
from app.services.chat_events import CLOSING
from resolvers.pages import After
from resolvers.problems import returns_problems
from resolvers.reads import root
from schema.chat import (
    CancelReplyInput,
    CancelReplyResult,
    ChatEvent,
    ChatStreamEvent,
    ChatTurn,
    Conversation,
    SendMessageInput,
    SendMessageResult,
    event_of,
)
from schema.fields import Price
from schema.reads import Rows

_MESSAGE = Price(units=10, is_chat=True)


@strawberry.type
class ChatQuery:
    @root(
        "自己的会话，新的在前，至多 50 个。The viewer's conversations.",
        list[Conversation],
        price=Price(size=50),
    )
    def conversations(self, info: Info) -> Rows:
        info.context.viewer.must_be_signed_in()
        return Rows("Conversation", chat.recent, limit=50)


@strawberry.type
class ChatMutation:
    @strawberry.mutation(
        description="发送消息；回复经 chatEvents 推送。The reply comes by chatEvents.",
        metadata=_MESSAGE.metadata(),
    )
    @returns_problems
    async def send_message(
        self,
        info: Info,
        input: Annotated[SendMessageInput, strawberry.argument(description="消息。The message.")],
    ) -> SendMessageResult:
        conversation_id, message_id, before = await _send(info.context, input)
        load = info.context.load
        return ChatTurn(
            conversation=await load.one("Conversation", conversation_id),
            message=await load.one("ChatMessage", message_id),
            after=_cursor(info.context, conversation_id, before),
        )

    @strawberry.mutation(description="停止回复。Stops a reply.")
    @returns_problems
    async def cancel_reply(
        self,
        info: Info,
        input: Annotated[CancelReplyInput, strawberry.argument(description="哪条消息。Which one.")],
    ) -> CancelReplyResult:
        message_id = ids.key_of("ChatMessage", input.message_id)
        await info.context.resources.database.change(chat.cancel, info.context.viewer, message_id)
        info.context.resources.answers.cancel(message_id)
        return await info.context.load.one("ChatMessage", message_id)


@strawberry.type
class ChatSubscription:
    @strawberry.subscription(
        description="会话的全部事件；用 after 续订，不丢不重。All events; none lost, none doubled."
    )
    async def chat_events(
        self,
        info: Info,
        conversation_id: Annotated[
            strawberry.ID, strawberry.argument(description="会话 ID。Its global id.")
        ],
        after: After = None,
    ) -> AsyncGenerator[ChatEvent]:
        key = ids.key_of("Conversation", conversation_id)
        async with aclosing(_events(info.context, key, _seq(info.context, key, after))) as events:
            async for event in events:
                yield cast("ChatEvent", event)

    @strawberry.subscription(
        description="发送并接收回复，回复完成即结束。"
        "Sends a message, streams its reply, then ends.",
        metadata=_MESSAGE.metadata(),
    )
    async def chat(
        self,
        info: Info,
        input: Annotated[SendMessageInput, strawberry.argument(description="消息。The message.")],
    ) -> AsyncGenerator[ChatEvent]:
        conversation_id, message_id, before = await _send(info.context, input)
        mine = ids.encode("ChatMessage", message_id)
        async with aclosing(_events(info.context, conversation_id, before)) as events:
            async for event in events:
                if event.message_id != mine:
                    continue
                yield cast("ChatEvent", event)
                if event.is_closing:
                    return


async def _send(context: Context, given: SendMessageInput) -> tuple[int, int, int]:
    """(conversation, message, number of the event before the message's first one)."""
    conversation, viewer = given.conversation_id, context.viewer
    key = None if conversation is None else ids.key_of("Conversation", conversation)
    about = None if given.about is None else ids.decode(given.about)

    async def send(unit: Unit) -> tuple[int, int, int]:
        conversation_id, message_id = await chat.send(
            unit,
            viewer,
            text=given.text,
            client_id=given.client_id,
            conversation_id=key,
            about=about,
        )
        return conversation_id, message_id, await chat.seq_before(unit.db, message_id)

    conversation_id, message_id, before = await context.resources.database.change(send)
    context.resources.answers.submit(message_id)
    return conversation_id, message_id, before


async def _events(
    context: Context, conversation_id: int, seq: int
) -> AsyncGenerator[ChatStreamEvent]:
    """The log past `seq`, then live; the database fills whatever the bus has skipped."""
    async with context.resources.bus.subscribe(conversation_topic(conversation_id)) as changes:
        async for event in _stored(context, conversation_id, seq):
            seq = event.seq
            yield event
        async for item in changes:
            if not isinstance(item, Gap) and item.message.payload["seq"] == seq + 1:
                seq += 1
                yield _event(context, conversation_id, item.message.payload)
            elif isinstance(item, Gap) or item.message.payload["seq"] > seq:
                async for event in _stored(context, conversation_id, seq):
                    seq = event.seq
                    yield event


async def _stored(
    context: Context, conversation_id: int, seq: int
) -> AsyncGenerator[ChatStreamEvent]:
    while True:
        async with context.resources.database.read() as db:
            rows = await chat.events_after(db, context.viewer, conversation_id, seq)
        if not rows:
            return
        for row in rows:
            yield _event(context, conversation_id, row._asdict())
        seq = rows[-1].seq


def _event(context: Context, conversation_id: int, payload: dict[str, Any]) -> ChatStreamEvent:
    message_id = payload["message_id"]
    return event_of(
        payload["kind"],
        payload["data"],
        seq=payload["seq"],
        cursor=context.reached(_cursor(context, conversation_id, payload["seq"])),
        conversation_id=strawberry.ID(ids.encode("Conversation", conversation_id)),
        message_id=None
        if message_id is None
        else strawberry.ID(ids.encode("ChatMessage", message_id)),
        is_closing=payload["kind"] in CLOSING,
    )


def _cursor(context: Context, conversation_id: int, seq: int) -> str:
    return context.resources.cursors.sign(conversation_topic(conversation_id), [seq])


def _seq(context: Context, conversation_id: int, after: str | None) -> int:
    after = context.resumed(after)
    if after is None:
        return 0
    values = context.resources.cursors.read(conversation_topic(conversation_id), after)
    if len(values) != 1 or not isinstance(values[0], int):
        raise BadCursor
    return values[0]
