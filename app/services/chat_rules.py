"""The clauses that answer a question for this shopper and these goods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from app.auth import Viewer
from app.db import Reader
from app.rules.offers import Compensation
from app.services import policies
from app.services.chat_events import Citation
from app.services.chat_orders import OrderFacts
from llm.intent import Understanding, intent_of_topics
from llm.policy import Quote
from llm.retrieval import ClauseRetriever, Passage, passage_of

_REMOTE = ("新疆", "西藏", "青海", "内蒙古", "宁夏", "甘肃", "海南")
# read with every order, whatever is asked: they say what a promise is worth
STANDING = ("ship_within_hours", "delay_compensation", "expedite")
_ENOUGH = 0.6  # share of a question's pairs of characters that a clause must hold
_FEWEST = 4  # pairs; a shorter question is not judged by its words
_ASKING = set("的了吗呢啊呀吧么我你您们是有在能会要可以怎么什多少哪里几请问一下帮想知道")


@dataclass(frozen=True, slots=True)
class Rules:
    """Clauses to quote, with their citations by clause; `missing` topics nothing covers."""

    quotes: tuple[Quote, ...] = ()
    citations: Mapping[int, Citation] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    is_returnable: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the shop promises about this order's shipping."""

    ship_within: timedelta | None = None
    stale_after: timedelta | None = None
    compensation: Compensation | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is known about the goods: the conditions of a rule are compared with it."""

    known: Mapping[str, Any]
    supplier_id: int | None = None
    category_id: int | None = None


def case_of(asked: Understanding, goods: Sequence[Row[Any]], order: OrderFacts | None) -> Case:
    """The case a question describes: what its words say, then what the order holds.

    Goods of several suppliers or kinds in one order settle nothing: the general rule stands.
    """
    known: dict[str, Any] = {}
    if asked.about_fresh:
        known["is_fresh"] = True
    if asked.about_fault:
        known["quality_fault"] = True
    if asked.about_remote:
        known["is_remote"] = True
    for name in ("is_fresh", "return_days", "warranty_months"):
        values = {getattr(one, name) for one in goods}
        if len(values) == 1:
            known[name] = values.pop()
    if goods and all(one.status == "PRE_SALE" for one in goods):
        known["is_presale"] = True
    if order is not None:
        row = order.own.row
        known["status"] = row.status
        known["is_shipped"] = row.status in {"SHIPPED", "PARTIALLY_SHIPPED", "COMPLETED"}
        if any(place in str(row.receiver.get("province", "")) for place in _REMOTE):
            known["is_remote"] = True
    return Case(known, _only(goods, "supplier_id"), _only(goods, "category_id"))


async def covering(
    db: Reader,
    viewer: Viewer,
    topics: Sequence[str],
    case: Case,
    *,
    now: datetime,
    facets: Sequence[str] = (),
) -> Rules:
    """For every topic the one record that fits the case best, or the topic among `missing`.

    A clause that does not mention what is special in the question (`facets`) does not cover it.
    """
    if not topics:
        return Rules()
    rows = await _records(db, viewer, topics, case, now)
    quotes: list[Quote] = []
    citations: dict[int, Citation] = {}
    missing: list[str] = []
    returnable = False
    for topic in topics:
        row = _best([one for one in rows if one.topic == topic], case)
        if row is None or not all(word in row.clause_text for word in facets):
            missing.append(topic)
            continue
        if topic == "return_days":
            returnable = int(row.value.get("days", 0)) > 0
        if row.clause_id not in citations:
            citations[row.clause_id] = _citation(row)
            quotes.append(_quote(topic, row.clause_id, row.title, row.no, row.clause_text))
    return Rules(tuple(quotes), citations, tuple(missing), returnable)


async def standing(db: Reader, viewer: Viewer, case: Case, *, now: datetime) -> Standing:
    rows = await _records(db, viewer, STANDING, case, now)
    best = {topic: _best([one for one in rows if one.topic == topic], case) for topic in STANDING}
    ship, delay, chase = (best[topic] for topic in STANDING)
    hours = int(ship.value.get("hours", 0)) if ship else 0
    return Standing(
        ship_within=timedelta(hours=hours) if hours else None,
        stale_after=timedelta(hours=int(chase.value["stale_hours"])) if chase else None,
        compensation=Compensation(
            rate_bp=int(delay.value["rate_bp"]),
            floor_fen=int(delay.value["floor_fen"]),
            cap_fen=int(delay.value["cap_fen"]),
        )
        if delay
        else None,
    )


async def nearest(db: Reader, viewer: Viewer, question: str, case: Case, *, now: datetime) -> Rules:
    """The clause a question nearly repeats, for questions nobody understood otherwise."""
    retriever = ClauseRetriever(store=_Bound(db, viewer, case, now), limit=3)
    for found in await retriever.ainvoke(question):
        passage = passage_of(found)
        if _repeats(question, f"{passage.title}{passage.text}"):
            citation = Citation(
                fallback_text=f"《{passage.title}》第 {passage.no} 条",
                document_code=passage.code,
                version=passage.version,
                clause_no=passage.no,
                title=passage.title,
                text=passage.text,
            )
            quote = _quote("", passage.clause_id, passage.title, passage.no, passage.text)
            return Rules((quote,), {passage.clause_id: citation})
    return Rules()


@dataclass(frozen=True, slots=True)
class _Bound:
    """The clauses one viewer may read today about these goods."""

    db: Reader
    viewer: Viewer
    case: Case
    now: datetime

    async def passages(self, question: str, limit: int) -> Sequence[Passage]:
        found = await policies.search_clauses(
            self.db,
            text=question,
            audience=self.viewer.role,
            at=self.now,
            category_id=self.case.category_id,
            supplier_id=self.case.supplier_id,
            limit=limit,
        )
        return [
            Passage(one.id, one.code, one.version, one.title, one.no, one.text, one.score)
            for one in found
        ]


async def _records(
    db: Reader, viewer: Viewer, topics: Sequence[str], case: Case, now: datetime
) -> list[Row[Any]]:
    return await policies.records(
        db,
        topics=topics,
        audience=viewer.role,
        at=now,
        category_id=case.category_id,
        supplier_id=case.supplier_id,
    )


def _best(rows: Sequence[Row[Any]], case: Case) -> Row[Any] | None:
    """The record whose conditions all hold; the most specific, the supplier's before the mall's."""
    fitting = [
        row
        for row in rows
        if all(case.known.get(name) == value for name, value in row.conditions.items())
    ]
    ranked = sorted(
        fitting, key=lambda row: (-len(row.conditions), row.supplier_id is None, row.id)
    )
    return ranked[0] if ranked else None


def _repeats(question: str, clause: str) -> bool:
    pairs = {
        question[at : at + 2]
        for at in range(len(question) - 1)
        if question[at : at + 2].isalnum() and not _ASKING.issuperset(question[at : at + 2])
    }
    held = sum(pair in clause for pair in pairs)
    return len(pairs) >= _FEWEST and held >= _ENOUGH * len(pairs)


def _quote(topic: str, clause_id: int, title: str, no: str, text: str) -> Quote:
    facts = {"policy.text": text, "policy.title": title, "policy.clause": f"第 {no} 条"}
    return Quote(topic, clause_id, facts, intent_of_topics().get(topic))


def _citation(row: Row[Any]) -> Citation:
    return Citation(
        fallback_text=f"《{row.title}》第 {row.no} 条",
        document_code=row.code,
        version=row.version,
        clause_no=row.no,
        title=row.title,
        text=row.clause_text,
    )


def _only(goods: Sequence[Row[Any]], name: str) -> int | None:
    values = {getattr(one, name) for one in goods}
    return values.pop() if len(values) == 1 else None
