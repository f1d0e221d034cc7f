"""A mall in which everything has happened, and everybody who may look at it."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import insert, select

from app import ids
from app.auth import Role, Viewer
from app.rules.live_lotteries import LotteryStatus, commit_of
from app.rules.live_rooms import RoomEventKind
from app.services import (
    group_buys,
    group_buys_end,
    live_rooms_log,
    live_rooms_shelf,
    orders,
    orders_cancel,
    products_store,
    shipments,
)
from app.tables.accounts import AccountRoleRow, AddressRow
from app.tables.assets import AssetRow
from app.tables.carts import CartLineRow
from app.tables.chat import ChatMessageRow, ConversationRow
from app.tables.columns import table
from app.tables.distributors import DistributorRow
from app.tables.group_buys import GroupBuyRow
from app.tables.live_lotteries import LiveLotteryEntryRow, LiveLotteryRow
from app.tables.live_rooms import LiveMessageRow, LiveMuteRow, LiveProductRow, LiveRoomRow
from app.tables.orders import OrderLineRow, OrderRow
from app.tables.payments import PaymentRow, RefundRow
from app.tables.products import CategoryRow, ProductOptionRow, ProductRow, SkuRow
from app.workers import refunds
from schema.fields import ENTITIES
from tests.factories import FAR, Group, Mall, Product

Words = dict[str, list[str]]
WHO = (
    "guest",
    "guest with a cart",
    "consumer",
    "consumer who reads English",
    "distributor",
    "supplier",
    "agent",
    "admin",
)


@dataclass(frozen=True)
class Bazaar:
    """Who looks at the mall, by what they are called, and the global ids of all that is in it."""

    viewers: dict[str, Viewer]
    ids: Words


async def fill(mall: Mall) -> Bazaar:
    """Makes everything through the services, but for states that only time or people bring."""
    goods = await _goods(mall)
    consumer = await mall.consumer()
    other = await mall.consumer()
    distributor = await _distributor(mall, consumer)
    seller = await mall.supplier_viewer(goods[0].supplier_id)
    await _groups(mall, goods, consumer)
    await _orders(mall, goods, consumer, other, seller)
    await _sold_by(mall, distributor, consumer)
    room = await _rooms(mall, goods, distributor, consumer)
    await _carts(mall, goods, consumer, room)
    await _conversations(mall, consumer, other)
    await _addresses(mall, consumer)
    staff = await mall.staff()
    await _pictures(mall, consumer, other, staff)
    viewers = (
        Viewer(),
        Viewer(guest_key="kitchen"),
        consumer,
        Viewer(Role.CONSUMER, other.id, locale="en"),
        distributor,
        seller,
        staff,
        await mall.account(Role.ADMIN),
    )
    return Bazaar(dict(zip(WHO, viewers, strict=True)), await _all_ids(mall))


async def _pictures(mall: Mall, *owners: Viewer) -> None:
    for number, owner in enumerate(owners):
        await mall.make(
            AssetRow, owner_id=owner.id, link=f"{number}" * 22, sha256="0" * 64,
            media_type="image/png", size_bytes=9, width=1, height=1, created_at=mall.clock(),
        )  # fmt: skip


async def _goods(mall: Mall) -> list[Product]:
    """Two suppliers' goods in a tree of categories; some cannot be seen, bought or had enough of.

    The first product has three SKUs and two options; products 1 and 5 are for group-buys.
    """
    food = await mall.make(CategoryRow, name="食品", path="/1/", sort=1)
    coffee = await mall.make(CategoryRow, name="咖啡", path="/1/2/", parent_id=food, sort=2)
    beans = await mall.make(CategoryRow, name="咖啡豆", path="/1/2/3/", parent_id=coffee)
    await mall.make(CategoryRow, name="茶", path="/1/4/", parent_id=food, sort=1)
    far = await mall.supplier(name="云南小粒", category="咖啡", ship_from="昆明", rating_bp=9700)
    near = await mall.supplier(name="山野", free_shipping_from_fen=None, shipping_fen=0)
    gone = await mall.supplier(name="停业", status="SUSPENDED")
    await mall.supplier(name="申请中", status="APPLIED")
    told = {"subtitle": "日晒", "description": "一百克一包", "image": "/beans.jpg"}
    goods = [
        await mall.product(title="云南咖啡豆", supplier_id=far, category_id=beans, skus=3,
                           stock=500, customer_limit=9, rating_bp=9900, is_fresh=True, **told),
        await mall.product(title="云南咖啡粉", supplier_id=far, category_id=coffee, stock=50,
                           sold_count=12, warranty_months=6, return_days=0, sort=3),
        await mall.product(title="山野小米", supplier_id=near, status="PRE_SALE", skus=2),
        await mall.product(title="下架的米", supplier_id=near, status="DELISTED"),
        await mall.product(title="停业的茶", supplier_id=gone),
        await mall.product(title="五常大米", supplier_id=near, stock=500, price_fen=12_900),
        await mall.product(title="卖完的米", supplier_id=near, stock=0, price_fen=1990),
    ]  # fmt: skip
    for number in range(5):
        made = await mall.product(supplier_id=near if number % 2 else far, price_fen=2990)
        goods.append(made)
    for place, (name, choices) in enumerate({"产地": ["保山", "普洱"], "烘焙": ["深"]}.items()):
        await mall.make(
            ProductOptionRow, product_id=goods[0].id, name=name, choices=choices, sort=-place
        )
    await mall.change(SkuRow, goods[0].sku_ids[2], status="DELISTED")
    await mall.change(SkuRow, goods[0].sku_ids[1], options={"产地": "普洱", "烘焙": "深"})
    async with mall.unit() as unit:
        for one in goods:
            await products_store.index(unit, one.id)
    await mall.change(ProductRow, goods[1].id, created_at=mall.clock() - timedelta(days=9))
    return goods


async def _distributor(mall: Mall, first: Viewer) -> Viewer:
    """Two shops, one of them closed."""
    viewer = await mall.account(Role.DISTRIBUTOR)
    given = {"level": 1, "created_at": mall.clock()}
    shop = await mall.make(
        DistributorRow, account_id=viewer.id, status="ACTIVE", shop_name="小店", slug="x", **given
    )
    await mall.make(
        DistributorRow, account_id=first.id, status="CLOSED", shop_name="旧店", slug="y", **given
    )
    (held,) = await mall.rows(AccountRoleRow, account_id=viewer.id)
    await mall.change(AccountRoleRow, held.id, subject_id=shop)
    return Viewer(Role.DISTRIBUTOR, viewer.id, shop)


async def _groups(mall: Mall, goods: list[Product], consumer: Viewer) -> None:
    """Groups in every state: failed, filled, pending, open with all kinds of seats."""
    short = await mall.activity(goods[5], duration_s=600, size=2)
    pair = await mall.opened(short, goods[5].sku_id, consumer)
    await mall.join(pair, await mall.consumer())
    await mall.opened(short, goods[5].sku_id)
    mall.clock.advance(minutes=11)
    async with mall.unit() as unit:
        await group_buys_end.expire_due(unit, limit=9)
    await refunds.once(mall.database, mall.payments)
    running = await mall.activity(goods[0], size=3)
    filled = await mall.opened(running, goods[0].sku_id)
    for shopper in await mall.shoppers(2):
        await mall.join(filled, shopper)
    group = await mall.opened(running, goods[0].sku_id, consumer)
    await mall.join(group, await mall.consumer())
    await mall.hold(group, await mall.consumer())
    await _pending(mall, running, goods[0].sku_id)
    await _crowd(mall, group, goods[0].id)
    period = {"starts_at": mall.clock() + timedelta(days=1), "ends_at": mall.clock() + timedelta(9)}
    for status in ("DRAFT", "SCHEDULED", "ENDED", "STOPPED"):
        await mall.activity(goods[0], status=status, title=status, **period)
    await mall.activity(goods[4])


async def _pending(mall: Mall, activity_id: int, sku_id: int) -> None:
    leader = await mall.consumer()
    async with mall.unit() as unit:
        await group_buys.open_group(
            unit,
            leader,
            activity_id=activity_id,
            sku_id=sku_id,
            quantity=1,
            idempotency_key=mall.key(),
        )


async def _crowd(mall: Mall, like: Group, product_id: int) -> None:
    """More open groups than a product or an activity shows, many of them to expire together."""
    async with mall.unit() as unit:
        for number in range(24):
            await unit.insert(
                insert(table(GroupBuyRow)).values(
                    activity_id=like.activity_id,
                    product_id=product_id,
                    leader_id=like.leader.id,
                    size=like.size,
                    held_count=1,
                    paid_count=1,
                    status="OPEN",
                    expires_at=mall.clock() + timedelta(minutes=50 + number // 3, microseconds=7),
                    version=1,
                    created_at=mall.clock(),
                )
            )


async def _orders(
    mall: Mall, goods: list[Product], consumer: Viewer, other: Viewer, seller: Viewer
) -> None:
    """Orders in every state that a parcel goes through; trades of several suppliers."""
    sku = goods[1].sku_id
    for viewer in (consumer, other):
        await mall.bought(viewer, sku, 2)
        unpaid = await mall.order(viewer, sku)
        cancelled = await mall.order(viewer, sku)
        async with mall.unit() as unit:
            await orders_cancel.cancel_trade(unit, viewer, trade_id=cancelled)
    await mall.make(
        PaymentRow, trade_id=unpaid, attempt_no=9, provider="SIMULATED", provider_no="none",
        amount_fen=1, status="FAILED", created_at=mall.clock(), finished_at=mall.clock(),
    )  # fmt: skip
    for one in (goods[1], goods[7], goods[8]):
        await mall.add(consumer, one.sku_id, 2)
    await mall.pay(consumer, await mall.place(consumer, address=FAR))
    for number, is_whole in enumerate((False, True, True)):
        trade = await mall.bought(consumer, sku, 3)
        (order,) = await mall.rows(OrderRow, trade_id=trade)
        (line,) = await mall.rows(OrderLineRow, order_id=order.id)
        await _ship(
            mall, seller, order.id, f"SF000000000000{number}", line.id, 3 if is_whole else 1
        )
    async with mall.unit() as unit:
        await orders.confirm(unit, consumer, order_id=order.id)
    await mall.make(
        RefundRow, trade_id=trade, order_id=order.id, reason_kind="AFTERSALE", ref_id=1,
        amount_fen=5, status="FAILED", attempts=5, created_at=mall.clock(),
    )  # fmt: skip


async def _ship(
    mall: Mall, seller: Viewer, order_id: int, waybill: str, line_id: int, units: int
) -> None:
    async with mall.unit() as unit:
        parcel = await shipments.ship(
            unit, seller, order_id=order_id, carrier_code="SF", waybill=waybill,
            lines={line_id: units},
        )  # fmt: skip
        for hours, code in ((1, "PICKED_UP"), (9, "IN_TRANSIT"), (20, "DELIVERED")):
            at = mall.clock() + timedelta(hours=hours, microseconds=120)
            await shipments.trace(unit, shipment_id=parcel, happened_at=at, code=code, text=code)


async def _sold_by(mall: Mall, distributor: Viewer, buyer: Viewer) -> None:
    """Half of one shopper's orders came through a shop."""
    for order in (await mall.rows(OrderRow, buyer_id=buyer.id))[::2]:
        await mall.change(OrderRow, order.id, distributor_id=distributor.subject_id)


async def _rooms(mall: Mall, goods: list[Product], host: Viewer, consumer: Viewer) -> int:
    """Rooms in every state; the first is live and has more messages than it shows."""
    prices = {goods[0].sku_id: 2500, goods[1].sku_id: 1000, goods[3].sku_id: 99}
    live = await mall.live_room(prices, host_id=host.id, started_at=mall.clock(), like_count=7)
    (_, second, _) = await mall.rows(LiveProductRow, room_id=live)
    async with mall.unit() as unit:
        await live_rooms_shelf.pin(unit, host, room_id=live, live_product_id=second.id)
    async with mall.unit() as unit:
        for number in range(1, 56):
            author = consumer if number % 3 else host
            await unit.insert(
                insert(table(LiveMessageRow)).values(
                    room_id=live,
                    account_id=author.id,
                    seq=number,
                    kind="TEXT",
                    text=f"第 {number} 句",
                    is_hidden=number % 7 == 0,
                    created_at=mall.clock() + timedelta(seconds=number),
                )
            )
    supplier_id = goods[0].supplier_id
    for status in (
        "SCHEDULED",
        "PAUSED",
        "ENDED",
        "REPLAY_READY",
        "CANCELLED",
        "EXPIRED",
        "BANNED",
    ):
        await mall.live_room(
            {goods[5].sku_id: 500},
            status=status,
            supplier_id=supplier_id,
            host_id=consumer.id if status == "BANNED" else host.id,
            ended_at=mall.clock(),
        )
    await mall.change(LiveRoomRow, live, message_seq=55)
    await _told(mall, live, host)
    return live


async def _told(mall: Mall, live: int, host: Viewer) -> None:
    """What the host alone sees of a room, a lottery that is open and one that was drawn."""
    stranger = await mall.consumer()
    who = {"account_id": stranger.account_id, "created_at": mall.clock()}
    rooms = [row.id for row in await mall.rows(LiveRoomRow)]
    for room in (live, rooms[-1]):
        muted = await mall.make(LiveMuteRow, room_id=room, muted_by=host.account_id, **who)
        async with mall.unit() as unit:
            await live_rooms_log.note(unit, room, RoomEventKind.MUTED, mute_id=muted)
            span = {"first": 1, "last": 55}
            await live_rooms_log.note(unit, room, RoomEventKind.MESSAGES_POSTED, **span)
            tallies = {"likes": 7, "viewers": 2}
            await live_rooms_log.note(unit, room, RoomEventKind.TALLIED, **tallies)
        drawn = await _lottery(mall, room, LotteryStatus.DRAWN)
        for number, place in ((1, 2), (2, None), (3, 1)):
            person = await mall.consumer()
            values = {"account_id": person.account_id, "created_at": mall.clock()}
            values |= {"name": "小**号", "prize_place": place, "is_winner": place is not None}
            await mall.make(LiveLotteryEntryRow, lottery_id=drawn, number=number, **values)
    await _lottery(mall, live, LotteryStatus.OPEN)


async def _lottery(mall: Mall, room: int, status: LotteryStatus) -> int:
    is_drawn = status is LotteryStatus.DRAWN
    return await mall.make(
        LiveLotteryRow,
        room_id=room,
        prize="小米一袋",
        keyword="暖锅",
        winner_count=2,
        status=status,
        commit_hash=commit_of("07"),
        seed="07",
        list_digest=commit_of("08") if is_drawn else None,
        entry_count=3 if is_drawn else 0,
        opened_at=mall.clock(),
        closes_at=mall.clock() + timedelta(hours=1),
        drawn_at=mall.clock() if is_drawn else None,
    )


async def _carts(mall: Mall, goods: list[Product], consumer: Viewer, room: int) -> None:
    """A guest's cart, and one in which everything that can be wrong is wrong."""
    await mall.add(Viewer(guest_key="kitchen"), goods[1].sku_id, 2)
    await mall.add(consumer, goods[0].sku_id, 1, live_room_id=room)
    for one in (goods[1], goods[5], goods[7], goods[9]):
        await mall.add(consumer, one.sku_id, 2)
    lines = {one.sku_id: one.id for one in await mall.rows(CartLineRow)}
    await mall.change(CartLineRow, lines[goods[5].sku_id], quantity=10_000)
    await mall.change(CartLineRow, lines[goods[7].sku_id], price_when_added_fen=1)
    await mall.change(CartLineRow, lines[goods[0].sku_id], quantity=40, is_selected=False)
    await mall.change(SkuRow, goods[9].sku_id, status="DELISTED")


async def _conversations(mall: Mall, consumer: Viewer, other: Viewer) -> None:
    """With a program, handed to people, and one with more messages than it shows."""
    for viewer, state, count in ((consumer, "BOT", 52), (consumer, "HUMAN", 3), (other, "BOT", 2)):
        values = {"role": viewer.role, "state": state, "slots": {}, "event_seq": 0}
        now = mall.clock()
        key = await mall.make(
            ConversationRow, account_id=viewer.id, created_at=now, updated_at=now, **values
        )
        async with mall.unit() as unit:
            for number in range(count):
                is_question = number % 2 == 0
                await unit.insert(
                    insert(table(ChatMessageRow)).values(
                        conversation_id=key,
                        client_id=f"c-{number}" if is_question else None,
                        author="SHOPPER" if is_question else "BOT" if state == "BOT" else "HUMAN",
                        text=f"{number}",
                        status="ANSWERED" if is_question else "DONE",
                        writer=None if is_question else ("TEMPLATE", "MODEL")[number % 4 // 2],
                        citations=[],
                        created_at=now + timedelta(seconds=number),
                    )
                )


async def _addresses(mall: Mall, consumer: Viewer) -> None:
    await mall.make(
        AddressRow,
        account_id=consumer.id,
        receiver=FAR.name,
        phone=FAR.phone,
        province=FAR.province,
        city=FAR.city,
        street=FAR.street,
    )


async def _all_ids(mall: Mall) -> Words:
    found = {}
    async with mall.database.read() as db:
        for kind, entity in ENTITIES.items():
            key = entity.visible_to(Viewer()).selected_columns.id.table.c.id
            rows = await db.all(select(key).order_by(key))
            found[kind] = [ids.encode(kind, row.id) for row in rows]
    return found
