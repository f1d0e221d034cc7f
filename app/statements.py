"""Statements that are built and compiled once, then run with values only.

SQLAlchemy writes the SQL; what it costs to build, hash and compile a statement (a few hundred
microseconds on a hot path, several times the statement itself) is paid once per process.
"""

from collections import namedtuple
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, cast

import orjson
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Delete,
    Dialect,
    Executable,
    Insert,
    Integer,
    String,
    Text,
    Update,
    bindparam,
    types,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY, asyncpg
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList
from sqlalchemy.sql.visitors import InternalTraversal

Values = Mapping[str, Any]


def _document(text: Any) -> Any:
    """The JSON of a text. TypeError for anything else: SQLite's JSON type expects to be told so."""
    if not isinstance(text, str):
        raise TypeError("a JSON document is a text")
    return orjson.loads(text)


DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark", json_deserializer=_document),
    "postgresql": asyncpg.dialect(),  # type: ignore[no-untyped-call]
}
_INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def bind(name: str) -> BindParameter[Any]:
    """A place for a value. Its type is that of the column it is compared with or stored in.

    In an INSERT or UPDATE its name differs from all columns: SQLAlchemy keeps those for itself.
    """
    return bindparam(name, required=False)


class _Keys(types.TypeDecorator[list[int]]):
    """Many keys as one value: a JSON text on SQLite, an array on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        is_sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(Text() if is_sqlite else ARRAY(BigInteger))

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> Any:
        keys = list(value or ())
        return orjson.dumps(keys).decode() if dialect.name == "sqlite" else keys


class among(ColumnElement[bool]):  # noqa: N801  reads like a function
    """`column IN (the integers given as name)`, one place for any number of them.

    One text serves every number of keys; measured within 10 % of a list of marks from 24 keys on.
    """

    type = types.Boolean()
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012  SQLAlchemy's way to say what makes two of them equal
        ("column", InternalTraversal.dp_clauseelement),
        ("keys", InternalTraversal.dp_clauseelement),
    ]
    _is_implicitly_boolean = True  # a condition by itself: "... = 1" would hide it from indexes

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.keys = bindparam(name, required=False, type_=_Keys())


@compiles(among, "sqlite")
def _among_json(element: among, compiler: Any, **how: Any) -> str:
    column, keys = compiler.process(element.column, **how), compiler.process(element.keys, **how)
    return f"{column} IN (SELECT value FROM json_each({keys}))"  # noqa: S608  SQL from SQL


@compiles(among, "postgresql")
def _among_array(element: among, compiler: Any, **how: Any) -> str:
    column, keys = compiler.process(element.column, **how), compiler.process(element.keys, **how)
    return f"{column} = ANY({keys})"


class unindexed(ColumnElement[Any]):  # noqa: N801  as above
    """A column that SQLite is not to look up by: too few values to tell rows apart.

    Without statistics it takes `status IN (...)` for the best way into a table, even where the
    primary key is given: 116 us instead of 12 for five of 1,000 products.
    """

    inherit_cache = True
    _traverse_internals = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column, self.type = column, column.type


@compiles(unindexed)
def _plain(element: unindexed, compiler: Any, **how: Any) -> str:
    return str(compiler.process(element.column, **how))


@compiles(unindexed, "sqlite")
def _with_plus(element: unindexed, compiler: Any, **how: Any) -> str:
    return f"+{compiler.process(element.column, **how)}"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement in one dialect: its text, what fills the places, what a column becomes."""

    sql: str
    places: tuple[tuple[str | None, Any, Callable[[Any], Any] | None], ...]
    columns: tuple[str, ...]
    processors: tuple[Callable[[Any], Any] | None, ...]
    rows: Callable[[Iterable[Sequence[Any]]], list[Any]]  # named tuples with Python values

    def parameters(self, values: Values) -> list[Any]:
        """The values in order of their places. Raises KeyError for one that is not given."""
        return [
            constant if name is None else values[name] if process is None else process(values[name])
            for name, constant, process in self.places
        ]


class Prepared:
    """A statement with named places, kept as a module constant.

    Give a statement, or a function of the dialect's `insert` for one that takes `on_conflict_...`.
    """

    def __init__(self, statement: Executable | Callable[[Any], Executable]) -> None:
        self._made = statement
        self._cores: dict[str, Executable] = {}
        self._compiled: dict[str, Compiled] = {}

    def core(self, dialect: str) -> Executable:
        """The statement for SQLAlchemy to run."""
        if dialect not in self._cores:
            made: Any = self._made
            is_made = isinstance(made, Executable)
            self._cores[dialect] = made if is_made else made(_INSERTS[dialect])
        return self._cores[dialect]

    def on(self, dialect: str) -> Compiled:
        """The statement for the driver to run."""
        try:
            return self._compiled[dialect]
        except KeyError:
            made = self._compiled[dialect] = _compiled(self.core(dialect), DIALECTS[dialect])
            return made


class Shaped:
    """Statements of a function, prepared once for every shape of its arguments.

    The function gets a bind wherever an integer, a text or an instant was given, also inside
    frozen dataclasses; None, booleans and enums stay what they are and make the shape.
    """

    def __init__(self, build: Callable[..., Executable]) -> None:
        self._build = build
        self._prepared: dict[Hashable, Prepared] = {}

    def of(self, **given: Any) -> tuple[Prepared, dict[str, Any]]:
        """The statement for these arguments, and the values that it runs with."""
        values: dict[str, Any] = {}
        shape = tuple([shape_of(name, value, values) for name, value in given.items()])
        prepared = self._prepared.get(shape)
        if prepared is None:
            symbols = {name: symbol_of(name, value) for name, value in given.items()}
            prepared = self._prepared[shape] = Prepared(self._build(**symbols))
        return prepared, values


_FIELDS: dict[type, tuple[str, ...]] = {}
_PLAIN = (bool, Enum, type(None))


def shape_of(name: str, value: Any, values: dict[str, Any]) -> Hashable:
    """What of a value makes another statement; what does not is noted in `values`."""
    if isinstance(value, _PLAIN):
        return value
    kind = type(value)
    names = _FIELDS.get(kind)
    if names is None:
        told = fields(value) if is_dataclass(value) else ()
        names = tuple(one.name for one in told if one.compare)  # the others make no other value
        _FIELDS[kind] = names
    if names:
        inside = [shape_of(f"{name}_{one}", getattr(value, one), values) for one in names]
        return kind, tuple(inside)
    if isinstance(value, tuple):
        return tuple([shape_of(f"{name}_{i}", one, values) for i, one in enumerate(value)])
    values[name] = value
    return cast("Hashable", kind)


def symbol_of(name: str, value: Any) -> Any:
    """The value with binds in place of all that `shape_of` notes, under the same names."""
    if isinstance(value, _PLAIN):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        inside = {
            one.name: symbol_of(f"{name}_{one.name}", getattr(value, one.name))
            for one in fields(value)
            if one.compare
        }
        return replace(value, **inside)
    if isinstance(value, tuple):
        return tuple(symbol_of(f"{name}_{i}", one) for i, one in enumerate(value))
    return bind(name)


def touched(statement: Any, values: Values | None) -> tuple[str, ...]:
    """What a statement writes: its table, and the row `table:key`, or `table:*` for any rows.

    A plain INSERT changes no row that is there.
    """
    if not isinstance(statement, Insert | Update | Delete):
        return ()
    table = statement.table
    name: str = getattr(table, "name", "")
    if type(statement) is Insert:
        return (name,)
    where = None if isinstance(statement, Insert) else statement.whereclause
    key = None if where is None else _key_in(where, values or {})
    return name, f"{name}:{'*' if key is None else key}"


def _key_in(where: Any, values: Values) -> Any:
    conditions = where.clauses if isinstance(where, BooleanClauseList) else (where,)
    for one in conditions:
        is_equal = isinstance(one, BinaryExpression) and one.operator is operators.eq
        if not is_equal or not getattr(one.left, "primary_key", False):
            continue
        if isinstance(one.right, BindParameter):
            return values.get(one.right.key, one.right.value)
    return None


def _spelled_out(statement: Any) -> Any:
    """The statement with its fixed texts and numbers in the text itself.

    Where a partial index could serve, SQLite prepares a statement anew for every value of a place:
    11 us instead of 3 for the cart of a shopper. PostgreSQL's kept plans find such an index, too.
    """

    def spell_out(place: BindParameter[Any]) -> None:
        values = place.value if place.expanding else [place.value]
        kind = place.type.impl if isinstance(place.type, types.TypeDecorator) else place.type
        is_plain = isinstance(kind, String | Integer | Boolean)
        if is_plain and values and all(isinstance(one, str | int) for one in values):
            place.literal_execute = True

    return visitors.cloned_traverse(statement, {}, {"bindparam": spell_out})


def _compiled(statement: Any, dialect: Dialect) -> Compiled:
    if not isinstance(statement, Insert):
        statement = _spelled_out(statement)
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = compiled.params
    places = []
    for name in compiled.positiontup or ():
        is_expanded = name not in compiled.binds
        known = compiled.binds[name.rpartition("_")[0] if is_expanded else name]
        process = known.type.dialect_impl(dialect).bind_processor(dialect)
        is_open = not is_expanded and known.value is None and known.callable is None
        if is_open:
            places.append((name, None, process))
        else:
            constant = constants[name]
            places.append((None, constant if process is None else process(constant), process))
    columns = tuple(getattr(statement, "exported_columns", ()))
    names = tuple(str(column.key) for column in columns)
    if "None" in names:
        raise ValueError(f"a column of a prepared statement needs a label: {compiled.string}")
    processors = tuple(
        column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
    )
    return Compiled(
        sql=compiled.string,
        places=tuple(places),
        columns=names,
        processors=processors,
        rows=_maker(names, processors),
    )


def _maker(
    names: Sequence[str], processors: Sequence[Callable[[Any], Any] | None]
) -> Callable[[Iterable[Sequence[Any]]], list[Any]]:
    """Makes named tuples of the driver's rows; written for their columns, from numbers alone."""
    make = named(names) if names else tuple
    if not any(processors):
        return lambda raws: [make(raw) for raw in raws]
    processed = {f"p{place}": one for place, one in enumerate(processors) if one is not None}
    places = range(len(names))
    columns = ", ".join(f"c{place}" for place in places)
    values = ", ".join(f"p{n}(c{n})" if f"p{n}" in processed else f"c{n}" for n in places)
    source = f"lambda raws: [make(({values},)) for ({columns},) in raws]"
    made: Callable[[Iterable[Sequence[Any]]], list[Any]] = eval(  # noqa: S307  written above
        source, {"make": make, **processed}
    )
    return made


def named(names: Iterable[str]) -> Callable[[Iterable[Any]], Any]:
    """A function that makes named tuples: three times as fast as their own `_make`."""
    kind: Any = namedtuple("Row", list(names))  # type: ignore[misc]  # noqa: PYI024  made at run time
    return partial(tuple.__new__, kind)
