"""Walks of hypothesis through everything that can happen to groups; every step leaves all exact."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.auth import Viewer
from app.bus import Delivery, Subscription
from app.events import group_buy_topic
from app.rules.group_buys import Overflow
from app.services import group_buys_end, orders_cancel
from app.tables.group_buys import GroupBuyMemberRow, GroupBuyRow
from app.tables.orders import TradeRow
from app.tables.payments import RefundRow
from app.workers import expiries, refunds
from tests import invariants
from tests.conftest import opened
from tests.factories import Group, Late, Mall, Product

PEOPLE = st.integers(0, 7)
WHICH = st.integers(0, 9)


class Walks(RuleBasedStateMachine):
    """Eight shoppers, groups of three in one activity, and as many units as not all can have.

    The machine is synchronous: each deed runs in a loop of the machine's own. `seen` counts what
    became of things over all walks.
    """

    migrated: Path
    seen: Counter[str] = Counter()  # noqa: RUF012  shared on purpose

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.groups: list[Group] = []
        self.late: list[Late] = []
        self.heard: dict[int, Subscription] = {}
        self.mall: Mall
        self.product: Product
        self.shoppers: list[Viewer]
        self.activity_id: int

    def run(self, deed: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(deed)

    @initialize(units=st.integers(4, 12))
    def begin(self, units: int) -> None:
        async def begin() -> None:
            folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
            (folder / "mall.db").write_bytes(self.migrated.read_bytes())
            url = f"sqlite+aiosqlite:///{folder / 'mall.db'}"
            self.mall = await self.stack.enter_async_context(opened(url))
            self.shoppers = await self.mall.shoppers(8)
            self.product = await self.mall.product(stock=units)
            self.activity_id = await self.mall.activity(self.product, size=3, duration_s=1800)
            for leader in self.shoppers[:2]:
                await self.open(leader)

        self.run(begin())

    def teardown(self) -> None:
        try:
            if hasattr(self, "activity_id"):
                self.run(self.drain())
        finally:
            self.run(self.stack.aclose())
            self.loop.close()

    async def drain(self) -> None:
        """All deadlines pass, all late money comes, all refunds go through."""
        for hours in (2, 30):
            self.mall.clock.advance(hours=hours)
            await expiries.once(self.mall.database)
            for tell in self.late:
                await tell()
        self.mall.clock.advance(hours=2)
        await expiries.once(self.mall.database)
        await refunds.once(self.mall.database, self.mall.payments)
        await invariants.check(self.mall)
        await invariants.check_settled(self.mall)
        assert await self.mall.rows(GroupBuyRow, status="OPEN") == []
        for member in await self.mall.rows(GroupBuyMemberRow):
            self.seen[member.status] += 1
            self.seen["MOVED"] += member.moved_to_id is not None
        self.seen.update(one.reason_kind for one in await self.mall.rows(RefundRow))

    @rule(who=PEOPLE)
    def open_group(self, who: int) -> None:
        self.run(self.open(self.shoppers[who]))

    async def open(self, leader: Viewer) -> None:
        opening = self.mall.opened(self.activity_id, self.product.sku_id, leader)
        group = await self.mall.outcome(opening)
        if isinstance(group, Group):
            self.groups.append(group)
            subscription = self.mall.bus.subscribe(group_buy_topic(group.id))
            self.heard[group.id] = await self.stack.enter_async_context(subscription)

    @precondition(lambda self: self.groups)
    @rule(who=PEOPLE, which=WHICH)
    def join(self, who: int, which: int) -> None:
        self.run(self.mall.join(self.group(which), self.shoppers[who]))

    @precondition(lambda self: self.groups)
    @rule(
        who=PEOPLE,
        which=WHICH,
        overflow=st.sampled_from(Overflow),
        minutes=st.sampled_from([11, 0]),
        comes=st.sampled_from([1, 0, 2]),
    )
    def pay_slowly(
        self, who: int, which: int, overflow: Overflow, minutes: int, comes: int
    ) -> None:
        """Money is on its way for a seat, which may be lost before it comes, and comes again."""

        async def deed() -> None:
            shopper = self.shoppers[who]
            hold = self.mall.hold(self.group(which), shopper, overflow=overflow)
            trade_id = await self.mall.outcome(hold)
            if isinstance(trade_id, int):
                tell = await self.mall.told_late(shopper, trade_id, minutes=minutes)
                self.late.append(tell)
                await expiries.once(self.mall.database)
                for _ in range(comes):
                    await tell()

        self.run(deed())

    @precondition(lambda self: self.groups)
    @rule(who=PEOPLE, which=WHICH)
    def hold(self, who: int, which: int) -> None:
        self.run(self.mall.outcome(self.mall.hold(self.group(which), self.shoppers[who])))

    @precondition(lambda self: self.late)
    @rule(which=WHICH)
    def money_comes(self, which: int) -> None:
        """In time, late, or told of once more."""
        self.run(self.late[which % len(self.late)]())

    @precondition(lambda self: self.groups)
    @rule(which=WHICH)
    def pay(self, which: int) -> None:
        self.run(self.unpaid(which, self.mall.pay))

    @precondition(lambda self: self.groups)
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        async def deed(buyer: Viewer, trade_id: int) -> None:
            async with self.mall.unit() as unit:
                await orders_cancel.cancel_trade(unit, buyer, trade_id=trade_id)

        self.run(self.unpaid(which, deed))

    async def unpaid(self, which: int, deed: Callable[[Viewer, int], Awaitable[Any]]) -> None:
        trades = await self.mall.rows(TradeRow, status="PENDING_PAYMENT")
        if trades:
            trade = trades[which % len(trades)]
            buyer = next(one for one in self.shoppers if one.id == trade.buyer_id)
            await self.mall.outcome(deed(buyer, trade.id))

    @precondition(lambda self: self.groups)
    @rule(who=PEOPLE, which=WHICH)
    def leave(self, who: int, which: int) -> None:
        self.run(self.mall.leave(self.group(which), self.shoppers[who]))

    @precondition(lambda self: self.groups)
    @rule(which=WHICH)
    def leader_leaves(self, which: int) -> None:
        async def deed() -> None:
            group = self.group(which)
            row = await self.mall.row(GroupBuyRow, group.id)
            leader = next(one for one in self.shoppers if one.id == row.leader_id)
            left = await self.mall.leave(group, leader)
            after = await self.mall.row(GroupBuyRow, group.id)
            assert after.expires_at == row.expires_at
            assert left == ("left" if row.status == "OPEN" else "WRONG_STATE")

        self.run(deed())

    @rule(minutes=st.sampled_from([1, 6, 11, 31]), is_swept=st.booleans())
    def wait(self, minutes: int, is_swept: bool) -> None:
        self.mall.clock.advance(minutes=minutes)
        if is_swept:
            self.run(expiries.once(self.mall.database))

    @rule()
    def refund(self) -> None:
        self.run(refunds.once(self.mall.database, self.mall.payments))

    @precondition(lambda self: len(self.groups) > 4)
    @rule()
    def stop(self) -> None:
        async def deed() -> None:
            supplier = await self.mall.supplier_viewer(self.product.supplier_id)
            await group_buys_end.stop_activity(
                self.mall.database, supplier, activity_id=self.activity_id
            )
            self.activity_id = await self.mall.activity(self.product, size=3, duration_s=1800)

        self.run(deed())

    @invariant()
    def all_is_exact(self) -> None:
        if hasattr(self, "activity_id"):
            self.run(self.check())

    async def check(self) -> None:
        await invariants.check(self.mall)
        for group_id, heard in self.heard.items():
            row = await self.mall.row(GroupBuyRow, group_id)
            last = [one.message.payload for one in heard.queue if isinstance(one, Delivery)][-1:]
            for told in last:
                state = (told["status"], told["held"], told["paid"])
                assert state == (row.status, row.held_count, row.paid_count)
        moved = [one for one in await self.mall.rows(GroupBuyMemberRow) if one.moved_to_id]
        assert len({one.moved_to_id for one in moved}) == len(moved)
        refunded = {
            one.trade_id for one in await self.mall.rows(RefundRow, reason_kind="LATE_PAYMENT")
        }
        trades = await self.mall.rows(TradeRow, status="PAID")
        assert not refunded & {one.id for one in trades}

    def group(self, which: int) -> Group:
        return self.groups[which % len(self.groups)]


def test_whatever_happens_to_groups_the_numbers_are_exact(migrated: Path) -> None:
    Walks.migrated = migrated
    few = settings(
        max_examples=20,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(Walks, settings=few)
    wanted = {"SUCCEEDED", "RELEASED", "REFUNDED", "MOVED", "LATE_PAYMENT"}
    assert wanted <= {what for what, times in Walks.seen.items() if times}, Walks.seen
