"""Lists in an order, and their pages by keyset: the next one begins after the last row's values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
class Listing:
    """Which rows a list has, and in which order.

    The statement selects all columns of its table, and every column of `order` under its own name;
    none of these is ever NULL. A function that makes a listing takes bound parameters where it
    takes numbers and texts: it asks of such a value only whether it is None.
    """

    statement: Select[Any]
    order: Order

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the columns that a cursor of this list carries."""
        return tuple(str(column.key) for column, _ in self.order)

    def top(self, limit: Any) -> Select[Any]:
        """The first `limit` rows in the list's order."""
        ordered = self.statement.order_by(
            *(c.desc() if down else c.asc() for c, down in self.order)
        )
        return ordered.limit(limit)

    def past(self, values: Sequence[Any]) -> "Listing":
        """The rest of the list behind the row with these values of `order`."""
        steps: list[ColumnElement[bool]] = []
        same: list[ColumnElement[bool]] = []
        for (column, down), value in zip(self.order, values, strict=True):
            steps.append(and_(*same, column < value if down else column > value))
            same.append(column == value)
        return replace(self, statement=self.statement.where(or_(*steps)))

    def values_of(self, cursor: list[Any]) -> list[Any]:
        """What `past` takes, from the JSON values of a cursor; BadCursor for another order's."""
        if len(cursor) != len(self.order):
            raise BadCursor
        return [
            _typed(column, value) for (column, _), value in zip(self.order, cursor, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row[Any]]
    has_next: bool
    keys: tuple[str, ...]

    def key_of(self, row: Row[Any]) -> list[Any]:
        """The values that a cursor of this row carries; JSON values only."""
        return [_plain(getattr(row, key)) for key in self.keys]


async def keyset(db: Reader, listing: Listing, first: int, after: list[Any] | None = None) -> Page:
    """The first `first` rows (at most MAX_PAGE) past the cursor values `after`.

    Raises BadCursor for values of another order.
    """
    size = max(0, min(first, MAX_PAGE))
    rest = listing if after is None else listing.past(listing.values_of(after))
    rows = await db.all(rest.top(size + 1))
    return Page(rows[:size], len(rows) > size, listing.keys)


async def count(db: Reader, listing: Listing) -> int:
    """How many rows the list has in all."""
    return int(await db.value(select(func.count()).select_from(listing.statement.subquery())))


def _typed(column: ColumnElement[Any], value: Any) -> Any:
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
