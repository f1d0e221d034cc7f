"""Documents are read once, kept within bounds, and tell of errors as if they were new."""

from collections.abc import Callable
from typing import Any

import pytest

from app import graphql
from app.edge import documents
from app.edge.documents import TOKEN_BYTES, Documents
from app.graphql import MallSchema
from app.plan import Plan

VIEWER = "{ viewer { role } }"
TWO = "query A { viewer { role } } query B { viewer { role } }"
UNKNOWN_FIELD = "{ viewer { password } }"


@pytest.fixture(scope="module")
def schema() -> MallSchema:
    return graphql.build()


@pytest.fixture
def kept(schema: MallSchema) -> Documents:
    return Documents(schema, "sqlite")


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are parsed by us from now on."""
    return _noted(monkeypatch, "parse")


def _noted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    calls: list[Any] = []
    real: Callable[..., Any] = getattr(documents, name)

    def noted(*args: Any, **options: Any) -> Any:
        calls.append(args[0])
        return real(*args, **options)

    monkeypatch.setattr(documents, name, noted)
    return calls


def test_a_text_is_parsed_and_validated_once(
    kept: Documents, parses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    validated = _noted(monkeypatch, "validate")
    first = kept.look_up(VIEWER, None)
    assert kept.look_up(VIEWER, None) is first
    assert (len(parses), len(validated)) == (1, 1)


def test_an_operation_of_a_text_is_a_document_of_its_own(kept: Documents) -> None:
    named = [kept.look_up(TWO, name) for name in ("A", "B", "C")]
    assert len(kept) == 3
    assert [one.operation is None for one in named] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "name"), [(UNKNOWN_FIELD, None), ("{ viewer", None), (VIEWER, "B"), (" a " * 2001, "")]
)
def test_what_is_wrong_is_kept_too_and_has_no_plan(
    kept: Documents, parses: list[str], text: str, name: str | None
) -> None:
    assert [kept.plan(text, name) for _ in range(3)] == [None] * 3
    assert len(parses) == 1
    assert kept.counts() == {"invalid": 3}


def test_the_documents_used_last_stay(schema: MallSchema, parses: list[str]) -> None:
    kept = Documents(schema, "sqlite", entries=2)
    one, two, three = (f"{VIEWER} # {number}" for number in range(3))
    for text in (one, two, one, three):
        kept.look_up(text, None)
    del parses[:]
    for text in (one, three, two):
        kept.look_up(text, None)
    assert parses == [two]


def test_trees_count_and_not_only_texts(schema: MallSchema) -> None:
    """A text of 2,000 tokens has a syntax tree of 1.1 MB."""
    ids = '"a" ' * 1890
    kept = Documents(schema, "sqlite", most_bytes=5_000_000)
    for number in range(8):
        kept.look_up(f"{{ nodes(ids: [{ids}]) {{ id }} }} # {number}", None)
    assert len(kept) == 4
    assert 4 * 1900 * TOKEN_BYTES < kept.bytes < 5_000_000


def test_nonsense_displaces_no_good_document(schema: MallSchema, parses: list[str]) -> None:
    kept = Documents(schema, "sqlite", entries=16)
    kept.look_up(VIEWER, None)
    for number in range(100):
        kept.look_up(f"{{ viewer {{ nonsense{number} }} }}", None)
        kept.look_up(VIEWER, f"unknown{number}")
    del parses[:]
    kept.look_up(VIEWER, None)
    assert parses == []
    assert len(kept) == 1 + 16 // documents.SHARE_OF_INVALID


def test_a_plan_is_made_when_it_is_asked_for_and_once(kept: Documents) -> None:
    query = "{ products { nodes { title } } }"
    assert kept.look_up(query, None).plan is None
    plan = kept.plan(query, None)
    assert isinstance(plan, Plan)
    assert kept.plan(query, None) is plan
    assert kept.counts() == {"taken": 2}
