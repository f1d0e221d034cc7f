"""A mall for tests: its own database, a memory bus, hands on the clock, and things to sell in it.

Factories are `mall.<word>(**differences)`: state only what the test is about.
"""

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Row, insert, select, update
from sqlmodel import SQLModel

from app.auth import Role, Viewer
from app.bus import MemoryBus
from app.db import Database, Unit
from app.errors import MallError
from app.gateways.payments import SimulatedPayments
from app.rules.group_buys import Overflow
from app.rules.orders import Address
from app.services import (
    carts,
    checkout,
    group_buys,
    group_buys_leave,
    orders_place,
    payments,
    stocks,
)
from app.services.checkout import Settlement
from app.tables.accounts import AccountRoleRow, AccountRow, AddressRow, IdentityRow
from app.tables.columns import table
from app.tables.group_buys import GroupBuyActivityRow, GroupBuyActivitySkuRow
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.tables.products import CategoryRow, ProductRow, SkuRow, StockRow
from app.tables.suppliers import SupplierRow

START = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
HOME = Address("林小满", "13800000001", "浙江省", "杭州市", "文三路 1 号")
FAR = Address("阿依古丽", "13900000002", "新疆维吾尔自治区", "乌鲁木齐市", "人民路 2 号")

T = TypeVar("T")
Late = Callable[[], Awaitable[Settlement]]


class Hands:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        """`advance(minutes=31)`."""
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Product:
    id: int
    supplier_id: int
    sku_ids: tuple[int, ...]

    @property
    def sku_id(self) -> int:
        return self.sku_ids[0]


@dataclass(frozen=True)
class Group:
    """An open group: its leader has paid."""

    id: int
    activity_id: int
    sku_id: int
    size: int
    leader: Viewer
    leader_trade_id: int


@dataclass
class Mall:
    database: Database
    bus: MemoryBus
    clock: Hands
    payments: SimulatedPayments = field(default_factory=SimulatedPayments)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def row(self, kind: type[SQLModel], key: int) -> Row[Any]:
        one = table(kind)
        async with self.database.read() as db:
            found = await db.first(select(*one.c).where(one.c.id == key))
        assert found is not None
        return found

    async def rows(self, kind: type[SQLModel], /, **equal: Any) -> list[Row[Any]]:
        one = table(kind)
        where = [one.c[name] == value for name, value in equal.items()]
        async with self.database.read() as db:
            return await db.all(select(*one.c).where(*where).order_by(one.c.id))

    async def stock(self, sku_id: int) -> tuple[int, int, int]:
        """(on hand, allocated, reserved)."""
        (row,) = await self.rows(StockRow, sku_id=sku_id)
        return row.on_hand, row.allocated, row.reserved

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, to see whether anything changed."""
        async with self.database.read() as db:
            return {
                one.name: [tuple(row) for row in await db.all(select(*one.c).order_by(one.c.id))]
                for one in SQLModel.metadata.sorted_tables
            }

    @asynccontextmanager
    async def unchanged(self, *besides: str) -> AsyncGenerator[None]:
        """Asserts that the block leaves every table as it was, those named `besides` apart."""
        before = await self.everything()
        yield
        after = await self.everything()
        for name in before.keys() - set(besides):
            assert after[name] == before[name], name

    @contextmanager
    def selects(self) -> Generator[list[str]]:
        """Collects the SELECT statements of the block."""
        seen: list[str] = []

        def note(statement: str) -> None:
            if statement.lstrip().upper().startswith(("SELECT", "WITH")):
                seen.append(statement)

        stop = self.database.watch(note)
        try:
            yield seen
        finally:
            stop()

    async def make(self, kind: type[SQLModel], **values: Any) -> int:
        """Inserts one row with the defaults of its class; its key."""
        made = kind(**values).model_dump(exclude={"id"})
        async with self.database.unit() as unit:
            return await unit.insert(insert(table(kind)).values(**made))

    async def change(self, kind: type[SQLModel], key: int, **values: Any) -> None:
        async with self.database.unit() as unit:
            one = table(kind)
            await unit.changed(update(one).where(one.c.id == key).values(**values))

    async def account(self, role: Role = Role.CONSUMER, *, subject_id: int | None = None) -> Viewer:
        """Somebody with a default address at HOME, signed in as `role`."""
        number = next(self.numbers)
        values: dict[str, Any] = {"nickname": f"小满{number}号", "created_at": self.clock()}
        key = await self.make(AccountRow, **values)
        await self.make(AccountRoleRow, account_id=key, role=role, subject_id=subject_id)
        await self.make(
            AddressRow,
            account_id=key,
            receiver=HOME.name,
            phone=HOME.phone,
            province=HOME.province,
            city=HOME.city,
            street=HOME.street,
            is_default=True,
        )
        return Viewer(role, key, subject_id)

    async def consumer(self) -> Viewer:
        return await self.account()

    async def shoppers(self, count: int) -> list[Viewer]:
        return [await self.consumer() for _ in range(count)]

    async def staff(self) -> Viewer:
        return await self.account(Role.AGENT)

    async def identity(self, viewer: Viewer, open_id: str, platform: str = "DEV") -> None:
        """Lets somebody sign in."""
        await self.make(
            IdentityRow, account_id=viewer.account_id, platform=platform, open_id=open_id
        )

    async def supplier(self, **differences: Any) -> int:
        """Ships for 8 yuan, to remote provinces for 10 more, free from 99 yuan on."""
        values: dict[str, Any] = {
            "name": f"供应商{next(self.numbers)}",
            "status": "APPROVED",
            "shipping_fen": 800,
            "remote_surcharge_fen": 1000,
            "free_shipping_from_fen": 9900,
            "created_at": self.clock(),
        }
        return await self.make(SupplierRow, **values | differences)

    async def supplier_viewer(self, supplier_id: int) -> Viewer:
        return await self.account(Role.SUPPLIER, subject_id=supplier_id)

    async def product(
        self,
        *,
        stock: int = 10,
        price_fen: int = 2990,
        skus: int = 1,
        supplier_id: int | None = None,
        **differences: Any,
    ) -> Product:
        """A product on sale; each of its SKUs costs `price_fen` and has `stock` units."""
        number = next(self.numbers)
        if supplier_id is None:
            supplier_id = await self.supplier()
        values: dict[str, Any] = {
            "supplier_id": supplier_id,
            "category_id": await self.category(),
            "title": f"山野小米{number}",
            "status": "ON_SALE",
            "min_price_fen": price_fen,
            "max_price_fen": price_fen,
            "created_at": self.clock(),
        }
        key = await self.make(ProductRow, **values | differences)
        sku_ids = [await self.sku(key, supplier_id, price_fen, stock) for _ in range(skus)]
        return Product(key, supplier_id, tuple(sku_ids))

    async def category(self) -> int:
        number = next(self.numbers)
        return await self.make(CategoryRow, name=f"分类{number}", path=f"/{number}/")

    async def sku(self, product_id: int, supplier_id: int, price_fen: int, stock: int) -> int:
        number = next(self.numbers)
        key = await self.make(
            SkuRow,
            product_id=product_id,
            supplier_id=supplier_id,
            code=f"S{number}",
            option_key=f"净含量={number}g",
            options={"净含量": f"{number}g"},
            supply_price_fen=max(1, price_fen // 2),
            distributor_price_fen=max(1, price_fen * 4 // 5),
            price_fen=price_fen,
            market_price_fen=price_fen * 2,
        )
        async with self.database.unit() as unit:
            await stocks.sync(unit, key, stock, 1)
        return key

    async def live_room(
        self, prices_fen: dict[int, int], *, status: str = "LIVE", **differences: Any
    ) -> int:
        """A room that shows {sku_id: live price in fen}."""
        values: dict[str, Any] = {
            "host_id": (await self.account(Role.DISTRIBUTOR)).account_id,
            "title": "晚间专场",
            "status": status,
            "starts_at": self.clock(),
            "created_at": self.clock(),
        }
        room_id = await self.make(LiveRoomRow, **values | differences)
        for position, (sku_id, price_fen) in enumerate(prices_fen.items()):
            sku = await self.row(SkuRow, sku_id)
            await self.make(
                LiveProductRow,
                room_id=room_id,
                product_id=sku.product_id,
                sku_id=sku_id,
                live_price_fen=price_fen,
                position=position,
            )
        return room_id

    async def activity(self, product: Product, *, price_fen: int = 1990, **differences: Any) -> int:
        """A running activity for groups of three, open for a day; a group has an hour to fill."""
        now = self.clock()
        values: dict[str, Any] = {
            "product_id": product.id,
            "title": "三人团",
            "status": "RUNNING",
            "size": 3,
            "duration_s": 3600,
            "starts_at": now - timedelta(hours=1),
            "ends_at": now + timedelta(days=1),
            "created_at": now,
        }
        key = await self.make(GroupBuyActivityRow, **values | differences)
        for sku_id in product.sku_ids:
            await self.make(
                GroupBuyActivitySkuRow, activity_id=key, sku_id=sku_id, price_fen=price_fen
            )
        return key

    async def group_buy(self, *, size: int = 3, stock: int = 100, **activity: Any) -> Group:
        """A group that its leader has opened and paid for."""
        product = await self.product(stock=stock)
        activity_id = await self.activity(product, size=size, **activity)
        return await self.opened(activity_id, product.sku_id)

    async def opened(self, activity_id: int, sku_id: int, leader: Viewer | None = None) -> Group:
        leader = leader or await self.consumer()
        async with self.database.unit() as unit:
            group_id, trade_id = await group_buys.open_group(
                unit,
                leader,
                activity_id=activity_id,
                sku_id=sku_id,
                quantity=1,
                idempotency_key=self.key(),
            )
        await self.pay(leader, trade_id)
        activity = await self.row(GroupBuyActivityRow, activity_id)
        return Group(group_id, activity_id, sku_id, activity.size, leader, trade_id)

    async def hold(
        self, group: Group, shopper: Viewer, *, overflow: Overflow = Overflow.REFUND
    ) -> int:
        """Takes a seat without paying; the trade to pay."""
        async with self.database.unit() as unit:
            _, trade_id = await group_buys.join(
                unit,
                shopper,
                group_buy_id=group.id,
                sku_id=group.sku_id,
                quantity=1,
                overflow=overflow,
                idempotency_key=self.key(),
            )
        return trade_id

    async def told_late(self, viewer: Viewer, trade_id: int, **later: float) -> Late:
        """An attempt to pay that its provider tells of when `later` has passed: call it then."""
        async with self.unit() as unit:
            attempt = await payments.start(unit, viewer, trade_id=trade_id)
        self.clock.advance(**later)

        async def tell() -> Settlement:
            self.payments.charged[attempt.provider_no] = attempt.amount_fen
            return await self.database.change(
                checkout.settle,
                payment_id=attempt.payment_id,
                provider_event_id=f"{attempt.provider_no}-paid",
                amount_fen=attempt.amount_fen,
            )

        return tell

    async def leave(self, group: Group, member: Viewer, *, key: str = "") -> str:
        """Leaves a group before it is full: "left", or the code of the refusal."""
        try:
            await self.database.change(
                group_buys_leave.leave,
                member,
                group_buy_id=group.id,
                idempotency_key=key or self.key(),
            )
        except MallError as refusal:
            return refusal.code
        return "left"

    async def join(self, group: Group, shopper: Viewer) -> str:
        """Takes a seat and pays for it: "joined", or the code of the refusal."""
        try:
            await self.pay(shopper, await self.hold(group, shopper))
        except MallError as refusal:
            return refusal.code
        return "joined"

    async def add(self, viewer: Viewer, sku_id: int, quantity: int = 1, **more: Any) -> int:
        """Puts units into the viewer's cart; the cart."""
        async with self.database.unit() as unit:
            return await carts.add_line(unit, viewer, sku_id=sku_id, quantity=quantity, **more)

    async def place(self, viewer: Viewer, *, address: Address = HOME, key: str = "") -> int:
        """Orders what is selected in the cart at the price that the cart shows; the trade."""
        async with self.database.read() as db:
            cart = await carts.current(db, viewer)
            assert cart is not None
            priced = await carts.priced(db, viewer, cart.id, province=address.province)
        async with self.database.unit() as unit:
            return await orders_place.place(
                unit,
                viewer,
                expected_payable_fen=priced.payable_fen,
                idempotency_key=key or self.key(),
                address=address,
            )

    async def order(self, viewer: Viewer, sku_id: int, quantity: int = 1) -> int:
        """One SKU, from the shelf to an unpaid trade."""
        await self.add(viewer, sku_id, quantity)
        return await self.place(viewer)

    async def pay(self, viewer: Viewer, trade_id: int, *, key: str = "") -> int:
        return await checkout.pay(
            self.database,
            self.payments,
            viewer,
            trade_id=trade_id,
            idempotency_key=key or self.key(),
        )

    async def bought(self, viewer: Viewer, sku_id: int, quantity: int = 1) -> int:
        """One SKU, from the shelf to a paid trade."""
        return await self.pay(viewer, await self.order(viewer, sku_id, quantity))

    async def outcome(self, deed: Awaitable[T]) -> T | str:
        """What a deed gives, or the code of its refusal."""
        try:
            return await deed
        except MallError as refusal:
            return refusal.code

    @asynccontextmanager
    async def unit(self) -> AsyncGenerator[Unit]:
        async with self.database.unit() as unit:
            yield unit

    def key(self) -> str:
        """A fresh idempotency key."""
        return f"key-{next(self.numbers)}"
