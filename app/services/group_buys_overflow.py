"""Money that comes when its seat is gone: another seat, where the buyer chose that, or None."""

from typing import Any

from sqlalchemy import Row, case, select, update

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import ActivityNotRunning, LimitExceeded, NotFound, SkuUnavailable
from app.rules import group_buys as rules
from app.rules.group_buys import GroupBuyStatus, Overflow
from app.rules.notifications import Kind
from app.rules.orders import Address, TradeStatus
from app.services import (
    group_buys,
    limits,
    notifications,
    orders_cancel,
    orders_place,
    payments,
    stocks,
)
from app.services import group_buys_seats as seats
from app.services.group_buys_seats import ACTIVITIES, GROUPS, MEMBERS
from app.services.orders import LINES, ORDERS, TRADES
from app.services.orders_place import Basket
from app.statements import Prepared, bind

MOST = 20  # groups that are considered, the fullest

_SEAT = Prepared(
    select(
        *MEMBERS.c,
        TRADES.c.status.label("trade_status"),
        ORDERS.c.cancel_reason,
        ORDERS.c.receiver,
    )
    .join_from(ORDERS, MEMBERS, MEMBERS.c.order_id == ORDERS.c.id)
    .join(TRADES, TRADES.c.id == ORDERS.c.trade_id)
    .where(ORDERS.c.trade_id == bind("trade"))
)
_LINE = Prepared(select(*LINES.c).where(LINES.c.order_id == bind("order")))
_ACTIVITY = Prepared(select(*ACTIVITIES.c).where(ACTIVITIES.c.id == bind("activity")))
_OTHERS = GROUPS.alias("others")
_HAS_ROOM = (
    GROUPS.c.activity_id == bind("activity"),
    GROUPS.c.status == GroupBuyStatus.OPEN,
    GROUPS.c.expires_at > bind("now"),
    GROUPS.c.held_count < GROUPS.c.size,
)
_LOCK_ROOM = Prepared(
    select(GROUPS.c.id)
    .where(
        (GROUPS.c.id == bind("own"))
        | GROUPS.c.id.in_(
            select(_OTHERS.c.id)
            .where(
                _OTHERS.c.activity_id == bind("activity"),
                _OTHERS.c.status == GroupBuyStatus.OPEN,
                _OTHERS.c.expires_at > bind("now"),
                _OTHERS.c.held_count < _OTHERS.c.size,
            )
            .order_by(_OTHERS.c.size - _OTHERS.c.held_count, _OTHERS.c.expires_at, _OTHERS.c.id)
            .limit(MOST)
        )
    )
    .order_by(GROUPS.c.id)
    .with_for_update(key_share=True)
)
_BEST = Prepared(
    select(*GROUPS.c)
    .where(*_HAS_ROOM)
    .order_by(
        case((GROUPS.c.id == bind("own"), 0), else_=1),
        GROUPS.c.size - GROUPS.c.held_count,
        GROUPS.c.expires_at,
        GROUPS.c.id,
    )
    .limit(1)
    .with_for_update(key_share=True, skip_locked=True)
)
_MOVED = Prepared(
    update(MEMBERS)
    .where(MEMBERS.c.id == bind("lost"), MEMBERS.c.moved_to_id.is_(None))
    .values(moved_to_id=bind("found"))
)


async def lock(unit: Unit, trade_id: int) -> None:
    """Holds the groups that a payment of the trade may change, before the trade is held.

    Groups that late money may go to are taken in order of their keys, so that two such payments
    never wait for each other. Money that gets late between this look and the hold of its trade
    passes over the groups that somebody else holds.
    """
    seat = await unit.db.first(_SEAT, {"trade": trade_id})
    if seat is None:
        return
    if _may_move(seat):
        given = {"own": seat.group_id, "activity": seat.activity_id, "now": unit.clock()}
        await unit.db.all(_LOCK_ROOM, given)
    else:
        await seats.locked(unit, seat.group_id)


async def move(unit: Unit, payment: Row[Any]) -> int | None:
    """Turns late money into a held seat as its buyer chose: the new trade that it is to pay.

    None when it has to go back. The group of the lost seat comes first while it has room, then the
    fullest other one, then with OPEN_NEW one of the buyer's own. Nothing is written before it is
    certain that all of it can be.
    """
    lost = await unit.db.first(_SEAT, {"trade": payment.trade_id})
    if lost is None or not _may_move(lost):
        return None
    buyer = Viewer(Role.CONSUMER, lost.account_id)
    try:
        basket = await _checked(unit, buyer, lost)
    except (ActivityNotRunning, LimitExceeded, NotFound, SkuUnavailable):
        return None
    if basket is None or basket.quote.payable_fen != payment.amount_fen:
        return None
    group = await _with_room(unit, buyer, lost)
    if group is None:
        return None
    seat = await group_buys.take_seat(
        unit,
        buyer,
        group,
        basket,
        address=Address(**lost.receiver),
        until=group.expires_at,
        overflow=Overflow(lost.overflow),
    )
    moved = await unit.changed(_MOVED, {"lost": lost.id, "found": seat.member_id})
    assert moved == 1  # the trade is held: its money comes once
    await payments.pay_another(unit, payment, seat.trade_id)
    if group.id != lost.group_id:
        moved_to, facts = ("GroupBuy", group.id), {"size": group.size}
        await notifications.note(unit, lost.account_id, Kind.GROUP_BUY_SEAT_MOVED, facts, moved_to)
    return seat.trade_id


def _may_move(seat: Row[Any]) -> bool:
    """Not for who has cancelled himself, nor twice for one seat."""
    return (
        seat.trade_status == TradeStatus.CANCELLED
        and seat.overflow != Overflow.REFUND
        and seat.cancel_reason != orders_cancel.BUYER
        and seat.moved_to_id is None
    )


async def _checked(unit: Unit, buyer: Viewer, lost: Row[Any]) -> Basket | None:
    """The lost order's goods at its price, if they may be ordered again; None when sold out.

    Raises ActivityNotRunning, LimitExceeded, NotFound, SkuUnavailable. Holds the stock.
    """
    activity = await _activity(unit, lost)
    rules.check_running(activity.status, activity.starts_at, activity.ends_at, unit.clock())
    line = await unit.db.first(_LINE, {"order": lost.order_id})
    assert line is not None
    rules.check_quantity(line.quantity, activity.order_limit)
    basket = await orders_place.group_basket(
        unit,
        sku_id=line.sku_id,
        quantity=line.quantity,
        unit_price_fen=line.unit_price_fen,
        province=lost.receiver["province"],
    )
    if await group_buys.seated_in(unit.db, buyer, lost.activity_id) is not None:
        return None
    await limits.check(unit, buyer.account_id, basket.units_by_product())
    await stocks.lock(unit, [line.sku_id])
    available = await stocks.available(unit.db, [line.sku_id])
    return basket if available[line.sku_id] >= line.quantity else None


async def _with_room(unit: Unit, buyer: Viewer, lost: Row[Any]) -> Row[Any] | None:
    """A group with a seat counted for the buyer."""
    now = unit.clock()
    given = {"own": lost.group_id, "activity": lost.activity_id, "now": now}
    group = await unit.db.first(_BEST, given)
    if group is not None:
        await seats.hold(unit, group, now)
        return group
    if lost.overflow != Overflow.OPEN_NEW:
        return None
    activity = await _activity(unit, lost)
    until = rules.hold_until(now, activity.hold_s, not_after=activity.ends_at)
    return await group_buys.start_group(unit, buyer, activity, until=until)


async def _activity(unit: Unit, lost: Row[Any]) -> Row[Any]:
    activity = await unit.db.first(_ACTIVITY, {"activity": lost.activity_id})
    assert activity is not None
    return activity
