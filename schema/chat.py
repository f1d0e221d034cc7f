"""Conversations and the events of a reply as clients see them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import strawberry

from app import ids
from app.services import chat
from app.services import chat_events as stored
from schema.common import Money, StreamEvent, StreamGap
from schema.fields import Entity, column, computed, entity, key, many, one
from schema.problems import (
    ConversationBusyProblem,
    IdempotencyKeyReusedProblem,
    InvalidInputProblem,
    MessageRefusedProblem,
    NotFoundProblem,
    TooOftenProblem,
)
from schema.refs import ChatMessageRef, ConversationRef


@strawberry.enum(description="会话由谁应答。Who answers a conversation.")
class ConversationState(StrEnum):
    BOT = "BOT"
    QUEUED = "QUEUED"
    HUMAN = "HUMAN"


@strawberry.enum(description="消息作者。Author of a message.")
class ChatAuthor(StrEnum):
    SHOPPER = "SHOPPER"
    BOT = "BOT"
    HUMAN = "HUMAN"


@strawberry.enum(description="消息状态。State of a message.")
class ChatMessageStatus(StrEnum):
    RECEIVED = "RECEIVED"
    ANSWERING = "ANSWERING"
    ANSWERED = "ANSWERED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    DONE = "DONE"


@strawberry.enum(description="文字由谁写成。Who wrote the text.")
class ChatWriter(StrEnum):
    MODEL = "MODEL"
    TEMPLATE = "TEMPLATE"
    MIXED = "MIXED"
    HUMAN = "HUMAN"
    NONE = "NONE"


@entity("会话中的一条消息。A message of a conversation.", visible_to=chat.messages_visible_to)
class ChatMessage(Entity):
    id: strawberry.ID = key()
    author: ChatAuthor = computed("author", by=ChatAuthor, description="作者。Author.")
    text: str = column("内容。The text.")
    status: ChatMessageStatus = computed("status", by=ChatMessageStatus, description="状态。State.")
    writer: ChatWriter | None = computed(
        "writer",
        by=lambda name: None if name is None else ChatWriter(name),
        description="由谁写成，仅回复有。Who wrote it; answers only.",
    )
    created_at: datetime = column("时间。When.")
    conversation: ConversationRef | None = one(
        "conversation_id", "Conversation", "会话。Its conversation."
    )


@entity("会话。A conversation.", visible_to=chat.visible_to)
class Conversation(Entity):
    id: strawberry.ID = key()
    state: ConversationState = computed(
        "state", by=ConversationState, description="由谁应答。Who answers."
    )
    created_at: datetime = column("开始时间。Begun at.")
    messages: list[ChatMessageRef] = many(
        "ChatMessage",
        "conversation_id",
        "最近消息，新的在前。Newest first.",
        order=("-id",),
        limit=50,
    )


@strawberry.interface(description="回复过程中的一个事件。An event of a reply.")
class ChatStreamEvent(StreamEvent):
    is_closing: strawberry.Private[bool]
    seq: int = strawberry.field(description="会话内从 1 连续的序号。Counts from 1, no gaps.")
    conversation_id: strawberry.ID = strawberry.field(description="会话。The conversation.")
    message_id: strawberry.ID | None = strawberry.field(description="所答的消息。The question.")
    fallback_text: str = strawberry.field(
        description="旧客户端可直接显示的文字。Text for old clients."
    )


@strawberry.type(description="卡片中的一行。A row of a card.")
class ChatCardRow:
    label: str = strawberry.field(description="名目。Label.")
    value: str = strawberry.field(description="内容。Value.")


@strawberry.type(description="一个可选项。Something to choose.")
class ChatOption:
    label: str = strawberry.field(description="显示文字。Label.")
    reply: str = strawberry.field(description="选择后发送的文字。What to send when it is chosen.")
    order_id: strawberry.ID | None = strawberry.field(description="相关订单。Its order, if any.")


@strawberry.type(description="已收到消息。The message is stored.")
class ChatAccepted(ChatStreamEvent):
    is_queued: bool = strawberry.field(
        description="前一条仍在回复。An earlier one is answered first."
    )


@strawberry.type(description="事实卡片，先于文字。The facts, before any prose.")
class ChatCard(ChatStreamEvent):
    kind: str = strawberry.field(description="种类，如 PARCEL、POLICY。Kind of card.")
    title: str = strawberry.field(description="标题。Title.")
    rows: list[ChatCardRow] = strawberry.field(description="各行。Rows.")
    quick_replies: list[str] = strawberry.field(description="快捷回复。Quick replies.")
    order_id: strawberry.ID | None = strawberry.field(description="相关订单。Its order.")
    product_id: strawberry.ID | None = strawberry.field(description="相关商品。Its product.")
    group_buy_id: strawberry.ID | None = strawberry.field(description="相关的团。Its group.")


@strawberry.type(description="回复的下一段文字。The next stretch of the text.")
class ChatDelta(ChatStreamEvent):
    text: str = strawberry.field(description="文字。Text.")


@strawberry.type(description="回答所依据的条款。The clause an answer rests on.")
class ChatCitation(ChatStreamEvent):
    document_code: str = strawberry.field(description="文件代码。Code of the document.")
    version: int = strawberry.field(description="版本。Version.")
    clause_no: str = strawberry.field(description="条款号。Number of the clause.")
    title: str = strawberry.field(description="文件标题。Title of the document.")
    text: str = strawberry.field(description="条款原文。The clause.")


@strawberry.type(
    description="一个提议，确认后才执行。A proposal; nothing happens before it is accepted."
)
class ChatOffer(ChatStreamEvent):
    kind: str = strawberry.field(description="种类。Kind.")
    title: str = strawberry.field(description="标题。Title.")
    reply: str = strawberry.field(description="接受时发送的文字。What to send to accept.")
    amount: Money | None = strawberry.field(description="金额。Amount, if any.")
    order_id: strawberry.ID | None = strawberry.field(description="相关订单。Its order.")


@strawberry.type(description="请顾客选择。Asks back which one is meant.")
class ChatChoice(ChatStreamEvent):
    prompt: str = strawberry.field(description="问题。The question.")
    options: list[ChatOption] = strawberry.field(description="选项。Options.")


@strawberry.type(description="应答者变化。Somebody else answers from now on.")
class ChatHandoffChanged(ChatStreamEvent):
    state: ConversationState = strawberry.field(description="由谁应答。Who answers.")
    ticket_no: str | None = strawberry.field(description="工单号。Number of the case.")
    reason: str | None = strawberry.field(description="原因。Reason.")


@strawberry.type(description="回复完成。The message is answered.")
class ChatDone(ChatStreamEvent):
    writer: ChatWriter = strawberry.field(description="文字由谁写成。Who wrote the text.")
    model: str | None = strawberry.field(description="模型名。Name of the model.")
    intent: str | None = strawberry.field(description="识别的意图。Intent understood.")
    mood: str | None = strawberry.field(description="识别的情绪。Mood understood.")
    card_ms: float | None = strawberry.field(
        description="卡片用时（毫秒）。Milliseconds to the card."
    )
    first_text_ms: float | None = strawberry.field(
        description="首段文字用时（毫秒）。Milliseconds to the first text."
    )
    total_ms: float | None = strawberry.field(description="总用时（毫秒）。Milliseconds in all.")
    prompt_version: str | None = strawberry.field(description="提示版本。Version of the prompts.")


@strawberry.type(description="回复未完成。The message got no whole answer.")
class ChatFailed(ChatStreamEvent):
    code: str = strawberry.field(description="原因代码。CANCELLED, INTERRUPTED or INTERNAL.")


ChatEvent = Annotated[
    ChatAccepted
    | ChatCard
    | ChatDelta
    | ChatCitation
    | ChatOffer
    | ChatChoice
    | ChatHandoffChanged
    | ChatDone
    | ChatFailed
    | StreamGap,
    strawberry.union("ChatEvent", description="回复过程中的事件。An event of a reply."),
]


def event_of(kind: str, data: dict[str, Any], **place: Any) -> ChatStreamEvent:
    """The GraphQL value of a stored event; `place` holds seq, cursor, the two ids, is_closing."""
    value = stored.read(kind, data)
    shared = {**place, "fallback_text": value.fallback_text}
    return _EVENTS[type(value)](value, shared)


def _id(kind: str, value: int | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(ids.encode(kind, value))


def _card(value: stored.Card, shared: dict[str, Any]) -> ChatCard:
    return ChatCard(
        **shared,
        kind=value.card_kind,
        title=value.title,
        rows=[ChatCardRow(label=row.label, value=row.value) for row in value.rows],
        quick_replies=list(value.quick_replies),
        order_id=_id("Order", value.order_id),
        product_id=_id("Product", value.product_id),
        group_buy_id=_id("GroupBuy", value.group_buy_id),
    )


def _offer(value: stored.Offer, shared: dict[str, Any]) -> ChatOffer:
    return ChatOffer(
        **shared,
        kind=value.offer_kind,
        title=value.title,
        reply=value.reply,
        amount=Money.maybe(value.amount_fen),
        order_id=_id("Order", value.order_id),
    )


def _choice(value: stored.Choice, shared: dict[str, Any]) -> ChatChoice:
    options = [
        ChatOption(label=one.label, reply=one.reply, order_id=_id("Order", one.order_id))
        for one in value.options
    ]
    return ChatChoice(**shared, prompt=value.prompt, options=options)


def _handoff(value: stored.HandoffChanged, shared: dict[str, Any]) -> ChatHandoffChanged:
    return ChatHandoffChanged(
        **shared,
        state=ConversationState(value.state),
        ticket_no=value.ticket_no,
        reason=value.reason,
    )


def _citation(value: stored.Citation, shared: dict[str, Any]) -> ChatCitation:
    return ChatCitation(
        **shared,
        document_code=value.document_code,
        version=value.version,
        clause_no=value.clause_no,
        title=value.title,
        text=value.text,
    )


def _done(value: stored.Done, shared: dict[str, Any]) -> ChatDone:
    return ChatDone(
        **shared,
        writer=ChatWriter(value.writer),
        model=value.model,
        intent=value.intent,
        mood=value.mood,
        card_ms=value.card_ms,
        first_text_ms=value.first_text_ms,
        total_ms=value.total_ms,
        prompt_version=value.prompt_version,
    )


_EVENTS: dict[type, Any] = {
    stored.Accepted: lambda value, shared: ChatAccepted(**shared, is_queued=value.is_queued),
    stored.Card: _card,
    stored.Delta: lambda value, shared: ChatDelta(**shared, text=value.text),
    stored.Citation: _citation,
    stored.Offer: _offer,
    stored.Choice: _choice,
    stored.HandoffChanged: _handoff,
    stored.Done: _done,
    stored.Failed: lambda value, shared: ChatFailed(**shared, code=value.code),
}


@strawberry.type(
    description="已收下的消息，回复见 chatEvents。A stored message; the reply streams."
)
class ChatTurn:
    conversation: ConversationRef = strawberry.field(description="会话。The conversation.")
    message: ChatMessageRef = strawberry.field(description="您的消息。Your message.")
    after: str = strawberry.field(
        description="从这里订阅 chatEvents 可得本条全部事件。Subscribe from here to see it all."
    )


@strawberry.input(description="发送消息。Sends a message.")
class SendMessageInput:
    text: str = strawberry.field(description="内容，1-1000 字。1 to 1,000 characters.")
    client_id: str = strawberry.field(
        description="幂等键，由客户端生成。Idempotency key of the client."
    )
    conversation_id: strawberry.ID | None = strawberry.field(
        default=None, description="会话，缺省为新会话。By default a new conversation."
    )
    about: strawberry.ID | None = strawberry.field(
        default=None, description="从哪个订单、商品、团或直播间打开。What the chat is opened from."
    )


@strawberry.input(description="停止回复。Stops a reply.")
class CancelReplyInput:
    message_id: strawberry.ID = strawberry.field(description="所答的消息。The question.")


SendMessageResult = Annotated[
    ChatTurn
    | NotFoundProblem
    | InvalidInputProblem
    | MessageRefusedProblem
    | TooOftenProblem
    | ConversationBusyProblem
    | IdempotencyKeyReusedProblem,
    strawberry.union("SendMessageResult", description="发送结果。The turn or why not."),
]
CancelReplyResult = Annotated[
    ChatMessage | NotFoundProblem,
    strawberry.union("CancelReplyResult", description="所答的消息。The question as it stands."),
]
