"""The rushes against a server process of our own, on both databases."""

import asyncio
from pathlib import Path

import pytest

from tests.load import rush
from tests.serving import process

SMALLER = rush.Size(groups=5, shoppers=15, buyers=24, units=6)

FREELY = {"sign_ins_per_minute": "100000"}  # the shoppers share one address

pytestmark = pytest.mark.slow


def rushed(url: str, database_url: str) -> None:
    done = asyncio.run(rush.run(url, database_url, SMALLER))
    lines: list[str] = []
    rush.report(done, lines.append)
    assert done.is_good, "\n".join(lines)


def test_on_sqlite_nobody_gets_a_seat_or_unit_that_is_not_there(
    migrated: Path, tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'mall.db'}"
    (tmp_path / "mall.db").write_bytes(migrated.read_bytes())
    with process(url, tmp_path, **FREELY) as address:
        rushed(address, url)


@pytest.mark.postgres
def test_on_postgresql_nobody_gets_a_seat_or_unit_that_is_not_there(
    postgres_database: str, tmp_path: Path
) -> None:
    with process(postgres_database, tmp_path, **FREELY) as address:
        rushed(address, postgres_database)
