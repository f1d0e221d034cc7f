"""Turns of a conversation: claiming a message to answer, and closing it exactly once.

A conversation answers one message at a time. The claim is a compare-and-set on
`running_message_id`; every write of a running turn repeats that guard, so that a cancelled or
abandoned turn can change nothing. `running_since` is refreshed by every event: a turn that wrote
nothing for LEASE lost its process.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, func, insert, or_, select, update

from app.db import Reader, Unit
from app.services import chat_log
from app.services.chat_events import ChatEventValue, Delta, Done, Failed
from app.tables.chat import ChatEventRow, ChatMessageRow, ConversationRow
from app.tables.columns import table

CONVERSATIONS = table(ConversationRow)
MESSAGES = table(ChatMessageRow)
EVENTS = table(ChatEventRow)
_SAID = ("CARD", Delta.kind, "CITATION", "OFFER", "CHOICE", "HANDOFF_CHANGED")
LEASE = timedelta(seconds=60)  # longer than the longest silence of a live turn


@dataclass(frozen=True, slots=True)
class Turn:
    """A claimed message with its conversation as it was then."""

    message: Row[Any]
    conversation: Row[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is stored of a finished reply."""

    text: str
    intent: str
    mood: str
    writer: str
    model: str | None
    prompt_version: str
    citations: list[dict[str, Any]]
    slots: dict[str, Any]


async def claim(unit: Unit, message_id: int) -> Turn | None:
    """RECEIVED -> ANSWERING when the conversation is free and the message is its oldest.

    None when another process has it, it waits behind an earlier one, or it is closed.
    """
    message = await unit.db.first(select(*MESSAGES.c).where(MESSAGES.c.id == message_id))
    if message is None or message.status != "RECEIVED":
        return None
    earlier = select(MESSAGES.c.id).where(
        MESSAGES.c.conversation_id == message.conversation_id,
        MESSAGES.c.status == "RECEIVED",
        MESSAGES.c.id < message_id,
    )
    free = (
        update(CONVERSATIONS)
        .where(
            CONVERSATIONS.c.id == message.conversation_id,
            CONVERSATIONS.c.running_message_id.is_(None),
            ~earlier.exists(),
        )
        .values(running_message_id=message_id, running_since=unit.clock())
    )
    if not await unit.changed(free):
        return None
    taken = await unit.changed(
        update(MESSAGES)
        .where(MESSAGES.c.id == message_id, MESSAGES.c.status == "RECEIVED")
        .values(status="ANSWERING")
    )
    if not taken:  # called off between the look and the claim
        await _free(unit, message.conversation_id, message_id)
        return None
    conversation = await unit.db.first(
        select(*CONVERSATIONS.c).where(CONVERSATIONS.c.id == message.conversation_id)
    )
    assert conversation is not None
    return Turn(message, conversation)


async def finish(unit: Unit, turn: Turn, answer: Answer, done: Done) -> int | None:
    """Stores the answer and closes the message with DONE; the answer's key, None if called off."""
    if not await _close(unit, turn.message, "ANSWERED"):
        return None
    answer_id = await unit.insert(
        insert(MESSAGES).values(
            conversation_id=turn.conversation.id,
            author="BOT",
            text=answer.text,
            intent=answer.intent,
            mood=answer.mood,
            status="DONE",
            reply_to_id=turn.message.id,
            writer=answer.writer,
            model=answer.model,
            prompt_version=answer.prompt_version,
            citations=answer.citations,
            created_at=unit.clock(),
        )
    )
    await unit.execute(
        update(MESSAGES)
        .where(MESSAGES.c.id == turn.message.id)
        .values(intent=answer.intent, mood=answer.mood)
    )
    await unit.execute(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == turn.conversation.id)
        .values(slots=answer.slots)
    )
    closing = replace(done, answer_id=answer_id)
    await chat_log.append(unit, turn.conversation.id, turn.message.id, [closing])
    return answer_id


async def silence(unit: Unit, turn: Turn) -> bool:
    """Closes a message that a person will answer: the conversation left the bot meanwhile."""
    if not await _close(unit, turn.message, "ANSWERED"):
        return False
    done = Done(fallback_text="消息已转给人工客服", writer="HUMAN")
    await chat_log.append(unit, turn.conversation.id, turn.message.id, [done])
    return True


async def fail(unit: Unit, message: Row[Any], code: str) -> bool:
    """Closes a message with FAILED; False when it is closed already."""
    if not await _close(unit, message, "FAILED"):
        return False
    event = Failed(fallback_text="抱歉，这条消息没有答完，请再发一次", code=code)
    await chat_log.append(unit, message.conversation_id, message.id, [event])
    return True


async def say(unit: Unit, turn: Turn, values: list[ChatEventValue]) -> bool:
    """Appends events of a running turn; False when it was called off."""
    last = await chat_log.append(
        unit, turn.conversation.id, turn.message.id, values, while_running=True
    )
    return last is not None


async def waiting_behind(db: Reader, message_id: int) -> list[int]:
    """The message to answer next in the same conversation, if there is one and it is free."""
    same = select(MESSAGES.c.conversation_id).where(MESSAGES.c.id == message_id)
    query = _unanswered().where(MESSAGES.c.conversation_id.in_(same))
    return [row[0] for row in await db.all(query)]


async def waiting(db: Reader) -> list[int]:
    """Messages that nobody answers yet, oldest first: one of each free conversation."""
    return [row[0] for row in await db.all(_unanswered())]


def _unanswered() -> Select[Any]:
    return (
        select(func.min(MESSAGES.c.id))
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(MESSAGES.c.status == "RECEIVED", CONVERSATIONS.c.running_message_id.is_(None))
        .group_by(MESSAGES.c.conversation_id)
        .order_by(func.min(MESSAGES.c.id))
        .limit(100)
    )


async def lost(db: Reader, now: datetime) -> list[Row[Any]]:
    """Messages whose turn wrote nothing for LEASE: the process that answered them is gone."""
    return await db.all(
        select(*MESSAGES.c)
        .join(CONVERSATIONS, CONVERSATIONS.c.running_message_id == MESSAGES.c.id)
        .where(
            or_(
                CONVERSATIONS.c.running_since.is_(None), CONVERSATIONS.c.running_since < now - LEASE
            )
        )
        .order_by(MESSAGES.c.id)
        .limit(100)
    )


async def recover(unit: Unit) -> int:
    """Takes over the turns of processes that died; how many."""
    found = await lost(unit.db, unit.clock())
    for message in found:
        await abandon(unit, message)
    return len(found)


async def abandon(unit: Unit, message: Row[Any]) -> None:
    """Gives up a running turn; nothing happens to one that is closed.

    A turn that has said nothing yet is answered again; one that broke off in the middle is closed
    with FAILED, for its text cannot be taken back.
    """
    if await _has_spoken(unit.db, message.id):
        await fail(unit, message, "INTERRUPTED")
    else:
        await unit.execute(
            update(MESSAGES)
            .where(MESSAGES.c.id == message.id, MESSAGES.c.status == "ANSWERING")
            .values(status="RECEIVED")
        )
    await _free(unit, message.conversation_id, message.id)


async def _close(unit: Unit, message: Row[Any], status: str) -> bool:
    """ANSWERING -> `status` and the conversation free again; False when that has happened."""
    closed = await unit.changed(
        update(MESSAGES)
        .where(MESSAGES.c.id == message.id, MESSAGES.c.status == "ANSWERING")
        .values(status=status)
    )
    if closed:
        await _free(unit, message.conversation_id, message.id)
    return closed == 1


async def _free(unit: Unit, conversation_id: int, message_id: int) -> None:
    await unit.execute(
        update(CONVERSATIONS)
        .where(
            CONVERSATIONS.c.id == conversation_id,
            CONVERSATIONS.c.running_message_id == message_id,
        )
        .values(running_message_id=None, running_since=None)
    )


async def _has_spoken(db: Reader, message_id: int) -> bool:
    """Whether anything but ACCEPTED was said: a repeated card would double it."""
    said = select(EVENTS.c.id).where(EVENTS.c.message_id == message_id, EVENTS.c.kind.in_(_SAID))
    return await db.first(said.limit(1)) is not None
