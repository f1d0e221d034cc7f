"""Two doors to the database: `read()` for looking, `unit()` for changing."""

import asyncio
import logging
import sqlite3
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import bindparam, event, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.bus import Bus, BusDown, Message
from app.clock import Clock, utc_now
from app.doors import (
    PRAGMAS,
    BoundedReader,
    PostgresReader,
    Reader,
    Straight,
    StraightReader,
    StraightUnit,
    TooSlow,
    Unit,
    told,
)
from app.hops import Hops, driven
from app.outbox import OUTBOX, newest, store
from app.telemetry import request_id

__all__ = ["READS", "Database", "Pace", "Reader", "Reads", "Unit"]

_READER_THREADS = 2  # so that a slow statement does not hold up the next: Python runs in one
MOST_S = 0.02  # by the clock, after which a statement in the loop's thread is stopped
TOO_LONG_S = 0.004  # of CPU, that one piece of work may hold the event loop
_RUNS_AWAY = 20
_CHANGES_HERE = 256
_TIMES = 3  # that a change is tried which collides with others
_PAUSE_S = 0.02  # in which those others end; the second time twice as long
_COLLISIONS = {"40001", "40P01"}  # PostgreSQL's codes of a serialization failure and a deadlock
T = TypeVar("T")
P = ParamSpec("P")
Watcher = Callable[[str], None]
Listener = Callable[[frozenset[str]], None]
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


@dataclass
class Pace:
    """How long one kind of work takes: the first run, and those after slow ones, go elsewhere.

    Only what was measured in the loop's thread counts: in another one the time that it takes tells
    more about its neighbours. One slow run may be the host's doing, which takes a processor away
    for milliseconds without a word; two in a row are the work's own.
    """

    _away: int = 1  # runs before the loop is tried again
    _was_slow: bool = False

    @property
    def is_quick(self) -> bool:
        return not self._away

    def was_here(self, seconds: float) -> None:
        """Takes the processor time of a run in the loop's thread."""
        is_slow = seconds >= TOO_LONG_S
        if is_slow and self._was_slow:
            self._away = _RUNS_AWAY
        self._was_slow = is_slow

    def was_away(self) -> None:
        self._away = max(0, self._away - 1)


READS: ContextVar[Reads | None] = ContextVar("reads", default=None)


class Database:
    """SQLite or PostgreSQL behind the two doors.

    On SQLite the write door starts with BEGIN IMMEDIATE behind one process-wide lock: the same
    transactions took 52-63 s through the busy handler and 0.2 s behind the lock (DOMAIN 3.3).
    """

    def __init__(self, url: str, *, bus: Bus, clock: Clock = utc_now, pool_size: int = 8) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        self.clock = clock
        self.bus = bus
        self._watchers: list[Watcher] = []
        self._listeners: list[Listener] = []
        self._to_mark: list[int] = []
        self.has_parked = asyncio.Event()  # something that was announced waits in the bus
        if self.dialect == "sqlite":
            self._reading = _sqlite_engine(url, begin="BEGIN", pool_size=pool_size)
            self._writing = _sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=1)
            self._write_lock: AbstractAsyncContextManager[Any] = asyncio.Lock()
            path = self.url.database or ""
            self._lookers = Hops(self._straight(path), threads=_READER_THREADS, name="look")
            self._here: Straight | None = None  # for quick work in the thread of the loop
            self._paces: dict[Any, Pace] = defaultdict(Pace)  # of changes, by their code
            self._changes = 0
            self._changer = Hops(self._straight(path), threads=1, name="change")
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

    async def look(
        self, work: Callable[[Reader], Coroutine[Any, Any, T]], pace: Pace | None = None
    ) -> T:
        """Runs `work`, which awaits nothing but its reader, straight on the driver.

        On SQLite it is one snapshot, and one hop to a reader thread; work whose `pace` has been
        quick stays in this thread, and is begun again in the other one should it be slow for once.
        """
        if self.dialect == "sqlite":
            pace = pace or Pace()
            if pace.is_quick:
                try:
                    return self._look_here(work, pace)
                except TooSlow:
                    pass
            pace.was_away()
            found: T = await self._lookers.run(lambda straight: _looked(straight, work))
            return found
        async with self._reading.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            return await work(PostgresReader(connection, driver, self._watchers))

    @asynccontextmanager
    async def unit(self) -> AsyncGenerator[Unit]:
        """One transaction: commits at the end, rolls back on any error, then publishes."""
        touched: set[str] = set()
        try:
            async with self._write_lock, self._writing.begin() as connection:
                reader = Reader(connection, self.dialect)
                unit = Unit(connection, reader, self.clock, request_id=request_id.get())
                touched = unit.touched
                yield unit
                messages = await store(unit)
        finally:
            self._tell(touched)  # a commit may stand although its caller was cancelled
        if messages:
            await self.announce(messages)

    async def change(
        self,
        work: Callable[Concatenate[Unit, P], Coroutine[Any, Any, T]],
        *given: P.args,
        **named: P.kwargs,
    ) -> T:
        """One transaction like `unit()`: `work(unit, ...)`, which awaits nothing but its unit.

        On SQLite it is one hop to the writer thread, the commit included; work that has been quick
        stays in this thread, and is begun again in the other one should it be slow for once. On
        PostgreSQL it is begun again when the server has ended it for the sake of others.
        """
        if self.dialect != "sqlite":
            return await self._change_there(lambda unit: work(unit, *given, **named))
        touched: set[str] = set()
        asked_by = request_id.get()  # here: the writer thread knows of no request

        def changed(straight: Straight) -> tuple[T, list[Message]]:
            reader = StraightReader(straight)
            unit = StraightUnit(straight, reader, self.clock, touched=touched, request_id=asked_by)
            return _changed(straight, unit, lambda unit: work(unit, *given, **named))

        pace = self._paces[getattr(work, "__code__", work)]
        async with self._write_lock:
            outcome = self._change_here(changed, pace) if pace.is_quick else None
            if outcome is None:
                pace.was_away()
                outcome = await self._changer.run(changed, after=lambda: self._tell(touched))
            else:
                self._tell(touched)
        result, messages = outcome
        if messages:
            await self.announce(messages)
        made: T = result
        return made

    async def _change_there(
        self, work: Callable[[Unit], Coroutine[Any, Any, T]], times: int = _TIMES
    ) -> T:
        try:
            async with self.unit() as unit:
                return await work(unit)
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state not in _COLLISIONS or times == 1:
                raise
        _log.info("a change has collided (%s) and is tried again", state)
        await asyncio.sleep(_PAUSE_S * (_TIMES - times + 1))
        return await self._change_there(work, times - 1)

    def on_commit(self, listener: Listener) -> Callable[[], None]:
        """Tells `listener` after every unit what it has written, until the result is called.

        Tags: the table and `table:key`, or `table:*` when the rows are not known by key.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def announce(self, messages: Iterable[Message]) -> int:
        """Hands committed events to the bus; how many it has taken.

        The outbox worker repeats the others, those among them that wait in the bus for earlier
        ones: a bus may lose what waits there.
        """
        taken = 0
        for message in messages:
            try:
                if not await self.bus.publish(message):
                    self.has_parked.set()
                    continue
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
        statement = (
            update(OUTBOX).where(OUTBOX.c.id == bindparam("key")).values(published_at=self.clock())
        )
        keys = [{"key": key} for key in marked]
        await self.change(lambda unit: unit.execute(statement, keys))
        return len(marked)

    async def newest(self, topic: str) -> int:
        """The number of the last event of a topic that is committed, 0 before the first."""
        return await self.look(lambda db: newest(db, topic))

    async def close(self) -> None:
        if self.dialect == "sqlite":
            await self._lookers.close()
            await self._changer.close()
            if self._here is not None:
                self._here.close()
        for engine in {self._reading, self._writing}:
            await engine.dispose()

    def _change_here(self, changed: Callable[[Straight], Any], pace: Pace) -> Any:
        """The change in the thread of the loop; None, with nothing done, when it is not quick.

        Now and then one is sent to the writer thread, whose connection writes the log back.
        """
        self._changes += 1
        if self._changes % _CHANGES_HERE == 0:
            return None
        here, began = self._opened_here(), thread_time()
        here.until = perf_counter() + MOST_S
        try:
            return changed(here)
        except (sqlite3.OperationalError, OperationalError) as error:
            if isinstance(told(error), TooSlow):
                return None
            raise
        finally:
            pace.was_here(thread_time() - began)

    def _opened_here(self) -> Straight:
        if self._here is None:
            self._here = Straight(self.url.database or "", self._watchers)
            self._here.bound()
        return self._here

    def _look_here(self, work: Callable[[Reader], Coroutine[Any, Any, T]], pace: Pace) -> T:
        here, began = self._opened_here(), thread_time()
        here.until = perf_counter() + MOST_S
        here.raw.execute("BEGIN")
        try:
            return driven(work(BoundedReader(here)))
        finally:
            here.raw.rollback()
            pace.was_here(thread_time() - began)

    def _tell(self, touched: set[str]) -> None:
        if touched:
            for listener in self._listeners:
                listener(frozenset(touched))

    def _straight(self, path: str) -> Callable[[], Straight]:
        return lambda: Straight(path, self._watchers)

    def _watch(self, *args: Any) -> None:
        for watcher in self._watchers:
            watcher(args[2])


def _looked(straight: Straight, work: Callable[[Reader], Coroutine[Any, Any, T]]) -> T:
    straight.raw.execute("BEGIN")
    try:
        return driven(work(StraightReader(straight)))
    finally:
        straight.raw.rollback()


def _changed(
    straight: Straight, unit: Unit, work: Callable[[Unit], Coroutine[Any, Any, T]]
) -> tuple[T, list[Message]]:
    straight.raw.execute("BEGIN IMMEDIATE")
    try:
        result = driven(work(unit))
        messages = driven(store(unit)) if unit.events else []
        straight.raw.execute("COMMIT")
    except BaseException:
        straight.raw.rollback()
        raise
    return result, messages


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
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
