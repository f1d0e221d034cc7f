"""A smaller rush into groups that end, against a server process of our own, on both databases."""

import asyncio
from pathlib import Path

import pytest

from tests.load import ending, rush
from tests.serving import process

SMALLER = ending.Size(groups=6, shoppers=24, listeners=2, duration_s=5)

FREELY = {"sign_ins_per_minute": "100000"}  # the shoppers share one address

pytestmark = pytest.mark.slow


def rushed(url: str, database_url: str) -> None:
    done = asyncio.run(ending.run(url, database_url, SMALLER))
    lines: list[str] = []
    rush.report(done, lines.append)
    assert done.is_good, "\n".join(lines)


def test_on_sqlite_counts_refunds_and_last_states_are_exact(migrated: Path, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'mall.db'}"
    (tmp_path / "mall.db").write_bytes(migrated.read_bytes())
    with process(url, tmp_path, program="tests.load.slow_till", **FREELY) as address:
        rushed(address, url)


@pytest.mark.postgres
def test_on_postgresql_counts_refunds_and_last_states_are_exact(
    postgres_database: str, tmp_path: Path
) -> None:
    with process(postgres_database, tmp_path, program="tests.load.slow_till", **FREELY) as address:
        rushed(address, postgres_database)
