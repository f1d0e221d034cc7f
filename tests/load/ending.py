"""A rush into groups that end meanwhile, followed by subscribers of every group over websockets.

    python -m tests.load.slow_till
    python -m tests.load.ending --url http://127.0.0.1:8000 --database-url sqlite:///var/jishi.db

The server has to run with JISHI_DEV=1 on that database, which holds nothing else, and with
JISHI_SIGN_INS_PER_MINUTE=100000. Shoppers come one after the other while the groups' time runs
out: some pay, some never do, some leave again, and of some the money comes when the seat is gone.
"""

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import orjson
from sqlalchemy import func, select
from websockets.asyncio.client import ClientConnection, connect

from app import ids
from app.bus import MemoryBus
from app.clock import utc_now
from app.db import Database
from app.rules.group_buys import Overflow
from app.settings import Settings
from app.tables.columns import table
from app.tables.group_buys import GroupBuyMemberRow, GroupBuyRow
from app.tables.orders import OrderLineRow, OrderRow, TradeRow
from app.tables.payments import PaymentRow, RefundRow
from tests import invariants
from tests.factories import Mall
from tests.load.rush import JOIN, OPEN, Rush, activity_id, fresh_key, report, seat_in

LEAVE = """mutation($input: LeaveGroupBuyInput!) { leaveGroupBuy(input: $input) {
  ... on GroupBuy { status } ... on Problem { code } } }"""
UPDATED = """subscription($id: ID!) { groupBuyUpdated(id: $id) { ... on GroupBuyUpdate {
  cause status held joined remaining expiresAt seq } ... on StreamGap { cursor } } }"""
STATE = ("status", "held", "joined", "remaining", "expiresAt")
OVER = {"FILLED", "FAILED"}
PATIENCE_S = 60.0
LEADER_TRIES = 10


@dataclass(frozen=True)
class Size:
    """`duration_s` is what a group has to fill; shoppers come over all of that time and beyond."""

    groups: int = 20
    group_size: int = 3
    shoppers: int = 60
    listeners: int = 3  # websockets, each with a subscription of every group
    duration_s: int = 10
    hold_s: int = 2
    stock: int = 400


@dataclass
class Listener:
    """One websocket; what it was told last of each group, and the numbers of its events."""

    socket: ClientConnection
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    seqs: dict[str, list[int]] = field(default_factory=dict)
    told: int = 0

    async def follow(self, groups: list[str]) -> None:
        await self._send({"type": "connection_init", "payload": {}})
        await self.socket.recv()
        for group in groups:
            asked = {"query": UPDATED, "variables": {"id": group}}
            await self._send({"id": group, "type": "subscribe", "payload": asked})
        while len(self.last) < len(groups):
            await self._hear()

    async def hear_on(self) -> None:
        while True:
            await self._hear()

    async def _hear(self) -> None:
        frame = orjson.loads(await self.socket.recv())
        if frame["type"] == "ping":
            await self._send({"type": "pong"})
            return
        assert frame["type"] == "next", frame
        (update,) = frame["payload"]["data"].values()
        assert "status" in update, update  # a gap would have to be looked into
        self.told += 1
        self.last[frame["id"]] = update
        if update["seq"] is not None:
            self.seqs.setdefault(frame["id"], []).append(update["seq"])

    async def _send(self, message: object) -> None:
        await self.socket.send(orjson.dumps(message).decode())


async def until(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Whether a condition came true in time."""
    last = time.monotonic() + PATIENCE_S
    while time.monotonic() < last:
        if await condition():
            return True
        await asyncio.sleep(0.1)
    return False


async def while_they_end(rush: Rush, size: Size, url: str, first: int) -> None:
    """The rush; what it saw is checked against the database when all groups are over."""
    mall = rush.mall
    product = await mall.product(stock=size.stock, price_fen=2990)
    activity = await mall.activity(
        product,
        size=size.group_size,
        duration_s=size.duration_s,
        hold_s=size.hold_s,
        order_limit=2,
    )
    sku = ids.encode("Sku", product.sku_id)
    leaders = await rush.people(size.groups, first)
    shoppers = await rush.people(size.shoppers, first + size.groups)

    async def lead(token: str) -> str:
        """A busy machine may take longer to pay than the seat is held: then once more."""
        told = []
        while len(told) < LEADER_TRIES:
            wanted = seat_in(sku, activityId=activity_id(activity))
            seat = await rush.ask(token, OPEN, input=wanted)
            if "trade" in seat:
                told.append(await rush.pay(token, seat["trade"]["id"]))
            else:  # the lost seat is given back in a moment
                told.append(seat["code"])
                await asyncio.sleep(size.hold_s)
            if told[-1] == "PAID":
                group: str = seat["groupBuy"]["id"]
                return group
        raise AssertionError(told)

    groups = await rush.at_once("leaders open and pay", [lead(token) for token in leaders])
    async with AsyncExitStack() as stack:
        listeners = []
        for _ in range(size.listeners):
            address = url.replace("http://", "ws://") + "/graphql"
            opened = connect(address, subprotocols=["graphql-transport-ws"])  # type: ignore[list-item]
            listeners.append(Listener(await stack.enter_async_context(opened)))
        await asyncio.gather(*(one.follow(groups) for one in listeners))
        hearing = [asyncio.create_task(one.hear_on()) for one in listeners]
        told = await rush.at_once(
            "shoppers come and go",
            [_shop(rush, size, token, sku, groups, place) for place, token in enumerate(shoppers)],
        )
        is_over = await until(_is_over(mall))
        rush.check("all groups, holds and refunds are over", is_over, wanted=True)

        async def is_told() -> bool:
            return all(one.last[group]["status"] in OVER for one in listeners for group in groups)

        rush.check("subscribers told how it ended", await until(is_told), wanted=True)
        for task in hearing:
            task.cancel()
        ended = await asyncio.gather(*hearing, return_exceptions=True)
        broken = [one for one in ended if not isinstance(one, asyncio.CancelledError)]
        rush.check("subscriptions that broke", broken, [])
    await _check_listeners(rush, listeners, groups)
    await _check_money(rush, size, Counter(told), product.sku_id)


async def _shop(rush: Rush, size: Size, token: str, sku: str, groups: list[str], place: int) -> str:
    """What a shopper was told last. Some are slow to pay, some never do, some leave again."""
    luck = random.Random(place)
    await asyncio.sleep(luck.uniform(0, size.duration_s * 1.1))
    kind = ("pays", "slow", "leaves", "pays", "never pays", "slow", "pays", "pays")[place % 8]
    wanted = {"quantity": 2 if kind == "slow" else 1, "overflow": luck.choice(list(Overflow))}
    for group in luck.sample(groups, len(groups)):
        answer = await rush.ask(token, JOIN, input=seat_in(sku, groupBuyId=group) | wanted)
        if "trade" in answer:
            break
        assert answer["code"] in {"GROUP_BUY_FULL", "GROUP_BUY_EXPIRED"}, answer
    else:
        return "NO_SEAT"
    if kind == "never pays":
        return "NEVER_PAID"
    paid = await rush.pay(token, answer["trade"]["id"])
    if kind == "leaves" and paid == "PAID":
        given = {"groupBuyId": group, "idempotencyKey": fresh_key()}
        left = await rush.ask(token, LEAVE, input=given)
        return "LEFT" if "status" in left else "PAID"
    return paid


def _is_over(mall: Mall) -> Callable[[], Awaitable[bool]]:
    groups, members, refunds = table(GroupBuyRow), table(GroupBuyMemberRow), table(RefundRow)
    waiting = (
        select(groups.c.id).where(groups.c.status.in_(("OPEN", "PENDING"))).limit(1),
        select(members.c.id).where(members.c.status == "HELD").limit(1),
        select(refunds.c.id).where(refunds.c.status != "SUCCEEDED").limit(1),
    )

    async def is_over() -> bool:
        async with mall.database.read() as db:
            return not any([await db.all(one) for one in waiting])

    return is_over


async def _check_listeners(rush: Rush, listeners: list[Listener], groups: list[str]) -> None:
    """Every subscriber's last state of a group is the database's."""
    rows = {row.id: row for row in await rush.mall.rows(GroupBuyRow)}
    right = 0
    for listener, group in itertools.product(listeners, groups):
        row, last = rows[ids.key_of("GroupBuy", group)], listener.last[group]
        state = (row.status, row.held_count, row.paid_count, row.size - row.held_count)
        seen = tuple(last[name] for name in STATE[:-1])
        is_same_end = datetime.fromisoformat(last["expiresAt"]) == row.expires_at
        right += seen == state and is_same_end
    rush.check("last states that equal the database", right, len(listeners) * len(groups))
    wrong = [seqs for one in listeners for seqs in one.seqs.values() if seqs != sorted(set(seqs))]
    rush.check("events out of order or twice", wrong, [])
    rush.note("events heard", sum(one.told for one in listeners))


async def _check_money(rush: Rush, size: Size, told: Counter[str], sku_id: int) -> None:
    mall = rush.mall
    groups, trades = await mall.rows(GroupBuyRow), await mall.rows(TradeRow)
    orders, refunds = await mall.rows(OrderRow), await mall.rows(RefundRow)
    rush.note("told", dict(sorted(told.items())))
    rush.note("groups", dict(Counter(one.status for one in groups)))
    moved = [one for one in await mall.rows(GroupBuyMemberRow) if one.moved_to_id is not None]
    rush.note("seats that late money found", len(moved))
    rush.note("refunds", dict(Counter(one.reason_kind for one in refunds)))
    overfull = [one.id for one in groups if one.held_count > one.size]
    rush.check("groups with more than their size", overfull, [])
    paid = sum(one.status == "PAID" for one in trades)
    rush.check("trades paid", paid, size.groups + told["PAID"] + told["LEFT"])
    lost = [one for one in orders if one.paid_fen and one.status == "CANCELLED"]
    came_late = [
        one
        for one in await mall.rows(PaymentRow, status="SUCCEEDED")
        if next(trade for trade in trades if trade.id == one.trade_id).status == "CANCELLED"
    ]
    causes = Counter((one.reason_kind, one.ref_id) for one in refunds)
    rush.check("refunds, one per losing order", len(causes), len(lost) + len(came_late))
    rush.check("refunds of them all", sum(causes.values()), len(causes))
    sold = await _sold(mall, sku_id)
    rush.check(
        "stock on hand, allocated, reserved", await mall.stock(sku_id), (size.stock, sold, 0)
    )
    await invariants.check(mall)
    await invariants.check_settled(mall)
    rush.check("invariants of the whole mall", "hold", "hold")


async def _sold(mall: Mall, sku_id: int) -> int:
    """Units in orders of groups that were filled."""
    orders, lines = table(OrderRow), table(OrderLineRow)
    async with mall.database.read() as db:
        units = await db.value(
            select(func.sum(lines.c.quantity))
            .join_from(lines, orders, orders.c.id == lines.c.order_id)
            .where(lines.c.sku_id == sku_id, orders.c.status == "AWAITING_SHIPMENT")
        )
    return int(units or 0)


async def run(url: str, database_url: str, size: Size, *, seed: int = 7) -> Rush:
    """The rush; the caller looks at `is_good`."""
    database = Database(database_url, bus=MemoryBus())
    fresh = int(time.time() * 1000) % 100_000_000
    mall = Mall(database, MemoryBus(), utc_now, numbers=itertools.count(fresh * 100))  # type: ignore[arg-type]
    limits = httpx.Limits(max_connections=100, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        rush = Rush(client, mall, luck=random.Random(seed))
        try:
            await while_they_end(rush, size, url, 100_000 + fresh % 800_000)
        finally:
            await database.close()
    return rush


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--database-url", default="sqlite:///var/jishi.db")
    given = parser.parse_args()
    env = {"JISHI_DATABASE_URL": given.database_url, "JISHI_DEV": "1", "JISHI_MODEL": "none"}
    rush = asyncio.run(run(given.url, Settings.from_env(env).database_url, Size()))
    report(rush, print)
    return 0 if rush.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
