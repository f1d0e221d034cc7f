"""The format of policy files."""

from datetime import date
from pathlib import Path

import pytest

from llm.documents import BadDocument, Clause, Rule, parse

FOLDER = Path(__file__).parents[2] / "app" / "seed" / "policies"
SHORT = """---
code: gift
version: 2
title: 赠品规则
audience: CONSUMER
supplier: 某店
valid_from: 2025-01-01
valid_to: 2025-02-01
---
# 赠品
1. 赠品漏发的，7 天内补发。
@ gift days=7 free=true
@ gift[late] days=0 when is_late=true
2. 赠品不单独退。
"""


def test_a_document_keeps_its_front_matter_clauses_and_rules() -> None:
    document = parse(SHORT)
    assert (document.code, document.version, document.audience) == ("gift", 2, "CONSUMER")
    assert (document.supplier, document.category) == ("某店", None)
    assert (document.valid_from, document.valid_to) == (date(2025, 1, 1), date(2025, 2, 1))
    assert document.clauses == (
        Clause(
            "1",
            "赠品",
            "赠品漏发的，7 天内补发。",
            (
                Rule("gift", "", {"days": 7, "free": True}, {}),
                Rule("gift", "late", {"days": 0}, {"is_late": True}),
            ),
        ),
        Clause("2", "赠品", "赠品不单独退。"),
    )
    assert document.text == "赠品\n1. 赠品漏发的，7 天内补发。\n2. 赠品不单独退。"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("---\ncode", "code"),
        ("audience: CONSUMER", "audience: EVERYBODY"),
        ("version: 2", "version: two"),
        ("title: 赠品规则\n", ""),
        ("2. 赠品", "1. 赠品"),
        ("2. 赠品", "- 赠品"),
        ("days=7", "days"),
        ("# 赠品\n", "@ early days=1\n"),
    ],
)
def test_a_broken_file_is_refused(before: str, after: str) -> None:
    with pytest.raises(BadDocument):
        parse(SHORT.replace(before, after, 1))


def test_the_shipped_policies_all_parse_and_cite_one_rule_a_clause_at_least() -> None:
    documents = [parse(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.md"))]
    assert len(documents) == 21
    assert {len(one.text) for one in documents if not 300 <= len(one.text) <= 1500} == set()
    bare = [
        f"{one.code} {clause.no}" for one in documents for clause in one.clauses if not clause.rules
    ]
    assert bare == []


def test_price_protection_has_two_versions_that_never_hold_on_the_same_day() -> None:
    old, new = (
        parse((FOLDER / f"price-protection-v{number}.md").read_text("utf-8")) for number in (1, 2)
    )
    assert (old.code, old.version, new.version) == (new.code, 1, 2)
    assert old.valid_to == new.valid_from
