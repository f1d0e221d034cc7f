"""Seats of a group: held, paid or given back; counters and seats move together.

Whoever changes a group holds its row first and its trades second, so that joining, paying,
releasing and expiring wait for each other instead of deadlocking.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, select, type_coerce, update

from app.auth import Viewer
from app.db import Unit
from app.errors import AlreadyInGroupBuy, GroupBuyExpired, GroupBuyFull
from app.events import GroupBuyChanged
from app.rules import group_buys as rules
from app.rules.group_buys import (
    SEATED,
    ActivityStatus,
    FailReason,
    GroupBuyStatus,
    MemberStatus,
    Overflow,
)
from app.rules.orders import Move
from app.services import orders
from app.services.orders import ORDERS, SYSTEM
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.group_buys import GroupBuyActivityRow, GroupBuyMemberRow, GroupBuyRow

ACTIVITIES = table(GroupBuyActivityRow)
GROUPS = table(GroupBuyRow)
MEMBERS = table(GroupBuyMemberRow)

_LOCKED = Prepared(
    select(*GROUPS.c).where(GROUPS.c.id == bind("group")).with_for_update(key_share=True)
)
_OF_TRADE = Prepared(
    select(ORDERS.c.group_id).where(
        ORDERS.c.trade_id == bind("trade"), ORDERS.c.group_id.is_not(None)
    )
)
_HOLD = Prepared(
    update(GROUPS)
    .where(
        GROUPS.c.id == bind("group"),
        GROUPS.c.status == GroupBuyStatus.OPEN,
        GROUPS.c.expires_at > bind("now"),
        GROUPS.c.held_count < GROUPS.c.size,
    )
    .values(held_count=GROUPS.c.held_count + 1, version=GROUPS.c.version + 1)
)
_TAKEN = Prepared(
    select(MEMBERS.c.seat_no).where(
        MEMBERS.c.group_id == bind("group"), MEMBERS.c.status.in_(SEATED)
    )
)
_SEAT = Prepared(
    lambda insert: (
        insert(MEMBERS)
        .values(
            group_id=bind("group"),
            activity_id=bind("activity"),
            account_id=bind("account"),
            order_id=bind("order"),
            seat_no=bind("seat"),
            status=MemberStatus.HELD,
            overflow=bind("choice"),
            hold_expires_at=bind("until"),
            created_at=bind("now"),
        )
        .on_conflict_do_nothing()
        .returning(MEMBERS.c.id)
    )
)
_JOIN = Prepared(
    update(MEMBERS)
    .where(MEMBERS.c.order_id == bind("order"), MEMBERS.c.status == MemberStatus.HELD)
    .values(status=MemberStatus.JOINED, joined_at=bind("now"))
)
_ACTIVITY = Prepared(  # held against being stopped: its end must see every group that opens
    select(*ACTIVITIES.c).where(ACTIVITIES.c.id == bind("activity")).with_for_update(read=True)
)
_OPEN = Prepared(
    update(GROUPS)
    .where(GROUPS.c.id == bind("group"), GROUPS.c.status == GroupBuyStatus.PENDING)
    .values(
        status=GroupBuyStatus.OPEN,
        paid_count=1,
        expires_at=bind("until"),
        version=GROUPS.c.version + 1,
    )
)
_IS_LAST = GROUPS.c.paid_count + 1 == GROUPS.c.size
_COUNT_PAID = Prepared(
    update(GROUPS)
    .where(
        GROUPS.c.id == bind("group"),
        GROUPS.c.status == GroupBuyStatus.OPEN,
        GROUPS.c.paid_count < GROUPS.c.held_count,
    )
    .values(
        paid_count=GROUPS.c.paid_count + 1,
        status=case((_IS_LAST, GroupBuyStatus.FILLED), else_=GroupBuyStatus.OPEN),
        filled_at=case(
            (_IS_LAST, type_coerce(bind("now"), GROUPS.c.filled_at.type)),
            else_=GROUPS.c.filled_at,
        ),
        version=GROUPS.c.version + 1,
    )
)


async def locked(unit: Unit, group_id: int) -> Row[Any]:
    """The group, held until the unit ends."""
    row = await unit.db.first(_LOCKED, {"group": group_id})
    assert row is not None
    return row


async def lock_of_trade(unit: Unit, trade_id: int) -> int | None:
    """Holds the group that a trade's order belongs to and returns it; None for ordinary trades."""
    group_id: int | None = await unit.db.value(_OF_TRADE, {"trade": trade_id})
    if group_id is not None:
        await locked(unit, group_id)
    return group_id


async def hold(unit: Unit, group: Row[Any], now: datetime) -> None:
    """Counts one more held seat. Raises GroupBuyFull or GroupBuyExpired, changing nothing."""
    if await unit.changed(_HOLD, {"group": group.id, "now": now}):
        return
    current = await locked(unit, group.id)
    if current.status == GroupBuyStatus.FAILED or (
        current.status == GroupBuyStatus.OPEN and current.expires_at <= now
    ):
        raise GroupBuyExpired(group.id)
    raise GroupBuyFull(group.id, group.size)


async def seat(
    unit: Unit,
    viewer: Viewer,
    group: Row[Any],
    *,
    order_id: int,
    hold_expires_at: datetime,
    overflow: Overflow,
) -> int:
    """Writes the member row of a held seat, the lowest free one; the group is held."""
    taken = await unit.db.all(_TAKEN, {"group": group.id})
    seated = {
        "group": group.id,
        "activity": group.activity_id,
        "account": viewer.account_id,
        "order": order_id,
        "seat": rules.free_seat({row.seat_no for row in taken}, group.size),
        "choice": overflow,
        "until": hold_expires_at,
        "now": unit.clock(),
    }
    made = await unit.returned(_SEAT, seated)
    if made is None:
        # the same person took a seat of the activity at the same moment
        raise AlreadyInGroupBuy(group.id)
    return int(made.id)


async def paid(unit: Unit, order: Row[Any]) -> None:
    """Turns the held seat of an order that is paid into a member; the last one fills the group.

    The leader's payment opens the group. The statement that makes `paid_count = size` is the one
    that sets FILLED.
    """
    joined = await unit.changed(_JOIN, {"order": order.id, "now": unit.clock()})
    assert joined == 1  # an unpaid trade of a group has its seat: both end in the same unit
    group = await locked(unit, order.group_id)
    if group.status == GroupBuyStatus.PENDING:
        await _open(unit, group)
        await tell(unit, group.id, "OPENED")
        return
    await _count_paid(unit, group)
    group = await tell(unit, group.id, "JOINED")
    if group.status == GroupBuyStatus.FILLED:
        await _release_orders(unit, group)


async def give_back(unit: Unit, *, order_id: int) -> bool:
    """Releases a held seat whose trade is cancelled; False when it is not held any more.

    Without its leader a group that never opened ends.
    """
    member = await unit.db.first(select(*MEMBERS.c).where(MEMBERS.c.order_id == order_id))
    assert member is not None
    released = await unit.changed(
        update(MEMBERS)
        .where(MEMBERS.c.id == member.id, MEMBERS.c.status == MemberStatus.HELD)
        .values(status=MemberStatus.RELEASED)
    )
    if not released:
        return False
    is_pending = GROUPS.c.status == GroupBuyStatus.PENDING
    await unit.changed(
        update(GROUPS)
        .where(GROUPS.c.id == member.group_id)
        .values(
            held_count=GROUPS.c.held_count - 1,
            version=GROUPS.c.version + 1,
            status=case((is_pending, GroupBuyStatus.FAILED), else_=GROUPS.c.status),
            fail_reason=case((is_pending, FailReason.LEADER_LEFT), else_=GROUPS.c.fail_reason),
        )
    )
    await tell(unit, member.group_id, "RELEASED")
    return True


async def tell(unit: Unit, group_id: int, cause: str) -> Row[Any]:
    """Announces the group's counters as they are now; returns the row they came from."""
    group = await locked(unit, group_id)
    unit.emit(
        GroupBuyChanged(
            group_id,
            cause,
            status=group.status,
            size=group.size,
            held=group.held_count,
            paid=group.paid_count,
            expires_at=group.expires_at.isoformat(),
        )
    )
    return group


async def _open(unit: Unit, group: Row[Any]) -> None:
    activity = await unit.db.first(_ACTIVITY, {"activity": group.activity_id})
    assert activity is not None
    now = unit.clock()
    ends_at = now if activity.status == ActivityStatus.STOPPED else activity.ends_at
    until = rules.expiry(now, activity.duration_s, ends_at=ends_at)
    await unit.changed(_OPEN, {"group": group.id, "until": until})


async def _count_paid(unit: Unit, group: Row[Any]) -> None:
    counted = await unit.changed(_COUNT_PAID, {"group": group.id, "now": unit.clock()})
    assert counted == 1  # a held seat keeps its group open: `expire` ends both in one unit


async def _release_orders(unit: Unit, group: Row[Any]) -> None:
    """成团: every member's order goes to its supplier."""
    succeeded = update(MEMBERS).where(
        MEMBERS.c.group_id == group.id, MEMBERS.c.status == MemberStatus.JOINED
    )
    await unit.changed(succeeded.values(status=MemberStatus.SUCCEEDED))
    waiting = select(*ORDERS.c).where(ORDERS.c.group_id == group.id).order_by(ORDERS.c.id)
    sold = [
        order.id
        for order in await unit.db.all(waiting)
        if await orders.move(unit, order, Move.GROUP_FILLED, SYSTEM)
    ]
    await orders.count_sold(unit, sold)
    await tell(unit, group.id, "FILLED")
