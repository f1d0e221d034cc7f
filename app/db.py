"""Two doors to the database: `read()` for looking, `unit()` for changing."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    CursorResult,
    Executable,
    Insert,
    Row,
    Table,
    bindparam,
    event,
    insert,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.bus import Bus, BusDown, Message
from app.clock import Clock, utc_now
from app.events import Event
from app.tables.outbox import OutboxRow

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
)
Watcher = Callable[[str], None]
_log = logging.getLogger(__name__)


@dataclass
class Reads:
    """The looks that one operation has open; `when_none` is called once when the last one ends."""

    open: int = 0
    when_none: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def one_more(self) -> Generator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1
            if not self.open:
                waiting, self.when_none = self.when_none, []
                for told in waiting:
                    told()


READS: ContextVar[Reads | None] = ContextVar("reads", default=None)


class Reader:
    """A short look at the database; statements see one snapshot."""

    def __init__(self, connection: AsyncConnection, dialect: str) -> None:
        self._connection = connection
        self.dialect = dialect

    async def all(self, statement: Executable, values: Any = None) -> list[Row[Any]]:
        return list((await self._connection.execute(statement, values)).all())

    async def first(self, statement: Executable, values: Any = None) -> Row[Any] | None:
        return (await self._connection.execute(statement, values)).first()

    async def value(self, statement: Executable, values: Any = None) -> Any:
        return (await self._connection.execute(statement, values)).scalar()


@dataclass
class Unit:
    """One transaction: reads through `db`, statements, and events that leave after the commit."""

    connection: AsyncConnection
    db: Reader
    clock: Clock
    events: list[Event] = field(default_factory=list)

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        return await self.connection.execute(statement, values)

    async def changed(self, statement: Executable) -> int:
        """How many rows an UPDATE or DELETE touched; 0 means that a guard said no."""
        return (await self.connection.execute(statement)).rowcount

    async def insert(self, statement: Insert) -> int:
        """The primary key of the one row that an INSERT made."""
        made = (await self.connection.execute(statement)).inserted_primary_key
        assert made is not None
        return int(made[0])

    async def insert_new(self, target: Table, **values: Any) -> int | None:
        """The key of a new row, or None when a unique key says that it is there already."""
        statement = self.upsert(target).values(**values).on_conflict_do_nothing()
        key = (await self.connection.execute(statement.returning(target.c.id))).scalar()
        return None if key is None else int(key)

    def upsert(self, target: Table) -> Any:
        """An INSERT that takes `on_conflict_...`: both dialects spell it alike, in two classes."""
        dialect = sqlite if self.db.dialect == "sqlite" else postgresql
        return dialect.insert(target)

    def emit(self, *events: Event) -> None:
        self.events.extend(events)


class Database:
    """SQLite or PostgreSQL behind the two doors.

    On SQLite the write door starts with BEGIN IMMEDIATE behind one process-wide lock: the same
    transactions took 52-63 s through the busy handler and 0.2 s behind the lock (DOMAIN 3.3).
    """

    def __init__(self, url: str, *, bus: Bus, clock: Clock = utc_now, pool_size: int = 8) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        self.clock = clock
        self._bus = bus
        self._watchers: list[Watcher] = []
        self._to_mark: list[int] = []
        if self.dialect == "sqlite":
            self._reading = _sqlite_engine(url, begin="BEGIN", pool_size=pool_size)
            self._writing = _sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=1)
            self._write_lock: AbstractAsyncContextManager[Any] = asyncio.Lock()
        else:
            self._reading = self._writing = create_async_engine(
                url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True
            )
            self._write_lock = nullcontext()
        for engine in {self._reading, self._writing}:
            event.listen(engine.sync_engine, "before_cursor_execute", self._watch)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Calls `watcher` with every statement's text until the returned function is called."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Reader]:
        reads = READS.get()
        with nullcontext() if reads is None else reads.one_more():
            async with self._reading.connect() as connection:
                yield Reader(connection, self.dialect)

    @asynccontextmanager
    async def unit(self) -> AsyncGenerator[Unit]:
        """One transaction: commits at the end, rolls back on any error, then publishes."""
        async with self._write_lock, self._writing.begin() as connection:
            unit = Unit(connection, Reader(connection, self.dialect), self.clock)
            yield unit
            messages = await self._store(unit)
        if messages:
            await self.announce(messages)

    async def announce(self, messages: Iterable[Message]) -> int:
        """Hands committed events to the bus; how many it has taken.

        The outbox worker repeats the others.
        """
        taken = 0
        for message in messages:
            try:
                await self._bus.publish(message)
            except BusDown:  # what happened has happened: the caller's deed stands
                _log.warning("the bus is down, events wait in the outbox")
                break
            taken += 1
            if message.outbox_id is not None:
                self._to_mark.append(message.outbox_id)
        return taken

    async def mark_published(self) -> int:
        """Notes in the outbox what the bus has taken; called in batches by the outbox worker."""
        marked, self._to_mark = self._to_mark, []
        if not marked:
            return 0
        table = OutboxRow.__table__  # type: ignore[attr-defined]
        statement = (
            update(table).where(table.c.id == bindparam("key")).values(published_at=self.clock())
        )
        async with self.unit() as unit:
            await unit.execute(statement, [{"key": key} for key in marked])
        return len(marked)

    async def close(self) -> None:
        for engine in {self._reading, self._writing}:
            await engine.dispose()

    async def _store(self, unit: Unit) -> list[Message]:
        messages = []
        now = self.clock()
        for one in unit.events:
            payload = one.payload()
            kind = type(one).__name__
            key = await unit.insert(
                insert(OutboxRow).values(
                    topic=one.topic, kind=kind, payload=payload, created_at=now
                )
            )
            messages.append(Message(one.topic, kind, payload, outbox_id=key))
        return messages

    def _watch(self, *args: Any) -> None:
        for watcher in self._watchers:
            watcher(args[2])


def _sqlite_engine(url: str, *, begin: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"isolation_level": None},  # we say BEGIN ourselves
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
