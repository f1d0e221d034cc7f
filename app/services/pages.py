"""Pages of a list by keyset: the next one begins after the last row's values, not at a count."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select

from app.db import Reader
from app.errors import BadCursor
from app.tables.columns import Utc

MAX_PAGE = 100
Order = Sequence[tuple[ColumnElement[Any], bool]]
"""Columns of a list's order, each with whether it runs downwards; the last one is unique."""


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row[Any]]
    has_next: bool
    keys: tuple[str, ...]

    def key_of(self, row: Row[Any]) -> list[Any]:
        """The values that a cursor of this row carries; JSON values only."""
        return [_plain(getattr(row, key)) for key in self.keys]


async def keyset(
    db: Reader, statement: Select[Any], order: Order, first: int, after: list[Any] | None
) -> Page:
    """The first `first` rows (at most MAX_PAGE) past the values `after`.

    Every column of `order` is selected by the statement under its own name and never NULL.
    Raises BadCursor for values of another order.
    """
    if after is not None:
        statement = statement.where(_past(order, after))
    size = max(0, min(first, MAX_PAGE))
    ordered = statement.order_by(*(c.desc() if down else c.asc() for c, down in order))
    rows = await db.all(ordered.limit(size + 1))
    keys = tuple(str(column.key) for column, _ in order)
    return Page(rows[:size], len(rows) > size, keys)


async def count(db: Reader, statement: Select[Any]) -> int:
    """How many rows the statement would give."""
    return int(await db.value(select(func.count()).select_from(statement.subquery())))


def _past(order: Order, after: list[Any]) -> ColumnElement[bool]:
    if len(after) != len(order):
        raise BadCursor
    steps: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for (column, down), value in zip(order, after, strict=True):
        bound = _bound(column, value)
        steps.append(and_(*same, column < bound if down else column > bound))
        same.append(column == bound)
    return or_(*steps)


def _bound(column: ColumnElement[Any], value: Any) -> Any:
    if isinstance(column.type, Utc):
        try:
            return datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise BadCursor from None
    if type(value) is not column.type.python_type:
        raise BadCursor
    return value


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
