"""Batch loaders: what the siblings of one level of an answer ask for costs one statement.

A level is read when nothing else of the operation is being read any more, so that two lists beside
each other share their statements whichever of them comes first.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.sql.elements import ColumnElement

from app.auth import Viewer
from app.db import READS, Database, Reads
from app.errors import NotFound
from schema.fields import ENTITIES, Batch, BatchRead, Entity, Many

QUIET_TICKS = 3  # without a new wish before a level is read
LONGEST_WAIT_S = 1.0  # for neighbours that are still reading

Read = Callable[[list[Any]], Awaitable[Sequence[Any]]]


class Levels:
    """Waits until a level of the answer has told all its wishes, then lets it be read at once."""

    def __init__(self) -> None:
        self.reads = READS.get() or Reads()
        self._ready: list[Callable[[], None]] = []
        self._has_news = self._is_waiting = False

    def add(self, start: Callable[[], None] | None) -> None:
        """Notes a wish; `start` is given with the first one of a batch and reads them all."""
        if start is not None:
            self._ready.append(start)
        self._has_news = True
        if not self._is_waiting:
            self._is_waiting = True
            asyncio.get_running_loop().call_soon(self._look, QUIET_TICKS)

    def _look(self, ticks: int) -> None:
        loop = asyncio.get_running_loop()
        if self._has_news:
            self._has_news, ticks = False, QUIET_TICKS
        if self.reads.open:
            self._wait_for_neighbours(loop)
        elif ticks:
            loop.call_soon(self._look, ticks - 1)
        else:
            self._start()

    def _wait_for_neighbours(self, loop: asyncio.AbstractEventLoop) -> None:
        late = loop.call_later(LONGEST_WAIT_S, self._start)

        def go_on() -> None:
            if not late.cancelled() and self._is_waiting:
                late.cancel()
                loop.call_soon(self._look, QUIET_TICKS)

        self.reads.when_none.append(go_on)

    def _start(self) -> None:
        ready, self._ready = self._ready, []
        self._is_waiting = False
        for start in ready:
            start()


class Loader:
    """Values by key: each is read once, together with the others of its level."""

    def __init__(self, read: Read, levels: Levels) -> None:
        self._read, self._levels = read, levels
        self._known: dict[Hashable, asyncio.Future[Any]] = {}
        self._wishes: list[tuple[Any, asyncio.Future[Any]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, key: Any, name: Hashable) -> Any:
        """The value of `key`; `name` is what makes two keys the same."""
        if name not in self._known:
            future = asyncio.get_running_loop().create_future()
            self._known[name] = future
            self._wishes.append((key, future))
            self._levels.add(self._start if len(self._wishes) == 1 else None)
        return await self._known[name]

    def _start(self) -> None:
        wishes, self._wishes = self._wishes, []
        task = asyncio.get_running_loop().create_task(self._fulfil(wishes))
        self._running.add(task)  # the loop keeps only a weak reference
        task.add_done_callback(self._running.discard)

    async def _fulfil(self, wishes: list[tuple[Any, asyncio.Future[Any]]]) -> None:
        try:
            with self._levels.reads.one_more():
                values = await self._read([key for key, _ in wishes])
        except Exception as error:  # noqa: BLE001  every waiting field tells of it
            for _, future in wishes:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), value in zip(wishes, values, strict=True):
            if not future.done():
                future.set_result(value)


class Loaders:
    """The loaders of one operation; access is part of every statement (`visible_to`)."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self._database = database
        self._viewer = viewer
        self._levels = Levels()
        self._ones: dict[str, Loader] = {}
        self._manies: dict[Many, Loader] = {}
        self._batches: dict[tuple[str, BatchRead], Loader] = {}

    async def one(self, kind: str, key: int) -> Entity | None:
        """The visible entity of that kind and key. Raises NotFound for a kind that is no node."""
        if kind not in ENTITIES:
            raise NotFound("node")
        if kind not in self._ones:
            self._ones[kind] = Loader(self._read_one(ENTITIES[kind]), self._levels)
        found: Entity | None = await self._ones[kind].load(key, key)
        return found

    async def many(self, declared: Many, key: int) -> Sequence[Entity]:
        if declared not in self._manies:
            self._manies[declared] = Loader(self._read_many(declared), self._levels)
        found: Sequence[Entity] = await self._manies[declared].load(key, key)
        return found

    async def batch(self, declared: Batch, kind: str, row: Any) -> Any:
        """The value for a row of that kind; fields that share a reader share what it read."""
        place = kind, declared.read
        if place not in self._batches:
            self._batches[place] = Loader(self._read_batch(declared.read), self._levels)
        return declared.wrap(await self._batches[place].load(row, row.id))

    def _read_one(self, entity: type[Entity]) -> Read:
        statement = entity.visible_to(self._viewer)
        key_column = statement.selected_columns.id

        async def read(keys: list[int]) -> list[Entity | None]:
            async with self._database.read() as db:
                rows = await db.all(statement.where(key_column.in_(keys)))
            found = {row.id: entity.of(row) for row in rows}
            return [found.get(key) for key in keys]

        return read

    def _read_many(self, declared: Many) -> Read:
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

    def _read_batch(self, source: BatchRead) -> Read:
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
