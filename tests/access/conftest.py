"""The filled mall of the plan's tests, with a second supplier who looks at it, on each database."""

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.tables.suppliers import SupplierRow
from tests.access.matrix import ROLES
from tests.conftest import _execute, opened
from tests.plan.bazaar import Bazaar, fill
from tests.plan.conftest import SQLITE, Made, executors, fair, made

__all__ = ["executors", "fair", "made"]

DATABASE = "jishi_access"
CELLS: Counter[tuple[str, str]] = Counter()
"""(database, what) -> how many cells were tried."""


@pytest.fixture(scope="session")
def sqlite_made(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    file = tmp_path_factory.mktemp("access") / "mall.db"
    shutil.copy(migrated, file)
    return _filled(f"{SQLITE}{file}")


@pytest.fixture(scope="session")
def postgres_made(postgres_url: str) -> Made:
    asyncio.run(_execute(postgres_url, f'CREATE DATABASE "{DATABASE}" TEMPLATE "jishi_template"'))
    return _filled(f"{postgres_url}{DATABASE}")


def _filled(url: str) -> Made:
    async def make() -> Bazaar:
        async with opened(url) as mall:
            bazaar = await fill(mall)
            (second,) = await mall.rows(SupplierRow, name="山野")
            known = {
                **bazaar.viewers,
                "other consumer": bazaar.viewers["consumer who reads English"],
                "other supplier": await mall.supplier_viewer(second.id),
            }
            return Bazaar({role: known[role] for role in ROLES}, bazaar.ids)

    return Made(url, asyncio.run(make()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints how much was tried."""
    for (dialect, what), count in sorted(CELLS.items()):
        terminalreporter.write_line(f"access: {count} cells of {what} on {dialect}")
