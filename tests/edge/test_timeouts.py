"""An operation has its time; a deed that is under way is never torn."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.auth import Role, Viewer
from app.deadlines import LOOK_S, Deadline
from app.errors import OperationTimeout
from app.gateways.payments import Charged, SimulatedPayments
from tests.edge.asking import ask, error_of
from tests.serving import Server, gid, served

LIMIT_S = 0.3
PAY = """mutation($input: PayTradeInput!) { payTrade(input: $input) {
  ... on Trade { status } ... on Problem { code } } }"""
TICKS = "subscription($id: ID!) { groupBuyUpdated(id: $id) { ... on GroupBuyUpdate { cause } } }"


@dataclass
class SlowPayments(SimulatedPayments):
    """A provider that answers when it is told to."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def charge(self, *, provider_no: str, amount_fen: int) -> Charged:
        await self.may_answer.wait()
        return await super().charge(provider_no=provider_no, amount_fen=amount_fen)


@asynccontextmanager
async def hurried(
    migrated: Path, folder: Path, payments: SimulatedPayments | None = None
) -> AsyncGenerator[Server]:
    file = shutil.copy(migrated, folder / "mall.db")
    url = f"sqlite+aiosqlite:///{file}"
    async with served(url, payments=payments, operation_s=LIMIT_S) as one:
        yield one


async def _never(*_: Any, **__: Any) -> None:
    await asyncio.sleep(60)


async def test_what_is_in_time_is_left_alone() -> None:
    deadline = Deadline(1)

    async def quick() -> int:
        await asyncio.sleep(0)
        return 7

    assert await deadline.within(quick()) == 7
    assert await deadline.within(quick(), is_deed=True) == 7


async def test_what_takes_too_long_is_cancelled() -> None:
    was_cancelled = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            was_cancelled.append(True)

    with pytest.raises(OperationTimeout):
        await Deadline(0.1).within(slow())
    assert was_cancelled == [True]
    await asyncio.sleep(0.01)  # the task that was told goes on as if nothing had happened


async def test_a_deed_goes_on_after_its_caller_was_told() -> None:
    deadline, may_end, ended = Deadline(0.1), asyncio.Event(), []

    async def deed() -> None:
        await may_end.wait()
        ended.append(True)

    with pytest.raises(OperationTimeout):
        await deadline.within(deed(), is_deed=True)
    assert ended == []
    may_end.set()
    await deadline.close()
    assert ended == [True]


async def test_a_caller_who_leaves_is_cancelled_and_not_late() -> None:
    task = asyncio.create_task(Deadline(60).within(_never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_is_its_own() -> None:
    async def wrong() -> None:
        raise LookupError

    for is_deed in (False, True):
        with pytest.raises(LookupError):
            await Deadline(1).within(wrong(), is_deed=is_deed)


async def test_one_clock_looks_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), 0
    call_later = loop.call_later

    def counted(*args: Any, **options: Any) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_later(*args, **options)

    monkeypatch.setattr(loop, "call_later", counted)
    deadline = Deadline(60)

    async def nothing() -> None:
        return None

    for _ in range(1000):
        await deadline.within(nothing())
    assert timers == 1


async def test_a_query_that_takes_too_long_has_a_code(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "{ products { totalCount } }"
    async with hurried(migrated, tmp_path) as server, server.socket() as mine:
        with monkeypatch.context() as slowly:
            slowly.setattr(server.mall.database, "look", _never)
            answer = await ask(server, query, **{"accept-language": "en"})
            await mine.start("slow", query)
            frame = await mine.next()
    error = error_of(answer)
    assert error["extensions"] == {"code": "OPERATION_TIMEOUT"}
    assert error["message"] == "the operation took longer than 0.3 s"
    assert answer.json().get("data") is None
    assert (frame["id"], frame["type"]) == ("slow", "error")
    assert frame["payload"][0]["extensions"] == {"code": "OPERATION_TIMEOUT"}


async def test_a_stream_may_last(migrated: Path, tmp_path: Path) -> None:
    async with hurried(migrated, tmp_path) as server, server.socket() as mine:
        group = await server.mall.group_buy()
        await mine.start("live", TICKS, {"id": gid("GroupBuy", group.id)})
        assert await mine.data("live", "groupBuyUpdated") == {"cause": "SNAPSHOT"}
        await asyncio.sleep(LIMIT_S + 2 * LOOK_S)
        await server.mall.hold(group, await server.mall.consumer())
        assert await mine.data("live", "groupBuyUpdated") == {"cause": "HELD"}


@pytest.mark.parametrize("transport", ["http", "websocket"])
async def test_a_payment_whose_answer_is_late_is_finished_and_charged_once(
    migrated: Path, tmp_path: Path, transport: str
) -> None:
    payments = SlowPayments()
    async with hurried(migrated, tmp_path, payments) as server:
        shopper = await server.mall.consumer()
        product = await server.mall.product()
        trade = await server.mall.order(shopper, product.sku_id)
        token = server.resources.tokens.issue(Viewer(Role.CONSUMER, shopper.id))
        given = {"input": {"tradeId": gid("Trade", trade), "idempotencyKey": "once"}}
        if transport == "http":
            answer = await ask(server, PAY, given, authorization=f"Bearer {token}")
            error = error_of(answer)
        else:
            async with server.socket(token) as mine:
                await mine.start("pay", PAY, given)
                (error,) = (await mine.next())["payload"]
        assert error["extensions"] == {"code": "OPERATION_TIMEOUT"}
        assert payments.charged == {}
        payments.may_answer.set()
        paid = await server.ask(PAY, given, token=token)
        assert paid == {"payTrade": {"status": "PAID"}}
        assert len(payments.charged) == 1
