"""Handing a conversation to a person and back: BOT -> QUEUED -> HUMAN -> BOT, with a ticket."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import NotFound, WrongState
from app.ids import receipt_no
from app.rules.audit import Action
from app.rules.notifications import Kind
from app.services import audit, chat_log, notifications
from app.services.chat_events import ChatEventValue, Delta, Done, HandoffChanged, HandoffState
from app.tables.chat import ChatMessageRow, ConversationRow, TicketRow
from app.tables.columns import table

CONVERSATIONS = table(ConversationRow)
MESSAGES = table(ChatMessageRow)
TICKETS = table(TicketRow)
PATIENCE = timedelta(minutes=10)  # how long a shopper waits for a person before being told
OPEN_TICKETS = ("QUEUED", "TAKEN")


async def queue(
    unit: Unit, conversation_id: int, *, ticket_no: str, reason: str, summary: dict[str, Any]
) -> bool:
    """BOT -> QUEUED with a ticket; False when the conversation was not the bot's to hand over.

    Emits nothing: the caller appends `queued_event` among the events of its turn.
    """
    if not await _move(unit, conversation_id, "BOT", "QUEUED"):
        return False
    await unit.insert(
        insert(TICKETS).values(
            no=ticket_no,
            conversation_id=conversation_id,
            reason=reason,
            summary=summary,
            status="QUEUED",
            created_at=unit.clock(),
        )
    )
    return True


def new_ticket_no(unit: Unit) -> str:
    return receipt_no(unit.clock(), "K")


def queued_event(ticket_no: str, reason: str) -> HandoffChanged:
    text = f"已为您转接人工客服，工单号 {ticket_no}"
    return HandoffChanged(fallback_text=text, state="QUEUED", ticket_no=ticket_no, reason=reason)


async def take(unit: Unit, viewer: Viewer, conversation_id: int) -> None:
    """QUEUED -> HUMAN: a colleague takes the conversation. Raises WrongState when it is taken."""
    viewer.must_be(Role.AGENT, Role.ADMIN)
    if not await _move(unit, conversation_id, "QUEUED", "HUMAN"):
        raise WrongState("Conversation", await _state(unit, conversation_id))
    ticket_no = await _move_ticket(unit, conversation_id, "TAKEN")
    event = HandoffChanged(fallback_text="人工客服已接入", state="HUMAN", ticket_no=ticket_no)
    await chat_log.append(unit, conversation_id, None, [event])
    await audit.note(unit, viewer, Action.TAKE_CONVERSATION, _target(conversation_id))


async def say(unit: Unit, viewer: Viewer, conversation_id: int, text: str) -> int:
    """A colleague's message in a conversation that people answer; its id."""
    viewer.must_be(Role.AGENT, Role.ADMIN)
    state = await _state(unit, conversation_id)
    if state != "HUMAN":
        raise WrongState("Conversation", state)
    message_id = await unit.insert(
        insert(MESSAGES).values(
            conversation_id=conversation_id,
            author="HUMAN",
            text=text,
            status="DONE",
            writer="HUMAN",
            citations=[],
            created_at=unit.clock(),
        )
    )
    events: list[ChatEventValue] = [
        Delta(fallback_text=text, text=text),
        Done(fallback_text=text, writer="HUMAN", answer_id=message_id),
    ]
    await chat_log.append(unit, conversation_id, message_id, events)
    await _notify(unit, conversation_id)
    await audit.note(unit, viewer, Action.ANSWER_CONVERSATION, _target(conversation_id))
    return message_id


async def give_back(unit: Unit, viewer: Viewer, conversation_id: int) -> None:
    """HUMAN -> BOT, the ticket closed. Raises WrongState when no person holds it."""
    viewer.must_be(Role.AGENT, Role.ADMIN)
    if not await _move(unit, conversation_id, "HUMAN", "BOT"):
        raise WrongState("Conversation", await _state(unit, conversation_id))
    ticket_no = await _move_ticket(unit, conversation_id, "CLOSED")
    event = HandoffChanged(
        fallback_text="人工服务已结束，智能客服继续为您服务", state="BOT", ticket_no=ticket_no
    )
    await chat_log.append(unit, conversation_id, None, [event])
    await audit.note(unit, viewer, Action.RETURN_CONVERSATION, _target(conversation_id))


async def state_now(unit: Unit, conversation_id: int) -> HandoffState:
    """Who answers the next message; a queue nobody took in time goes back to the bot first.

    The ticket stays open: a person still looks at it.
    """
    state = await _state(unit, conversation_id)
    if state != "QUEUED":
        return state
    late = await unit.db.first(
        select(TICKETS.c.no)
        .where(
            TICKETS.c.conversation_id == conversation_id,
            TICKETS.c.status == "QUEUED",
            TICKETS.c.created_at > unit.clock() - PATIENCE,
        )
        .limit(1)
    )
    if late is not None or not await _move(unit, conversation_id, "QUEUED", "BOT"):
        return state
    await _tell_late(unit, conversation_id)
    return "BOT"


async def late(db: Reader, now: datetime) -> list[int]:
    """Conversations that wait for a person longer than PATIENCE."""
    fresh = select(TICKETS.c.conversation_id).where(
        TICKETS.c.status == "QUEUED", TICKETS.c.created_at > now - PATIENCE
    )
    rows = await db.all(
        select(CONVERSATIONS.c.id)
        .where(CONVERSATIONS.c.state == "QUEUED", CONVERSATIONS.c.id.not_in(fresh))
        .order_by(CONVERSATIONS.c.id)
        .limit(100)
    )
    return [row.id for row in rows]


async def release_late(unit: Unit) -> int:
    """Gives every conversation back whose queue nobody took in time; how many."""
    found = await late(unit.db, unit.clock())
    for conversation_id in found:
        if await _move(unit, conversation_id, "QUEUED", "BOT"):
            await _tell_late(unit, conversation_id)
    return len(found)


async def _tell_late(unit: Unit, conversation_id: int) -> None:
    ticket = await unit.db.first(
        select(TICKETS.c.no)
        .where(TICKETS.c.conversation_id == conversation_id, TICKETS.c.status == "QUEUED")
        .order_by(TICKETS.c.id.desc())
    )
    no = ticket.no if ticket else None
    event = HandoffChanged(
        fallback_text=f"人工客服暂时繁忙，您的问题已登记（工单号 {no}），您也可以继续向我提问",
        state="BOT",
        ticket_no=no,
        reason="QUEUE_TIMEOUT",
    )
    await chat_log.append(unit, conversation_id, None, [event])


async def _notify(unit: Unit, conversation_id: int) -> None:
    """Tells the shopper of an answer; more of them before one is read tell nothing new."""
    asked = select(CONVERSATIONS.c.account_id).where(CONVERSATIONS.c.id == conversation_id)
    account_id: int = await unit.db.value(asked)
    target = _target(conversation_id)
    if not await notifications.waits(unit.db, account_id, Kind.CHAT_ANSWERED, target):
        await notifications.note(unit, account_id, Kind.CHAT_ANSWERED, {}, target)


async def _state(unit: Unit, conversation_id: int) -> HandoffState:
    state: HandoffState | None = await unit.db.value(
        select(CONVERSATIONS.c.state).where(CONVERSATIONS.c.id == conversation_id)
    )
    if state is None:
        raise NotFound("Conversation")
    return state


def _target(conversation_id: int) -> tuple[str, int]:
    return "Conversation", conversation_id


async def _move(unit: Unit, conversation_id: int, was: HandoffState, becomes: HandoffState) -> bool:
    moved = await unit.changed(
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.state == was)
        .values(state=becomes, updated_at=unit.clock())
    )
    return moved == 1


async def _move_ticket(unit: Unit, conversation_id: int, becomes: str) -> str | None:
    """Moves the newest open ticket of the conversation; its number."""
    ticket = await unit.db.first(
        select(TICKETS.c.id, TICKETS.c.no)
        .where(TICKETS.c.conversation_id == conversation_id, TICKETS.c.status.in_(OPEN_TICKETS))
        .order_by(TICKETS.c.id.desc())
    )
    if ticket is None:
        return None
    await unit.execute(update(TICKETS).where(TICKETS.c.id == ticket.id).values(status=becomes))
    return str(ticket.no)
