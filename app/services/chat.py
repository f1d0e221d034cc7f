"""Conversations: who may see them, sending a message, taking one back, reading the event log."""

import unicodedata
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, func, insert, or_, select, update

from app.auth import Viewer
from app.db import Reader, Unit
from app.errors import (
    ConversationBusy,
    IdempotencyKeyReused,
    InvalidInput,
    MessageRefused,
    NotFound,
    TooOften,
)
from app.events import MessageReceived, ReplyCancelled
from app.services import chat_handoffs, chat_log, group_buys, live_rooms, orders, products
from app.services.chat_events import Accepted, ChatEventValue, Done, Failed
from app.services.pages import Listing
from app.services.sight import leads_to
from app.tables.accounts import AccountRow
from app.tables.chat import ChatEventRow, ChatMessageRow, ConversationRow
from app.tables.columns import table

ACCOUNTS = table(AccountRow)
CONVERSATIONS = table(ConversationRow)
MESSAGES = table(ChatMessageRow)
EVENTS = table(ChatEventRow)
MAX_CHARS = 1000
MAX_KEY_CHARS = 64
MAX_WAITING = 3  # messages of one conversation that wait behind the one being answered
RATE = 20  # messages of one person
RATE_WINDOW = timedelta(seconds=60)
UNANSWERED = ("RECEIVED", "ANSWERING")
_PLACES = {
    "Order": orders.visible_to,
    "Product": products.visible_to,
    "GroupBuy": group_buys.visible_to,
    "LiveRoom": live_rooms.visible_to,
}


def visible_to(viewer: Viewer) -> Select[Any]:
    """A person sees the own conversations; staff also those that were handed to people."""
    query = select(*CONVERSATIONS.c)
    if viewer.is_staff:
        return query.where(
            or_(CONVERSATIONS.c.account_id == viewer.id, CONVERSATIONS.c.state != "BOT")
        )
    return query.where(CONVERSATIONS.c.account_id == viewer.id)


def messages_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*MESSAGES.c).where(leads_to(MESSAGES.c.conversation_id, visible_to(viewer)))


async def get(db: Reader, viewer: Viewer, conversation_id: int) -> Row[Any]:
    """Raises NotFound for a conversation that is not there or not the viewer's."""
    row = await db.first(visible_to(viewer).where(CONVERSATIONS.c.id == conversation_id))
    if row is None:
        raise NotFound("Conversation")
    return row


def recent(viewer: Viewer) -> Listing:
    """The viewer's conversations, newest first."""
    return Listing(visible_to(viewer), [(CONVERSATIONS.c.id, True)])


async def seq_before(db: Reader, message_id: int) -> int:
    """The number of the event before the first one of a message."""
    first = await db.value(select(func.min(EVENTS.c.seq)).where(EVENTS.c.message_id == message_id))
    return 0 if first is None else int(first) - 1


async def events_after(
    db: Reader, viewer: Viewer, conversation_id: int, seq: int
) -> list[Row[Any]]:
    """The log past `seq`, at most `chat_log.PAGE` events. Raises NotFound like `get`."""
    await get(db, viewer, conversation_id)
    return await chat_log.after(db, conversation_id, seq)


async def send(
    unit: Unit,
    viewer: Viewer,
    *,
    text: str,
    client_id: str,
    conversation_id: int | None = None,
    about: tuple[str, int] | None = None,
) -> tuple[int, int]:
    """Stores a message to be answered; (conversation id, message id).

    Repeating a `client_id` with the same text gives the first ids and changes nothing. `about` is
    what the chat was opened from: (Order | Product | GroupBuy | LiveRoom | Cart, key). A message
    sent while another is being answered waits; a bot stays silent while people answer.
    """
    account_id = viewer.account_id
    text = cleaned(text)
    if not 0 < len(client_id) <= MAX_KEY_CHARS:
        raise InvalidInput(
            "clientId", f"clientId 须为 1-{MAX_KEY_CHARS} 个字符", "1 to 64 characters"
        )
    # one message of a person at a time: rate and keys are counted under this lock
    await unit.db.first(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account_id).with_for_update())
    known = await _sent_before(unit, account_id, client_id, text)
    if known is not None:
        return known
    await _check_rate(unit, account_id)
    slots = await _place(unit, viewer, about)
    if conversation_id is None:
        conversation_id = await _open(unit, viewer, about, slots)
    else:
        await _reopen(unit, viewer, conversation_id, slots)
    message_id = await _receive(unit, conversation_id, client_id, text)
    return conversation_id, message_id


async def cancel(unit: Unit, viewer: Viewer, message_id: int) -> bool:
    """Calls a reply off; False when it had ended already. Raises NotFound for a foreign message."""
    found = await unit.db.first(
        messages_visible_to(viewer).where(
            MESSAGES.c.id == message_id, MESSAGES.c.author == "SHOPPER"
        )
    )
    if found is None:
        raise NotFound("ChatMessage")
    stopped = await unit.changed(
        update(MESSAGES)
        .where(MESSAGES.c.id == message_id, MESSAGES.c.status.in_(UNANSWERED))
        .values(status="CANCELLED")
    )
    if not stopped:
        return False
    await unit.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.running_message_id == message_id)
        .values(running_message_id=None, running_since=None)
    )
    gone = Failed(fallback_text="已停止回复", code="CANCELLED")
    await chat_log.append(unit, found.conversation_id, message_id, [gone])
    unit.emit(ReplyCancelled(message_id))
    return True


def cleaned(text: str) -> str:
    """The message without control characters. Raises MessageRefused for an empty or huge one."""
    if len(text) > MAX_CHARS * 4:
        raise MessageRefused
    kept = "".join(
        " " if sign in "\n\r\t" else sign
        for sign in text
        if sign in "\n\r\t" or unicodedata.category(sign)[0] != "C"
    ).strip()
    if not kept or len(kept) > MAX_CHARS:
        raise MessageRefused
    return kept


async def _sent_before(
    unit: Unit, account_id: int, client_id: str, text: str
) -> tuple[int, int] | None:
    row = await unit.db.first(
        select(MESSAGES.c.id, MESSAGES.c.conversation_id, MESSAGES.c.text)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(CONVERSATIONS.c.account_id == account_id, MESSAGES.c.client_id == client_id)
    )
    if row is None:
        return None
    if row.text != text:
        raise IdempotencyKeyReused
    return row.conversation_id, row.id


async def _check_rate(unit: Unit, account_id: int) -> None:
    since = unit.clock() - RATE_WINDOW
    recent = await unit.db.first(
        select(func.count().label("sent"), func.min(MESSAGES.c.created_at).label("oldest"))
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(
            CONVERSATIONS.c.account_id == account_id,
            MESSAGES.c.author == "SHOPPER",
            MESSAGES.c.created_at > since,
        )
    )
    assert recent is not None
    if recent.sent >= RATE:
        raise TooOften(round((recent.oldest - since).total_seconds(), 1))


async def _place(unit: Unit, viewer: Viewer, about: tuple[str, int] | None) -> dict[str, Any]:
    """The slots of what the chat was opened from. Raises NotFound for what is not visible."""
    if about is None or about[0] == "Cart":
        return {}
    kind, key = about
    if kind not in _PLACES:
        raise NotFound(kind)
    seen = _PLACES[kind](viewer).subquery()
    if await unit.db.first(select(seen.c.id).where(seen.c.id == key)) is None:
        raise NotFound(kind)
    slot = {"Order": "order_id", "Product": "product_id", "GroupBuy": "group_buy_id"}.get(kind)
    return {slot: key} if slot else {}


async def _open(
    unit: Unit, viewer: Viewer, about: tuple[str, int] | None, slots: dict[str, Any]
) -> int:
    now = unit.clock()
    return await unit.insert(
        insert(CONVERSATIONS).values(
            account_id=viewer.account_id,
            role=viewer.role.value,
            state="BOT",
            opened_from_type=about[0] if about else None,
            opened_from_id=about[1] if about else None,
            event_seq=0,
            slots=slots,
            created_at=now,
            updated_at=now,
        )
    )


async def _reopen(unit: Unit, viewer: Viewer, conversation_id: int, slots: dict[str, Any]) -> None:
    """Only the own conversation takes messages; a new `about` replaces what was talked about."""
    query = select(*CONVERSATIONS.c).where(
        CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.account_id == viewer.account_id
    )
    row = await unit.db.first(query.with_for_update())
    if row is None:
        raise NotFound("Conversation")
    waiting = await unit.db.value(
        select(func.count()).where(
            MESSAGES.c.conversation_id == conversation_id, MESSAGES.c.status == "RECEIVED"
        )
    )
    if waiting >= MAX_WAITING:
        raise ConversationBusy
    if slots:
        await unit.execute(
            update(CONVERSATIONS)
            .where(CONVERSATIONS.c.id == conversation_id)
            .values(slots={**row.slots, **slots})
        )


async def _receive(unit: Unit, conversation_id: int, client_id: str, text: str) -> int:
    now = unit.clock()
    state = await chat_handoffs.state_now(unit, conversation_id)
    is_bots = state == "BOT"
    message_id = await unit.insert(
        insert(MESSAGES).values(
            conversation_id=conversation_id,
            client_id=client_id,
            author="SHOPPER",
            text=text,
            status="RECEIVED" if is_bots else "ANSWERED",
            citations=[],
            created_at=now,
        )
    )
    running = await unit.db.value(
        select(CONVERSATIONS.c.running_message_id).where(CONVERSATIONS.c.id == conversation_id)
    )
    events: list[ChatEventValue] = [
        Accepted(fallback_text="已收到", is_queued=is_bots and running is not None)
    ]
    if is_bots:
        unit.emit(MessageReceived(conversation_id, message_id))
    else:
        events.append(Done(fallback_text="消息已转给人工客服", writer="HUMAN"))
    await chat_log.append(unit, conversation_id, message_id, events)
    return message_id
