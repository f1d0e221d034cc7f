"""The loops run until they are told to stop."""

import asyncio

from app.services import refunds as services
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
        asyncio.create_task(expiries.run(mall.database, stop, interval_s=0.01)),
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
