"""Leaving a group before it is full; a leader hands it to whoever paid first."""

from typing import Any

from sqlalchemy import Row, select, update

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import NotFound, WrongState
from app.rules import group_buys as rules
from app.rules.group_buys import LEADER_SEAT, GroupBuyStatus, MemberStatus
from app.rules.orders import Move
from app.services import group_buys, group_buys_end, idempotency, orders, orders_cancel
from app.services import group_buys_seats as seats
from app.services.group_buys_seats import GROUPS, MEMBERS
from app.services.orders import ORDERS
from app.services.payments import RefundReason
from app.statements import Prepared, bind

LEAVE = "leaveGroupBuy"

_MINE = Prepared(
    select(*MEMBERS.c)
    .where(MEMBERS.c.group_id == bind("group"), MEMBERS.c.account_id == bind("account"))
    .order_by(MEMBERS.c.id.desc())
    .limit(1)
)
_ORDER = Prepared(select(*ORDERS.c).where(ORDERS.c.id == bind("order")))
_OTHERS = Prepared(
    select(*MEMBERS.c).where(
        MEMBERS.c.group_id == bind("group"),
        MEMBERS.c.status == MemberStatus.JOINED,
        MEMBERS.c.id != bind("member"),
    )
)
_LEAVE = Prepared(
    update(MEMBERS)
    .where(MEMBERS.c.id == bind("member"), MEMBERS.c.status == MemberStatus.JOINED)
    .values(status=MemberStatus.LEFT)
)
_COUNT_OUT = Prepared(
    update(GROUPS)
    .where(
        GROUPS.c.id == bind("group"),
        GROUPS.c.status == GroupBuyStatus.OPEN,
        GROUPS.c.paid_count > 1,
    )
    .values(
        held_count=GROUPS.c.held_count - 1,
        paid_count=GROUPS.c.paid_count - 1,
        version=GROUPS.c.version + 1,
    )
)
_LEAD = Prepared(
    update(GROUPS).where(GROUPS.c.id == bind("group")).values(leader_id=bind("leader"))
)
_MOVE_UP = Prepared(
    update(MEMBERS).where(MEMBERS.c.id == bind("member")).values(seat_no=LEADER_SEAT)
)


async def leave(unit: Unit, viewer: Viewer, *, group_buy_id: int, idempotency_key: str) -> int:
    """Gives the viewer's seat up while the group is open; what was paid goes back, once.

    A leader's place goes to the earliest paid member, with seat 1, and the group's time goes on as
    it was; without one the group ends. Raises NotFound for somebody without a seat, WrongState,
    InvalidInput, IdempotencyKeyReused.
    """
    viewer.must_be(Role.CONSUMER, Role.DISTRIBUTOR)
    body = {"id": group_buy_id}
    earlier = await idempotency.begin(unit, viewer, LEAVE, idempotency_key, body)
    if earlier is not None:
        return earlier
    await group_buys.get(unit.db, viewer, group_buy_id)
    group = await seats.locked(unit, group_buy_id)
    member = await unit.db.first(_MINE, {"group": group.id, "account": viewer.account_id})
    if member is None:
        raise NotFound("GroupBuyMember")
    if group.status != GroupBuyStatus.OPEN:
        raise WrongState("GroupBuy", group.status)
    if member.status == MemberStatus.HELD:
        order = await _order(unit, member)
        await orders_cancel.cancel_trade(unit, viewer, trade_id=order.trade_id)
    elif member.status == MemberStatus.JOINED:
        await _leave(unit, viewer, group, member)
    else:
        raise NotFound("GroupBuyMember")
    await idempotency.finish(unit, viewer, LEAVE, idempotency_key, group.id)
    return group_buy_id


async def _leave(unit: Unit, viewer: Viewer, group: Row[Any], member: Row[Any]) -> None:
    others = await unit.db.all(_OTHERS, {"group": group.id, "member": member.id})
    if not others:
        await group_buys_end.close(unit, group.id)
        return
    left = await unit.changed(_LEAVE, {"member": member.id})
    counted = await unit.changed(_COUNT_OUT, {"group": group.id})
    assert left == counted == 1  # the group is held: neither member nor counters move meanwhile
    order = await _order(unit, member)
    await orders.cancel_paid(unit, order, Move.LEFT_GROUP, viewer)
    await group_buys_end.refund(unit, order, RefundReason.LEFT_GROUP)
    await seats.tell(unit, group.id, "RELEASED")
    if group.leader_id == member.account_id:
        heir = rules.heir(others)
        await unit.changed(_LEAD, {"group": group.id, "leader": heir.account_id})
        await unit.changed(_MOVE_UP, {"member": heir.id})
        await seats.tell(unit, group.id, "LEADER_CHANGED")


async def _order(unit: Unit, member: Row[Any]) -> Row[Any]:
    order = await unit.db.first(_ORDER, {"order": member.order_id})
    assert order is not None
    return order
