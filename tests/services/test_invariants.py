"""Random schedules of everything shoppers, suppliers, providers and time do; always consistent."""

from asyncio import gather
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from app.auth import Viewer
from app.errors import MallError
from app.services import checkout, orders, orders_cancel, payments, shipments, stocks
from app.tables.orders import OrderLineRow, OrderRow, TradeRow
from app.tables.payments import PaymentRow
from app.tables.products import StockRow
from app.workers import expiries, outbox, refunds
from tests import invariants
from tests.factories import Group, Mall, Product

STEPS = 50


@dataclass
class Schedule:
    """A mall in which a seed decides who does what next; `done` counts deeds and refusals."""

    mall: Mall
    random: Random
    shoppers: list[Viewer] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    suppliers: dict[int, Viewer] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    replays: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    number: int = 0

    async def fill(self) -> None:
        self.shoppers = await self.mall.shoppers(6)
        for units, price_fen in ((6, 999), (15, 3001), (60, 12_900)):
            product = await self.mall.product(stock=units, price_fen=price_fen, skus=2)
            self.products.append(product)
            viewer = await self.mall.supplier_viewer(product.supplier_id)
            self.suppliers[product.supplier_id] = viewer
        for _ in range(2):
            product = self.products[2]
            activity_id = await self.mall.activity(product, size=3, duration_s=1800)
            group = await self.mall.opened(activity_id, product.sku_id, self.shoppers[0])
            self.groups.append(group)

    async def step(self) -> None:
        """One to three deeds at once."""
        deeds = [self.buy] * 3 + [self.pay] * 4 + [self.hold, self.ship] * 3
        deeds += [self.late, self.lead, self.cancel, self.confirm, self.count]
        deeds += [self.wait, self.sweep, self.refund, self.outage]
        chosen = self.random.choices(deeds, k=self.random.randint(1, 3))
        await gather(*(self.attempt(deed) for deed in chosen))

    async def attempt(self, deed: Callable[[], Awaitable[None]]) -> None:
        try:
            await deed()
            self.done[deed.__name__] += 1
        except MallError as refusal:
            self.done[refusal.code] += 1

    async def buy(self) -> None:
        shopper = self.random.choice(self.shoppers)
        for product in self.random.sample(self.products, 2):
            await self.mall.add(
                shopper, self.random.choice(product.sku_ids), self.random.randint(1, 2)
            )
        await self.mall.place(shopper)

    async def pay(self) -> None:
        trade = await self.any_row(TradeRow, "PENDING_PAYMENT")
        buyer = next(one for one in self.shoppers if one.id == trade.buyer_id)
        key = self.mall.key()
        self.replays.append(lambda: self.mall.pay(buyer, trade.id, key=key))
        await self.mall.pay(buyer, trade.id, key=key)

    async def late(self) -> None:
        """Two attempts at one trade, told of in their own time: duplicates and late money."""
        trade = await self.any_row(TradeRow, "PENDING_PAYMENT")
        buyer = next(one for one in self.shoppers if one.id == trade.buyer_id)
        async with self.mall.unit() as unit:
            attempts = [await payments.start(unit, buyer, trade_id=trade.id) for _ in range(2)]
        self.mall.clock.advance(minutes=self.random.choice([0, 0, 11, 31]))
        if self.random.random() < 0.5:
            await expiries.once(self.mall.database)
        for one in attempts:
            await self.tell(one)
            self.replays.append(lambda one=one: self.tell(one))

    async def tell(self, attempt: payments.Attempt) -> None:
        charged = self.mall.payments.charged.setdefault(attempt.provider_no, attempt.amount_fen)
        async with self.mall.unit() as unit:
            await checkout.settle(
                unit,
                payment_id=attempt.payment_id,
                provider_event_id=f"{attempt.provider_no}-paid",
                amount_fen=charged,
            )

    async def hold(self) -> None:
        await self.mall.hold(self.random.choice(self.groups), self.random.choice(self.shoppers))

    async def lead(self) -> None:
        old, leader = self.random.choice(self.groups), self.random.choice(self.shoppers)
        self.groups.append(await self.mall.opened(old.activity_id, old.sku_id, leader))

    async def cancel(self) -> None:
        trade = await self.any_row(TradeRow, "PENDING_PAYMENT")
        buyer = next(one for one in self.shoppers if one.id == trade.buyer_id)
        async with self.mall.unit() as unit:
            await orders_cancel.cancel_trade(unit, buyer, trade_id=trade.id)

    async def wait(self) -> None:
        self.mall.clock.advance(minutes=self.random.choice([1, 5, 12]))

    async def sweep(self) -> None:
        await expiries.once(self.mall.database)

    async def refund(self) -> None:
        await refunds.once(self.mall.database, self.mall.payments)

    async def outage(self) -> None:
        """The provider is away while somebody pays and refunds are due."""
        self.mall.payments.is_down = True
        try:
            await self.refund()
            await self.pay()
        finally:
            self.mall.payments.is_down = False

    async def ship(self) -> None:
        order = await self.any_row(OrderRow, "AWAITING_SHIPMENT", "PARTIALLY_SHIPPED")
        rows = await self.mall.rows(OrderLineRow, order_id=order.id)
        line = self.random.choice(rows)
        self.number += 1
        async with self.mall.unit() as unit:
            await shipments.ship(
                unit,
                self.suppliers[order.supplier_id],
                order_id=order.id,
                carrier_code="SF",
                waybill=f"SF{self.number:013d}",
                lines=self.random.choice([None, {line.id: 1}]),
            )

    async def confirm(self) -> None:
        order = await self.any_row(OrderRow, "SHIPPED")
        buyer = next(one for one in self.shoppers if one.id == order.buyer_id)
        async with self.mall.unit() as unit:
            await orders.confirm(unit, buyer, order_id=order.id)

    async def count(self) -> None:
        """A supplier counts its shelf, now and then finding less than it promised."""
        stock = await self.any_row(StockRow)
        counted = max(0, stock.on_hand + self.random.randint(-4, 6))
        async with self.mall.unit() as unit:
            await stocks.sync(unit, stock.sku_id, counted, stock.source_version + 1)

    async def any_row(self, kind: Any, *likely: str) -> Any:
        """A row, mostly one in a `likely` state; now and then one that will refuse."""
        rows = await self.mall.rows(kind)
        if self.random.random() < 0.8:
            rows = [row for row in rows if not likely or row.status in likely]
        if not rows:
            raise Nothing
        return self.random.choice(rows)


class Nothing(MallError):
    """There was nothing to do this to."""

    code = "NOTHING"
    zh = en = "nothing"


async def run(schedule: Schedule, steps: int) -> None:
    await schedule.fill()
    for _ in range(steps):
        await schedule.step()
        await invariants.check(schedule.mall)


async def drain(schedule: Schedule) -> None:
    """All deadlines pass, all refunds go through."""
    mall = schedule.mall
    mall.clock.advance(days=2)
    await expiries.once(mall.database)
    await refunds.once(mall.database, mall.payments)
    await invariants.check(mall)
    await invariants.check_settled(mall)


@pytest.mark.parametrize("seed", range(4))
async def test_numbers_are_never_wrong(mall: Mall, seed: int) -> None:
    schedule = Schedule(mall, Random(seed))
    await run(schedule, STEPS)
    await drain(schedule)
    assert sum(schedule.done[one] for one in ("buy", "pay", "ship", "hold")) >= 15, schedule.done


@pytest.mark.postgres
async def test_numbers_are_never_wrong_where_units_overlap(postgres_mall: Mall) -> None:
    schedule = Schedule(postgres_mall, Random(11))
    await run(schedule, STEPS)
    await drain(schedule)
    assert sum(schedule.done[one] for one in ("buy", "pay", "ship", "hold")) >= 15, schedule.done


async def test_repeating_everything_changes_nothing(mall: Mall) -> None:
    schedule = Schedule(mall, Random(23))
    await run(schedule, STEPS)
    await drain(schedule)
    assert len(schedule.replays) >= 10
    await outbox.once(mall.database)
    async with mall.unchanged():
        for replay in schedule.replays:
            await mall.outcome(replay())
        await expiries.once(mall.database)
        await refunds.once(mall.database, mall.payments)
        await outbox.once(mall.database)
    assert len({one.provider_no for one in await mall.rows(PaymentRow)}) == len(
        await mall.rows(PaymentRow)
    )
