"""Access rules that follow another row's: who sees an order sees its lines."""

from typing import Any

from sqlalchemy import Column, ColumnElement, Select


def leads_to(column: Column[Any], visible: Select[Any]) -> ColumnElement[bool]:
    """Whether a foreign key names a row of `visible`, asked row by row through its key.

    Written as `IN (SELECT ...)` it means the same, but SQLite reads all visible rows first: 2 ms
    for a product's SKUs among 1,000 products, 20 us like this.
    """
    key = visible.selected_columns.id
    found = visible.where(key == column).with_only_columns(key)
    return found.correlate(column.table).exists()
