"""Migrations: they make what app/tables says, on both databases, and can be taken back."""

import sqlite3
from pathlib import Path

import pytest

from app import migrate


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/new/mall.db"


def tables(url: str) -> set[str]:
    with sqlite3.connect(url.partition(":///")[2]) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in found}


def execute(url: str, statement: str) -> None:
    with sqlite3.connect(url.partition(":///")[2]) as connection:
        connection.execute(statement)


def test_tables_and_migrations_agree(url: str) -> None:
    migrate.upgrade(url)
    migrate.check_drift(url)


@pytest.mark.postgres
def test_tables_and_migrations_agree_on_postgres(postgres_url: str) -> None:
    migrate.check_drift(f"{postgres_url}jishi_template")


def test_a_lost_index_is_drift(url: str) -> None:
    migrate.upgrade(url)
    execute(url, "DROP INDEX uq_group_buy_members_seat")
    with pytest.raises(migrate.Drift, match="uq_group_buy_members_seat"):
        migrate.check_drift(url)


def test_an_extra_column_is_drift(url: str) -> None:
    migrate.upgrade(url)
    execute(url, "ALTER TABLE products ADD COLUMN surprise INTEGER")
    with pytest.raises(migrate.Drift, match="surprise"):
        migrate.check_drift(url)


def test_every_migration_can_be_taken_back(url: str) -> None:
    migrate.upgrade(url)
    assert "product_search" in tables(url)
    migrate.downgrade(url)
    assert tables(url) == {"alembic_version"}
    migrate.upgrade(url)
    migrate.check_drift(url)


def test_a_second_upgrade_changes_nothing(url: str) -> None:
    migrate.upgrade(url)
    before = tables(url)
    migrate.upgrade(url)
    assert tables(url) == before


def test_events_from_before_the_numbers_are_counted_in_each_topic(url: str) -> None:
    migrate.upgrade(url, "0015_assets")
    execute(
        url,
        "INSERT INTO outbox (topic, kind, payload, created_at)"
        " SELECT column1, 'Moved', '{}', '2026-03-02'"
        " FROM (VALUES ('b'), ('a'), ('b'), ('b'), ('a'))",
    )
    migrate.upgrade(url)
    with sqlite3.connect(url.partition(":///")[2]) as connection:
        rows = connection.execute("SELECT topic, seq FROM outbox ORDER BY id").fetchall()
    assert rows == [("b", 1), ("a", 1), ("b", 2), ("b", 3), ("a", 2)]
