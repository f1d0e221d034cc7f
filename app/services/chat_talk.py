"""What a conversation carries from turn to turn: the slots before a message and after it.

Keys: order_id, product_id, group_id (what is talked about), listed (order keys last offered for
choice), intent, topics, pending (what a yes agrees to), level, repeats, unresolved, upset_turns,
complaints, offered (kinds of offers made).
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from app import ids
from app.rules.offers import OfferKind
from app.services import chat_cards, chat_facts
from app.services.chat_facts import Facts
from llm import emotion
from llm import intent as intents
from llm.intent import Understanding
from llm.plan import Intent
from llm.policy import Decision, Kind, Situation

_SPOKEN_OFFERS = frozenset({OfferKind.DELAY_COMPENSATION, OfferKind.EXPEDITE})  # others: a button


def in_talk(asked: Understanding, slots: dict[str, Any]) -> Understanding:
    """The message in its talk: a yes agrees to what was proposed, "那个呢" asks the same again."""
    pending = slots.get("pending")
    if asked.says_yes and pending == "PERSON":
        return replace(asked, intent=Intent.HUMAN, asks_for_person=True)
    if asked.says_yes and pending:
        return replace(asked, intent=Intent(pending), topics=())
    if asked.says_no and pending:
        slots["pending"] = ""
        return replace(asked, intent=Intent.THANKS)
    slots["pending"] = ""
    before = Intent(slots["intent"]) if slots.get("intent") else None
    return intents.in_context(asked, before=before, topics=tuple(slots.get("topics", ())))


def situation(
    text: str, asked: Understanding, facts: Facts, slots: dict[str, Any], now: datetime
) -> Situation:
    repeats = slots.get("repeats", 0) if slots.get("intent") == asked.intent else 0
    felt = emotion.read(
        text,
        before=slots.get("level", 0.0),
        repeats=repeats,
        unresolved=slots.get("unresolved", 0),
    )
    order = facts.order
    offer = facts.offer
    return Situation(
        emotion=felt,
        ticket_no=ids.receipt_no(now, "K"),
        user_name=facts.user_name,
        order=order.evidence() if order else None,
        group=facts.group,
        product=facts.product,
        cart=facts.cart,
        choices=chat_facts.choices(facts, asked.language),
        is_foreign=facts.meant.is_foreign,
        quotes=facts.rules.quotes,
        offer=chat_cards.offer_values(offer.kind, offer.amount_fen, asked.language)
        if offer and offer.kind in _SPOKEN_OFFERS
        else {},
        unresolved=slots.get("unresolved", 0) if slots.get("intent") == asked.intent else 0,
        upset_turns=slots.get("upset_turns", 0),
        complaints=slots.get("complaints", 0),
        can_cancel=order.can_cancel if order else False,
    )


def slots_after(
    slots: dict[str, Any],
    asked: Understanding,
    facts: Facts,
    situation: Situation,
    decision: Decision,
) -> dict[str, Any]:
    """What the next message will be understood with."""
    handed_over = decision.kind is Kind.HAND_OFF
    asks_again = slots.get("intent") == asked.intent
    is_idle = asked.intent in {Intent.THANKS, Intent.GREETING, Intent.SMALL_TALK}
    after = dict(slots)
    after["pending"] = decision.pending
    if decision.kind is Kind.REFUSE or (asked.intent is Intent.COMPLAINT and not handed_over):
        after["pending"] = "PERSON"
    counted = slots.get("unresolved", 0) if asks_again else 0
    after["unresolved"] = 0 if decision.is_resolved else counted + 1
    after["level"] = 0.0 if handed_over else float(situation.emotion.level)
    upset = situation.emotion.level >= emotion.UPSET and not handed_over
    after["upset_turns"] = slots.get("upset_turns", 0) + 1 if upset else 0
    if asked.intent is Intent.COMPLAINT:
        after["complaints"] = 0 if handed_over else slots.get("complaints", 0) + 1
    if not is_idle:
        after["repeats"] = slots.get("repeats", 0) + 1 if asks_again else 0
        after["intent"], after["topics"] = asked.intent.value, list(asked.topics)
    if facts.order is not None:
        after["order_id"] = facts.order.own.row.id
    if facts.group_id is not None:
        after["group_id"] = facts.group_id
    after["listed"] = [one.row.id for one in facts.meant.choices]
    if facts.offer is not None and offer_is_made(decision):
        after["offered"] = [*slots.get("offered", ()), facts.offer.kind.value]
    return after


def offer_is_made(decision: Decision) -> bool:
    """An offer goes with an answer, never with a refusal or a hand-off."""
    return decision.kind is Kind.ANSWER
