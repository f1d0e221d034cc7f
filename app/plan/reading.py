"""One run of a plan: what it wants to read, what it has read, and what became of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Executable

from app.auth import Role, Viewer
from app.context import Context
from app.db import Reader
from app.plan.emit import key_of, kind_of
from app.plan.loads import Asker, KeyLoad, ListLoad, Load, ManyLoad, Rows, tables_of
from app.plan.shapes import (
    Arguments,
    Children,
    Edge,
    EntityFrame,
    Items,
    Leaf,
    Made,
    Sub,
    reads,
)
from app.statements import Prepared


@dataclass
class Reading:
    """The rows of a plan's loads, level by level, and the objects made of them."""

    db: Reader
    context: Context
    asker: Asker
    levels: list[list[Load]]
    arguments: Arguments
    emitted: list[Any]
    wanted: dict[int, dict[int, None]] = field(default_factory=lambda: defaultdict(dict))
    rows: dict[int, Rows] = field(default_factory=dict)
    batches: dict[int, list[Sequence[Any]]] = field(default_factory=dict)
    tags: set[str] | None = None
    is_broken: bool = False
    _places: dict[int, Any] = field(default_factory=dict)

    @property
    def viewer(self) -> Viewer:
        return self.asker.viewer

    def want(self, made: Made, value: Any) -> None:
        """Notes the keys of all entities that a value leads to."""
        match made:
            case Leaf():
                return
            case Items(each, _):
                for one in value or ():
                    self.want(each, one)
            case Edge(frame) | Children(frame):
                if value is not None:
                    self.wanted[id(frame.load)][value] = None
            case Sub():
                if value is not None:
                    self._want_below(made, value)

    def _want_below(self, made: Sub, value: Any) -> None:
        kind = kind_of(value)
        frame = made.kinds.get(kind)
        if frame is not None:
            key = key_of(value)
            assert key is not None
            self.wanted[id(frame.load)][key] = None
            return
        for one in made.values[kind].fields:
            if reads(one.made):
                assert one.pick is not None
                self.want(one.made, one.pick(value, (), self.arguments))

    async def read(self) -> None:
        """Reads all levels, from the roots outward."""
        for level in self.levels:
            for load in level:
                if not isinstance(load, ListLoad):
                    await self._read_keys(load)
                for frame in load.frames:
                    await self._take(frame, self.rows.get(id(load), ()))

    async def _read_keys(self, load: Load) -> None:
        keys = list(self.wanted[id(load)])
        if not keys:
            return
        assert isinstance(load, KeyLoad | ManyLoad)
        rows = self.rows[id(load)] = await load.read(self.db, self.asker, keys)
        if self.tags is not None:
            self._note(load, keys, has_all=len(rows) == len(keys))

    def note_list(self, load: ListLoad) -> None:
        """A list is tagged with every table that its statements have read."""
        if self.tags is not None:
            self.tags |= load.tables_read

    def _note(self, load: Load, keys: list[int], *, has_all: bool) -> None:
        """Rows read by key are tagged one by one; all else that the statement read by table.

        Where a row was not found it may come to be: that is a change of its table.
        """
        assert self.tags is not None
        name, tables = load.tables
        if isinstance(load, KeyLoad):
            self.tags.update([f"{name}:{key}" for key in keys])
            self.tags |= tables - {name} if has_all else tables
        else:
            self.tags |= tables

    async def _take(self, frame: EntityFrame, rows: Rows) -> None:
        if not rows:
            return
        columns: list[Sequence[Any]] = []
        for use in frame.batches:
            named = [
                use.make(
                    row[place] if process is None else process(row[place])
                    for place, process in use.columns
                )
                for row in rows
            ]
            try:
                db = self.db if self.tags is None else Noting(self.db, self.tags)
                columns.append(await use.declared.read(db, self.viewer, named))
            except Exception as error:  # noqa: BLE001  told at every field that needs it
                self.is_broken = True
                columns.append([error] * len(rows))
        self.batches[frame.number] = columns
        if not frame.below:
            return
        batches = list(zip(*columns, strict=True)) if columns else [()] * len(rows)
        for one in frame.below:
            self._want_of_rows(one, rows, batches)

    def _want_of_rows(self, one: Any, rows: Rows, batches: Sequence[Any]) -> None:
        made, pick, arguments = one.made, one.pick, self.arguments
        if isinstance(made, Edge | Children):
            wanted = self.wanted[id(made.frame.load)]
            for row in rows:
                key = pick(row, (), arguments)
                if key is not None:
                    wanted[key] = None
            return
        for row, batch in zip(rows, batches, strict=True):
            try:
                self.want(made, pick(row, batch, arguments))
            except Exception:  # noqa: BLE001  the careful path meets it again, at its place
                self.is_broken = True

    # what became of it

    def emit(self, frames: list[EntityFrame]) -> None:
        """Makes the objects of all frames, the outermost last. Raises where something is wrong."""
        emitted = self.emitted
        for frame in reversed(frames):
            assert frame.emit is not None
            rows = self.rows.get(id(frame.load), ())
            columns = self.batches.get(frame.number, ())
            batches = list(zip(*columns, strict=True)) if columns else ()
            objects = frame.emit(rows, batches, emitted, self.arguments)
            if isinstance(frame.load, KeyLoad):
                made: Any = dict(zip([row[0] for row in rows], objects, strict=True))
            elif isinstance(frame.load, ManyLoad):
                made = {}
                for row, one in zip(rows, objects, strict=True):
                    parent = row[0]
                    if parent in made:
                        made[parent].append(one)
                    else:
                        made[parent] = [one]
            else:
                made = objects
            emitted[frame.number] = made

    def rows_of(self, frame: EntityFrame) -> Rows:
        return self.rows.get(id(frame.load), ())

    def batches_of(self, frame: EntityFrame) -> list[Sequence[Any]]:
        return self.batches.get(frame.number, [])

    def place_of(self, frame: EntityFrame, key: Any) -> int | None:
        """Where the row with that key stands."""
        load = id(frame.load)
        if load not in self._places:
            self._places[load] = {row[0]: n for n, row in enumerate(self.rows_of(frame))}
        place: int | None = self._places[load].get(key)
        return place

    def places_under(self, frame: EntityFrame, parent: Any) -> list[int]:
        """Where the rows of that parent stand, in order."""
        return [n for n, row in enumerate(self.rows_of(frame)) if row[0] == parent]


class Noting(Reader):
    """A reader that notes which tables are read through it."""

    def __init__(self, db: Reader, tags: set[str]) -> None:
        self._db, self._tags = db, tags
        self.dialect = db.dialect

    async def all(self, statement: Executable | Prepared, values: Any = None) -> Any:
        self._note(statement)
        return await self._db.all(statement, values)

    async def first(self, statement: Executable | Prepared, values: Any = None) -> Any:
        self._note(statement)
        return await self._db.first(statement, values)

    async def value(self, statement: Executable | Prepared, values: Any = None) -> Any:
        self._note(statement)
        return await self._db.value(statement, values)

    def _note(self, statement: Executable | Prepared) -> None:
        if isinstance(statement, Prepared):
            statement = statement.core(self.dialect)
        self._tags |= tables_of(statement)


def is_anonymous(viewer: Viewer) -> bool:
    """Nothing is known of this viewer: an answer without live fields is everybody's."""
    return viewer.role is Role.GUEST and viewer.id is None and viewer.guest_key is None
