"""The numbered event log of a conversation: appending without gaps, reading from a cursor."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update

from app.db import Reader, Unit
from app.events import ChatEventAppended
from app.services.chat_events import ChatEventValue, stored
from app.tables.chat import ChatEventRow, ConversationRow
from app.tables.columns import table

CONVERSATIONS = table(ConversationRow)
EVENTS = table(ChatEventRow)
PAGE = 1000  # events of one look


async def append(
    unit: Unit,
    conversation_id: int,
    message_id: int | None,
    values: Sequence[ChatEventValue],
    *,
    while_running: bool = False,
) -> int | None:
    """Adds events in order and announces them; the sequence number of the last one.

    With `while_running` nothing is written and None returned when the message is no longer the
    one being answered: that is how a cancelled turn finds out.
    """
    now = unit.clock()
    claim = (
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id)
        .values(event_seq=CONVERSATIONS.c.event_seq + len(values), updated_at=now)
        .returning(CONVERSATIONS.c.event_seq)
    )
    if while_running:
        claim = claim.where(CONVERSATIONS.c.running_message_id == message_id).values(
            running_since=now
        )
    last: int | None = (await unit.execute(claim)).scalar_one_or_none()
    if last is None:
        return None
    rows: list[dict[str, Any]] = [
        {
            "conversation_id": conversation_id,
            "message_id": message_id,
            "seq": last - len(values) + 1 + index,
            "kind": value.kind,
            "data": stored(value),
            "created_at": now,
        }
        for index, value in enumerate(values)
    ]
    if rows:
        await unit.execute(insert(EVENTS), rows)
    unit.emit(
        *(
            ChatEventAppended(conversation_id, message_id, row["seq"], row["kind"], row["data"])
            for row in rows
        )
    )
    return last


async def after(db: Reader, conversation_id: int, seq: int) -> list[Row[Any]]:
    """Events past `seq`, oldest first, at most PAGE; who may see them is the caller's concern."""
    return await db.all(
        select(*EVENTS.c)
        .where(EVENTS.c.conversation_id == conversation_id, EVENTS.c.seq > seq)
        .order_by(EVENTS.c.seq)
        .limit(PAGE)
    )
