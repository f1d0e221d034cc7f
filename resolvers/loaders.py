"""Batch loaders: everything that siblings ask for in one tick costs one statement."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.sql.elements import ColumnElement
from strawberry.dataloader import DataLoader

from app.auth import Viewer
from app.db import Database
from app.errors import NotFound
from schema.fields import ENTITIES, Batch, BatchRead, Entity, Many


class Loaders:
    """The loaders of one operation; access is part of every statement (`visible_to`)."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self._database = database
        self._viewer = viewer
        self._ones: dict[str, DataLoader[int, Entity | None]] = {}
        self._manies: dict[Many, DataLoader[int, list[Entity]]] = {}
        self._batches: dict[tuple[str, BatchRead], DataLoader[Any, Any]] = {}

    async def one(self, kind: str, key: int) -> Entity | None:
        """The visible entity of that kind and key. Raises NotFound for a kind that is no node."""
        if kind not in ENTITIES:
            raise NotFound("node")
        if kind not in self._ones:
            self._ones[kind] = DataLoader(load_fn=self._read_one(ENTITIES[kind]))
        return await self._ones[kind].load(key)

    async def many(self, declared: Many, key: int) -> Sequence[Entity]:
        if declared not in self._manies:
            self._manies[declared] = DataLoader(load_fn=self._read_many(declared))
        return await self._manies[declared].load(key)

    async def batch(self, declared: Batch, kind: str, row: Any) -> Any:
        """The value for a row of that kind; fields that share a reader share what it read."""
        place = kind, declared.read
        if place not in self._batches:
            self._batches[place] = DataLoader(
                load_fn=self._read_batch(declared.read), cache_key_fn=lambda one: one.id
            )
        return declared.wrap(await self._batches[place].load(row))

    def _read_one(self, entity: type[Entity]) -> Callable[[list[int]], Any]:
        statement = entity.visible_to(self._viewer)
        key_column = statement.selected_columns.id

        async def read(keys: list[int]) -> list[Entity | None]:
            async with self._database.read() as db:
                rows = await db.all(statement.where(key_column.in_(keys)))
            found = {row.id: entity.of(row) for row in rows}
            return [found.get(key) for key in keys]

        return read

    def _read_many(self, declared: Many) -> Callable[[list[int]], Any]:
        entity = ENTITIES[declared.kind]

        async def read(keys: list[int]) -> list[list[Entity]]:
            statement = first_of_each(entity.visible_to(self._viewer), declared, keys)
            async with self._database.read() as db:
                rows = await db.all(statement)
            children: dict[int, list[Entity]] = defaultdict(list)
            for row in rows:
                children[getattr(row, declared.foreign_key)].append(entity.of(row))
            return [children[key] for key in keys]

        return read

    def _read_batch(self, source: BatchRead) -> Callable[[list[Any]], Any]:
        async def read(rows: list[Any]) -> Sequence[Any]:
            async with self._database.read() as db:
                return await source(db, self._viewer, rows)

        return read


def first_of_each(visible: Select[Any], declared: Many, keys: Sequence[int]) -> Select[Any]:
    """The first `limit` children of every parent key, in the declared order."""
    columns = visible.selected_columns
    chosen = visible.where(
        and_(
            columns[declared.foreign_key].in_(keys),
            *(columns[name] == value for name, value in declared.where),
        )
    )
    place = func.row_number().over(
        partition_by=columns[declared.foreign_key], order_by=ordering(columns, declared.order)
    )
    ranked = chosen.add_columns(place.label("place")).subquery()
    return (
        select(*(ranked.c[name] for name in columns.keys()))  # noqa: SIM118  not a dict
        .where(ranked.c.place <= declared.limit)
        .order_by(ranked.c.place)
    )


def ordering(columns: Any, order: Sequence[str]) -> list[ColumnElement[Any]]:
    return [
        columns[name.removeprefix("-")].desc() if name.startswith("-") else columns[name].asc()
        for name in order
    ]
