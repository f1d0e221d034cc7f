"""One turn as a job: read everything, show the facts, let the words flow, store the answer.

The database is never open while words flow: one claim, one look, one unit for the card, a short
unit for every batch of words, and one that closes the turn. A turn that was called off finds its
guard gone at the next of these and ends without a word.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.auth import Role, Viewer
from app.clock import Clock
from app.db import Database, Reader
from app.errors import MallError
from app.services import (
    chat_cards,
    chat_facts,
    chat_handoffs,
    chat_talk,
    chat_turns,
    orders,
    orders_cancel,
)
from app.services.chat_events import ChatEventValue, Citation, Delta, Done
from app.services.chat_facts import Facts
from app.services.chat_orders import Meant
from app.services.chat_turns import Answer, Turn
from app.tables.accounts import AccountRoleRow
from app.tables.chat import ChatMessageRow
from app.tables.columns import table
from app.tables.orders import OrderRow
from llm import dialogue, guard, policy, prompts
from llm import intent as intents
from llm.dialogue import Clause
from llm.intent import Understanding
from llm.plan import Intent
from llm.policy import Decision, Kind, Situation
from llm.protocol import Engine, Message

ROLES = table(AccountRoleRow)
MESSAGES = table(ChatMessageRow)
ORDERS = table(OrderRow)
log = logging.getLogger(__name__)
DELTA_EVERY_S = 0.12  # at most about eight events of words a second
HISTORY = 4  # earlier messages a plain-language model is shown


@dataclass(frozen=True, slots=True)
class Prepared:
    """A turn decided, before any word of it is written."""

    viewer: Viewer
    asked: Understanding
    facts: Facts
    decision: Decision
    situation: Situation
    history: tuple[Message, ...]
    slots: dict[str, Any]


@dataclass(slots=True)
class Spoken:
    """What has been said so far and by whom."""

    text: str = ""
    writers: Counter[str] = field(default_factory=Counter)
    card_ms: float | None = None
    first_text_ms: float | None = None

    @property
    def writer(self) -> str:
        return "MIXED" if len(self.writers) > 1 else next(iter(self.writers), "NONE")


async def answer(
    database: Database, engine: Engine | None, message_id: int, *, clock: Clock
) -> bool:
    """Answers one message; False when it was not there to answer or was called off meanwhile.

    Every message that is claimed gets exactly one closing event, also when this breaks.
    """
    async with database.unit() as unit:
        turn = await chat_turns.claim(unit, message_id)
    if turn is None:
        return False
    try:
        return await _answered(database, engine, turn, clock)
    except asyncio.CancelledError:
        async with database.unit() as unit:
            await chat_turns.abandon(unit, turn.message)
        raise
    except Exception:
        log.exception("a turn broke", extra={"message_id": message_id})
        async with database.unit() as unit:
            await chat_turns.fail(unit, turn.message, "INTERNAL")
        return False


async def _answered(database: Database, engine: Engine | None, turn: Turn, clock: Clock) -> bool:
    if turn.conversation.state != "BOT":
        async with database.unit() as unit:
            return await chat_turns.silence(unit, turn)
    started = time.monotonic()
    waited_ms = max(0.0, (clock() - turn.message.created_at).total_seconds() * 1000)
    prepared = await _prepared(database, turn, clock())
    spoken = Spoken()
    async with database.unit() as unit:
        if prepared.decision.kind is Kind.HAND_OFF and not await chat_handoffs.queue(
            unit,
            turn.conversation.id,
            ticket_no=prepared.situation.ticket_no,
            reason=prepared.decision.reason,
            summary=_summary(turn, prepared),
        ):
            return await chat_turns.silence(unit, turn)
        if not await chat_turns.say(unit, turn, _first_events(prepared)):
            return False
    spoken.card_ms = waited_ms + _since(started)
    written = _words(engine, turn, prepared)
    async with aclosing(written) as clauses:
        if not await _speak(database, turn, clauses, spoken, waited_ms, started):
            return False
    done = Done(
        fallback_text=spoken.text,
        writer=spoken.writer,  # type: ignore[arg-type]  # one of Writer by construction
        model=engine.name if engine is not None and spoken.writers["MODEL"] else None,
        intent=prepared.asked.intent,
        mood=prepared.situation.emotion.mood,
        card_ms=round(spoken.card_ms, 1),
        first_text_ms=None if spoken.first_text_ms is None else round(spoken.first_text_ms, 1),
        total_ms=round(waited_ms + _since(started), 1),
        prompt_version=prompts.version(),
    )
    async with database.unit() as unit:
        return (
            await chat_turns.finish(unit, turn, _answer(prepared, spoken, done), done) is not None
        )


async def _prepared(database: Database, turn: Turn, now: datetime) -> Prepared:
    """Understands, gathers and decides in one look; an agreed action is carried out between two."""
    text = turn.message.text
    slots: dict[str, Any] = dict(turn.conversation.slots)
    async with database.read() as db:
        viewer = await _viewer(db, turn)
        history = await _history(db, turn)
    asked = chat_talk.in_talk(intents.understand(text), slots)
    if asked.intent is Intent.CANCEL_ORDER and slots.get("pending") == "CANCEL_ORDER":
        asked = await _carried_out(database, viewer, asked, slots)
    async with database.read() as db:
        facts = await chat_facts.gather(db, viewer, asked, text, slots, now=now)
    situation = chat_talk.situation(text, asked, facts, slots, now)
    decision = policy.decide(asked, situation)
    if guard.cues(text):
        log.info("injection cues", extra={"message_id": turn.message.id})
    after = chat_talk.slots_after(slots, asked, facts, situation, decision)
    return Prepared(viewer, asked, facts, decision, situation, history, after)


async def _carried_out(
    database: Database, viewer: Viewer, asked: Understanding, slots: dict[str, Any]
) -> Understanding:
    """Cancels the order that was agreed on; whatever became of it is told as its state."""
    slots["pending"] = ""
    try:
        async with database.unit() as unit:
            order = await orders.seen(unit.db, viewer, slots["order_id"])
            await orders_cancel.cancel_trade(unit, viewer, trade_id=order.trade_id)
    except MallError as refusal:
        log.info("cancelling refused: %s", refusal.code)
    return replace(asked, intent=Intent.ORDER_STATUS, topics=())


def _first_events(prepared: Prepared) -> list[ChatEventValue]:
    """Card, citations, offer, choice and hand-off: everything that is known without a writer."""
    decision, facts, asked = prepared.decision, prepared.facts, prepared.asked
    language = asked.language
    shown = facts if decision.kind is not Kind.HAND_OFF else replace(facts, meant=Meant())
    events: list[ChatEventValue] = [
        chat_cards.card(shown, decision, language, asked.intent, asked.guesses)
    ]
    events += _cited(prepared)
    if facts.offer is not None and chat_talk.offer_is_made(decision):
        order_id = facts.order.own.row.id if facts.order else None
        offer = facts.offer
        events.append(chat_cards.offer(offer.kind.value, offer.amount_fen, order_id, language))
    if facts.meant.choices and facts.order is None and decision.kind is not Kind.HAND_OFF:
        events.append(chat_cards.choice(facts.meant.choices, language))
    if decision.kind is Kind.HAND_OFF:
        events.append(chat_handoffs.queued_event(prepared.situation.ticket_no, decision.reason))
    return events


def _cited(prepared: Prepared) -> list[Citation]:
    """The citations of the clauses that the reply quotes, in its order."""
    citations = prepared.facts.rules.citations
    keys = [step.clause_id for step in prepared.decision.steps if step.clause_id is not None]
    return [citations[key] for key in dict.fromkeys(keys) if key in citations]


async def _speak(
    database: Database,
    turn: Turn,
    clauses: AsyncGenerator[Clause, None],
    spoken: Spoken,
    waited_ms: float,
    started: float,
) -> bool:
    """Appends the words as they come, several clauses an event; False when called off."""
    held, last = "", -DELTA_EVERY_S
    async for clause in clauses:
        spoken.text += clause.text
        spoken.writers[clause.writer] += 1
        held += clause.text
        if time.monotonic() - last < DELTA_EVERY_S:
            continue
        if not await _said(database, turn, held):
            return False
        if spoken.first_text_ms is None:
            spoken.first_text_ms = waited_ms + _since(started)
        held, last = "", time.monotonic()
    return not held or await _said(database, turn, held)


async def _said(database: Database, turn: Turn, text: str) -> bool:
    async with database.unit() as unit:
        return await chat_turns.say(unit, turn, [Delta(fallback_text=text, text=text)])


def _words(engine: Engine | None, turn: Turn, prepared: Prepared) -> AsyncGenerator[Clause, None]:
    return dialogue.reply(
        engine,
        dialogue.Turn(
            id=f"m{turn.message.id}",
            steps=prepared.decision.steps,
            question=turn.message.text,
            role=turn.conversation.role,
            user=str(prepared.viewer.account_id),
            seed=turn.message.id,
            history=prepared.history,
        ),
    )


def _answer(prepared: Prepared, spoken: Spoken, done: Done) -> Answer:
    citations = [
        {
            "code": one.document_code,
            "version": one.version,
            "clause_no": one.clause_no,
            "title": one.title,
        }
        for one in _cited(prepared)
    ]
    return Answer(
        text=spoken.text,
        intent=prepared.asked.intent,
        mood=prepared.situation.emotion.mood,
        writer=done.writer,
        model=done.model,
        prompt_version=prompts.version(),
        citations=citations,
        slots=prepared.slots,
    )


def _summary(turn: Turn, prepared: Prepared) -> dict[str, Any]:
    """What a colleague must know before the first word: made of facts, not of model text."""
    facts, order = prepared.facts, prepared.facts.order
    return {
        "intent": prepared.asked.intent.value,
        "question": turn.message.text,
        "order_no": order.own.row.no if order else None,
        "order_state": order.state if order else None,
        "facts": dict(order.values) if order else {},
        "offers": list(turn.conversation.slots.get("offered", ())),
        "level": prepared.situation.emotion.level,
        "cue": prepared.situation.emotion.cue,
        "level_before": turn.conversation.slots.get("level", 0.0),
        "group_id": facts.group_id,
    }


async def _viewer(db: Reader, turn: Turn) -> Viewer:
    """Who asked, with the role the conversation was opened in as it stands today."""
    role = Role(turn.conversation.role)
    held = await db.first(
        select(ROLES.c.subject_id).where(
            ROLES.c.account_id == turn.conversation.account_id, ROLES.c.role == role.value
        )
    )
    if held is None:
        return Viewer(role=Role.CONSUMER, id=turn.conversation.account_id)
    return Viewer(role=role, id=turn.conversation.account_id, subject_id=held.subject_id)


async def _history(db: Reader, turn: Turn) -> tuple[Message, ...]:
    rows = await db.all(
        select(MESSAGES.c.author, MESSAGES.c.text)
        .where(
            MESSAGES.c.conversation_id == turn.conversation.id,
            MESSAGES.c.id < turn.message.id,
            MESSAGES.c.status.in_(("ANSWERED", "DONE")),
        )
        .order_by(MESSAGES.c.id.desc())
        .limit(HISTORY)
    )
    return tuple(
        Message("user" if row.author == "SHOPPER" else "assistant", row.text)
        for row in reversed(rows)
    )


def _since(started: float) -> float:
    return (time.monotonic() - started) * 1000
