"""拼团: who sees which group, opening one, and joining one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, false, insert, or_, select, true

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.errors import AlreadyInGroupBuy, NotFound
from app.rules import group_buys as rules
from app.rules.group_buys import ActivityStatus, GroupBuyStatus, MemberStatus, Overflow
from app.rules.orders import Address
from app.services import addresses, idempotency, orders_place
from app.services import group_buys_seats as seats
from app.services.group_buys_seats import ACTIVITIES, GROUPS, MEMBERS
from app.services.orders import ORDERS
from app.services.orders_place import Basket
from app.services.pages import Listing
from app.services.sight import leads_to
from app.statements import Prepared, Shaped, among, bind
from app.tables.accounts import AccountRow
from app.tables.columns import table
from app.tables.group_buys import GroupBuyActivitySkuRow
from app.tables.products import ProductRow

ACTIVITY_SKUS = table(GroupBuyActivitySkuRow)
ACCOUNTS = table(AccountRow)
PRODUCTS = table(ProductRow)

OPEN = "openGroupBuy"
JOIN = "joinGroupBuy"
_ANNOUNCED = tuple(one for one in ActivityStatus if one is not ActivityStatus.DRAFT)
_PAID = (MemberStatus.JOINED, MemberStatus.SUCCEEDED, MemberStatus.REFUNDED)

_SEEN = Shaped(lambda viewer, group_id: visible_to(viewer).where(GROUPS.c.id == group_id))
_ACTIVITY = Shaped(
    lambda viewer, activity_id: activities_visible_to(viewer).where(ACTIVITIES.c.id == activity_id)
)
_PRICE = Prepared(
    select(ACTIVITY_SKUS.c.price_fen).where(
        ACTIVITY_SKUS.c.activity_id == bind("activity"), ACTIVITY_SKUS.c.sku_id == bind("sku")
    )
)
_SEATED_IN = Prepared(
    select(MEMBERS.c.group_id).where(
        MEMBERS.c.activity_id == bind("activity"),
        MEMBERS.c.account_id == bind("account"),
        MEMBERS.c.status.in_((MemberStatus.HELD, MemberStatus.JOINED)),
    )
)
_OPEN = Prepared(
    insert(GROUPS).values(
        activity_id=bind("activity"),
        product_id=bind("product"),
        leader_id=bind("leader"),
        size=bind("seats"),
        held_count=1,
        paid_count=0,
        status=GroupBuyStatus.PENDING,
        expires_at=bind("until"),
        version=0,
        created_at=bind("now"),
    )
)
_OF_TRADE = Prepared(select(ORDERS.c.group_id).where(ORDERS.c.trade_id == bind("trade")))
_NICKNAMES = Prepared(
    select(ACCOUNTS.c.id, ACCOUNTS.c.nickname).where(among(ACCOUNTS.c.id, "accounts"))
)


@dataclass(frozen=True, slots=True)
class Seat:
    """A held seat and the trade to pay for it."""

    member_id: int
    trade_id: int


def visible_to(viewer: Viewer) -> Select[Any]:
    """Everybody sees groups once their leader has paid; before that only the leader does."""
    return select(*GROUPS.c).where(_may_see(viewer))


def activities_visible_to(viewer: Viewer) -> Select[Any]:
    """Drafts are for staff and the product's supplier."""
    query = select(*ACTIVITIES.c)
    if viewer.is_staff:
        return query
    may_see: ColumnElement[bool] = ACTIVITIES.c.status.in_(_ANNOUNCED)
    if viewer.role is Role.SUPPLIER:
        own = select(PRODUCTS.c.id).where(PRODUCTS.c.supplier_id == viewer.subject_id)
        may_see = or_(may_see, ACTIVITIES.c.product_id.in_(own))
    return query.where(may_see)


def activity_skus_visible_to(viewer: Viewer) -> Select[Any]:
    seen = leads_to(ACTIVITY_SKUS.c.activity_id, activities_visible_to(viewer))
    return select(*ACTIVITY_SKUS.c).where(seen)


def members_visible_to(viewer: Viewer) -> Select[Any]:
    """Members who paid are public with their group; an unpaid seat is its holder's own matter."""
    query = select(*MEMBERS.c)
    if viewer.is_staff:
        return query
    is_public = and_(MEMBERS.c.status.in_(_PAID), leads_to(MEMBERS.c.group_id, visible_to(viewer)))
    if viewer.id is None:
        return query.where(is_public)
    return query.where(or_(is_public, MEMBERS.c.account_id == viewer.id))


def listing(viewer: Viewer, *, product_id: int | None) -> Listing:
    """Groups that can be joined, the soonest to expire first."""
    joinable = visible_to(viewer).where(GROUPS.c.status == GroupBuyStatus.OPEN)
    if product_id is not None:
        joinable = joinable.where(GROUPS.c.product_id == product_id)
    return Listing(joinable, [(GROUPS.c.expires_at, False), (GROUPS.c.id, False)])


async def get(db: Reader, viewer: Viewer, group_buy_id: int) -> Row[Any]:
    """Raises NotFound for a group that is not there or not shown to the viewer."""
    row = await db.first(*_SEEN.of(viewer=viewer, group_id=group_buy_id))
    if row is None:
        raise NotFound("GroupBuy")
    return row


def running_activities(viewer: Viewer) -> Listing:
    """Activities that groups can be opened in, the soonest to end first."""
    running = activities_visible_to(viewer).where(ACTIVITIES.c.status == ActivityStatus.RUNNING)
    return Listing(running, [(ACTIVITIES.c.ends_at, False), (ACTIVITIES.c.id, False)])


async def nicknames(db: Reader, viewer: Viewer, rows: Sequence[Any]) -> list[str]:
    """The members' names: one's own in full, others' masked."""
    found = await db.all(_NICKNAMES, {"accounts": {row.account_id for row in rows}})
    names = {row.id: row.nickname for row in found}
    return [
        names[row.account_id] if row.account_id == viewer.id else masked(names[row.account_id])
        for row in rows
    ]


async def overflows(
    db: Reader,  # noqa: ARG001
    viewer: Viewer,
    rows: Sequence[Any],
) -> list[Overflow | None]:
    """What the viewer wants of late money, for the viewer's own seats and for staff."""
    return [
        Overflow(row.overflow) if viewer.is_staff or row.account_id == viewer.id else None
        for row in rows
    ]


def masked(nickname: str) -> str:
    """`小城故事` -> `小**事`: enough to know a friend, too little to find a stranger."""
    return f"{nickname[:1]}**{nickname[-1:]}" if len(nickname) > 2 else f"{nickname[:1]}**"


async def open_group(
    unit: Unit,
    viewer: Viewer,
    *,
    activity_id: int,
    sku_id: int,
    quantity: int,
    idempotency_key: str,
    address: Address | None = None,
    overflow: Overflow = Overflow.REFUND,
) -> tuple[int, int]:
    """Opens a group as its leader: (group, trade to pay); nobody sees it before it is paid.

    Raises NotFound, ActivityNotRunning, AlreadyInGroupBuy, LimitExceeded, SkuUnavailable,
    OutOfStock, InvalidInput, IdempotencyKeyReused.
    """
    viewer.must_be(Role.CONSUMER, Role.DISTRIBUTOR)
    body = _body(activity_id, sku_id, quantity, address, overflow)
    earlier = await idempotency.begin(unit, viewer, OPEN, idempotency_key, body)
    if earlier is not None:
        return await _group_of(unit, earlier), earlier
    activity = await _activity(unit.db, viewer, activity_id)
    price_fen = await _check_order(unit, viewer, activity, sku_id, quantity)
    to = await addresses.chosen(unit.db, viewer, address)
    until = rules.hold_until(unit.clock(), activity.hold_s, not_after=activity.ends_at)
    group = await found(unit, viewer, activity, until=until)
    basket = await orders_place.group_basket(
        unit, sku_id=sku_id, quantity=quantity, unit_price_fen=price_fen, province=to.province
    )
    seat = await take_seat(unit, viewer, group, basket, address=to, until=until, overflow=overflow)
    await idempotency.finish(unit, viewer, OPEN, idempotency_key, seat.trade_id)
    return int(group.id), seat.trade_id


async def join(
    unit: Unit,
    viewer: Viewer,
    *,
    group_buy_id: int,
    sku_id: int,
    quantity: int,
    idempotency_key: str,
    address: Address | None = None,
    overflow: Overflow = Overflow.REFUND,
) -> tuple[int, int]:
    """Takes a seat in an open group: (group, trade to pay); the seat is held for minutes only.

    Raises GroupBuyFull, GroupBuyExpired, and what `open_group` raises.
    """
    viewer.must_be(Role.CONSUMER, Role.DISTRIBUTOR)
    body = _body(group_buy_id, sku_id, quantity, address, overflow)
    earlier = await idempotency.begin(unit, viewer, JOIN, idempotency_key, body)
    if earlier is not None:
        return group_buy_id, earlier
    group = await get(unit.db, viewer, group_buy_id)
    await _check_not_seated(unit.db, viewer, group.activity_id)
    await seats.hold(unit, group, unit.clock())
    activity = await _activity(unit.db, viewer, group.activity_id)
    price_fen = await _check_order(unit, viewer, activity, sku_id, quantity)
    to = await addresses.chosen(unit.db, viewer, address)
    until = rules.hold_until(unit.clock(), activity.hold_s, not_after=group.expires_at)
    basket = await orders_place.group_basket(
        unit, sku_id=sku_id, quantity=quantity, unit_price_fen=price_fen, province=to.province
    )
    seat = await take_seat(unit, viewer, group, basket, address=to, until=until, overflow=overflow)
    await idempotency.finish(unit, viewer, JOIN, idempotency_key, seat.trade_id)
    return group_buy_id, seat.trade_id


async def seated_in(db: Reader, viewer: Viewer, activity_id: int) -> int | None:
    """The open group of the activity in which the viewer has a seat, paid or not."""
    who = {"activity": activity_id, "account": viewer.account_id}
    group_id: int | None = await db.value(_SEATED_IN, who)
    return group_id


async def found(unit: Unit, viewer: Viewer, activity: Row[Any], *, until: datetime) -> Row[Any]:
    """A new group with the viewer's seat counted as held; its row is held until the unit ends."""
    opened = {
        "activity": activity.id,
        "product": activity.product_id,
        "leader": viewer.account_id,
        "seats": activity.size,
        "until": until,
        "now": unit.clock(),
    }
    return await seats.locked(unit, await unit.insert(_OPEN, opened))


async def take_seat(
    unit: Unit,
    viewer: Viewer,
    group: Row[Any],
    basket: Basket,
    *,
    address: Address,
    until: datetime,
    overflow: Overflow,
) -> Seat:
    """Places the order of a counted seat and writes the seat's row.

    Raises LimitExceeded, OutOfStock, AlreadyInGroupBuy.
    """
    placed = await orders_place.place_group(
        unit, viewer, basket, group_id=group.id, address=address, expires_at=until
    )
    (order_id,) = placed.order_ids
    member_id = await seats.seat(
        unit, viewer, group, order_id=order_id, hold_expires_at=until, overflow=overflow
    )
    await seats.tell(unit, group.id, "HELD")
    return Seat(member_id, placed.trade_id)


def _may_see(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.is_staff:
        return true()
    has_opened = and_(GROUPS.c.status != GroupBuyStatus.PENDING, GROUPS.c.paid_count > 0)
    leads = GROUPS.c.leader_id == viewer.id if viewer.id is not None else false()
    return or_(has_opened, leads)


def _body(
    key: int, sku_id: int, quantity: int, address: Address | None, overflow: Overflow
) -> dict[str, object]:
    to = asdict(address) if address else None
    return {"id": key, "sku": sku_id, "quantity": quantity, "address": to, "overflow": overflow}


async def _group_of(unit: Unit, trade_id: int) -> int:
    return int(await unit.db.value(_OF_TRADE, {"trade": trade_id}))


async def _activity(db: Reader, viewer: Viewer, activity_id: int) -> Row[Any]:
    row = await db.first(*_ACTIVITY.of(viewer=viewer, activity_id=activity_id))
    if row is None:
        raise NotFound("GroupBuyActivity")
    return row


async def _check_order(
    unit: Unit, viewer: Viewer, activity: Row[Any], sku_id: int, quantity: int
) -> int:
    """The group price in fen of a SKU that may be ordered in the activity now."""
    rules.check_running(activity.status, activity.starts_at, activity.ends_at, unit.clock())
    offer = {"activity": activity.id, "sku": sku_id}
    price_fen: int | None = await unit.db.value(_PRICE, offer)
    if price_fen is None:
        raise NotFound("Sku")
    rules.check_quantity(quantity, activity.order_limit)
    await _check_not_seated(unit.db, viewer, activity.id)
    return price_fen


async def _check_not_seated(db: Reader, viewer: Viewer, activity_id: int) -> None:
    """One open membership per person and activity (DOMAIN 1.5)."""
    group_id = await seated_in(db, viewer, activity_id)
    if group_id is not None:
        raise AlreadyInGroupBuy(group_id)
