"""What work holds while a door is open: a Reader to look with, a Unit to change with.

The same work runs through SQLAlchemy's async connections or straight on the driver.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Executable, Insert, Row, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from app.clock import Clock
from app.events import Event
from app.statements import Prepared, Values, touched

Statement = Executable | Prepared
Watchers = list[Callable[[str], None]]
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
)
_HELD_UP = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)
_STEPS = 10_000  # of SQLite's machine between two looks at the clock; it counts on between runs
_STATEMENTS_KEPT = 512  # compiled by SQLite for each connection


class Reader:
    """A short look at the database; on SQLite its statements see one snapshot.

    Rows of prepared statements are named tuples on a straight door: read them by name. `kept` is
    for what one function has worked out and another may need within the same look.
    """

    def __init__(self, connection: AsyncConnection, dialect: str) -> None:
        self._connection = connection
        self.dialect = dialect
        self.kept: dict[Any, Any] = {}

    async def all(self, statement: Statement, values: Any = None) -> list[Row[Any]]:
        return list((await self._run(statement, values)).all())

    async def first(self, statement: Statement, values: Any = None) -> Row[Any] | None:
        """The first row or None."""
        row: Row[Any] | None = (await self._run(statement, values)).first()
        return row

    async def value(self, statement: Statement, values: Any = None) -> Any:
        """The first column of the first row, None without rows."""
        return (await self._run(statement, values)).scalar()

    async def tuples(self, prepared: Prepared, values: Values) -> Sequence[Sequence[Any]]:
        """Rows as the driver gives them: see `Compiled.processors`."""
        raise NotImplementedError  # only a straight door has a driver's rows to give

    async def _run(self, statement: Statement, values: Any) -> Any:
        if isinstance(statement, Prepared):
            statement = statement.core(self.dialect)
        return await self._connection.execute(statement, values)


@dataclass
class Unit:
    """One transaction: reads through `db`, statements, and events that leave after the commit."""

    connection: Any
    db: Reader
    clock: Clock
    events: list[Event] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)  # see statements.touched
    request_id: str = ""  # of the request that asked for it, none for a worker's

    async def execute(self, statement: Statement, values: Any = None) -> Any:
        """The result as SQLAlchemy gives it."""
        core = statement.core(self.db.dialect) if isinstance(statement, Prepared) else statement
        self._note(core, values)
        return await self.connection.execute(core, values)

    async def changed(self, statement: Statement, values: Any = None) -> int:
        """How many rows an UPDATE or DELETE touched; 0 means that a guard said no."""
        return int((await self.execute(statement, values)).rowcount)

    async def insert(self, statement: Insert | Prepared, values: Any = None) -> int:
        """The primary key of the one row that an INSERT made."""
        made = (await self.execute(statement, values)).inserted_primary_key
        assert made is not None
        return int(made[0])

    async def returned(self, statement: Prepared, values: Any) -> Any:
        """The first row that a statement gives back (RETURNING), or None."""
        return (await self.execute(statement, values)).first()

    async def insert_new(self, target: Table, **values: Any) -> int | None:
        """The key of a new row, or None when a unique key says that it is there already."""
        statement = self.upsert(target).values(**values).on_conflict_do_nothing()
        key = (await self.execute(statement.returning(target.c.id))).scalar()
        return None if key is None else int(key)

    def upsert(self, target: Table) -> Any:
        """An INSERT that takes `on_conflict_...`: both dialects spell it alike, in two classes."""
        dialect = sqlite if self.db.dialect == "sqlite" else postgresql
        return dialect.insert(target)

    def emit(self, *events: Event) -> None:
        self.events.extend(events)

    def _note(self, core: Executable, values: Any) -> None:
        self.touched.update(touched(core, values if isinstance(values, dict) else None))


class Straight:
    """A SQLite connection for one thread: prepared statements run bare, others through Core."""

    def __init__(self, path: str, watchers: Watchers) -> None:
        self.raw = sqlite3.connect(
            path,
            isolation_level=None,  # we say BEGIN ourselves
            cached_statements=_STATEMENTS_KEPT,
            check_same_thread=False,
        )
        for pragma in PRAGMAS:
            self.raw.execute(pragma)
        self.watchers = watchers
        self.until = 0.0  # by perf_counter
        self.core = self._opened()

    def bound(self) -> None:
        """From here on no statement waits, outlives `until`, or pays for writing back the log."""
        self.raw.execute("PRAGMA busy_timeout=0")
        self.raw.execute("PRAGMA wal_autocheckpoint=0")
        self.raw.set_progress_handler(lambda: perf_counter() > self.until, _STEPS)

    def run(self, prepared: Prepared, values: Values | None) -> sqlite3.Cursor:
        compiled = prepared.on("sqlite")
        for watcher in self.watchers:
            watcher(compiled.sql)
        return self.raw.execute(compiled.sql, compiled.parameters(values or {}))

    def close(self) -> None:
        self.core.close()
        self.raw.close()

    def _opened(self) -> Connection:
        """SQLAlchemy on the same connection; its transactions are ours to begin and end."""
        engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool)

        @event.listens_for(engine, "before_cursor_execute")
        def _watch(*args: Any) -> None:
            for watcher in self.watchers:
                watcher(args[2])

        return engine.connect()


class StraightReader(Reader):
    """A look on a thread's own SQLite connection: nothing here ever waits."""

    def __init__(self, straight: Straight) -> None:
        self._straight = straight
        self.dialect = "sqlite"
        self.kept = {}

    async def all(self, statement: Statement, values: Any = None) -> list[Row[Any]]:
        if isinstance(statement, Prepared):
            return statement.on("sqlite").rows(self._straight.run(statement, values))
        return list(self._straight.core.execute(statement, values).all())

    async def first(self, statement: Statement, values: Any = None) -> Any:
        if isinstance(statement, Prepared):
            cursor = self._straight.run(statement, values)
            raw = cursor.fetchone()
            cursor.close()
            return None if raw is None else statement.on("sqlite").rows([raw])[0]
        return self._straight.core.execute(statement, values).first()

    async def value(self, statement: Statement, values: Any = None) -> Any:
        if isinstance(statement, Prepared):
            row = await self.first(statement, values)
            return None if row is None else row[0]
        return self._straight.core.execute(statement, values).scalar()

    async def tuples(self, prepared: Prepared, values: Values) -> Sequence[Sequence[Any]]:
        return self._straight.run(prepared, values).fetchall()


class TooSlow(BaseException):
    """A statement was stopped, or would have to wait; no handler of errors holds this one up."""


class BoundedReader(StraightReader):
    """A look in the thread of the event loop: raises TooSlow rather than hold it up.

    Its connection is bound (`Straight.bound`), which costs short statements nothing.
    """

    async def all(self, statement: Statement, values: Any = None) -> Any:
        try:
            return await super().all(statement, values)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise told(error) from None

    async def first(self, statement: Statement, values: Any = None) -> Any:
        try:
            return await super().first(statement, values)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise told(error) from None

    async def value(self, statement: Statement, values: Any = None) -> Any:
        try:
            return await super().value(statement, values)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise told(error) from None

    async def tuples(self, prepared: Prepared, values: Values) -> Sequence[Sequence[Any]]:
        try:
            return self._straight.run(prepared, values).fetchall()
        except sqlite3.OperationalError as error:
            raise told(error) from None


@dataclass
class StraightUnit(Unit):
    """A transaction on a thread's own SQLite connection."""

    async def execute(self, statement: Statement, values: Any = None) -> Any:
        straight: Straight = self.connection
        if not isinstance(statement, Prepared):
            self._note(statement, values)
            return straight.core.execute(statement, values)
        self._note(statement.core("sqlite"), values)
        return straight.run(statement, values)

    async def insert(self, statement: Insert | Prepared, values: Any = None) -> int:
        if not isinstance(statement, Prepared):
            return await super().insert(statement, values)
        key = (await self.execute(statement, values)).lastrowid
        assert key is not None
        return int(key)

    async def returned(self, statement: Prepared, values: Any) -> Any:
        cursor = await self.execute(statement, values)
        rows = statement.on("sqlite").rows(cursor.fetchall())
        return rows[0] if rows else None


class PostgresReader(Reader):
    """A look on one asyncpg connection: prepared statements go to the driver as they are."""

    def __init__(self, connection: AsyncConnection, driver: Any, watchers: Watchers) -> None:
        super().__init__(connection, "postgresql")
        self._driver = driver
        self._watchers = watchers

    async def all(self, statement: Statement, values: Any = None) -> list[Row[Any]]:
        if not isinstance(statement, Prepared):
            return await super().all(statement, values)
        return statement.on(self.dialect).rows(await self.tuples(statement, values or {}))

    async def first(self, statement: Statement, values: Any = None) -> Row[Any] | None:
        if not isinstance(statement, Prepared):
            return await super().first(statement, values)
        rows = await self.all(statement, values)
        return rows[0] if rows else None

    async def value(self, statement: Statement, values: Any = None) -> Any:
        if not isinstance(statement, Prepared):
            return await super().value(statement, values)
        row = await self.first(statement, values)
        return None if row is None else row[0]

    async def tuples(self, prepared: Prepared, values: Values) -> Sequence[Sequence[Any]]:
        compiled = prepared.on(self.dialect)
        for watcher in self._watchers:
            watcher(compiled.sql)
        found: Iterable[Any] = await self._driver.fetch(compiled.sql, *compiled.parameters(values))
        return list(found)


def told(error: BaseException) -> BaseException:
    """TooSlow for a statement that was stopped or would have to wait, others as they are."""
    cause = getattr(error, "orig", error)
    code = getattr(cause, "sqlite_errorcode", 0)
    return TooSlow() if code & 0xFF in _HELD_UP else error
