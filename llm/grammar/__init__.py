"""Wordings written by hand: for every branch of the plan many ways to say the same true thing."""

import re
from collections import defaultdict
from collections.abc import Mapping
from random import Random

from llm.grammar import en, zh
from llm.grammar.book import Book, Patterns
from llm.grammar.phrases import Available, fits, parse, render, wordings
from llm.plan import PLACEHOLDERS, TALK, Act, Intent, Language, Mood, Move, Record

BOOKS: Mapping[Language, Book] = {Language.ZH: zh.BOOK, Language.EN: en.BOOK}

# acts whose wording carries its own mood, or would sound odd with a second greeting
_SELF_OPENING = frozenset({Act.SOOTHE, Act.GREET, Act.THANK})
_BARE = frozenset({Act.GREET, Act.OFFER, Act.CONFIRM, Act.ASK_WHICH, Act.HAND_OFF})
_SELF_CLOSING = frozenset(
    {Act.SOOTHE, Act.GREET, Act.THANK, Act.ASK_WHICH, Act.CONFIRM, Act.HAND_OFF, Act.OFFER}
)
_TOPICAL = frozenset({Act.QUOTE, Act.OFFER, Act.HAND_OFF, Act.SOOTHE})
_OPENED, _CLOSED, _ANGLED, _MORE = 0.45, 0.3, 0.8, 0.35  # chances, chosen by reading samples
_DRAWS = 6  # of the main sentence, to say more fields in one breath
_SORRY = (
    "抱歉",
    "不好意思",
    "很抱歉",
    "实在不好意思",
    "很遗憾",
    "Sorry",
    "I am sorry",
    "Unfortunately",
)
_MOST_EXTRAS = 2  # more optional values than this read like a form

_STAGES: Mapping[str, str] = {
    "PENDING_PAYMENT": "before",
    "AWAITING_GROUP": "before",
    "AWAITING_SHIPMENT": "before",
    "PARTIALLY_SHIPPED": "moving",
    "SHIPPED": "moving",
    "OUT_FOR_DELIVERY": "moving",
    "DELIVERED": "after",
    "COMPLETED": "after",
    "CANCELLED": "gone",
    "CLOSED": "gone",
}
_SLOT = re.compile(r"\{([a-z_.]+)\}")


def sample(move: Move, rng: Random) -> str:
    """One reply with placeholders in braces; says every field of the move, only true for its state.

    Raises LookupError for a move of no known branch.
    """
    book = BOOKS[move.language]
    macros = _macros(book, move)
    core = _core(book, move, macros, rng)
    parts = [core, *_details(book, move, core, rng)]
    angle = book.angles.get((move.intent, _STAGES.get(move.state, "")))
    if angle and move.act is Act.TELL and move.record is Record.ORDER and rng.random() < _ANGLED:
        parts.append(_pick(angle, move.available, macros, rng))
    opener = _opener(book, move, "".join(parts), rng)
    closer = _closer(book, move, rng)
    return book.space.join(part.strip() for part in (opener, *parts, closer) if part.strip())


def _core(book: Book, move: Move, macros: Mapping[str, str], rng: Random) -> str:
    """The main sentence; of a few draws the one that says most of the fields by itself."""
    patterns = _cores(book, move)
    best, most = "", -1
    for _ in range(_DRAWS):
        core = _pick(patterns, move.available, macros, rng)
        said = len(set(_SLOT.findall(core)).intersection(move.fields))
        if said > most:
            best, most = core, said
        if most == len(move.fields):
            break
    return best


def _macros(book: Book, move: Move) -> Mapping[str, str]:
    return {
        **book.macros,
        "topic": book.topics[move.intent],
        "deed": book.deeds.get(move.intent, ""),
        "reason": book.reasons.get(move.state, ""),
    }


def _cores(book: Book, move: Move) -> Patterns:
    if move.act is Act.SOOTHE:
        return book.cores[(Act.SOOTHE, Record.NONE, move.mood)]
    special = book.intent_cores.get((move.act, move.intent))
    if special is not None and move.record in {Record.NONE, Record.ORDER}:
        return special
    return book.cores[(move.act, move.record, move.state)]


def _pick(patterns: Patterns, available: Available, macros: Mapping[str, str], rng: Random) -> str:
    rows = [row for row in map(parse, patterns) if fits(row, available, macros)]
    if not rows:
        raise LookupError("no wording fits the placeholders of this move")
    return render(rng.choice(rows), available, macros, rng)


def _details(book: Book, move: Move, core: str, rng: Random) -> list[str]:
    """One sentence for each value still to be said, and for a few that may be said."""
    said = set(_SLOT.findall(core))
    must = [name for name in move.fields if name not in said and name != "user.name"]
    may = [
        name
        for name in move.allowed
        if name not in said
        and name in book.details
        and move.act not in _BARE
        and rng.random() < _MORE
    ]
    rng.shuffle(may)
    wanted = {*must, *may[:_MOST_EXTRAS]}
    order = sorted(wanted, key=_RANK.__getitem__)
    return [_pick(book.details[name], frozenset({name}), book.macros, rng) for name in order]


def _opener(book: Book, move: Move, text: str, rng: Random) -> str:
    named = "user.name" in move.fields and "{user.name}" not in text
    says_mood = move.act in _SELF_OPENING or text.startswith(_SORRY)
    if not named and (says_mood or rng.random() >= _OPENED):
        return ""
    mood = Mood.CALM if says_mood else move.mood
    patterns = tuple(p for p in book.openers[mood] if not named or "{user.name}" in p)
    available = move.available - frozenset(_SLOT.findall(text))
    if named:
        available |= {"user.name"}
        return _naming(patterns, available, rng)
    return _pick(patterns, available, {}, rng)


def _naming(patterns: Patterns, available: Available, rng: Random) -> str:
    """An opener that says the shopper's name; some choices inside a pattern leave it out."""
    while True:
        opener = _pick(patterns, available, {}, rng)
        if "{user.name}" in opener:
            return opener


def _closer(book: Book, move: Move, rng: Random) -> str:
    if move.act in _SELF_CLOSING or rng.random() >= _CLOSED:
        return ""
    return _pick(book.closers[move.mood], frozenset(), {}, rng)


# the order in which further values are told
_TOLD = (
    "order.no order.title order.placed_at order.paid_at order.amount order.shipped_at "
    "order.carrier order.trace order.eta order.waybill order.ship_by group.joined group.size "
    "group.remaining group.expires_at group.price order.expires_at refund.amount refund.status "
    "refund.at product.title product.price product.stock cart.amount offer.amount coupon.amount "
    "policy.title policy.clause orders.choices order.actions"
)
_RANK: Mapping[str, int] = {
    name: at for at, name in enumerate(dict.fromkeys((*_TOLD.split(), *PLACEHOLDERS)))
}


def _lead_ins() -> Mapping[str, frozenset[str]]:
    """Words that lead in a value, and the placeholders that may stand after them."""
    found: dict[str, set[str]] = defaultdict(set)
    for book in BOOKS.values():
        for name, patterns in book.details.items():
            for text in (text for p in patterns for text in wordings(parse(p), book.macros)):
                words = _SLOT.split(text)[0].strip()
                if len(words) > 1:
                    found[words].add(name)
    return {words: frozenset(names) for words, names in found.items()}


def _topics() -> Mapping[Language, Mapping[Intent, frozenset[str]]]:
    return {
        language: {
            intent: frozenset(wordings(parse(text), book.macros))
            for intent, text in book.topics.items()
            if intent not in _VAGUE
        }
        for language, book in BOOKS.items()
    }


# their words stand in replies about anything
_VAGUE = frozenset({*TALK, Intent.UNKNOWN, Intent.PRODUCT_QUESTION})
LEAD_INS = _lead_ins()
LONGEST_LEAD_IN = max(map(len, LEAD_INS))
TOPICS = _topics()


def is_off_topic(text: str, move: Move) -> bool:
    """Whether a reply names the topics of other intents only, where it should name its own."""
    if move.act not in _TOPICAL:
        return False
    topics = TOPICS[move.language]
    own = topics.get(move.intent, frozenset())
    if not own or any(word in text for word in own):
        return False
    others = (
        words
        for intent, words in topics.items()
        # a coupon is what many offers are
        if not (intent is Intent.COUPON and move.act is Act.OFFER)
    )
    return any(word in text for words in others for word in words)
