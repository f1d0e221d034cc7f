"""What is shown to clients is what the plan takes."""

from collections import Counter

import pytest

from app.plan import Plan
from tests.plan.conftest import REPORT
from tests.plan.corpus import Shown, shown
from tests.plan.executors import Executors

DIALECTS = ("sqlite", "postgresql")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_shown_operation_is_taken(executors: Executors, dialect: str) -> None:
    """All but introspection, which asks about the schema and not about the mall."""
    left: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for one in shown(executors.schema._schema):
        found = executors.plan(one.text, dialect)
        if isinstance(found, Plan):
            taken[one.shelf] += 1
        elif not one.is_introspection:
            left[f"{one.source}: {one.text}"] = f"{found.code} {found.text}"
    told = ", ".join(f"{shelf} {count}" for shelf, count in taken.items())
    REPORT.append(
        f"shown operations on {dialect}: {taken.total()} taken ({told}),"
        f" {len(left)} left: {dict(Counter(left.values()))}"
    )
    assert left == {}


def test_everything_that_is_shown_is_found(executors: Executors) -> None:
    """The corpus would also pass if it had lost a source."""
    operations = shown(executors.schema._schema)
    sources = {one.source for one in operations}
    assert "README.md" in sources
    assert "clients/playground/src/session.ts" in sources
    assert _count(operations, "clients/playground/src/examples/") == 52
    assert {one.shelf for one in operations} == {"README and docs", "clients", "bench", "tests"}
    assert {one.kind.value for one in operations} == {"query", "mutation", "subscription"}


def _count(operations: tuple[Shown, ...], prefix: str) -> int:
    return sum(one.source.startswith(prefix) for one in operations)
