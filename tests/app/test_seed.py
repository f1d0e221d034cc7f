"""The seed: complete, believable, made by the services, and what the tour needs is there."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app import seed
from app.auth import Role
from app.bus import MemoryBus
from app.db import Database, Reader
from app.rules.live_lotteries import Published, recompute
from app.seed import documents, shelves
from app.seed.documents import BadDocument, Names
from app.services import accounts, payments, policies, shipments
from app.services.group_buys_seats import GROUPS, MEMBERS
from app.services.live_rooms import ROOMS
from app.services.live_rooms_lottery import ENTRIES, LOTTERIES, listed
from app.services.live_rooms_shelf import LIVE_PRODUCTS
from app.services.live_rooms_talk import MESSAGES
from app.services.orders import LINES, ORDERS, TRADES
from app.services.products import PRODUCTS, SKUS, STOCKS, SUPPLIERS
from app.services.stocks import MOVEMENTS
from app.tables.columns import table
from app.tables.outbox import OutboxRow
from tests.factories import Mall

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seeded(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database with the small seed in it."""
    file = tmp_path_factory.mktemp("seeded") / "mall.db"
    file.write_bytes(migrated.read_bytes())
    url = f"sqlite+aiosqlite:///{file}"

    async def fill() -> None:
        database = Database(url, bus=MemoryBus())
        assert await seed.is_empty(database)
        await seed.seed(database, full=False, now=NOW, progress=lambda *_: None)
        assert not await seed.is_empty(database)
        await database.close()

    asyncio.run(fill())
    return url


@pytest.fixture
async def db(seeded: str) -> Any:
    database = Database(seeded, bus=MemoryBus())
    async with database.read() as reader:
        yield reader
    await database.close()


async def count(db: Reader, column: Any) -> Counter[str]:
    rows = await db.all(select(column, func.count()).group_by(column))
    return Counter({row[0]: row[1] for row in rows})


async def signed_in(db: Reader, open_id: str) -> int:
    rows = await db.all(
        select(accounts.IDENTITIES.c.account_id).where(accounts.IDENTITIES.c.open_id == open_id)
    )
    return rows[0].account_id


async def test_every_state_is_there(db: Reader) -> None:
    assert set(await count(db, ORDERS.c.status)) == {
        "PENDING_PAYMENT",
        "AWAITING_GROUP",
        "AWAITING_SHIPMENT",
        "PARTIALLY_SHIPPED",
        "SHIPPED",
        "COMPLETED",
        "CANCELLED",
    }
    assert set(await count(db, GROUPS.c.status)) == {"OPEN", "FILLED", "FAILED"}
    assert await count(db, SUPPLIERS.c.status) == {"APPROVED": 8, "SUSPENDED": 1, "APPLIED": 1}
    assert await count(db, ROOMS.c.status) == {"LIVE": 2, "SCHEDULED": 1, "REPLAY_READY": 1}
    assert set(await count(db, PRODUCTS.c.status)) == {"ON_SALE", "PRE_SALE", "DELISTED"}
    assert (await count(db, MESSAGES.c.is_hidden))[True] == 3


async def test_stock_is_the_sum_of_its_movements(db: Reader) -> None:
    moved = select(MOVEMENTS.c.sku_id, func.sum(MOVEMENTS.c.delta).label("sum")).group_by(
        MOVEMENTS.c.sku_id
    )
    sums = {row.sku_id: row.sum for row in await db.all(moved)}
    stock = {row.sku_id: row.on_hand for row in await db.all(select(*STOCKS.c))}
    assert stock == sums
    assert min(stock.values()) == 0
    assert len([units for units in stock.values() if 0 < units <= 3]) >= 3


async def test_money_adds_up_over_trades_orders_and_lines(db: Reader) -> None:
    for parent, child, key in ((TRADES, ORDERS, "trade_id"), (ORDERS, LINES, "order_id")):
        for amount in ("payable_fen", "paid_fen", "refunded_fen"):
            sums = select(child.c[key], func.sum(child.c[amount]).label("sum")).group_by(
                child.c[key]
            )
            found = {row[0]: row.sum for row in await db.all(sums)}
            whole = {row.id: getattr(row, amount) for row in await db.all(select(*parent.c))}
            assert found == whole, (parent.name, amount)


async def test_nothing_lies_in_the_future_but_what_is_planned(db: Reader) -> None:
    for column in (ORDERS.c.created_at, ORDERS.c.completed_at, MESSAGES.c.created_at):
        assert await db.value(select(func.max(column))) <= NOW
    assert await db.value(select(func.count()).select_from(table(OutboxRow))) == 0


async def test_consumer_1_has_something_to_ask_about(db: Reader) -> None:
    me = await signed_in(db, "consumer-1")
    mine = await db.all(select(*ORDERS.c).where(ORDERS.c.buyer_id == me).order_by(ORDERS.c.id))
    assert Counter(row.status for row in mine) == {
        "COMPLETED": 2,
        "CANCELLED": 1,
        "SHIPPED": 1,
        "AWAITING_GROUP": 1,
        "AWAITING_SHIPMENT": 1,
    }
    by_status = {row.status: row for row in mine}
    (parcel,) = await db.all(
        select(*shipments.SHIPMENTS.c).where(
            shipments.SHIPMENTS.c.order_id == by_status["SHIPPED"].id
        )
    )
    assert parcel.status == "IN_TRANSIT"
    assert NOW < parcel.eta < NOW + timedelta(days=5)
    trace = await db.all(
        select(*shipments.TRACES.c).where(shipments.TRACES.c.shipment_id == parcel.id)
    )
    assert len(trace) == 3
    assert NOW - by_status["COMPLETED"].completed_at <= timedelta(days=7)
    (refund,) = await db.all(
        select(*payments.REFUNDS.c).where(payments.REFUNDS.c.order_id == by_status["CANCELLED"].id)
    )
    assert (refund.reason_kind, refund.status) == ("GROUP_FAILED", "PROCESSING")
    member = await db.first(
        select(*MEMBERS.c).where(MEMBERS.c.account_id == me, MEMBERS.c.status == "JOINED")
    )
    assert member is not None
    homes = await db.all(
        select(accounts.addresses.ADDRESSES.c.is_default).where(
            accounts.addresses.ADDRESSES.c.account_id == me
        )
    )
    assert sorted(row.is_default for row in homes) == [False, True]


async def test_groups_of_three_are_free_to_join_and_one_ends_in_ten_minutes(db: Reader) -> None:
    open_groups = await db.all(select(*GROUPS.c).where(GROUPS.c.status == "OPEN"))
    assert len([one for one in open_groups if one.size == 3 and one.held_count < 3]) >= 5
    last = [one for one in open_groups if one.size - one.paid_count == 1]
    assert any(one.expires_at - NOW <= timedelta(minutes=15) for one in last)
    assert all(one.expires_at > NOW for one in open_groups)


async def test_everybody_of_the_tour_can_sign_in(seeded: str) -> None:
    database = Database(seeded, bus=MemoryBus())
    people = {
        "consumer-1": Role.CONSUMER,
        "consumer-260": Role.CONSUMER,
        "distributor-1": Role.DISTRIBUTOR,
        "supplier-8": Role.SUPPLIER,
        "agent-1": Role.AGENT,
        "admin-1": Role.ADMIN,
    }
    for open_id, role in people.items():
        async with database.unit() as unit:
            viewer = await accounts.login(unit, platform="DEV", open_id=open_id)
        assert viewer.role is role
        assert (viewer.subject_id is not None) == (role in {Role.DISTRIBUTOR, Role.SUPPLIER})
    await database.close()


async def test_one_product_has_sixty_skus(db: Reader) -> None:
    sizes = await count(db, SKUS.c.product_id)
    assert max(sizes.values()) == 60
    assert sum(sizes.values()) == 254


async def test_live_rooms_show_goods_with_one_pinned(db: Reader) -> None:
    shown = await db.all(
        select(
            LIVE_PRODUCTS.c.room_id,
            func.count().label("goods"),
            func.sum(func.coalesce(LIVE_PRODUCTS.c.is_pinned, 0)).label("pins"),
        ).group_by(LIVE_PRODUCTS.c.room_id)
    )
    assert len(shown) == 4
    live = {row.id for row in await db.all(select(ROOMS.c.id).where(ROOMS.c.status == "LIVE"))}
    assert {row.room_id for row in shown if row.pins == 1} == live


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("七天无理由退货运费谁出", "return-7-days"),
        ("拆开用过还能退货吗", "return-7-days"),
        ("降价了能退差价吗", "price-protection"),
        ("水果坏了怎么赔", "fresh-claims"),
        ("拼团没成功钱什么时候退", "group-buys"),
        ("发票怎么开", "invoices"),
        ("多久发货", "delivery"),
        ("新疆要加运费吗", "freight"),
        ("电饭煲保修多久", "warranty"),
        ("我的数据你们存多久", "privacy"),
        ("优惠券过期了能补吗", "coupons"),
        ("我要投诉", "service"),
    ],
)
async def test_questions_find_their_document(db: Reader, question: str, code: str) -> None:
    clauses = await policies.search_clauses(db, text=question, audience="CONSUMER", at=NOW)
    assert code in {one.code for one in clauses[:3]}


async def test_the_appliance_maker_has_its_own_warranty(db: Reader) -> None:
    maker = next(one for one in shelves.read().makers if one.category == "小家电")
    supplier = await db.value(select(SUPPLIERS.c.id).where(SUPPLIERS.c.name == maker.name))
    general = await policies.records(db, topics=["warranty_months"], audience="CONSUMER", at=NOW)
    own = await policies.records(
        db, topics=["warranty_months"], audience="CONSUMER", at=NOW, supplier_id=supplier
    )
    assert [row.value["months"] for row in general if row.condition_key == ""] == [12]
    assert [row.value["months"] for row in own if row.condition_key == ""] == [24]


@pytest.mark.parametrize(
    "body", ["no clause here", "@ topic value", "1. ok\n@ days[x y] a=1", "1. ok\n@ days a"]
)
def test_a_broken_policy_file_names_itself(tmp_path: Path, body: str) -> None:
    file = tmp_path / "broken.md"
    head = "---\ncode: x\nversion: 1\ntitle: t\naudience: ALL\nvalid_from: 2024-01-01\n---\n"
    file.write_text(head + body, encoding="utf-8")
    with pytest.raises(BadDocument, match=r"broken\.md"):
        documents.read(file, Names({}, {}))


async def test_an_interrupted_seed_leaves_nothing_behind(mall: Mall) -> None:
    def interrupt(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("商品", 12):
            raise KeyboardInterrupt

    async with mall.unchanged():
        with pytest.raises(KeyboardInterrupt):
            await seed.seed(mall.database, full=False, now=NOW, progress=interrupt)
    assert mall.database.clock is mall.clock
    assert await seed.is_empty(mall.database)


async def test_the_draws_of_rooms_can_be_checked(db: Reader) -> None:
    drawn = await db.all(select(*LOTTERIES.c).order_by(LOTTERIES.c.id))
    assert [one.status for one in drawn] == ["DRAWN"] * 3
    for one in drawn:
        entries = await listed(db, one.id)
        assert len(entries) == one.entry_count
        winners = await db.all(
            select(ENTRIES.c.number)
            .where(ENTRIES.c.lottery_id == one.id, ENTRIES.c.is_winner)
            .order_by(ENTRIES.c.prize_place)
        )
        shown = Published(one.commit_hash, one.seed, one.list_digest, one.winner_count, entries)
        assert len(winners) == 3
        assert [row.number for row in winners] == recompute(shown)
