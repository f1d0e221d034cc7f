"""The audit log: a line in the transaction of every deed that takes a right, and none without."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from app.auth import Role, Viewer
from app.db import Unit
from app.errors import MallError, WrongState
from app.rules.audit import Action
from app.services import (
    audit,
    chat,
    chat_handoffs,
    group_buys_end,
    live_rooms,
    live_rooms_lottery,
    live_rooms_shelf,
    live_rooms_talk,
    pages,
    shipments,
)
from app.tables.live_rooms import LiveProductRow
from app.tables.orders import OrderRow
from app.tables.sessions import AuditRow
from app.telemetry import request_id
from tests.factories import START, Mall

Deed = Callable[[Unit], Awaitable[Any]]
Made = tuple[Viewer, Deed, tuple[str, int] | None]
"""Who does it, the deed, and what it is done to where that is known before."""


async def shipping(mall: Mall) -> Made:
    buyer, product = await mall.consumer(), await mall.product()
    await mall.bought(buyer, product.sku_id)
    (order,) = await mall.rows(OrderRow)
    supplier = await mall.supplier_viewer(product.supplier_id)

    def ship(unit: Unit) -> Awaitable[int]:
        return shipments.ship(
            unit, supplier, order_id=order.id, carrier_code="SF", waybill="SF1234567890123"
        )

    return supplier, ship, ("Order", order.id)


async def handed_over(mall: Mall, *, taken: bool) -> tuple[Viewer, int]:
    shopper, agent, colleague = await mall.consumer(), await mall.staff(), await mall.staff()
    async with mall.unit() as unit:
        key, _ = await chat.send(unit, shopper, text="人工", client_id=mall.key())
        await chat_handoffs.queue(unit, key, ticket_no="K1", reason="ASKED", summary={})
        if taken:
            await chat_handoffs.take(unit, colleague, key)
    return agent, key


async def taking(mall: Mall) -> Made:
    agent, key = await handed_over(mall, taken=False)
    return agent, lambda unit: chat_handoffs.take(unit, agent, key), ("Conversation", key)


async def answering(mall: Mall) -> Made:
    agent, key = await handed_over(mall, taken=True)
    return agent, lambda unit: chat_handoffs.say(unit, agent, key, "您好"), ("Conversation", key)


async def returning(mall: Mall) -> Made:
    agent, key = await handed_over(mall, taken=True)
    return agent, lambda unit: chat_handoffs.give_back(unit, agent, key), ("Conversation", key)


async def hosted(mall: Mall, status: str = "LIVE") -> tuple[Viewer, int, int]:
    """(host, room, live product)."""
    host, product = await mall.account(Role.DISTRIBUTOR), await mall.product()
    room = await mall.live_room({product.sku_id: 2500}, host_id=host.account_id, status=status)
    (shown,) = await mall.rows(LiveProductRow)
    return host, room, shown.id


async def scheduling(mall: Mall) -> Made:
    host = await mall.account(Role.DISTRIBUTOR)
    later = START + timedelta(hours=1)
    return host, lambda unit: live_rooms.schedule(unit, host, title="专场", starts_at=later), None


async def starting(mall: Mall) -> Made:
    host, room, _ = await hosted(mall, "SCHEDULED")
    return host, lambda unit: live_rooms.start(unit, host, room_id=room), ("LiveRoom", room)


async def pausing(mall: Mall) -> Made:
    host, room, _ = await hosted(mall)
    return host, lambda unit: live_rooms.pause(unit, host, room_id=room), ("LiveRoom", room)


async def ending(mall: Mall) -> Made:
    """By an admin, in somebody else's room."""
    _, room, _ = await hosted(mall)
    admin = await mall.account(Role.ADMIN)
    return admin, lambda unit: live_rooms.end(unit, admin, room_id=room), ("LiveRoom", room)


async def replaying(mall: Mall) -> Made:
    host, room, _ = await hosted(mall, "ENDED")
    return host, lambda unit: live_rooms.offer_replay(unit, host, room_id=room), ("LiveRoom", room)


async def shelving(mall: Mall) -> Made:
    host, room, _ = await hosted(mall)
    more = await mall.product()
    return (
        host,
        lambda unit: live_rooms_shelf.add(unit, host, room_id=room, sku_id=more.sku_id),
        None,
    )


async def pinning(mall: Mall) -> Made:
    host, room, shown = await hosted(mall)

    def pin(unit: Unit) -> Awaitable[None]:
        return live_rooms_shelf.pin(unit, host, room_id=room, live_product_id=shown)

    return host, pin, ("LiveProduct", shown)


async def unpinning(mall: Mall) -> Made:
    host, room, _ = await hosted(mall)

    def unpin(unit: Unit) -> Awaitable[None]:
        return live_rooms_shelf.pin(unit, host, room_id=room, live_product_id=None)

    return host, unpin, ("LiveRoom", room)


async def stopping(mall: Mall) -> Made:
    product = await mall.product()
    activity = await mall.activity(product)
    supplier = await mall.supplier_viewer(product.supplier_id)

    def stop(unit: Unit) -> Awaitable[None]:
        return group_buys_end.stop(unit, supplier, activity_id=activity)

    return supplier, stop, ("GroupBuyActivity", activity)


async def banning(mall: Mall) -> Made:
    _, room, _ = await hosted(mall)
    staff = await mall.staff()
    deed = partial(live_rooms.ban, viewer=staff, room_id=room, reason="虚假宣传")
    return staff, deed, ("LiveRoom", room)


async def muting(mall: Mall) -> Made:
    host, message = await said(mall)
    return host, partial(live_rooms_talk.mute, viewer=host, message_id=message), None


async def lifting(mall: Mall) -> Made:
    host, message = await said(mall)
    mute = await mall.database.change(live_rooms_talk.mute, host, message_id=message)
    return host, partial(live_rooms_talk.lift, viewer=host, mute_id=mute), ("LiveMute", mute)


async def releasing(mall: Mall) -> Made:
    host, message = await said(mall, "加微信")
    deed = partial(live_rooms_talk.release, viewer=host, message_id=message)
    return host, deed, ("LiveMessage", message)


async def raffling(mall: Mall) -> Made:
    host, room, _ = await hosted(mall)
    lottery = {"prize": "小米", "keyword": "米", "winners": 1, "lasts_s": 60}
    deed = partial(live_rooms_lottery.open_one, viewer=host, room_id=room, **lottery)
    return host, deed, None


async def said(mall: Mall, text: str = "好看") -> tuple[Viewer, int]:
    """(host, what somebody has said in its room)."""
    host, room, _ = await hosted(mall)
    shopper = await mall.consumer()
    post = partial(live_rooms_talk.post, viewer=shopper, room_id=room, text=text)
    return host, await mall.database.change(post)


DEEDS = {
    shipping: Action.SHIP_ORDER,
    taking: Action.TAKE_CONVERSATION,
    answering: Action.ANSWER_CONVERSATION,
    returning: Action.RETURN_CONVERSATION,
    scheduling: Action.SCHEDULE_LIVE_ROOM,
    starting: Action.MOVE_LIVE_ROOM,
    pausing: Action.MOVE_LIVE_ROOM,
    ending: Action.MOVE_LIVE_ROOM,
    replaying: Action.MOVE_LIVE_ROOM,
    shelving: Action.SHELVE_LIVE_PRODUCT,
    pinning: Action.PIN_LIVE_PRODUCT,
    unpinning: Action.PIN_LIVE_PRODUCT,
    stopping: Action.STOP_GROUP_BUY_ACTIVITY,
    banning: Action.BAN_LIVE_ROOM,
    muting: Action.MUTE_LIVE_VIEWER,
    lifting: Action.LIFT_LIVE_MUTE,
    releasing: Action.RELEASE_LIVE_MESSAGE,
    raffling: Action.OPEN_LIVE_LOTTERY,
}
SIGNING = {
    Action.SIGN_IN,
    Action.SIGN_OUT,
    Action.SIGN_OUT_EVERYWHERE,
    Action.SWITCH_ROLE,
    Action.REFRESH_REUSED,
    Action.GRANT_ROLE,
    Action.REVOKE_ROLE,
}
"""Tried in test_sign_ins, test_sessions and test_roles."""


class _Stopped(Exception):
    pass


async def _torn(unit: Unit, deed: Deed) -> None:
    """The deed, and then something that breaks before the commit."""
    await deed(unit)
    raise _Stopped


@pytest.mark.parametrize("make", DEEDS, ids=lambda make: make.__name__)
async def test_a_deed_leaves_one_line_or_nothing_at_all(any_mall: Mall, make: Any) -> None:
    viewer, deed, target = await make(any_mall)
    before = len(await any_mall.rows(AuditRow))
    async with any_mall.unchanged():
        with pytest.raises(_Stopped):
            await any_mall.database.change(_torn, deed)
    token = request_id.set("the-request")
    await any_mall.database.change(deed)
    request_id.reset(token)
    (line,) = (await any_mall.rows(AuditRow))[before:]
    assert (line.action, line.outcome) == (DEEDS[make], "DONE")
    assert (line.account_id, line.role) == (viewer.id, viewer.role)
    assert (line.request_id, line.created_at) == ("the-request", any_mall.clock())
    if target is not None:
        assert (line.target_kind, line.target_id) == target


@pytest.mark.parametrize("make", [shipping, taking, starting, ending], ids=lambda one: one.__name__)
async def test_a_refused_deed_leaves_no_line(mall: Mall, make: Any) -> None:
    """Here because it is done already: a repetition is refused, or changes nothing."""
    _, deed, _ = await make(mall)
    await mall.database.change(deed)
    async with mall.unchanged():
        try:
            await mall.database.change(deed)
        except MallError as refusal:
            assert isinstance(refusal, WrongState)  # noqa: PT017  some repetitions are no refusals


def test_every_action_is_tried() -> None:
    assert set(DEEDS.values()) | SIGNING == set(Action)


async def test_the_log_is_for_admins_newest_first_and_narrowed(any_mall: Mall) -> None:
    admin, agent = await any_mall.account(Role.ADMIN), await any_mall.staff()
    async with any_mall.unit() as unit:
        await audit.note(unit, admin, Action.GRANT_ROLE, ("Account", 5), detail="x" * 300)
        await audit.note(unit, agent, Action.SIGN_IN)
        await audit.note(unit, Viewer(), Action.SIGN_IN)

    async def seen(viewer: Viewer, **narrowed: Any) -> list[Any]:
        given = {"action": None, "account_id": None} | narrowed
        async with any_mall.database.read() as db:
            page = await pages.keyset(db, audit.listing(viewer, **given), 10)
        return [(row.action, row.account_id) for row in page.rows]

    assert await seen(admin) == [
        ("SIGN_IN", None),
        ("SIGN_IN", agent.id),
        ("GRANT_ROLE", admin.id),
    ]
    assert await seen(admin, action=Action.GRANT_ROLE) == [("GRANT_ROLE", admin.id)]
    assert await seen(admin, account_id=agent.id) == [("SIGN_IN", agent.id)]
    for viewer in (agent, await any_mall.consumer(), Viewer()):
        assert await seen(viewer) == []
    (first, *_) = await any_mall.rows(AuditRow)
    assert len(first.detail) == audit.LONGEST_DETAIL
