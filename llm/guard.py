"""The check before anything is said: no value, state, name or promise that the code did not give.

It holds for any model, also one that wants to break it: what the check does not understand, it
refuses, and the template writer answers instead.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from llm.grammar import LEAD_INS, LONGEST_LEAD_IN, claims, is_off_topic
from llm.grammar.cues import foreign
from llm.plan import PLACEHOLDERS, Act, Kind, Language, Move, Record

HOLE = "\ufffc"  # stands where a placeholder was
LONGEST: Mapping[Language, int] = {Language.ZH: 260, Language.EN: 560}  # characters


class FaultKind(StrEnum):
    """What is wrong with a text."""

    UNKNOWN_PLACEHOLDER = "UNKNOWN_PLACEHOLDER"
    UNAVAILABLE_PLACEHOLDER = "UNAVAILABLE_PLACEHOLDER"
    MISPLACED_PLACEHOLDER = "MISPLACED_PLACEHOLDER"
    MISSING_FIELD = "MISSING_FIELD"
    NUMBER = "NUMBER"
    DATE = "DATE"
    NAME = "NAME"
    FOREIGN_STATE = "FOREIGN_STATE"
    FOREIGN_TOPIC = "FOREIGN_TOPIC"
    PROMISE = "PROMISE"
    REFUSAL = "REFUSAL"
    EXCUSE = "EXCUSE"
    RUDE = "RUDE"
    CONTACT = "CONTACT"
    PROMPT_TEXT = "PROMPT_TEXT"
    LANGUAGE = "LANGUAGE"
    BROKEN = "BROKEN"
    TOO_LONG = "TOO_LONG"


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason not to say a text; `detail` is for logs."""

    kind: FaultKind
    detail: str


_BRACED = re.compile(r"\{([^{}]*)\}")
_SPACERS = re.compile(r"[\s·・•\-_*~.'`^|/\\\"]+")
_CJK = re.compile(r"[\u3400-\u9fff]")
_CLAUSE_END = re.compile(r"[，。！？；：、,.!?;:\n]+")
_DOUBLE_MARK = re.compile(r"[，。；：、！？]{2,}|[,;:]{2,}|(?<!\.)\.\.(?!\.)")
_RUN = re.compile(r"(.)\1{4,}|(.{2,12}?)\2{2,}", re.DOTALL)
_ENDS = "。！？～…」”』）.!?\"')"
_OPENING_MARKS = "，。！？；：、,.!?;:)）」』”"
_PAIRS = ("「」", "『』", "“”", "（）", "《》", "()")


def check(text: str, move: Move, *, whole: bool = True) -> tuple[Fault, ...]:
    """Every fault of a reply with placeholders in braces; nothing may be said unless it is empty.

    `whole=False` looks at a clause on its own: what only a finished reply can lack is not asked.
    """
    plain = _BRACED.sub(HOLE, text)
    flat = unicodedata.normalize("NFKC", plain)
    faults = [
        *_placeholder_faults(text, move),
        *_sign_faults(plain),
        *_value_faults(flat, move.language),
        *_claim_faults(flat, move),
        *_language_faults(flat, move.language),
        *_shape_faults(text, plain, move.language),
    ]
    if whole:
        faults += _whole_faults(text, plain, move)
    return tuple(dict.fromkeys(faults))


def expand(text: str, facts: Mapping[str, str]) -> str:
    """Puts the values in; raises KeyError for a placeholder without one.

    A value is never read again, so braces in it stay what they are. Marks are not doubled where a
    value brings its own.
    """
    pieces: list[str] = []
    at = 0
    for match in _BRACED.finditer(text):
        value = " ".join(facts[match.group(1)].split())
        before, after = text[: match.start()], text[match.end() :]
        if before.endswith("「"):
            value = value.replace("「", "『").replace("」", "』")
        if before.endswith("《"):
            value = value.removeprefix("《").removesuffix("》")
        if value[-1:] in set("。.；;，,") and after[:1] in set("。，；！？.,;"):
            value = value[:-1]
        pieces += (text[at : match.start()], value)
        at = match.end()
    return "".join((*pieces, text[at:]))


def cues(user_text: str) -> tuple[str, ...]:
    """Names of the injection patterns in a text: they lower trust, they are no defence."""
    flat = unicodedata.normalize("NFKC", user_text)
    kept = "".join(c for c in flat if unicodedata.category(c) != "Cf")
    return tuple(name for name, words in claims.INJECTIONS.items() if words.search(kept))


def _placeholder_faults(text: str, move: Move) -> Iterator[Fault]:
    for match in _BRACED.finditer(text):
        name = match.group(1)
        if name not in PLACEHOLDERS:
            yield Fault(FaultKind.UNKNOWN_PLACEHOLDER, name)
            continue
        if name not in move.available:
            yield Fault(FaultKind.UNAVAILABLE_PLACEHOLDER, name)
        if not _stands_well(text[: match.start()], name, text[match.end() :]):
            yield Fault(FaultKind.MISPLACED_PLACEHOLDER, name)
    if re.search(r"[{}｛｝﹛﹜]", _BRACED.sub("", text)):
        yield Fault(FaultKind.UNKNOWN_PLACEHOLDER, "loose brace")


# more words than the grammar's own that lead in one sort of value only
_AFTER_WORDS: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(rf"(?:{words})\s*$", re.IGNORECASE), frozenset(names.split()))
    for words, names in (
        (r"(运单号|快递单号|物流单号)[是为：:]*", "order.waybill"),
        (r"工单(号|编号)?[是为：:]*|ticket( is)?", "ticket.no"),
        (r"订单(号|编号)[是为：:]*|order number( is)?", "order.no"),
        (r"预计|(送达|到货)(时间|日期)[是为：:]*|(?<!was )expected( on)?", "order.eta"),
        (r"退款金额[是为：:]*", "refund.amount"),
        (r"还差", "group.remaining"),
        (r"(?<!自)由|shipped with|快递公司[是为：:]*", "order.carrier"),
        (r"(规则|规定)(写明|原文)?[是为：:]*[「“]", "policy.text"),
        (r"截止时间[是为：:]*", "group.expires_at order.expires_at order.ship_by"),
    )
)
_BAD_NEIGHBOUR: Mapping[Kind, re.Pattern[str]] = {
    Kind.MONEY: re.compile(r"(人|件|天|前|送达|送到|承运|发出|元|块|people|items|days)"),
    Kind.TIME: re.compile(r"(元|块|件|人|承运|运输|people|items)"),
    Kind.COUNT: re.compile(r"(元|块|前|承运|运输|送达|送到)"),
    Kind.CODE: re.compile(r"(元|块|人|件|天|前|承运|送达|送到)"),
    Kind.NAME: re.compile(r"(元|块|前完成|前付款|前发出)"),
}


def _stands_well(before: str, name: str, after: str) -> bool:
    """Whether the words around a placeholder fit the sort of value it holds."""
    near = before[-LONGEST_LEAD_IN - 1 :].rstrip()
    if any(words.search(near) and name not in names for words, names in _AFTER_WORDS):
        return False
    for length in range(min(len(near), LONGEST_LEAD_IN), 1, -1):
        names = LEAD_INS.get(near[-length:])
        if names is not None:
            if name not in names:
                return False
            break
    bad = _BAD_NEIGHBOUR.get(PLACEHOLDERS[name])
    return bad is None or bad.match(after.lstrip()) is None


def _sign_faults(plain: str) -> Iterator[Fault]:
    """Signs that hide text or carry a value in a picture."""
    for sign in set(plain) - {HOLE, "\n"}:
        kind = unicodedata.category(sign)
        if kind in {"Cc", "Cf", "Cn", "Co", "Cs", "So", "Mn", "Me"}:
            yield Fault(FaultKind.BROKEN, f"sign U+{ord(sign):04X}")
        if kind in {"Nd", "No", "Nl"}:
            yield Fault(FaultKind.NUMBER, sign)


def _value_faults(flat: str, language: Language) -> Iterator[Fault]:
    for sign in sorted(set(flat)):
        if sign.isdigit() or claims.CURRENCY.match(sign):
            yield Fault(FaultKind.NUMBER, sign)
    tight = claims.IDIOMS.sub("、", _SPACERS.sub("", flat))
    patterns = [
        (FaultKind.NUMBER, claims.NUMERALS, tight),
        (FaultKind.NAME, claims.CARRIERS, flat),
        (FaultKind.NAME, claims.PLACES, tight if language is Language.ZH else flat),
    ]
    if language is Language.ZH:
        patterns.append((FaultKind.NAME, claims.CARRIERS, tight))
        patterns.append((FaultKind.DATE, claims.DATES[language], tight))
    else:
        patterns.append((FaultKind.NUMBER, claims.ENGLISH_NUMBERS, flat))
        patterns.append((FaultKind.DATE, claims.DATES[language], flat))
        patterns.append((FaultKind.NAME, claims.CAPITALS, flat))
    for kind, words, text in patterns:
        if found := words.search(text):
            yield Fault(kind, found.group())


def _claim_faults(flat: str, move: Move) -> Iterator[Fault]:
    text = _SPACERS.sub("", flat) if move.language is Language.ZH else " ".join(flat.split())
    for words in foreign(text, move):
        yield Fault(FaultKind.FOREIGN_STATE, words)
    licensed = claims.HAND_OFF_CLAIMS.sub("", text) if move.act is Act.HAND_OFF else text
    if found := claims.PROMISES[move.language].search(licensed):
        yield Fault(FaultKind.PROMISE, found.group())
    may_refuse = move.act is Act.DECLINE and move.record is Record.ORDER
    if not may_refuse and (found := claims.REFUSALS[move.language].search(text)):
        yield Fault(FaultKind.REFUSAL, found.group())
    anywhere = (
        (FaultKind.EXCUSE, claims.EXCUSES),
        (FaultKind.RUDE, claims.RUDE),
        (FaultKind.CONTACT, claims.CONTACTS),
        (FaultKind.PROMPT_TEXT, claims.PROMPT_TEXT),
    )
    for kind, pattern in anywhere:
        if found := pattern.search(flat) or pattern.search(text):
            yield Fault(kind, found.group())


def _language_faults(flat: str, language: Language) -> Iterator[Fault]:
    if language is Language.ZH:
        for word in re.findall(r"[^\W\d_]+", _CJK.sub(" ", flat)):
            if word not in claims.CHINESE_TEXT_WORDS:
                yield Fault(FaultKind.LANGUAGE, word)
        return
    for sign in sorted(set(flat)):
        if sign.isalpha() and not sign.isascii():
            yield Fault(FaultKind.LANGUAGE, sign)


def _shape_faults(text: str, plain: str, language: Language) -> Iterator[Fault]:
    if not text.strip():
        yield Fault(FaultKind.BROKEN, "empty")
    if len(plain) > LONGEST[language]:
        yield Fault(FaultKind.TOO_LONG, str(len(plain)))
    if HOLE * 2 in plain.replace(" ", ""):
        yield Fault(FaultKind.BROKEN, "placeholders without words between them")
    if found := _DOUBLE_MARK.search(plain) or _RUN.search(plain):
        yield Fault(FaultKind.BROKEN, found.group())
    named = _BRACED.sub(lambda match: match.group().replace(".", "_"), text)
    clauses = [clause for part in _CLAUSE_END.split(named) if len(clause := part.strip()) > 4]
    if len(clauses) != len(set(clauses)):
        yield Fault(FaultKind.BROKEN, "a clause is said twice")
    if any(text.count(name) > 2 for name in set(_BRACED.findall(text))):
        yield Fault(FaultKind.BROKEN, "a placeholder is said too often")


def _whole_faults(text: str, plain: str, move: Move) -> Iterator[Fault]:
    said = set(_BRACED.findall(text))
    for name in move.fields:
        if name not in said:
            yield Fault(FaultKind.MISSING_FIELD, name)
    stripped = plain.strip()
    if stripped[:1] in set(_OPENING_MARKS) or stripped[-1:] not in set(_ENDS):
        yield Fault(FaultKind.BROKEN, "not a sentence")
    if any(plain.count(pair[0]) != plain.count(pair[1]) for pair in _PAIRS):
        yield Fault(FaultKind.BROKEN, "a bracket stays open")
    if is_off_topic(plain, move):
        yield Fault(FaultKind.FOREIGN_TOPIC, "speaks of another matter")
    letters = _CJK if move.language is Language.ZH else re.compile(r"[A-Za-z]")
    if not letters.search(plain):
        yield Fault(FaultKind.LANGUAGE, "no words")
