"""The two doors: whole or nothing, one writer at a time, events after the commit."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from app import statements
from app.bus import BusDown, MemoryBus, Message
from app.db import Database, Pace, Reader, Unit
from app.events import OrderMoved
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.outbox import OutboxRow
from app.tables.products import CategoryRow
from app.workers import outbox
from tests.factories import Mall
from tests.patience import PATIENCE_S

CATEGORIES = table(CategoryRow)
MOVED = OrderMoved(order_id=1, buyer_id=2, status="PAID")


def category(name: str = "茶") -> dict[str, object]:
    return {"name": name, "path": "/1/", "sort": 0}


class Broken(MemoryBus):
    """A bus that takes nothing until it is mended."""

    is_down = True

    async def publish(self, message: Message) -> bool:
        if self.is_down:
            raise BusDown
        return await super().publish(message)


async def test_a_unit_that_ends_well_is_kept(any_mall: Mall) -> None:
    async with any_mall.unit() as unit:
        key = await unit.insert(insert(CATEGORIES).values(category()))
    assert (await any_mall.row(CategoryRow, key)).name == "茶"


async def test_a_unit_that_breaks_leaves_nothing_and_tells_nobody(any_mall: Mall) -> None:
    async with any_mall.bus.subscribe(MOVED.topic) as events, any_mall.unchanged():

        async def broken() -> None:
            async with any_mall.unit() as unit:
                await unit.insert(insert(CATEGORIES).values(category()))
                unit.emit(MOVED)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await broken()
        assert list(events.queue) == []


async def test_events_leave_after_the_commit_and_stand_in_the_outbox(any_mall: Mall) -> None:
    async with any_mall.bus.subscribe(MOVED.topic) as events:
        async with any_mall.unit() as unit:
            unit.emit(MOVED)
            assert list(events.queue) == []
        (told,) = events.queue
        (row,) = await any_mall.rows(OutboxRow)
        assert told.message == Message(  # type: ignore[union-attr]
            MOVED.topic, "OrderMoved", MOVED.payload(), outbox_id=row.id, seq=1
        )
        assert row.published_at is None
    await any_mall.database.mark_published()
    (row,) = await any_mall.rows(OutboxRow)
    assert row.published_at == any_mall.clock()


async def test_a_deed_stands_when_the_bus_is_down_and_is_told_later(mall: Mall) -> None:
    bus = Broken()
    database = Database(mall.database.url.render_as_string(), bus=bus, clock=mall.clock)
    async with bus.subscribe(MOVED.topic) as events:
        async with database.unit() as unit:
            await unit.insert(insert(CATEGORIES).values(category()))
            unit.emit(MOVED)
        assert len(await mall.rows(CategoryRow)) == 1
        mall.clock.advance(seconds=11)
        assert await outbox.once(database) == 0
        bus.is_down = False
        assert await outbox.once(database) == 1
        assert len(events.queue) == 1
        assert await outbox.once(database) == 0
    await database.close()


async def test_writers_go_one_after_the_other_and_lose_nothing(any_mall: Mall) -> None:
    async with any_mall.unit() as unit:
        key = await unit.insert(insert(CATEGORIES).values(category()))
    mine = CATEGORIES.c.id == key

    async def count() -> None:
        async with any_mall.unit() as unit:
            query = select(CATEGORIES.c.sort).where(mine).with_for_update()
            seen = await unit.db.value(query)
            await asyncio.sleep(0)
            await unit.changed(update(CATEGORIES).where(mine).values(sort=seen + 1))

    await asyncio.gather(*(count() for _ in range(30)))
    assert (await any_mall.row(CategoryRow, key)).sort == 30


async def test_looking_does_not_wait_for_a_writer(any_mall: Mall) -> None:
    async with any_mall.unit() as unit:
        await unit.insert(insert(CATEGORIES).values(category()))
        async with asyncio.timeout(PATIENCE_S), any_mall.database.read() as db:
            assert await db.all(select(CATEGORIES.c.id)) == []


async def test_a_look_sees_one_snapshot(mall: Mall) -> None:
    async with mall.database.read() as db:
        assert await db.value(select(CATEGORIES.c.id)) is None
        await mall.category()
        assert await db.value(select(CATEGORIES.c.id)) is None


async def test_sqlite_keeps_foreign_keys(mall: Mall) -> None:
    with pytest.raises(IntegrityError):
        async with mall.unit() as unit:
            await unit.insert(insert(CATEGORIES).values(category() | {"parent_id": 999}))


async def test_an_insert_that_is_there_already_is_none_and_does_not_break_the_unit(
    any_mall: Mall,
) -> None:
    async with any_mall.unit() as unit:
        first = await unit.insert_new(CATEGORIES, id=7, **category())
        again = await unit.insert_new(CATEGORIES, id=7, **category("别的"))
    assert (first, again) == (7, None)
    assert (await any_mall.row(CategoryRow, 7)).name == "茶"


async def test_every_statement_can_be_watched_until_it_is_stopped(mall: Mall) -> None:
    seen: list[str] = []
    stop = mall.database.watch(seen.append)
    async with mall.database.read() as db:
        await db.value(text("SELECT 1"))
    stop()
    async with mall.database.read() as db:
        await db.value(text("SELECT 2"))
    assert [statement for statement in seen if statement.startswith("SELECT")] == ["SELECT 1"]


INSERT = Prepared(
    insert(CATEGORIES).values(name=bind("called"), path=bind("place"), sort=bind("rank"))
)
NAMED = Prepared(select(CATEGORIES.c.id, CATEGORIES.c.name).where(CATEGORIES.c.name == bind("it")))
AMONG = Prepared(
    select(CATEGORIES.c.name)
    .where(statements.among(CATEGORIES.c.id, "keys"))
    .order_by(CATEGORIES.c.id)
)


async def _insert(unit: Unit) -> int:
    unit.emit(MOVED)
    return await unit.insert(INSERT, {"called": "茶", "place": "/1/", "rank": 3})


async def test_a_change_is_kept_and_its_events_leave_after_it(any_mall: Mall) -> None:
    async with any_mall.bus.subscribe(MOVED.topic) as events:
        key = await any_mall.database.change(_insert)
        assert [one.message.kind for one in events.queue] == ["OrderMoved"]
    row = await any_mall.row(CategoryRow, key)
    assert (row.name, row.path, row.sort) == ("茶", "/1/", 3)
    (stored,) = await any_mall.rows(OutboxRow)
    assert (stored.topic, stored.payload["status"]) == (MOVED.topic, "PAID")


async def test_a_change_that_breaks_leaves_nothing_and_the_next_one_works(any_mall: Mall) -> None:
    async def broken(unit: Unit) -> None:
        await _insert(unit)
        raise KeyError

    async with any_mall.bus.subscribe(MOVED.topic) as events:
        async with any_mall.unchanged():
            with pytest.raises(KeyError):
                await any_mall.database.change(broken)
        assert list(events.queue) == []
    assert await any_mall.database.change(_insert) > 0


async def test_a_look_sees_what_was_kept_by_prepared_and_plain_statements(any_mall: Mall) -> None:
    keys = [await any_mall.database.change(_insert) for _ in range(3)]

    async def look(db: Reader) -> tuple[object, ...]:
        named = await db.first(NAMED, {"it": "茶"})
        plain = await db.all(select(CATEGORIES.c.id).order_by(CATEGORIES.c.id))
        many = await db.all(AMONG, {"keys": keys[1:]})
        none = await db.first(NAMED, {"it": "酒"}), await db.value(NAMED, {"it": "酒"})
        assert named is not None
        return named.name, [row.id for row in plain], [row.name for row in many], none

    found = await any_mall.database.look(look)
    assert found == ("茶", keys, ["茶", "茶"], (None, None))


async def test_a_look_cannot_write(mall: Mall) -> None:
    async def write(db: Reader) -> None:
        await db.all(insert(CATEGORIES).values(category()).returning(CATEGORIES.c.id))

    async with mall.unchanged():
        await mall.database.look(write)


async def test_work_in_a_hop_may_not_wait_for_anything_else(mall: Mall) -> None:
    async def idle(_db: Reader) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="its own door"):
        await mall.database.look(idle)


async def test_forty_changes_and_units_at_once_take_turns(any_mall: Mall) -> None:
    key = await any_mall.database.change(_insert)
    more = update(CATEGORIES).where(CATEGORIES.c.id == key).values(sort=CATEGORIES.c.sort + 1)

    async def in_one_hop() -> None:
        await any_mall.database.change(lambda unit: unit.changed(more))

    async def in_steps() -> None:
        async with any_mall.unit() as unit:
            await unit.changed(more)

    await asyncio.gather(*(work() for work in (in_one_hop, in_steps) for _ in range(20)))
    assert (await any_mall.row(CategoryRow, key)).sort == 43


async def test_listeners_hear_what_a_commit_has_written(any_mall: Mall) -> None:
    heard: list[frozenset[str]] = []
    stop = any_mall.database.on_commit(heard.append)
    key = await any_mall.database.change(_insert)
    rename = Prepared(
        update(CATEGORIES).where(CATEGORIES.c.id == bind("key")).values(name=bind("called"))
    )
    async with any_mall.unit() as unit:
        await unit.changed(rename, {"key": key, "called": "酒"})
        await unit.changed(update(CATEGORIES).values(sort=1))
    stop()
    await any_mall.database.change(_insert)
    assert heard == [
        {"categories", "outbox"},
        {"categories", f"categories:{key}", "categories:*"},
    ]


COUNT_UP = Prepared(
    update(CATEGORIES).where(CATEGORIES.c.id == bind("key")).values(sort=CATEGORIES.c.sort + 1)
)
ENDLESS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
    " SELECT max(i) FROM n"
)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No work counts as slow unless it was stopped: a test machine may be busy."""
    monkeypatch.setattr("app.db.TOO_LONG_S", 60.0)


class Threads:
    """Notes in which thread a piece of work was begun."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def note(self) -> None:
        is_here = threading.current_thread() is threading.main_thread()
        self.names.append("loop" if is_here else "other")


@pytest.mark.usefixtures("patience")
async def test_quick_looks_stay_in_the_loop_and_slow_ones_leave_it(mall: Mall) -> None:
    pace, threads, statement = Pace(), Threads(), select(CATEGORIES.c.id)

    async def work(db: Reader) -> object:
        threads.note()
        return await db.value(statement)

    for _ in range(3):
        assert await mall.database.look(work, pace) is None
    assert threads.names == ["other", "loop", "loop"]
    statement = ENDLESS  # type: ignore[assignment]
    assert await mall.database.look(work, pace) == 300_000
    assert threads.names[3:] == ["loop", "other"]  # stopped there, begun again here


def test_work_leaves_the_loop_after_two_slow_runs_in_a_row() -> None:
    pace = Pace()
    pace.was_away()  # the first run
    for seconds in (0.005, 0.001, 0.005):
        pace.was_here(seconds)
        assert pace.is_quick
    pace.was_here(0.005)
    away = 0
    while not pace.is_quick:
        pace.was_away()
        away += 1
    assert away == 20
    pace.was_here(0.005)
    assert not pace.is_quick  # nothing has shown since that it is quick now


@pytest.mark.usefixtures("patience")
async def test_a_change_that_would_wait_for_another_process_leaves_the_loop(mall: Mall) -> None:
    key = await mall.database.change(_insert)
    threads = Threads()

    async def count_up(unit: Unit) -> int:
        threads.note()
        return await unit.changed(COUNT_UP, {"key": key})

    await mall.database.change(count_up)
    await mall.database.change(count_up)
    assert threads.names == ["other", "loop"]
    other = sqlite3.connect(mall.database.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(mall.database.change(count_up))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    other.execute("ROLLBACK")
    other.close()
    assert await waiting == 1
    assert threads.names == ["other", "loop", "other"]
    assert (await mall.row(CategoryRow, key)).sort == 3 + 3


@pytest.mark.usefixtures("patience")
async def test_a_slow_change_is_undone_in_the_loop_and_done_once_elsewhere(mall: Mall) -> None:
    key = await mall.database.change(_insert)
    threads, is_slow = Threads(), False

    async def count_up(unit: Unit) -> None:
        threads.note()
        await unit.changed(COUNT_UP, {"key": key})
        if is_slow:
            await unit.db.value(ENDLESS)

    await mall.database.change(count_up)
    is_slow = True
    await mall.database.change(count_up)
    assert threads.names == ["other", "loop", "other"]
    assert (await mall.row(CategoryRow, key)).sort == 3 + 2


@pytest.mark.postgres
async def test_changes_that_lock_each_other_out_are_all_done(postgres_mall: Mall) -> None:
    change = postgres_mall.database.change
    one, two = await change(_insert), await change(_insert)
    both_have_one, runs = asyncio.Barrier(2), 0

    async def count_both(unit: Unit, first: int, second: int) -> None:
        nonlocal runs
        runs += 1
        is_first_time = runs <= 2
        await unit.changed(COUNT_UP, {"key": first})
        if is_first_time:
            await both_have_one.wait()
        await unit.changed(COUNT_UP, {"key": second})

    await asyncio.gather(change(count_both, one, two), change(count_both, two, one))
    assert runs > 2  # one of them was ended and begun again
    for key in (one, two):
        assert (await postgres_mall.row(CategoryRow, key)).sort == 3 + 2


@pytest.mark.postgres
@pytest.mark.parametrize(("state", "times"), [("40001", 3), ("40P01", 3), ("23505", 1)])
async def test_a_change_that_always_collides_is_given_up(
    postgres_mall: Mall, state: str, times: int
) -> None:
    key, runs = await postgres_mall.database.change(_insert), 0

    class Ended(Exception):
        sqlstate = state

    async def count_up(unit: Unit) -> None:
        nonlocal runs
        runs += 1
        await unit.changed(COUNT_UP, {"key": key})
        raise DBAPIError("UPDATE", {}, Ended())

    with pytest.raises(DBAPIError):
        await postgres_mall.database.change(count_up)
    assert runs == times
    assert (await postgres_mall.row(CategoryRow, key)).sort == 3


def _log_size(mall: Mall) -> int:
    return Path(f"{mall.database.url.database}-wal").stat().st_size


async def test_the_log_of_many_changes_in_the_loop_is_written_back(mall: Mall) -> None:
    key = await mall.database.change(_insert)

    async def count_up(unit: Unit) -> None:
        for _ in range(20):
            await unit.changed(COUNT_UP, {"key": key})

    for _ in range(600):
        await mall.database.change(count_up)
    assert _log_size(mall) < 4 * 2**20  # a thousand pages and what came since
    assert (await mall.row(CategoryRow, key)).sort == 3 + 12_000


async def test_a_statement_without_a_name_for_a_column_is_told_at_once(mall: Mall) -> None:
    nameless = Prepared(select(func.max(CATEGORIES.c.sort) + 1))
    with pytest.raises(ValueError, match="needs a label"):
        await mall.database.look(lambda db: db.value(nameless))
