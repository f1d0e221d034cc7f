"""Runs migrations against the tables of app/tables, on SQLite and PostgreSQL alike."""

import asyncio

from alembic import context
from sqlalchemy import Connection, event, pool
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

import app.tables  # noqa: F401  fills the metadata
from app.migrate import is_ours

config = context.config
url = context.get_x_argument(as_dictionary=True).get("url") or config.get_main_option(
    "sqlalchemy.url"
)
assert url is not None


def _configure(**target: object) -> None:
    context.configure(
        target_metadata=SQLModel.metadata,
        include_name=is_ours,
        render_as_batch=True,
        transaction_per_migration=True,
        transactional_ddl=True,  # SQLite can, though alembic does not assume so
        **target,
    )


def _migrate(connection: Connection) -> None:
    _configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


async def _online(address: str) -> None:
    engine = create_async_engine(address, poolclass=pool.NullPool)
    if engine.dialect.name == "sqlite":
        # the driver begins no transaction before DDL: say BEGIN ourselves, or a broken migration
        # leaves half of its tables behind
        event.listen(engine.sync_engine, "connect", _leave_transactions_to_us)
        event.listen(engine.sync_engine, "begin", _begin)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


def _leave_transactions_to_us(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


if context.is_offline_mode():
    _configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(_online(url))
