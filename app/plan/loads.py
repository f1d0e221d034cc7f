"""The statements of a plan: one per level and source, with just the columns that are asked for."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, func, select
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnElement

from app.auth import Viewer
from app.db import Reader
from app.plan.shapes import EntityFrame
from app.services.pages import MAX_PAGE, Listing
from app.statements import DIALECTS, Prepared, among, bind, shape_of, symbol_of
from schema.fields import Entity, Many
from schema.reads import PageOf

KEY, KEYS, SIZE = "plan_key", "plan_keys", "plan_size"
_FEW = 8  # keys that have a place each: 5 us less than one place for all of them
_MOST_RIDERS = 6  # joins of one statement
Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Asker:
    """A viewer as statements see it: what makes another statement, and the values to run with."""

    viewer: Viewer
    shape: int  # the number of one
    values: dict[str, Any]

    @property
    def symbol(self) -> Viewer:
        made: Viewer = symbol_of("viewer", self.viewer)
        return made


_NUMBERS: dict[Hashable, int] = {}


@lru_cache(maxsize=4096)
def asker_of(viewer: Viewer) -> Asker:
    values: dict[str, Any] = {}
    shape = shape_of("viewer", viewer, values)
    return Asker(viewer, _NUMBERS.setdefault(shape, len(_NUMBERS)), values)


@dataclass(eq=False)
class Load:
    """Rows of one entity for all frames that read it from the same place.

    `columns` are those of the entity by name, and those of its riders by their number and name.
    """

    entity: type[Entity]
    dialect: str
    frames: list[EntityFrame] = field(default_factory=list)
    columns: dict[tuple[int, str], int] = field(default_factory=dict)
    riders: list["Rider"] = field(default_factory=list)
    number: int = 0  # of a rider
    _statements: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def carrier(self) -> "Load":
        """The load whose statement reads the rows."""
        return self

    def column(self, name: str) -> int:
        """The place of a column in the rows, which is made when it is new."""
        columns = self.carrier.columns
        return columns.setdefault((self.number, name), len(columns))

    def rider(self, entity: type[Entity], foreign_key: str) -> "Rider | None":
        """The entities behind a foreign key, read along; None where there are enough of these."""
        carrier = self.carrier
        for one in carrier.riders:
            if one.behind is self and one.entity is entity and one.foreign_key == foreign_key:
                return one
        if len(carrier.riders) == _MOST_RIDERS:
            return None
        number = len(carrier.riders) + 1
        made = Rider(entity, self.dialect, number=number, behind=self, foreign_key=foreign_key)
        carrier.riders.append(made)
        return made

    def kind_of(self, name: str) -> Any:
        """The type of a column, and whether it is ever NULL."""
        return self.entity.visible_to(Viewer()).selected_columns[name]

    def processor(self, name: str) -> Callable[[Any], Any] | None:
        """What makes a Python value of what the driver gives for that column."""
        dialect = DIALECTS[self.dialect]
        kind = self.kind_of(name).type.dialect_impl(dialect)
        made: Callable[[Any], Any] | None = kind.result_processor(dialect, None)
        return made

    def narrowed(
        self, statement: Select[Any], asker: Asker, more: Iterable[str] = ()
    ) -> Select[Any]:
        """The statement with this load's columns in their places, then `more` of its own."""
        columns = statement.selected_columns
        ridden = self._ridden(asker)
        chosen = [
            ridden[number].c[name].label(f"rider_{number}_{name}") if number else columns[name]
            for number, name in self.columns
        ]
        chosen += [columns[name] for name in more]
        made = statement.with_only_columns(*chosen, maintain_column_froms=True)
        return self._joined(made, columns, ridden)

    def _ridden(self, asker: Asker) -> dict[int, Any]:
        """What the viewer may see of each rider's entities, by the rider's number."""
        return {
            one.number: one.entity.visible_to(asker.symbol).subquery(f"rider_{one.number}")
            for one in self.riders
        }

    def _joined(self, statement: Select[Any], columns: Any, ridden: dict[int, Any]) -> Select[Any]:
        for one in self.riders:
            number = one.behind.number
            key = (ridden[number].c if number else columns)[one.foreign_key]
            rows = ridden[one.number]
            statement = statement.join_from(columns.id.table, rows, rows.c.id == key, isouter=True)
        return statement

    @cached_property
    def tables(self) -> tuple[str, frozenset[str]]:
        """The table of the entity, and all that its access rule reads for a guest."""
        visible = self.entity.visible_to(Viewer())
        return visible.selected_columns.id.table.name, tables_of(visible)

    def prepared(self, shape: Hashable, build: Callable[[], Select[Any]]) -> Prepared:
        found: Prepared | None = self._statements.get(shape)
        if found is None:
            found = self._statements[shape] = Prepared(build())
        return found


@dataclass(eq=False)
class Rider(Load):
    """To-one entities that a carrier's statement joins to its rows: a row more for nobody.

    A statement by itself costs about 45 us, a joined row one or two.
    """

    behind: Load = field(kw_only=True)
    foreign_key: str = field(kw_only=True)

    @property
    def carrier(self) -> Load:
        return self.behind.carrier

    def rows(self, carried: Rows) -> Rows:
        """The rows in which there is such an entity, one for each."""
        place = self.column("id")
        found = {row[place]: row for row in carried}
        found.pop(None, None)
        return list(found.values())


@dataclass(eq=False)
class KeyLoad(Load):
    """Entities by their keys; a row's first column is its key."""

    _lenders: list["_Lender"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.column("id")

    def borrow(self, loads: Iterable[Load]) -> None:
        """Finds the riders that read all that this load does; for when all columns are known."""
        if self.riders:
            return
        for one in (rider for load in loads for rider in load.riders):
            known = [one.carrier.columns.get((one.number, name)) for _, name in self.columns]
            if one.entity is self.entity and None not in known:
                make = itemgetter(*known) if len(known) > 1 else _only(known[0])
                self._lenders.append(_Lender(one.carrier, one.column("id"), make))

    def lent(self, rows: Mapping[int, Rows]) -> dict[int, Sequence[Any]]:
        """Rows by key that riders have brought already, of the rows read by frame."""
        found: dict[int, Sequence[Any]] = {}
        for load, key, make in self._lenders:
            for frame in load.frames:
                carried = {row[key]: row for row in rows.get(frame.number, ())}
                carried.pop(None, None)
                found.update(zip(carried, map(make, carried.values()), strict=True))
        return found

    async def read(self, db: Reader, asker: Asker, keys: list[int]) -> Rows:
        size, values = _sized(keys)
        prepared = self.prepared((asker.shape, size), lambda: self._by_key(asker, size))
        return await db.tuples(prepared, {**asker.values, **values})

    def _by_key(self, asker: Asker, size: int) -> Select[Any]:
        visible = self.entity.visible_to(asker.symbol)
        return self.narrowed(visible.where(_is_one_of(visible.selected_columns.id, size)), asker)


class _Lender(NamedTuple):
    load: Load
    key: int
    make: Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(eq=False)
class ManyLoad(Load):
    """Children of parents by the parents' keys; a row's first column is its parent's key.

    Usually the children of all parents fit into what their limits allow together; only where they
    do not, a window numbers the rows of every parent, which costs twice as much.
    """

    declared: Many = field(kw_only=True)

    def __post_init__(self) -> None:
        self.column(self.declared.foreign_key)

    async def read(self, db: Reader, asker: Asker, keys: list[int]) -> Rows:
        limit = self.declared.limit
        if len(keys) == 1:
            prepared = self.prepared((asker.shape, 1), lambda: self._of_one(asker))
            return await db.tuples(prepared, {**asker.values, f"{KEY}_0": keys[0]})
        most = len(keys) * limit + 1
        size, values = _sized(keys)
        prepared = self.prepared((asker.shape, size), lambda: self._of_many(asker, size))
        rows = await db.tuples(prepared, {**asker.values, **values, SIZE: most})
        if len(rows) > limit and (len(rows) == most or _has_more(rows, limit)):
            prepared = self.prepared((asker.shape, "each"), lambda: self._of_each(asker))
            rows = await db.tuples(prepared, {**asker.values, KEYS: keys})
        return rows

    def _chosen(self, asker: Asker) -> tuple[Select[Any], ColumnElement[Any]]:
        visible = self.entity.visible_to(asker.symbol)
        columns = visible.selected_columns
        equal = (columns[name] == value for name, value in self.declared.where)
        return visible.where(*equal), columns[self.declared.foreign_key]

    def _of_one(self, asker: Asker) -> Select[Any]:
        chosen, parent = self._chosen(asker)
        ordered = chosen.where(_is_one_of(parent, 1)).order_by(*self._order(chosen))
        return self.narrowed(ordered.limit(self.declared.limit), asker)

    def _of_many(self, asker: Asker, size: int) -> Select[Any]:
        chosen, parent = self._chosen(asker)
        ordered = chosen.where(_is_one_of(parent, size)).order_by(parent, *self._order(chosen))
        return self.narrowed(ordered.limit(bind(SIZE)), asker)

    def _of_each(self, asker: Asker) -> Select[Any]:
        chosen, parent = self._chosen(asker)
        place = func.row_number().over(partition_by=parent, order_by=self._order(chosen))
        ranked = chosen.where(among(parent, KEYS)).add_columns(place.label("place")).subquery()
        within = select(*ranked.c).where(ranked.c.place <= self.declared.limit)
        ordered = within.order_by(ranked.c[self.declared.foreign_key], ranked.c.place)
        return self.narrowed(ordered, asker)

    def _order(self, chosen: Select[Any]) -> list[ColumnElement[Any]]:
        columns = chosen.selected_columns
        return [
            columns[name[1:]].desc() if name.startswith("-") else columns[name].asc()
            for name in self.declared.order
        ]


@dataclass(frozen=True)
class Found:
    """A list as it was read: its rows, whether there are more, and cursor values of a row."""

    rows: Rows
    has_next: bool = False
    key_of: Callable[[Sequence[Any]], list[Any]] = list


@dataclass(eq=False)
class ListLoad(Load):
    """Rows of one root list, in its order."""

    tables_read: frozenset[str] = frozenset()  # by any statement that was made so far

    def __post_init__(self) -> None:
        self.column("id")  # there may be nothing else to select

    async def page(self, db: Reader, asker: Asker, read: PageOf, after: list[Any] | None) -> Found:
        """The page of a settled read; `after` holds the values of its cursor. Raises BadCursor."""
        values = dict(asker.values)
        narrowed = tuple(read.narrowed.items())
        inner = tuple([shape_of(f"given_{name}", value, values) for name, value in narrowed])
        shape = (asker.shape, inner, after is None)
        known = self._statements.get(shape)
        if known is None:
            given = {name: symbol_of(f"given_{name}", value) for name, value in narrowed}
            listing = read.listing(asker.symbol, **given)
            known = _Paged(self, asker, listing, has_after=after is not None)
            self._statements[shape] = known
            self.tables_read |= tables_of(listing.statement)
        if after is not None:
            for place, value in enumerate(known.listing.values_of(after)):
                values[f"after_{place}"] = value
        size = max(0, min(read.first, MAX_PAGE))
        rows = await db.tuples(known.prepared, {**values, SIZE: size + 1})
        return Found(rows[:size], len(rows) > size, known.key_of)

    async def top(
        self, db: Reader, asker: Asker, listing: Callable[..., Listing], narrowed: Any, limit: int
    ) -> Found:
        values = dict(asker.values)
        items = tuple(narrowed.items())
        inner = tuple([shape_of(f"given_{name}", value, values) for name, value in items])

        def build() -> Select[Any]:
            given = {name: symbol_of(f"given_{name}", value) for name, value in items}
            made = listing(asker.symbol, **given).top(bind(SIZE))
            self.tables_read |= tables_of(made)
            return self.narrowed(made, asker)

        prepared = self.prepared((asker.shape, inner), build)
        return Found(await db.tuples(prepared, {**values, SIZE: limit}))


class _Paged:
    """The statement of a page and what its cursors are made of."""

    def __init__(self, load: ListLoad, asker: Asker, listing: Listing, *, has_after: bool) -> None:
        self.listing = listing
        if has_after:
            listing = listing.past([bind(f"after_{place}") for place in range(len(listing.order))])
        own = {name: place for (number, name), place in load.columns.items() if not number}
        more = [name for name in listing.keys if name not in own]
        self.prepared = Prepared(load.narrowed(listing.top(bind(SIZE)), asker, more))
        places = own | {name: len(load.columns) + place for place, name in enumerate(more)}
        processors = self.prepared.on(load.dialect).processors
        self._keys = [(places[name], processors[places[name]]) for name in listing.keys]

    def key_of(self, row: Sequence[Any]) -> list[Any]:
        values = [
            row[place] if process is None else process(row[place]) for place, process in self._keys
        ]
        return [value.isoformat() if hasattr(value, "isoformat") else value for value in values]


def tables_of(statement: Any) -> frozenset[str]:
    """The names of all tables that a statement reads."""
    found = {one.name for one in visitors.iterate(statement) if isinstance(one, Table)}
    return frozenset(found)


def _only(place: int | None) -> Callable[[Sequence[Any]], Sequence[Any]]:
    assert place is not None
    return lambda row: (row[place],)


def _sized(keys: list[int]) -> tuple[int, dict[str, Any]]:
    """How many places a few keys take, the last one repeated; 0 for one place of many keys."""
    if len(keys) > _FEW:
        return 0, {KEYS: keys}
    size = 1 << (len(keys) - 1).bit_length()
    padded = keys + keys[-1:] * (size - len(keys))
    return size, {f"{KEY}_{place}": key for place, key in enumerate(padded)}


def _is_one_of(column: ColumnElement[Any], size: int) -> ColumnElement[bool]:
    if size == 1:
        return column == bind(f"{KEY}_0")
    if size:
        return column.in_([bind(f"{KEY}_{place}") for place in range(size)])
    return among(column, KEYS)


def _has_more(rows: Rows, limit: int) -> bool:
    """Whether any parent has more than `limit` rows; rows of one parent follow each other."""
    return any(rows[place][0] == rows[place - limit][0] for place in range(limit, len(rows)))
