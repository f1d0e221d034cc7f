"""Groups that end without filling: by time, with their activity, or with their leader."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, or_, select, update

from app.auth import Role, Viewer
from app.db import Database, Reader, Unit
from app.errors import NotFound, WrongState
from app.rules.audit import Action
from app.rules.group_buys import ActivityStatus, FailReason, GroupBuyStatus, MemberStatus
from app.rules.orders import Move
from app.services import audit, orders, orders_cancel, payments
from app.services import group_buys_seats as seats
from app.services.group_buys_seats import ACTIVITIES, GROUPS, MEMBERS
from app.services.orders import ORDERS, SYSTEM
from app.services.payments import RefundReason
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.products import ProductRow

PRODUCTS = table(ProductRow)

_DUE = Prepared(
    select(GROUPS.c.id)
    .where(GROUPS.c.status == GroupBuyStatus.OPEN, GROUPS.c.expires_at <= bind("now"))
    .order_by(GROUPS.c.expires_at)
    .limit(bind("most"))
    .with_for_update(key_share=True, skip_locked=True)
)
_NEXT_DUE = Prepared(
    select(GROUPS.c.expires_at)
    .where(GROUPS.c.status == GroupBuyStatus.OPEN)
    .order_by(GROUPS.c.expires_at)
    .limit(1)
)
_DUE_HOLDS = Prepared(
    select(ORDERS.c.trade_id)
    .join_from(MEMBERS, ORDERS, ORDERS.c.id == MEMBERS.c.order_id)
    .where(MEMBERS.c.status == MemberStatus.HELD, MEMBERS.c.hold_expires_at <= bind("now"))
    .order_by(MEMBERS.c.hold_expires_at)
    .limit(bind("most"))
)
_NEXT_DUE_HOLD = Prepared(
    select(MEMBERS.c.hold_expires_at)
    .where(MEMBERS.c.status == MemberStatus.HELD)
    .order_by(MEMBERS.c.hold_expires_at)
    .limit(1)
)
_ACTIVITY_STATUS = Prepared(
    select(ACTIVITIES.c.status)
    .join_from(GROUPS, ACTIVITIES, ACTIVITIES.c.id == GROUPS.c.activity_id)
    .where(GROUPS.c.id == bind("group"))
)
_OWN_ACTIVITY = Prepared(
    select(ACTIVITIES.c.status, PRODUCTS.c.supplier_id)
    .join_from(ACTIVITIES, PRODUCTS, PRODUCTS.c.id == ACTIVITIES.c.product_id)
    .where(ACTIVITIES.c.id == bind("activity"))
)
_OPEN_IN = Prepared(
    select(GROUPS.c.id)
    .where(GROUPS.c.activity_id == bind("activity"), GROUPS.c.status == GroupBuyStatus.OPEN)
    .order_by(GROUPS.c.id)
)


async def expire_due(unit: Unit, *, limit: int = 1) -> int:
    """Ends groups whose time is up, `limit` at most in this unit. How many.

    One group a unit lets a failure roll back that group alone.
    """
    due = await unit.db.all(_DUE, {"now": unit.clock(), "most": limit})
    return sum([await expire(unit, row.id) for row in due])


async def next_due(db: Reader) -> datetime | None:
    """When the next group ends unless it is full."""
    due: datetime | None = await db.value(_NEXT_DUE)
    return due


async def release_due_holds(unit: Unit, *, limit: int = 1) -> int:
    """Gives seats back whose hold is over, with their trades. How many."""
    due = await unit.db.all(_DUE_HOLDS, {"now": unit.clock(), "most": limit})
    return sum([await orders_cancel.expire(unit, row.trade_id) for row in due])


async def next_due_hold(db: Reader) -> datetime | None:
    """When the next unpaid seat is given back."""
    due: datetime | None = await db.value(_NEXT_DUE_HOLD)
    return due


async def expire(unit: Unit, group_id: int) -> bool:
    """Ends a group that did not fill in time; only the winner of the update refunds."""
    status = await unit.db.value(_ACTIVITY_STATUS, {"group": group_id})
    is_stopped = status == ActivityStatus.STOPPED
    return await _end(
        unit,
        group_id,
        FailReason.ACTIVITY_STOPPED if is_stopped else FailReason.EXPIRED,
        "STOPPED" if is_stopped else "EXPIRED",
        GROUPS.c.expires_at <= unit.clock(),
    )


async def close(unit: Unit, group_id: int) -> bool:
    """Ends a group whose only paid member, the leader, leaves; the group is held."""
    alone = GROUPS.c.paid_count == 1
    return await _end(unit, group_id, FailReason.LEADER_LEFT, "RELEASED", alone)


async def stop(unit: Unit, viewer: Viewer, *, activity_id: int) -> None:
    """Lets no group open in the activity; those that are open stay. See `stop_activity`."""
    viewer.must_be(Role.SUPPLIER, Role.ADMIN)
    activity = await unit.db.first(_OWN_ACTIVITY, {"activity": activity_id})
    is_mine = viewer.role is Role.ADMIN or (
        activity is not None and activity.supplier_id == viewer.subject_id
    )
    if activity is None or not is_mine:
        raise NotFound("GroupBuyActivity")
    if activity.status == ActivityStatus.STOPPED:
        return
    status = ACTIVITIES.c.status
    is_before = or_(status == ActivityStatus.SCHEDULED, status == ActivityStatus.RUNNING)
    stopped = await unit.changed(
        update(ACTIVITIES)
        .where(ACTIVITIES.c.id == activity_id, is_before)
        .values(status=ActivityStatus.STOPPED)
    )
    if not stopped:
        raise WrongState("GroupBuyActivity", activity.status)
    target = ("GroupBuyActivity", activity_id)
    await audit.note(unit, viewer, Action.STOP_GROUP_BUY_ACTIVITY, target)


async def stop_activity(database: Database, viewer: Viewer, *, activity_id: int) -> None:
    """No group opens in the activity any more, and open ones end, each in a unit of its own.

    A repetition ends what a crash has left, and so does the time of each group. A leader's payment
    that comes meanwhile opens a group that is due at once. Raises NotFound, WrongState, Forbidden.
    """
    await database.change(stop, viewer, activity_id=activity_id)
    for row in await database.look(lambda db: db.all(_OPEN_IN, {"activity": activity_id})):
        await database.change(_end, row.id, FailReason.ACTIVITY_STOPPED, "STOPPED")


async def refund(unit: Unit, order: Row[Any], reason: RefundReason) -> None:
    """Asks for what was paid for an order to go back, once."""
    paid_by = await payments.primary(unit, trade_id=order.trade_id)
    await payments.request_refund(
        unit,
        trade_id=order.trade_id,
        order_id=order.id,
        payment_id=paid_by.id if paid_by is not None else None,
        reason=reason,
        ref_id=order.id,
        amount_fen=order.paid_fen - order.refunded_fen,
    )


async def _end(
    unit: Unit, group_id: int, reason: FailReason, cause: str, *guards: ColumnElement[bool]
) -> bool:
    """Ends an open group, once: paid orders are refunded, unpaid trades are cancelled."""
    failed = await unit.changed(
        update(GROUPS)
        .where(GROUPS.c.id == group_id, GROUPS.c.status == GroupBuyStatus.OPEN, *guards)
        .values(
            status=GroupBuyStatus.FAILED,
            fail_reason=reason,
            held_count=GROUPS.c.paid_count,
            version=GROUPS.c.version + 1,
        )
    )
    if not failed:
        return False
    members = await unit.db.all(
        select(*MEMBERS.c)
        .where(
            MEMBERS.c.group_id == group_id,
            MEMBERS.c.status.in_((MemberStatus.HELD, MemberStatus.JOINED)),
        )
        .order_by(MEMBERS.c.id)
    )
    await orders.lock_stock_of(unit, [member.order_id for member in members])
    for member in members:
        await _lose_seat(unit, member)
    await seats.tell(unit, group_id, cause)
    return True


async def _lose_seat(unit: Unit, member: Row[Any]) -> None:
    order = await unit.db.first(select(*ORDERS.c).where(ORDERS.c.id == member.order_id))
    assert order is not None
    is_paid = member.status == MemberStatus.JOINED
    to = MemberStatus.REFUNDED if is_paid else MemberStatus.RELEASED
    await unit.changed(update(MEMBERS).where(MEMBERS.c.id == member.id).values(status=to))
    if is_paid:
        await orders.cancel_paid(unit, order, Move.GROUP_FAILED, SYSTEM)
        await refund(unit, order, RefundReason.GROUP_FAILED)
        return
    await orders.locked_trade(unit, order.trade_id)
    await orders.close(unit, order.trade_id, actor=SYSTEM, reason="GROUP_FAILED")
    await payments.close_open(unit, trade_id=order.trade_id)
