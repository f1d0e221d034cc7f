"""Reads the policy documents that lie beside the seed: a head, headings, clauses, records.

---
code: return-7-days
supplier: 某某旗舰店          (name, optional; so is category)
---
# heading
1. text of clause 1
@ topic[case] name=value name=value when condition=value
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.services.policies import ClauseDraft, PolicyDraft, RecordDraft

FOLDER = Path(__file__).parent / "policies"
_CLAUSE = re.compile(r"(\d+(?:\.\d+)*)\.\s+(.+)")
_RECORD = re.compile(r"@ (\w+)(?:\[(\w+)\])?((?: \w+=\S+)*)(?: when((?: \w+=\S+)+))?")
Value = str | int | bool


class BadDocument(ValueError):
    """A policy file that does not follow the form; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Names:
    """Keys of what documents call by name."""

    suppliers: Mapping[str, int]
    categories: Mapping[str, int]


def read_all(names: Names, folder: Path = FOLDER) -> list[PolicyDraft]:
    return [read(file, names) for file in sorted(folder.glob("*.md"))]


def read(file: Path, names: Names) -> PolicyDraft:
    """Raises BadDocument."""
    lines = file.read_text(encoding="utf-8").splitlines()
    try:
        end = lines.index("---", 1)
        head = dict(line.split(": ", 1) for line in lines[1:end])
        body = lines[end + 1 :]
        valid_to = head.get("valid_to")
        return PolicyDraft(
            code=head["code"],
            version=int(head["version"]),
            title=head["title"],
            audience=head["audience"],
            valid_from=_day(head["valid_from"]),
            valid_to=_day(valid_to) if valid_to else None,
            supplier_id=names.suppliers[head["supplier"]] if "supplier" in head else None,
            category_id=names.categories[head["category"]] if "category" in head else None,
            text="\n".join(line for line in body if not line.startswith("@")).strip(),
            clauses=tuple(_clauses(body)),
        )
    except (ValueError, KeyError) as wrong:
        raise BadDocument(f"{file.name}: {wrong}") from wrong


def _clauses(lines: list[str]) -> Iterator[ClauseDraft]:
    heading, above, no, text = "", "", "", ""
    records: list[RecordDraft] = []
    for line in lines:
        if line.startswith("@"):
            records.append(_record(line))
        elif line.strip():
            if no:
                yield ClauseDraft(no, above, text, tuple(records))
                no, records = "", []
            if line.startswith("# "):
                heading = line[2:].strip()
            elif found := _CLAUSE.fullmatch(line.strip()):
                no, text = found.groups()
                above = heading
            else:
                raise BadDocument(f"neither heading, clause nor record: {line}")
    if no:
        yield ClauseDraft(no, above, text, tuple(records))


def _record(line: str) -> RecordDraft:
    found = _RECORD.fullmatch(line.strip())
    if found is None:
        raise BadDocument(f"not a record: {line}")
    topic, case, values, conditions = found.groups()
    return RecordDraft(topic, case or "", _values(conditions or ""), _values(values or ""))


def _values(text: str) -> dict[str, Value]:
    return {name: _value(value) for name, value in (one.split("=", 1) for one in text.split())}


def _value(text: str) -> Value:
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() else text


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
