"""The policy documents that lie beside the seed, as drafts for the service that stores them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path

from app.services.policies import ClauseDraft, PolicyDraft, RecordDraft
from llm.documents import BadDocument, Clause, Document, parse

FOLDER = Path(__file__).parent / "policies"
_CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Names:
    """Keys of what documents call by name."""

    suppliers: Mapping[str, int]
    categories: Mapping[str, int]


def read_all(names: Names, folder: Path = FOLDER) -> list[PolicyDraft]:
    return [read(file, names) for file in sorted(folder.glob("*.md"))]


def read(file: Path, names: Names) -> PolicyDraft:
    """Raises BadDocument, naming the file, also for a supplier or category that nobody knows."""
    try:
        return _draft(parse(file.read_text(encoding="utf-8")), names)
    except (BadDocument, KeyError) as wrong:
        raise BadDocument(f"{file.name}: {wrong}") from wrong


def _draft(document: Document, names: Names) -> PolicyDraft:
    return PolicyDraft(
        code=document.code,
        version=document.version,
        title=document.title,
        audience=document.audience,
        valid_from=_begin(document.valid_from),
        valid_to=_begin(document.valid_to) if document.valid_to else None,
        supplier_id=names.suppliers[document.supplier] if document.supplier else None,
        category_id=names.categories[document.category] if document.category else None,
        text=document.text,
        clauses=tuple(_clause(clause) for clause in document.clauses),
    )


def _clause(clause: Clause) -> ClauseDraft:
    records = tuple(
        RecordDraft(rule.topic, rule.case, dict(rule.conditions), dict(rule.value))
        for rule in clause.rules
    )
    return ClauseDraft(clause.no, clause.heading, clause.text, records)


def _begin(day: date) -> datetime:
    """The first moment of a Chinese calendar day."""
    return datetime.combine(day, time(), _CHINA)
