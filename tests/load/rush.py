"""Two rushes at a running server over HTTP: into small groups, and for the last units of a SKU.

    python -m tests.load.rush --url http://127.0.0.1:8000 --database-url sqlite:///var/jishi.db

The server has to run with JISHI_DEV=1 on that database, and with JISHI_SIGN_INS_PER_MINUTE=100000
for all call from one address. Goods and the activity are prepared by the services; people sign in,
join, order and pay over HTTP; the outcome is checked by GraphQL and SQL.
"""

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from sqlalchemy import func, select

from app import ids
from app.bus import MemoryBus
from app.clock import utc_now
from app.db import Database
from app.settings import Settings
from app.tables.columns import table
from app.tables.group_buys import GroupBuyMemberRow, GroupBuyRow
from app.tables.orders import OrderLineRow, OrderRow
from app.tables.products import StockReservationRow
from tests.factories import Mall

T = TypeVar("T")
TO = {
    "receiver": "林小满",
    "phone": "13800000001",
    "province": "浙江省",
    "city": "杭州市",
    "street": "文三路 1 号",
}
MOST_TRIES = 5
LOGIN = """mutation($code: String!) { loginWithCode(input: {platform: DEV, code: $code}) {
  ... on Session { token } ... on Problem { code } } }"""
OPEN = """mutation($input: OpenGroupBuyInput!) { openGroupBuy(input: $input) {
  ... on GroupBuySeat { groupBuy { id } trade { id } } ... on Problem { code } } }"""
JOIN = """mutation($input: JoinGroupBuyInput!) { joinGroupBuy(input: $input) {
  ... on GroupBuySeat { trade { id } } ... on Problem { code } } }"""
PAY = """mutation($input: PayTradeInput!) { payTrade(input: $input) {
  ... on Trade { status } ... on Problem { code } } }"""
ADD = """mutation($input: AddCartLineInput!) { addCartLine(input: $input) {
  ... on CartChanged { cart { cost { payable { amountMinor } } } } ... on Problem { code } } }"""
PLACE = """mutation($input: PlaceTradeInput!) { placeTrade(input: $input) {
  ... on Trade { id } ... on Problem { code } ... on OutOfStockProblem { available } } }"""
GROUPS = """query($ids: [ID!]!) { nodes(ids: $ids) { ... on GroupBuy {
  status held joined remaining members { seatNo status } } } }"""


@dataclass(frozen=True)
class Size:
    """How many people and units; `groups * (group_size - 1)` of the shoppers find a seat."""

    groups: int = 20
    group_size: int = 3
    shoppers: int = 60
    buyers: int = 200
    units: int = 50

    @property
    def seats(self) -> int:
        return self.groups * (self.group_size - 1)


@dataclass
class Rush:
    """One run: what was seen, and what of it was not as it should be."""

    client: httpx.AsyncClient
    mall: Mall
    size: Size = field(default_factory=Size)
    luck: random.Random = field(default_factory=random.Random)
    took_s: dict[str, float] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    lines: list[tuple[str, object, object]] = field(default_factory=list)
    timeouts: int = 0
    notes: list[tuple[str, object]] = field(default_factory=list)

    async def ask(self, token: str, query: str, **variables: Any) -> Any:
        """The value of the one root field.

        What took too long is asked for again: its idempotency key makes that harmless.
        """
        headers = {"authorization": f"Bearer {token}"} if token else {}
        asked = {"query": query, "variables": variables}
        for _ in range(MOST_TRIES):
            began = time.perf_counter()
            answer = await self.client.post("/graphql", json=asked, headers=headers)
            self.latencies_ms.append((time.perf_counter() - began) * 1000)
            body = answer.json()
            if "errors" not in body:
                return next(iter(body["data"].values()))
            if body["errors"][0]["extensions"]["code"] != "OPERATION_TIMEOUT":
                break
            self.timeouts += 1
        raise AssertionError(body["errors"])

    async def at_once(self, stage: str, deeds: Sequence[Awaitable[T]]) -> list[T]:
        began = time.perf_counter()
        done = await asyncio.gather(*deeds)
        self.took_s[stage] = time.perf_counter() - began
        return done

    def check(self, what: str, seen: object, wanted: object) -> None:
        self.lines.append((what, seen, wanted))

    def note(self, what: str, seen: object) -> None:
        """Something to tell of the run that is neither right nor wrong."""
        self.notes.append((what, seen))

    @property
    def is_good(self) -> bool:
        return all(seen == wanted for _, seen, wanted in self.lines)

    async def people(self, count: int, first: int) -> list[str]:
        """Tokens of that many consumers of their own."""

        async def sign_in(number: int) -> str:
            session = await self.ask("", LOGIN, code=f"consumer-{number}")
            token: str = session["token"]
            return token

        numbers = range(first, first + count)
        return await self.at_once(f"{count} sign in", [sign_in(number) for number in numbers])

    async def pay(self, token: str, trade_id: str) -> str:
        paid = await self.ask(
            token, PAY, input={"tradeId": trade_id, "idempotencyKey": fresh_key()}
        )
        return str(paid.get("status") or paid["code"])


async def into_groups(rush: Rush, first: int) -> None:
    """Shoppers at once into groups whose leaders have paid; each tries on until seated."""
    size, mall = rush.size, rush.mall
    product = await mall.product(stock=size.groups * size.group_size, price_fen=2990)
    activity = await mall.activity(product, size=size.group_size)
    sku = ids.encode("Sku", product.sku_id)
    leaders = await rush.people(size.groups, first)
    shoppers = await rush.people(size.shoppers, first + size.groups)

    async def lead(token: str) -> str:
        seat = await rush.ask(token, OPEN, input=seat_in(sku, activityId=activity_id(activity)))
        assert await rush.pay(token, seat["trade"]["id"]) == "PAID"
        group: str = seat["groupBuy"]["id"]
        return group

    groups = await rush.at_once("leaders open and pay", [lead(token) for token in leaders])

    async def try_on(token: str) -> Counter[str]:
        """How each attempt of one shopper went; the last one tells whether there is a seat."""
        told: Counter[str] = Counter()
        for group in rush.luck.sample(groups, len(groups)):
            answer = await rush.ask(token, JOIN, input=seat_in(sku, groupBuyId=group))
            if "trade" in answer:
                told[await rush.pay(token, answer["trade"]["id"])] += 1
                return told
            told[answer["code"]] += 1
        return told

    told = await rush.at_once("shoppers join and pay", [try_on(token) for token in shoppers])
    rush.check("shoppers seated and paid", sum(one["PAID"] for one in told), size.seats)
    turned_away = Counter({"GROUP_BUY_FULL": size.groups})
    away = sum(one == turned_away for one in told)
    rush.check("shoppers told full by every group", away, size.shoppers - size.seats)
    others = {code for one in told for code in one} - {"PAID", "GROUP_BUY_FULL"}
    rush.check("any other answer", others, set())
    await _check_groups(rush, groups, product.sku_id, leaders[0])


async def for_the_last_units(rush: Rush, first: int) -> None:
    """Buyers with one unit in the cart each order at once."""
    size, mall = rush.size, rush.mall
    product = await mall.product(stock=size.units, price_fen=990)
    sku = ids.encode("Sku", product.sku_id)
    buyers = await rush.people(size.buyers, first)

    async def add(token: str) -> int:
        changed = await rush.ask(token, ADD, input={"skuId": sku})
        payable: int = changed["cart"]["cost"]["payable"]["amountMinor"]
        return payable

    payables = await rush.at_once("buyers fill their carts", [add(token) for token in buyers])

    async def place(token: str, payable: int) -> str:
        given = {"expectedPayable": payable, "address": TO, "idempotencyKey": fresh_key()}
        answer = await rush.ask(token, PLACE, input=given)
        return "trade" if "id" in answer else f"{answer['code']} {answer.get('available')}"

    deeds = [place(token, fen) for token, fen in zip(buyers, payables, strict=True)]
    told = Counter(await rush.at_once("buyers order", deeds))
    wanted = {"trade": size.units, "OUT_OF_STOCK 0": size.buyers - size.units}
    rush.check("orders", dict(told), wanted)
    await _check_stock(rush, product.sku_id)


async def _check_groups(rush: Rush, groups: list[str], sku_id: int, token: str) -> None:
    size = rush.size
    full = {"status": "FILLED", "held": size.group_size, "joined": size.group_size, "remaining": 0}
    seen = await rush.ask(token, GROUPS, ids=groups)
    is_full = [{key: group[key] for key in full} == full for group in seen]
    rush.check("groups exactly full (GraphQL)", sum(is_full), size.groups)
    seats = Counter(
        (member["seatNo"], member["status"]) for one in seen for member in one["members"]
    )
    wanted = {(seat, "SUCCEEDED"): size.groups for seat in range(1, size.group_size + 1)}
    rush.check("members by seat (GraphQL)", dict(seats), wanted)
    keys = [ids.key_of("GroupBuy", group) for group in groups]
    rows, members = table(GroupBuyRow), table(GroupBuyMemberRow)
    async with rush.mall.database.read() as db:
        filled = await db.value(
            select(func.count()).where(
                rows.c.id.in_(keys),
                rows.c.status == "FILLED",
                rows.c.paid_count == rows.c.size,
                rows.c.held_count == rows.c.size,
            )
        )
        people = await db.value(
            select(func.count(members.c.account_id.distinct())).where(
                members.c.group_id.in_(keys), members.c.status == "SUCCEEDED"
            )
        )
    taken = size.groups * size.group_size
    rush.check("groups exactly full (SQL)", filled, size.groups)
    rush.check("people in them (SQL)", people, taken)
    rush.check("their orders (SQL)", await _orders(rush, sku_id), {"AWAITING_SHIPMENT": taken})
    rush.check(
        "stock on hand, allocated, reserved", await rush.mall.stock(sku_id), (taken, taken, 0)
    )


async def _check_stock(rush: Rush, sku_id: int) -> None:
    units, held = rush.size.units, table(StockReservationRow)
    async with rush.mall.database.read() as db:
        reserved = await db.value(
            select(func.sum(held.c.quantity)).where(
                held.c.sku_id == sku_id, held.c.status == "HELD"
            )
        )
    rush.check("their orders (SQL)", await _orders(rush, sku_id), {"PENDING_PAYMENT": units})
    rush.check(
        "stock on hand, allocated, reserved", await rush.mall.stock(sku_id), (units, 0, units)
    )
    rush.check("units in reservations (SQL)", reserved, units)


async def _orders(rush: Rush, sku_id: int) -> dict[str, int]:
    """How many orders of the SKU are in which state."""
    orders, lines = table(OrderRow), table(OrderLineRow)
    async with rush.mall.database.read() as db:
        rows = await db.all(
            select(orders.c.status, func.count().label("number"))
            .join_from(orders, lines, lines.c.order_id == orders.c.id)
            .where(lines.c.sku_id == sku_id)
            .group_by(orders.c.status)
        )
    return {row.status: row.number for row in rows}


def activity_id(key: int) -> str:
    return ids.encode("GroupBuyActivity", key)


def seat_in(sku: str, **place: str) -> dict[str, Any]:
    return {"skuId": sku, "address": TO, "idempotencyKey": fresh_key(), **place}


_KEYS = itertools.count()


def fresh_key() -> str:
    return f"rush-{next(_KEYS)}"


async def run(url: str, database_url: str, size: Size, *, seed: int = 7) -> Rush:
    """Both rushes; the caller looks at `is_good`."""
    database = Database(database_url, bus=MemoryBus())
    fresh = int(time.time() * 1000) % 100_000_000
    mall = Mall(database, MemoryBus(), utc_now, numbers=itertools.count(fresh * 100))  # type: ignore[arg-type]
    limits = httpx.Limits(
        max_connections=size.buyers,
        max_keepalive_connections=size.buyers,
        keepalive_expiry=2,  # before the server closes an idle connection
    )
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        rush = Rush(client, mall, size, random.Random(seed))
        first = 100_000 + fresh % 800_000
        try:
            await into_groups(rush, first)
            await for_the_last_units(rush, first + size.groups + size.shoppers)
        finally:
            await database.close()
    return rush


def report(rush: Rush, show: Callable[[str], None]) -> None:
    for what, seen, wanted in rush.lines:
        mark = "ok  " if seen == wanted else "FAIL"
        show(f"{mark}  {what:<36} {seen}" + ("" if seen == wanted else f"  wanted {wanted}"))
    for what, seen in rush.notes:
        show(f"      {what:<36} {seen}")
    for stage, seconds in rush.took_s.items():
        show(f"      {stage:<36} {seconds:.2f} s")
    times = sorted(rush.latencies_ms)
    middle, late = times[len(times) // 2], times[len(times) * 95 // 100]
    show(f"      {len(times)} requests, median {middle:.0f} ms, 95 % within {late:.0f} ms")
    show(f"      {rush.timeouts} of them took too long and were sent again")


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
