"""Column shapes that every table shares: keys, references, money in fen, instants."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Table, types
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Utc(types.TypeDecorator[datetime]):
    """An instant: aware UTC in Python, naive UTC text on SQLite, timestamptz on PostgreSQL."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def table(row: type[SQLModel]) -> Table:
    """The Core table of a row class: what statements are written against."""
    made: Table = row.__table__  # type: ignore[attr-defined]
    return made


def key() -> Any:
    return Field(default=None, primary_key=True)


def ref(target: str, **options: Any) -> Any:
    """A foreign key to `table.column`, indexed unless said otherwise."""
    options.setdefault("index", True)
    return Field(foreign_key=target, **options)


def fen(**options: Any) -> Any:
    """An amount of money: integer fen, 64 bits wide."""
    return Field(sa_type=BigInteger, **options)


def instant(**options: Any) -> Any:
    return Field(sa_type=Utc, **options)


def document(**options: Any) -> Any:
    """A JSON value that is stored and returned whole, never searched."""
    return Field(sa_type=JSON, **options)
