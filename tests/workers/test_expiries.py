"""The loops run until they are told to stop."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from app.clock import utc_now
from app.db import Database
from app.services import group_buys_end, orders, orders_cancel
from app.services import refunds as services
from app.statements import Prepared
from app.tables.group_buys import GroupBuyRow
from app.tables.orders import TradeRow
from app.tables.payments import RefundRow
from app.workers import expiries, refunds
from tests.factories import Mall


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110  the database has no event to wait for
            await asyncio.sleep(0.01)


async def test_the_loops_end_unpaid_trades_and_pay_failed_groups_back(mall: Mall) -> None:
    group = await mall.group_buy(size=3)
    shopper, product = await mall.consumer(), await mall.product()
    trade_id = await mall.order(shopper, product.sku_id)
    mall.clock.advance(hours=1)
    stop = asyncio.Event()
    loops = [
        asyncio.create_task(expiries.run(mall.database, stop, at_most_s=0.01)),
        asyncio.create_task(refunds.run(mall.database, mall.payments, stop, interval_s=0.01)),
    ]

    async def is_done() -> bool:
        return [one.status for one in await mall.rows(RefundRow)] == ["SUCCEEDED"]

    await until(is_done)
    stop.set()
    await asyncio.wait_for(asyncio.gather(*loops), 5)
    assert (await mall.row(TradeRow, trade_id)).status == "CANCELLED"
    paid = await mall.row(TradeRow, group.leader_trade_id)
    assert (paid.paid_fen, paid.refunded_fen) == (2790, 2790)


async def test_a_refund_that_a_crash_left_claimed_is_paid_out(mall: Mall) -> None:
    await mall.group_buy(size=3)
    mall.clock.advance(hours=1)
    await expiries.once(mall.database)
    (refund,) = await mall.rows(RefundRow)
    await mall.change(RefundRow, refund.id, status="PROCESSING")
    assert await refunds.once(mall.database, mall.payments) == 0
    stop = asyncio.Event()
    loop = asyncio.create_task(refunds.run(mall.database, mall.payments, stop, interval_s=0.01))

    async def is_done() -> bool:
        return (await mall.row(RefundRow, refund.id)).status == "SUCCEEDED"

    await until(is_done)
    stop.set()
    await asyncio.wait_for(loop, 5)


async def test_two_workers_with_one_refund_count_it_once(mall: Mall) -> None:
    await mall.group_buy(size=3)
    mall.clock.advance(hours=1)
    await expiries.once(mall.database)
    async with mall.unit() as unit:
        task = await services.take(unit)
    assert task is not None
    async with mall.unit() as unit:
        assert await services.complete(unit, task.refund_id)
    async with mall.unchanged(), mall.unit() as unit:
        assert not await services.complete(unit, task.refund_id)


async def test_a_group_ends_when_its_time_is_up_and_not_at_the_next_look(any_mall: Mall) -> None:
    """The loop would look again after an hour: only the commit can have woken it."""
    mall = any_mall
    ticking = Mall(mall.database, mall.bus, utc_now, mall.payments)  # type: ignore[arg-type]
    mall.database.clock = utc_now
    stop = asyncio.Event()
    loop = asyncio.create_task(expiries.run(mall.database, stop, at_most_s=3600))
    group = await ticking.group_buy(size=3, duration_s=1)

    async def is_done() -> bool:
        return (await mall.row(GroupBuyRow, group.id)).status == "FAILED"

    await until(is_done)
    (refund,) = await mall.rows(RefundRow)
    row = await mall.row(GroupBuyRow, group.id)
    assert refund.created_at >= row.expires_at
    stop.set()
    await asyncio.wait_for(loop, 5)


async def test_a_loop_that_sleeps_for_long_ends_at_once_when_it_is_told_to(mall: Mall) -> None:
    await mall.group_buy()
    stop = asyncio.Event()
    loop = asyncio.create_task(expiries.run(mall.database, stop, at_most_s=3600))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(loop, 5)


async def test_nothing_due_takes_no_write_lock(mall: Mall) -> None:
    await mall.group_buy()
    written: list[frozenset[str]] = []
    forget = mall.database.on_commit(written.append)
    statements: list[str] = []
    unwatch = mall.database.watch(statements.append)
    assert await expiries.once(mall.database) == 0
    unwatch()
    forget()
    assert written == []
    assert all(one.startswith("SELECT") and "LIMIT 1" in one for one in statements)
    assert len(statements) == len(expiries._SWEEPS)


PLANS = {
    group_buys_end._NEXT_DUE: "ix_group_buy_groups_status_expires_at",
    group_buys_end._DUE: "ix_group_buy_groups_status_expires_at",
    group_buys_end._NEXT_DUE_HOLD: "ix_group_buy_members_status_hold_expires_at",
    group_buys_end._DUE_HOLDS: "ix_group_buy_members_status_hold_expires_at",
    orders_cancel._NEXT_DUE: "ix_trades_status_expires_at",
    orders_cancel._DUE: "ix_trades_status_expires_at",
    orders._NEXT_DUE: "ix_orders_status_auto_receive_at",
    orders._DUE: "ix_orders_status_auto_receive_at",
}


@pytest.mark.parametrize("prepared", PLANS, ids=lambda one: PLANS[one])
async def test_what_is_due_is_found_by_its_index_on_sqlite(mall: Mall, prepared: Prepared) -> None:
    compiled = prepared.on("sqlite")
    given = compiled.parameters({"now": mall.clock(), "most": 1})
    with closing(sqlite3.connect(mall.database.url.database or "")) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", given).fetchall()
    steps = [detail for *_, detail in plan]
    assert PLANS[prepared] in steps[0], steps
    assert not any("SCAN" in one or "TEMP B-TREE" in one for one in steps), steps


@pytest.mark.postgres
@pytest.mark.parametrize("prepared", PLANS, ids=lambda one: PLANS[one])
async def test_what_is_due_is_found_by_its_index_on_postgresql(
    postgres_mall: Mall, prepared: Prepared
) -> None:
    compiled = prepared.on("postgresql")
    given = compiled.parameters({"now": postgres_mall.clock(), "most": 1})
    async with postgres_mall.database.read() as db:
        driver = (await db._connection.get_raw_connection()).driver_connection
        # the tables are empty, where reading all of one is always cheapest
        await driver.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        rows = await driver.fetch(f"EXPLAIN {compiled.sql}", *given)
    plan = "\n".join(row[0] for row in rows)
    assert f"using {PLANS[prepared]}" in plan, plan
    assert "Sort" not in plan, plan


async def test_two_processes_end_a_group_once(any_mall: Mall) -> None:
    mall = any_mall
    other = Database(mall.database.url.render_as_string(), bus=mall.bus, clock=mall.clock)
    groups = [await mall.group_buy(size=3) for _ in range(6)]
    mall.clock.advance(hours=1)
    ended = await asyncio.gather(expiries.once(mall.database), expiries.once(other))
    assert sum(ended) == len(groups)
    assert len(await mall.rows(RefundRow)) == len(groups)
    assert {one.status for one in await mall.rows(GroupBuyRow)} == {"FAILED"}
    await other.close()


async def test_what_another_process_has_written_is_found_at_the_next_look(any_mall: Mall) -> None:
    mall = any_mall
    stop = asyncio.Event()
    other = Database(mall.database.url.render_as_string(), bus=mall.bus, clock=mall.clock)
    loop = asyncio.create_task(expiries.run(other, stop, at_most_s=0.05))
    group = await mall.group_buy(size=3)
    mall.clock.advance(hours=1)

    async def is_done() -> bool:
        return (await mall.row(GroupBuyRow, group.id)).status == "FAILED"

    await until(is_done)
    stop.set()
    await asyncio.wait_for(loop, 5)
    await other.close()
