"""What a shopper's sentence asks: rules of high precision first, then a classifier.

A sentence may ask several things ("这个能退吗，运费谁出"): it is cut at its punctuation, every
part is understood by itself, and the parts that say something are joined. Nothing here knows
whose orders exist; codes are only found, never looked up.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from llm import intents
from llm.classifier import Classifier, Lexicon
from llm.plan import ORDER_INTENTS, Intent, Language

SURE = 0.3  # below this share of belief a part counts as not understood (84 % right from 0.4 on)
STRONG = 0.5
FAINT = 0.25  # a rule is not quoted on less
LEAST, LEAD = 0.1, 1.8  # a smaller share counts when the next intent has far less
_PHONE = re.compile(r"(?<![0-9A-Za-z])1[3-9]\d{9}(?![0-9A-Za-z])")
_CODE = re.compile(r"(?<![0-9A-Za-z])(?=[0-9A-Za-z-]*\d)[0-9A-Za-z-]{10,32}(?![0-9A-Za-z])")
_NAMED_CODE = re.compile(
    r"(?:订单号?|单号|编号|order\s*(?:no\.?|number|#))\s*(?:是|为|:)?\s*"
    r"(?=[0-9a-z-]*\d)([0-9a-z-]{4,32})",
    re.IGNORECASE,
)
_CUT = re.compile(r"[,，。.!！?？;；:：\n、~～]+|另外|还有就是|还有,|顺便|以及|\band\b")
_ORDINAL = re.compile(
    r"第([一二三四五1-5])(?:个|单|笔|条)?|(?:选|要)([一二三四五1-5])(?:$|个|单|吧)"
)
_DAYS = {"今天": 0, "刚才": 0, "刚刚": 0, "昨天": 1, "昨晚": 1, "前天": 2, "大前天": 3}
# "今天能到吗" asks for a day, "今天买的" names one
_DAY = re.compile(
    r"大前天|前天|昨天|昨晚|刚才|刚刚|今天(?=.{0,4}?(?:买|拍|下单|下的|订|付|那|这单|的单|的订单)|$)"
)
_NUMERALS = {sign: at for at, sign in enumerate("一二三四五", 1)}
_BACK = re.compile(r"这个|那个|这单|那单|这笔|那笔|它|这件|那件|刚才说的|上面|\b(this|that|it)\b")
_YES = re.compile(
    r"(确认|确定|是的?|对的?|好的?|可以|行|同意|接受|嗯+|要的|yes|ok|sure|confirm)(取消|了|吧|啊|呀|的|订单)*"
)
_NO = re.compile(r"(不|不要|不用|不了|算了|别|取消操作|不是|先不|no|nope)(了|用|要|取消|吧|谢谢)*")
_FILLER = re.compile(r"^(那个|那|请问|麻烦|亲|嗯|额|呃|就是|我想问下?|想问下?|问一?下|帮忙?|帮我)+")


# words that only point: "不是这个，是昨天那单"
_POINTING = re.compile(
    r"(不是|就是|是|那|这|我说|的|个|一|单|笔|件|条|订单|大?前天|昨天|昨晚|今天|刚才|刚刚|第[一二三四五1-5]|选|查|看"
    r"|帮我|帮|下|呢|吗|啊|呀|吧|,| )*"
)


class Source(StrEnum):
    RULES = "RULES"
    CLASSIFIER = "CLASSIFIER"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Understanding:
    """One message as the code understands it.

    `topics` are the policy questions asked, in order; `codes` what may be an order number or a
    waybill; `facets` words that an answer must cover ("周末", "转让"). `is_elsewhere` marks a
    subject the shop has no rules for (abroad, installation ...). `ordinal` counts from 1;
    `days_ago` is what "昨天那单" says.
    """

    intent: Intent
    confidence: float
    source: Source
    language: Language
    topics: tuple[str, ...] = ()
    intents: tuple[Intent, ...] = ()
    codes: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    asks_for_person: bool = False
    is_elsewhere: bool = False
    is_injury: bool = False
    about_fresh: bool = False
    about_fault: bool = False
    about_remote: bool = False
    facets: tuple[str, ...] = ()
    refers_back: bool = False
    ordinal: int | None = None
    days_ago: int | None = None
    says_yes: bool = False
    says_no: bool = False
    guesses: tuple[Intent, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    intent: Intent
    topic: str
    confidence: float
    source: Source
    guesses: tuple[Intent, ...] = ()


_NOTHING = _Part(Intent.UNKNOWN, "", 0.0, Source.NONE)


def understand(text: str) -> Understanding:
    """The meaning of one message, without its context."""
    whole = normalised(text)
    codes, phones, bare = _without_codes(whole)
    found = _model().lexicon.found(bare)
    parts = [_NOTHING] if _POINTING.fullmatch(_squeezed(bare)) else _parts(bare)
    best = _main(parts)
    topics = tuple(dict.fromkeys(part.topic for part in parts if part.topic))
    wants_person = _asks_for_person(bare, found, best)
    if wants_person:
        best = _Part(Intent.HUMAN, "", 1.0, Source.RULES)
    elif _NO_PERSON.search(bare):
        best = _Part(Intent.THANKS, "", 1.0, Source.RULES)
    ordinal = _ORDINAL.search(bare)
    return Understanding(
        intent=best.intent,
        confidence=best.confidence,
        source=best.source,
        language=_language(whole),
        topics=topics,
        intents=tuple(dict.fromkeys(part.intent for part in parts)),
        codes=codes,
        phones=phones,
        asks_for_person=wants_person,
        is_elsewhere=bool(found & _ELSEWHERE),
        is_injury="INJURY" in found,
        about_fresh=bool(found & {"FRESH", "ROTTEN"}),
        about_fault=bool(found & {"BROKEN", "MISSING", "ROTTEN", "FAKE"}),
        about_remote="REMOTE" in found,
        facets=_model().lexicon.words("FACET", bare),
        refers_back=_BACK.search(bare) is not None,
        ordinal=_number(ordinal) if ordinal else None,
        days_ago=_DAYS[day.group()] if (day := _DAY.search(bare)) else None,
        says_yes=_YES.fullmatch(_squeezed(bare)) is not None,
        says_no=_NO.fullmatch(_squeezed(bare)) is not None,
        guesses=best.guesses,
    )


def in_context(
    asked: Understanding, *, before: Intent | None, topics: tuple[str, ...] = ()
) -> Understanding:
    """The message as part of a talk: "那个呢" or "第二个" asks what was asked before."""
    points = asked.refers_back or asked.ordinal is not None or asked.days_ago is not None
    is_clear = asked.source is not Source.NONE and not (asked.codes and asked.intent in _IDLE)
    if is_clear or not (points or asked.codes):
        return asked
    goes_on = before is not None and before not in _IDLE
    if asked.codes and before not in ORDER_INTENTS:
        goes_on = False
    if not goes_on and not (asked.codes or asked.ordinal):
        return asked
    intent = before if goes_on and before is not None else Intent.ORDER_STATUS
    kept = topics if intent is before else ()
    return replace(asked, intent=intent, topics=kept, source=Source.RULES, confidence=SURE)


@lru_cache(maxsize=1)
def intent_of_topics() -> Mapping[str, Intent]:
    """What each policy topic is about, as the service lines have it."""
    labels = dict.fromkeys(label for _, label in intents.lines())
    return {topic: intent for intent, topic in map(_label, labels) if topic}


def warm() -> None:
    """Trains the classifier, about a second of one core; call it in a thread before serving."""
    _model()


def normalised(text: str) -> str:
    """One width, one case, no invisible characters, no blank between Chinese characters."""
    plain = unicodedata.normalize("NFKC", text).lower()
    plain = "".join(sign for sign in plain if unicodedata.category(sign) != "Cf")
    plain = re.sub(r"(?<=[\u4e00-\u9fff])[ \t]+(?=[\u4e00-\u9fff])", ",", plain)
    return re.sub(r"([^0-9a-z])\1{3,}", r"\1\1\1", plain).strip()


@dataclass(frozen=True, slots=True)
class _Model:
    lexicon: Lexicon
    classifier: Classifier


@lru_cache(maxsize=1)
def _model() -> _Model:
    lexicon = Lexicon.parse(intents.concepts())
    lines = [(_squeezed(normalised(text)), label) for text, label in intents.lines()]
    return _Model(lexicon, Classifier.train(lexicon, lines))


_ELSEWHERE = frozenset(
    {"INSTALL", "ABROAD", "CRYPTO", "SHOPFRONT", "TRADE_IN"}
    | {"IDENTITY_DISCOUNT", "OFF_TOPIC", "INJECT", "OTHERS"}
)
# (all of these, none of these) -> what is asked; the first that fits
_RULES: tuple[tuple[str, str, str], ...] = (
    ("HOURS", "LIVE", "HUMAN/service_hours"),
    ("INJECT", "", "UNKNOWN"),
    ("INJURY", "", "COMPLAINT/injury_case"),
    ("FRAUD", "", "PRIVACY/fraud_warning"),
    ("OTHERS", "COMPLAIN", "UNKNOWN"),
    ("ABROAD", "", "UNKNOWN"),
    ("CRYPTO", "", "UNKNOWN"),
    ("INSTALL", "BROKEN WARRANTY", "UNKNOWN"),
    ("TRADE_IN", "EXCHANGE", "UNKNOWN"),
    ("SHOPFRONT", "COMMISSION", "UNKNOWN"),
    ("IDENTITY_DISCOUNT", "", "UNKNOWN"),
    ("OFF_TOPIC", "PARCEL ORDER", "UNKNOWN"),
    ("COURIER COMPLAIN", "", "COMPLAINT/courier_complaint"),
    ("COMPLAIN BOSS", "", "COMPLAINT/complaint_escalation"),
    ("CANCEL", "GROUP REFUND COUPON RENEW RETURN LATE FREIGHT", "CANCEL_ORDER/cancel_order"),
    ("ADDRESS ERROR", "INVOICE", "CHANGE_ADDRESS/change_address"),
    ("GROUP REFUND FAIL", "", "GROUP_REFUND/group_refund_days"),
    ("GROUP MONEY FAIL", "", "GROUP_REFUND/group_refund_days"),
    ("GROUP MONEY WHEN", "", "GROUP_REFUND/group_refund_days"),
    ("FREIGHT WHO_PAYS", "EXCHANGE", "FREIGHT/freight_payer"),
    ("FREIGHT RETURN", "EXCHANGE", "FREIGHT/freight_payer"),
    ("SIGNED NOT_GOT", "", "LOGISTICS/signed_not_received"),
    ("PARCEL LOST", "FRESH", "LOGISTICS/lost_parcel"),
    ("FRESH ROTTEN", "MISSING PHOTO COMPENSATE", "FRESH_CLAIM/fresh_claim_hours"),
    ("PARCEL WHERE", "RETURN REFUND INVOICE WARRANTY", "LOGISTICS"),
)


def _parts(text: str) -> list[_Part]:
    """What the parts of a message ask, most certain reading; one part at least."""
    cut = [_squeezed(part) for part in _CUT.split(text)]
    spoken = [part for part in cut if len(part) > 1] or [_squeezed(text)]
    whole = _read(_squeezed(text))
    if len(spoken) == 1 or (whole.source is Source.RULES and whole.topic in _SPREAD):
        return [whole]
    read = [part for part in map(_read, spoken) if part.source is not Source.NONE]
    clear = [part for part in read if part.intent not in _IDLE] or read
    if not clear:
        return [whole]
    if whole.intent not in _IDLE and whole.confidence > max(one.confidence for one in clear):
        return [whole, *(part for part in clear if part.topic)]
    return clear


# told by words that may stand in different parts: "团购没成，退款要等多久"
_SPREAD = frozenset({"group_refund_days", "signed_not_received", "lost_parcel", "injury_case"})
_IDLE = frozenset({Intent.GREETING, Intent.THANKS, Intent.SMALL_TALK, Intent.UNKNOWN})


def _read(text: str) -> _Part:
    model = _model()
    found = model.lexicon.found(text)
    for needs, unless, label in _RULES:
        if found.issuperset(needs.split()) and not found & set(unless.split()):
            return _Part(*_label(label), 0.95, Source.RULES)
    shares = model.classifier.probabilities(_FILLER.sub("", text) or text)
    by_intent: dict[Intent, float] = {}
    for label, share in shares.items():
        intent = _label(label)[0]
        by_intent[intent] = by_intent.get(intent, 0.0) + share
    ranked = sorted(by_intent, key=lambda one: -by_intent[one])
    best = ranked[0]
    if not _is_sure(by_intent[best], by_intent[ranked[1]]):
        return _Part(Intent.UNKNOWN, "", by_intent[best], Source.NONE, tuple(ranked[:3]))
    label = max((one for one in shares if _label(one)[0] is best), key=shares.__getitem__)
    guesses = tuple(ranked[:2]) if by_intent[best] < FAINT else ()
    return _Part(*_label(label), by_intent[best], Source.CLASSIFIER, guesses)


def _is_sure(first: float, second: float) -> bool:
    """A clear lead counts like a large share: 130 labels leave little for the best of them."""
    return first >= SURE or (first >= LEAST and first >= LEAD * second)


def _main(parts: list[_Part]) -> _Part:
    """The part that leads: a complaint goes before a question, else the first said leads."""
    for part in parts:
        if part.intent is Intent.COMPLAINT:
            return part
    return parts[0]


def _label(label: str) -> tuple[Intent, str]:
    intent, _, topic = label.partition("/")
    return Intent(intent), topic


_ONLY_PERSON = re.compile(r"(找|叫|要|联系|呼叫|我要|在线)?(客服)+(呢|啊|呀|在哪)?")
_NO_PERSON = re.compile(
    r"(不用|不要|不需要|别|无需)(再)?(给我)?(转|找|接)?(人工|真人|客服)(?!.*吗)"
)
_ABOUT_PERSONS = re.compile(
    r"你是.{0,6}(真人|人工|机器|程序)|(客服|人工).{0,4}(几点|上班|下班|时间|电话|多少)"
)


def _asks_for_person(text: str, found: frozenset[str], best: _Part) -> bool:
    """A wish for a human; "你是真人吗" is curiosity, "人工几点上班" a question about hours."""
    if _ONLY_PERSON.fullmatch(_squeezed(text)):
        return True
    if _NO_PERSON.search(text) or _ABOUT_PERSONS.search(text):
        return False
    is_learned = best.intent is Intent.HUMAN and best.confidence >= STRONG
    return "PERSON" in found or is_learned


def _without_codes(text: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """(possible order numbers and waybills, phones, the text with both taken out)."""
    phones = tuple(_PHONE.findall(text))
    rest = _PHONE.sub(" ", text)
    codes = [*_NAMED_CODE.findall(rest), *_CODE.findall(rest)]
    codes = [code for code in codes if sum(sign.isdigit() for sign in code) >= 3]
    for code in codes:
        rest = rest.replace(code, " ")
    return tuple(dict.fromkeys(code.upper() for code in codes)), phones, rest.strip()


def _language(text: str) -> Language:
    chinese = sum("\u4e00" <= sign <= "\u9fff" for sign in text)
    latin = len(re.findall(r"[a-z]{2,}", text))
    return Language.EN if latin > chinese and chinese < 2 else Language.ZH


def _number(match: re.Match[str]) -> int:
    sign = match[1] or match[2]
    return _NUMERALS.get(sign) or int(sign)


def _squeezed(text: str) -> str:
    """Chinese without blanks and outer punctuation; English words keep single blanks."""
    packed = re.sub(r"\s+", " ", text.strip(" ,，。.!！?？;；:：~～…"))
    return re.sub(r"(?<=[\u4e00-\u9fff]) | (?=[\u4e00-\u9fff])", "", packed)
