"""What may be said: from an understanding and the facts of the turn to the moves of a reply.

Code decides and the writer words. A question about a rule is answered only from a record that is
present and valid for this shopper and these goods; without one it is declined and a person is
offered. Nothing here reads a database or names a value: facts come in as placeholder values.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from llm import plan
from llm.emotion import ANGRY, UPSET, Emotion
from llm.intent import FAINT, Understanding
from llm.plan import Act, Intent, Language, Mood, Move, Record
from llm.topics import GOODS, GROUPS, RULED, SAY, TOLD

MOST_MOVES = 3
NO_FACTS: Mapping[str, str] = MappingProxyType({})


class Kind(StrEnum):
    ANSWER = "ANSWER"
    ASK = "ASK"  # which of several is meant
    PROPOSE = "PROPOSE"  # an action that needs an explicit yes
    REFUSE = "REFUSE"  # not covered, not found, not ours
    HAND_OFF = "HAND_OFF"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record that may be spoken of: its state and a value for each placeholder it has."""

    record: Record
    state: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Quote:
    """A clause that answers `topic` for this shopper and these goods."""

    topic: str
    clause_id: int
    facts: Mapping[str, str]  # policy.text, policy.title, policy.clause
    intent: Intent | None = None  # what the topic is about when the message is about more


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts of a turn, gathered for one viewer.

    `is_foreign` says that a number was given which is not the viewer's or nobody's: both read the
    same. `choices` lists own orders when several could be meant. `quotes` holds one clause for
    each wanted topic that is covered; `ticket_no` is reserved for a hand-off.
    """

    emotion: Emotion
    ticket_no: str
    user_name: str = ""
    order: Evidence | None = None
    group: Evidence | None = None
    product: Evidence | None = None
    cart: Evidence | None = None
    choices: str = ""
    is_foreign: bool = False
    quotes: tuple[Quote, ...] = ()
    offer: Mapping[str, str] = field(default_factory=dict)
    unresolved: int = 0  # turns in a row that did not answer the same question
    upset_turns: int = 0  # turns in a row at level 2 or more, this one not counted
    complaints: int = 0  # complaints before this one
    can_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A move and the values of its placeholders; `clause_id` is what it cites."""

    move: Move
    facts: Mapping[str, str]
    clause_id: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`pending` names the action that the next yes agrees to; `reason` why a person takes over."""

    kind: Kind
    steps: tuple[Step, ...]
    reason: str = ""
    pending: str = ""
    is_resolved: bool = True


def decide(asked: Understanding, here: Situation) -> Decision:
    """The reply to one message as data. Every move has all the values it must say."""
    maker = _Maker(asked, here)
    reason = _why_a_person(asked, here)
    if reason:
        return maker.handed_over(reason)
    if asked.intent in plan.TALK:
        return maker.talk()
    if here.is_foreign:
        return maker.not_found()
    return maker.answered()


def _why_a_person(asked: Understanding, here: Situation) -> str:
    """Why a person must take over now, empty when the bot may go on."""
    is_talk = asked.intent in plan.TALK
    level = here.emotion.level
    reasons = (
        ("ASKED", asked.asks_for_person),
        ("INJURY", asked.is_injury),
        ("ANGER", level >= ANGRY),
        ("UPSET_TWICE", level >= UPSET and here.upset_turns > 0),
        ("COMPLAINT", asked.intent is Intent.COMPLAINT and here.complaints > 0),
        ("UNRESOLVED", here.unresolved > 1 and not is_talk and not asked.is_elsewhere),
    )
    return next((reason for reason, holds in reasons if holds), "")


@dataclass(slots=True)
class _Maker:
    """Builds the moves of one reply, leaving out what has no branch or lacks a value."""

    asked: Understanding
    here: Situation
    steps: list[Step] = field(default_factory=list)

    def handed_over(self, reason: str) -> Decision:
        if self._mood is not Mood.CALM or reason in {"INJURY", "COMPLAINT"}:
            self._add(Act.SOOTHE, mood=self._mood if self._mood is not Mood.CALM else Mood.UPSET)
        intent = Intent.HUMAN if self._intent is Intent.UNKNOWN else None
        self._add(Act.HAND_OFF, intent=intent, facts={"ticket.no": self.here.ticket_no})
        return Decision(Kind.HAND_OFF, tuple(self.steps), reason=reason)

    def talk(self) -> Decision:
        act = {Intent.GREETING: Act.GREET, Intent.THANKS: Act.THANK}.get(self._intent, Act.TELL)
        self._add(act)
        return Decision(Kind.ANSWER, tuple(self.steps))

    def not_found(self) -> Decision:
        """One wording for another's number and for nobody's; the own orders are offered."""
        intent = self._intent if self._intent in plan.ORDER_INTENTS else Intent.ORDER_STATUS
        self._add(Act.NOT_FOUND, intent=intent)
        return Decision(Kind.REFUSE, tuple(self.steps), is_resolved=False)

    def declined(self, intent: Intent) -> Decision:
        self._add(Act.DECLINE, intent=intent, record=Record.POLICY, state="NOT_COVERED")
        return Decision(Kind.REFUSE, tuple(self.steps), is_resolved=False)

    def answered(self) -> Decision:
        """The reply by what the question is about."""
        if self.asked.is_elsewhere and self._intent is Intent.UNKNOWN:
            return self.declined(Intent.UNKNOWN)
        if self._is_beyond:
            return self.declined(self._intent)
        if self._intent is Intent.PAYMENT and self.here.cart is not None and not self.here.quotes:
            return self.told(self.here.cart)
        for intents, reply in (
            ({Intent.COMPLAINT}, self.complaint),
            (GROUPS, self.about_group),
            (TOLD, self.about_order),
            (GOODS, self.about_goods),
        ):
            if self._intent in intents:
                return reply()
        return self.about_rules()

    def complaint(self) -> Decision:
        self._add(Act.SOOTHE, mood=self._mood if self._mood is not Mood.CALM else Mood.UPSET)
        if self.here.order is not None:
            self._tell(self.here.order)
        self._quote(self.here.quotes[:1])
        self._offer()
        return Decision(Kind.ANSWER, tuple(self.steps))

    def about_group(self) -> Decision:
        if self.here.group is not None:
            self._tell(self.here.group)
        wants_rule = self._intent is Intent.GROUP_REFUND or bool(self.asked.topics)
        if wants_rule or not self.steps:
            self._quote(self.here.quotes)
        return self._closed()

    def about_order(self) -> Decision:
        order = self.here.order
        if order is None and self.here.choices:
            return self._which()
        if order is None:
            if self.here.quotes:
                self._quote(self.here.quotes)
                return self._closed()
            return self.not_found()
        if self._intent is Intent.CANCEL_ORDER and self.here.can_cancel:
            self._confirm(order)
            return Decision(Kind.PROPOSE, tuple(self.steps), pending=self._intent)
        self._tell(order)
        if self.asked.topics or self._intent not in {Intent.LOGISTICS, Intent.ORDER_STATUS}:
            self._quote(self.here.quotes[:1])
        self._offer()
        return self._closed()

    def about_goods(self) -> Decision:
        if self.here.quotes and self.asked.topics:
            return self.about_rules()
        if self.here.product is not None:
            return self.told(self.here.product)
        if self._intent is Intent.COUPON:
            return self.declined(self._intent)
        self._add(Act.ASK_WHICH)
        return Decision(Kind.ASK, tuple(self.steps))

    def told(self, evidence: Evidence) -> Decision:
        self._tell(evidence)
        return self._closed()

    def about_rules(self) -> Decision:
        """Quotes what is covered; every topic asked for must be, or the rest is declined."""
        order = self.here.order
        if self._intent is Intent.REFUND_PROGRESS and order and "refund.amount" in order.facts:
            self._tell(order)
        self._quote(self.here.quotes)
        if not self.steps:
            return self.declined(self._intent)
        if order is None and self.here.choices and self._intent in RULED:
            self._add(Act.ASK_WHICH, facts={"orders.choices": self.here.choices})
        self._offer()
        return self._closed()

    @property
    def _intent(self) -> Intent:
        return self.asked.intent

    @property
    def _is_beyond(self) -> bool:
        """No clause covers what is special in the question, or the question is but a guess."""
        is_told = self._intent in TOLD | GROUPS | GOODS
        if self.asked.facets and self._intent is not Intent.COMPLAINT:
            return not self.here.quotes
        return not is_told and self.asked.confidence < FAINT and bool(self.asked.topics)

    @property
    def _mood(self) -> Mood:
        return self.here.emotion.mood

    def _closed(self) -> Decision:
        if not self.steps:
            return self.declined(self._intent)
        return Decision(Kind.ANSWER, tuple(self.steps))

    def _which(self) -> Decision:
        self._add(Act.ASK_WHICH, facts={"orders.choices": self.here.choices})
        return Decision(Kind.ASK, tuple(self.steps))

    def _tell(self, evidence: Evidence) -> None:
        self._add(
            Act.TELL,
            record=evidence.record,
            state=evidence.state,
            facts=evidence.facts,
            say=SAY.get(self._intent, ()),
        )

    def _confirm(self, order: Evidence) -> None:
        self._add(Act.CONFIRM, record=order.record, state=order.state, facts=order.facts)

    def _quote(self, quotes: Collection[Quote]) -> None:
        for quote in quotes:
            self._add(
                Act.QUOTE,
                intent=quote.intent,
                record=Record.POLICY,
                state="COVERED",
                facts=quote.facts,
                clause_id=quote.clause_id,
            )

    def _offer(self) -> None:
        if self.here.offer:
            self._add(Act.OFFER, facts=self.here.offer, say=("offer.amount",))

    def _add(
        self,
        act: Act,
        *,
        intent: Intent | None = None,
        record: Record = Record.NONE,
        state: str = "",
        facts: Mapping[str, str] = NO_FACTS,
        say: Collection[str] = (),
        mood: Mood | None = None,
        clause_id: int | None = None,
    ) -> None:
        """Adds a move when its branch exists and all it must say is there, up to MOST_MOVES."""
        if len(self.steps) >= MOST_MOVES:
            return
        values = {**facts, "user.name": self.here.user_name} if not self.steps else dict(facts)
        have = {name for name, value in values.items() if value}
        move = plan.build(
            (intent or self._intent, record, state, act),
            have,
            say=say,
            mood=mood or (self._mood if not self.steps else Mood.CALM),
            language=self.asked.language,
        )
        if move is None and intent is None and self._intent is not Intent.ORDER_STATUS:
            self._add_plainly(act, record, state, facts, clause_id)
        elif move is not None:
            used = {name: values[name] for name in move.available}
            self.steps.append(Step(move, used, clause_id))

    def _add_plainly(
        self, act: Act, record: Record, state: str, facts: Mapping[str, str], clause_id: int | None
    ) -> None:
        """The same record under the plainest intent, when this one has no branch for it."""
        plain = {Record.ORDER: Intent.ORDER_STATUS, Record.GROUP: Intent.GROUP_BUY}.get(record)
        if plain is not None and plain is not self._intent:
            self._add(
                act, intent=plain, record=record, state=state, facts=facts, clause_id=clause_id
            )


def language_of(decision: Decision) -> Language:
    return decision.steps[0].move.language if decision.steps else Language.ZH
