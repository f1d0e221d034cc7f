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
from app.plan.loads import Asker, KeyLoad, ListLoad, Load, ManyLoad, Rider, Rows, tables_of
from app.plan.shapes import (
    Arguments,
    BatchUse,
    Children,
    Edge,
    EntityFrame,
    Field,
    Items,
    Made,
    Sub,
)
from app.statements import Prepared


@dataclass(slots=True)
class Reading:
    """The rows of a plan's frames, level by level, and the objects made of them."""

    db: Reader
    context: Context
    asker: Asker
    levels: list[list[EntityFrame]]
    arguments: Arguments
    emitted: list[Any]
    tags: set[str] | None = None
    is_broken: bool = False
    rows: dict[int, Rows] = field(default_factory=dict)
    batches: dict[int, list[Sequence[Any]]] = field(default_factory=dict)
    _wanted: dict[int, dict[Any, None]] = field(default_factory=lambda: defaultdict(dict))
    _entities: dict[KeyLoad, dict[int, Any]] = field(default_factory=dict)
    _children: dict[ManyLoad, dict[int, Rows]] = field(default_factory=lambda: defaultdict(dict))
    _counted: dict[Any, dict[int, Any]] = field(default_factory=lambda: defaultdict(dict))
    _places: dict[int, Any] = field(default_factory=dict)
    _failures: dict[int, Exception] = field(default_factory=dict)

    @property
    def viewer(self) -> Viewer:
        return self.asker.viewer

    def want(self, made: Made, value: Any) -> None:
        """Notes the keys of all entities that a value leads to."""
        if value is None:
            return
        if isinstance(made, Sub):
            self._want_below(made, value)
        elif isinstance(made, Edge | Children):
            self._wanted[made.frame.number][value] = None
        elif isinstance(made, Items):
            for one in value:
                self.want(made.each, one)

    def _want_below(self, made: Sub, value: Any) -> None:
        kind = kind_of(value)
        frame = made.kinds.get(kind)
        if frame is not None:
            key = key_of(value)
            assert key is not None
            self._wanted[frame.number][key] = None
            return
        for one in made.values[kind].below:
            assert one.pick is not None
            self.want(one.made, one.pick(value, (), self.arguments))

    def listed(self, load: ListLoad, rows: Rows) -> None:
        """Takes the rows of a root list, tagged with every table that its statement has read."""
        for frame in load.frames:
            self.rows[frame.number] = rows
        if self.tags is not None:
            self.tags |= load.tables_read

    async def read(self) -> None:
        """Reads all levels, from the roots outward."""
        for level in self.levels:
            for frame in level:
                if frame.above is not None:
                    if not frame.is_inline or self.tags is not None:
                        self._ride(frame, frame.above)
                elif frame.number not in self.rows:
                    await self._try_keys(frame, level)
            for frame in level:
                if frame.batches and self.rows[frame.number]:
                    await self._read_batches(frame, level)
            for frame in level:
                if frame.below and self.rows[frame.number]:
                    self._want_of_rows(frame)

    def _ride(self, frame: EntityFrame, above: EntityFrame) -> None:
        """Takes the rows that came along with those above."""
        load: Rider = frame.load
        carried = self.rows_of(above)
        rows = self.rows[frame.number] = load.rows(carried)
        if self.tags is not None and carried:
            place = load.behind.column(load.foreign_key)
            has_all = len(rows) == len({row[place] for row in carried} - {None})
            self._note(load, [row[frame.key] for row in rows], has_all=has_all)

    async def _try_keys(self, frame: EntityFrame, level: list[EntityFrame]) -> None:
        try:
            await self._read_keys(frame, level)
        except Exception as error:  # noqa: BLE001  told at every field that leads here
            self.is_broken = True
            self.rows[frame.number] = ()
            self._failures[frame.number] = error

    async def _read_keys(self, frame: EntityFrame, level: list[EntityFrame]) -> None:
        """Reads for all frames of a level that share a load, what no level has read yet."""
        load = frame.load
        if isinstance(load, ListLoad):  # its root has failed
            self.rows[frame.number] = ()
            return
        sharing = [one for one in level if one.load is load]
        for one in sharing:
            self._wanted[one.number].pop(None, None)  # keys that are null lead nowhere
        if isinstance(load, KeyLoad):
            await self._read_entities(load, sharing)
        elif len(load.frames) == 1:
            keys = list(self._wanted[frame.number])
            self.rows[frame.number] = await self._read(load, keys) if keys else ()
        else:
            await self._read_children(load, sharing)

    async def _read_entities(self, load: KeyLoad, sharing: list[EntityFrame]) -> None:
        wanted = {key: None for one in sharing for key in self._wanted[one.number]}
        known = self._entities.get(load)
        if known is None:
            known = self._entities[load] = load.lent(self.rows) if wanted else {}
        keys = [key for key in wanted if key not in known]
        if keys:
            known.update(dict.fromkeys(keys))
            known.update((row[0], row) for row in await self._read(load, keys))
        for one in sharing:
            rows = [known[key] for key in self._wanted[one.number]]
            self.rows[one.number] = [row for row in rows if row is not None]

    async def _read_children(self, load: ManyLoad, sharing: list[EntityFrame]) -> None:
        known = self._children[load]
        wanted = {key: None for one in sharing for key in self._wanted[one.number]}
        keys = [key for key in wanted if key not in known]
        if keys:
            found: dict[int, list[Any]] = {key: [] for key in keys}
            for row in await self._read(load, keys):
                found[row[0]].append(row)
            known.update(found)
        for one in sharing:
            self.rows[one.number] = [row for key in self._wanted[one.number] for row in known[key]]

    async def _read(self, load: KeyLoad | ManyLoad, keys: list[int]) -> Rows:
        rows = await load.read(self.db, self.asker, keys)
        if self.tags is not None:
            self._note(load, keys, has_all=len(rows) == len(keys))
        return rows

    def _note(self, load: Load, keys: list[int], *, has_all: bool) -> None:
        """Rows read by key are tagged one by one; all else that the statement read by table.

        Where a row was not found it may come to be: that is a change of its table.
        """
        assert self.tags is not None
        name, tables = load.tables
        if isinstance(load, KeyLoad | Rider):
            self.tags.update([f"{name}:{key}" for key in keys])
            self.tags |= tables - {name} if has_all else tables
        else:
            self.tags |= tables

    async def _read_batches(self, frame: EntityFrame, level: list[EntityFrame]) -> None:
        """Values for the rows of a frame; frames of one level have theirs read together."""
        columns: list[Sequence[Any]] = []
        rows = self.rows[frame.number]
        for use in frame.batches:
            if use.is_alone:
                columns.append(await self._counted_for(use, [use.named(row) for row in rows]))
                continue
            known, wanted = self._counted[use.of], {}
            for one in level:
                for other in one.batches:
                    if other.of == use.of:
                        named = map(other.named, self.rows[one.number])
                        wanted.update({row.id: row for row in named if row.id not in known})
            if wanted:
                values = await self._counted_for(use, list(wanted.values()))
                known.update(zip(wanted, values, strict=True))
            columns.append([known[use.named(row).id] for row in rows])
        self.batches[frame.number] = columns

    async def _counted_for(self, use: BatchUse, rows: list[Any]) -> Sequence[Any]:
        db = self.db if self.tags is None else Noting(self.db, self.tags)
        try:
            return await use.declared.read(db, self.viewer, rows)
        except Exception as error:  # noqa: BLE001  told at every field that needs it
            self.is_broken = True
            return [error] * len(rows)

    def _want_of_rows(self, frame: EntityFrame) -> None:
        rows, arguments = self.rows[frame.number], self.arguments
        columns = self.batches.get(frame.number, [])
        batches = list(zip(*columns, strict=True)) if columns else [()] * len(rows)
        for one in frame.below:
            made, pick = one.made, one.pick
            assert pick is not None
            if one.kept is not None:
                columns.append(self._want_of_batch(one, pick, rows, batches))
                continue
            if isinstance(made, Edge | Children):
                assert one.place is not None
                self._wanted[made.frame.number].update(
                    dict.fromkeys([row[one.place] for row in rows])
                )
                continue
            for row, batch in zip(rows, batches, strict=True):
                try:
                    self.want(made, pick(row, batch, arguments))
                except Exception:  # noqa: BLE001  the careful path meets it again, at its place
                    self.is_broken = True

    def _want_of_batch(
        self, one: Field, pick: Any, rows: Rows, batches: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """The values of a field that is made from a batch: they are made once."""
        values: list[Any] = []
        for row, batch in zip(rows, batches, strict=True):
            value = None
            try:
                value = pick(row, batch, self.arguments)
                self.want(one.made, value)
            except Exception:  # noqa: BLE001  as above
                self.is_broken = True
            values.append(value)
        return values

    # what became of it

    def emit(self, frames: list[EntityFrame]) -> None:
        """Makes the objects of these frames, innermost first. Raises where something is wrong."""
        emitted = self.emitted
        for frame in frames:
            rows = self.rows[frame.number]
            if not rows:
                emitted[frame.number] = [] if isinstance(frame.load, ListLoad) else {}
                continue
            assert frame.emit is not None
            columns = self.batches.get(frame.number)
            batches = list(zip(*columns, strict=True)) if columns else ()
            objects = frame.emit(rows, batches, emitted, self.arguments)
            if isinstance(frame.load, KeyLoad | Rider):
                key = frame.key
                made: Any = dict(zip([row[key] for row in rows], objects, strict=True))
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
        """Its rows; those that came along are looked for when they are first needed."""
        if frame.above is not None and frame.number not in self.rows:
            self._ride(frame, frame.above)
        return self.rows[frame.number]

    def batches_of(self, frame: EntityFrame) -> list[Sequence[Any]]:
        return self.batches.get(frame.number, [])

    def place_of(self, frame: EntityFrame, key: Any) -> int | None:
        """Where the row with that key stands."""
        number = self._number_of(frame)
        if number not in self._places:
            rows = enumerate(self.rows_of(frame))
            self._places[number] = {row[frame.key]: place for place, row in rows}
        place: int | None = self._places[number].get(key)
        return place

    def places_under(self, frame: EntityFrame, parent: Any) -> list[int]:
        """Where the rows of that parent stand, in order."""
        rows = self.rows[self._number_of(frame)]
        return [n for n, row in enumerate(rows) if row[0] == parent]

    def _number_of(self, frame: EntityFrame) -> int:
        """The number of a frame whose rows were read; raises what has kept them from it."""
        if frame.number in self._failures:
            raise self._failures[frame.number]
        return frame.number


class Noting(Reader):
    """A reader that notes which tables are read through it."""

    def __init__(self, db: Reader, tags: set[str]) -> None:
        self._db, self._tags = db, tags
        self.dialect, self.kept = db.dialect, db.kept

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
