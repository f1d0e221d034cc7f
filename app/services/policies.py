"""Rules of the mall: who may see them, storing a document, and finding the clause that applies."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    true,
)
from sqlalchemy import table as bare_table

from app import search as texts
from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.services.sight import leads_to
from app.tables.columns import table
from app.tables.policies import PolicyClauseRow, PolicyDocumentRow, PolicyRecordRow
from app.tables.products import CategoryRow

DOCUMENTS = table(PolicyDocumentRow)
CLAUSES = table(PolicyClauseRow)
RECORDS = table(PolicyRecordRow)
CATEGORIES = table(CategoryRow)
_FTS = bare_table("clause_search", column("rowid"), column("bigrams"), column("words"))
_RRF_K = 60  # CHAT 7
_CANDIDATES = 40  # of each ranking
# what a role may read; rules for consumers are public
_EVERYTHING = ("ALL", "CONSUMER", "DISTRIBUTOR", "SUPPLIER")
_AUDIENCES: Mapping[str, tuple[str, ...]] = {
    Role.GUEST: ("ALL", "CONSUMER"),
    Role.CONSUMER: ("ALL", "CONSUMER"),
    Role.DISTRIBUTOR: ("ALL", "CONSUMER", "DISTRIBUTOR"),
    Role.SUPPLIER: ("ALL", "CONSUMER", "SUPPLIER"),
    Role.AGENT: _EVERYTHING,
    Role.ADMIN: _EVERYTHING,
}


@dataclass(frozen=True, slots=True)
class RecordDraft:
    topic: str
    condition_key: str
    conditions: Mapping[str, Any]
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClauseDraft:
    no: str
    heading: str
    text: str
    records: tuple[RecordDraft, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    code: str
    version: int
    title: str
    audience: str
    valid_from: datetime
    clauses: tuple[ClauseDraft, ...]
    valid_to: datetime | None = None
    category_id: int | None = None
    supplier_id: int | None = None
    text: str = field(default="")


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause as it is cited; `score` grows with relevance, comparable within one search."""

    id: int
    document_id: int
    code: str
    version: int
    title: str
    no: str
    heading: str
    text: str
    supplier_id: int | None
    category_id: int | None
    score: float


@dataclass(frozen=True, slots=True)
class _Scope:
    """For whom (a role), when and for which goods a rule is looked up."""

    audience: str
    at: datetime
    supplier_id: int | None = None
    category_id: int | None = None


def visible_to(viewer: Viewer) -> Select[Any]:
    """Documents of the viewer's audience, old versions included: past orders refer to them."""
    return select(*DOCUMENTS.c).where(DOCUMENTS.c.audience.in_(_AUDIENCES[viewer.role]))


def clauses_visible_to(viewer: Viewer) -> Select[Any]:
    return select(*CLAUSES.c).where(leads_to(CLAUSES.c.document_id, visible_to(viewer)))


async def store_document(unit: Unit, draft: PolicyDraft) -> int:
    """A new version of a document with its clauses, records and search index; its key."""
    document_id = await unit.insert(
        insert(DOCUMENTS).values(
            code=draft.code,
            version=draft.version,
            title=draft.title,
            audience=draft.audience,
            category_id=draft.category_id,
            supplier_id=draft.supplier_id,
            valid_from=draft.valid_from,
            valid_to=draft.valid_to,
            text=draft.text or "\n".join(f"{one.no}. {one.text}" for one in draft.clauses),
            created_at=unit.clock(),
        )
    )
    for clause in draft.clauses:
        await _store_clause(unit, draft, document_id, clause)
    return document_id


async def search_clauses(
    db: Reader,
    *,
    text: str,
    audience: str,
    at: datetime,
    category_id: int | None = None,
    supplier_id: int | None = None,
    limit: int = 8,
) -> list[Clause]:
    """The clauses in force that fit a question best: bigram and word ranks fused by rank.

    `audience` is a role. Only the newest version in force of each document counts. A rule of one
    supplier stands in for the general rules on the same topic when the supplier is given, and is
    silent otherwise; a rule for one category is silent only for goods of another.
    """
    scope = _Scope(audience, at, supplier_id, category_id)
    rankings = [await _ranked(db, tokens, kind, scope) for kind, tokens in _asked(text)]
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for place, clause_id in enumerate(ranking, 1):
            scores[clause_id] += 1 / (_RRF_K + place)
    best = sorted(scores, key=lambda key: (-scores[key], key))[:limit]
    if not best:
        return []
    rows = await db.all(
        select(
            *CLAUSES.c,
            DOCUMENTS.c.code,
            DOCUMENTS.c.version,
            DOCUMENTS.c.title,
            DOCUMENTS.c.supplier_id,
            DOCUMENTS.c.category_id,
        )
        .join(DOCUMENTS, DOCUMENTS.c.id == CLAUSES.c.document_id)
        .where(CLAUSES.c.id.in_(best))
    )
    found = {row.id: _clause(row, scores[row.id]) for row in rows}
    return [found[key] for key in best]


async def records(
    db: Reader,
    *,
    topics: Sequence[str],
    audience: str,
    at: datetime,
    category_id: int | None = None,
    supplier_id: int | None = None,
) -> list[Row[Any]]:
    """The structured rules on `topics` that are in force, with code, title and clause number.

    Columns: those of `policy_records`, and code, version, title, supplier_id, no, clause_text.
    Ordered by topic and case. Scope as in `search_clauses`.
    """
    scope = _Scope(audience, at, supplier_id, category_id)
    return await db.all(
        select(
            *RECORDS.c,
            DOCUMENTS.c.code,
            DOCUMENTS.c.version,
            DOCUMENTS.c.title,
            DOCUMENTS.c.supplier_id,
            CLAUSES.c.no,
            CLAUSES.c.text.label("clause_text"),
        )
        .join(CLAUSES, CLAUSES.c.id == RECORDS.c.clause_id)
        .join(DOCUMENTS, DOCUMENTS.c.id == RECORDS.c.document_id)
        .where(
            RECORDS.c.topic.in_(topics),
            DOCUMENTS.c.id.in_(_in_force(scope)),
            ~RECORDS.c.id.in_(_overruled(scope, RECORDS.c.id)),
        )
        .order_by(RECORDS.c.topic, RECORDS.c.condition_key, RECORDS.c.id)
    )


async def _store_clause(
    unit: Unit, draft: PolicyDraft, document_id: int, clause: ClauseDraft
) -> None:
    text = f"{draft.title}\n{clause.heading}\n{clause.text}"
    clause_id = await unit.insert(
        insert(CLAUSES).values(
            document_id=document_id,
            no=clause.no,
            heading=clause.heading,
            text=clause.text,
            search_tokens=texts.tokens(text),
        )
    )
    for one in clause.records:
        await unit.insert(
            insert(RECORDS).values(
                clause_id=clause_id,
                document_id=document_id,
                topic=one.topic,
                condition_key=one.condition_key,
                conditions=dict(one.conditions),
                value=dict(one.value),
                audience=draft.audience,
                valid_from=draft.valid_from,
                valid_to=draft.valid_to,
            )
        )
    if unit.db.dialect == "sqlite":
        await unit.execute(delete(_FTS).where(_FTS.c.rowid == clause_id))
        await unit.execute(
            insert(_FTS).values(
                rowid=clause_id,
                bigrams=" ".join(texts.bigrams(text)),
                words=" ".join(texts.words(text)),
            )
        )


def _asked(text: str) -> list[tuple[str, tuple[str, ...]]]:
    asked = (("bigrams", texts.loose_bigrams(text)), ("words", texts.query_tokens(text).words))
    return [(kind, tokens) for kind, tokens in asked if tokens]


async def _ranked(db: Reader, tokens: tuple[str, ...], kind: str, scope: _Scope) -> list[int]:
    """Keys of clauses, best first."""
    if db.dialect == "sqlite":
        whole: ColumnElement[Any] = column("clause_search")
        hits = (
            select(_FTS.c.rowid.label("id"), (-func.bm25(whole)).label("rank"))
            .where(whole.op("MATCH")(texts.fts5_any(kind, tokens)))
            .cte("hits")
            .prefix_with("MATERIALIZED")
        )
    else:
        vector = func.to_tsvector("simple", CLAUSES.c.search_tokens)
        query = func.to_tsquery("simple", texts.tsquery_any(tokens))
        hits = (
            select(CLAUSES.c.id, func.ts_rank(vector, query, 1).label("rank"))
            .where(vector.op("@@")(query))
            .cte("hits")
        )
    rows = await db.all(
        select(CLAUSES.c.id)
        .join(hits, hits.c.id == CLAUSES.c.id)
        .where(
            CLAUSES.c.document_id.in_(_in_force(scope)),
            ~CLAUSES.c.id.in_(_overruled(scope, RECORDS.c.clause_id)),
        )
        .order_by(hits.c.rank.desc(), CLAUSES.c.id)
        .limit(_CANDIDATES)
    )
    return [row.id for row in rows]


def _valid(documents: Any, scope: _Scope) -> ColumnElement[bool]:
    """In force on the day, for the audience, for these goods."""
    fits_supplier = documents.c.supplier_id.is_(None)
    if scope.supplier_id is not None:
        fits_supplier = or_(fits_supplier, documents.c.supplier_id == scope.supplier_id)
    fits_category: ColumnElement[bool] = true()
    if scope.category_id is not None:
        fits_category = or_(
            documents.c.category_id.is_(None), documents.c.category_id.in_(_branches(scope))
        )
    return and_(
        documents.c.valid_from <= scope.at,
        or_(documents.c.valid_to.is_(None), documents.c.valid_to > scope.at),
        documents.c.audience.in_(_AUDIENCES[scope.audience]),
        fits_supplier,
        fits_category,
    )


def _branches(scope: _Scope) -> Select[Any]:
    """The category and all above it: a rule for 食品 holds for 大米."""
    leaf = CATEGORIES.alias()
    return select(CATEGORIES.c.id).where(
        leaf.c.id == scope.category_id, leaf.c.path.startswith(CATEGORIES.c.path)
    )


def _in_force(scope: _Scope) -> Select[Any]:
    """Keys of the documents in force, the newest version of each code only."""
    newer = DOCUMENTS.alias()
    replaced = (
        select(newer.c.id)
        .where(
            newer.c.code == DOCUMENTS.c.code,
            newer.c.version > DOCUMENTS.c.version,
            _valid(newer, scope),
        )
        .correlate(DOCUMENTS)
    )
    return select(DOCUMENTS.c.id).where(_valid(DOCUMENTS, scope), ~replaced.exists())


def _overruled(scope: _Scope, key: Any) -> Select[Any]:
    """`key` of the general records whose topic and case the supplier has settled otherwise."""
    own, own_documents = RECORDS.alias(), DOCUMENTS.alias()
    general = DOCUMENTS.alias()
    return (
        select(key)
        .join(general, and_(general.c.id == RECORDS.c.document_id, general.c.supplier_id.is_(None)))
        .join(
            own,
            and_(own.c.topic == RECORDS.c.topic, own.c.condition_key == RECORDS.c.condition_key),
        )
        .join(own_documents, own_documents.c.id == own.c.document_id)
        .where(
            own_documents.c.supplier_id == (scope.supplier_id or 0), _valid(own_documents, scope)
        )
    )


def _clause(row: Row[Any], score: float) -> Clause:
    return Clause(
        id=row.id,
        document_id=row.document_id,
        code=row.code,
        version=row.version,
        title=row.title,
        no=row.no,
        heading=row.heading,
        text=row.text,
        supplier_id=row.supplier_id,
        category_id=row.category_id,
        score=score,
    )
