"""The yardstick is fair: the hand-written routes give the bytes that Jishi gives."""

import shutil
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import orjson
import pytest
import pytest_asyncio

from app import ids
from app.settings import Settings
from bench import data, handwritten, load, operations, report
from bench.report import Cell, Goal, Results, Sample
from tests.serving import served

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
SECRET = Settings().secret


@dataclass
class Both:
    """Jishi and the hand-written routes, each on its own copy of the measured mall."""

    jishi: httpx.AsyncClient
    routes: httpx.AsyncClient
    url: str

    async def answer(
        self, operation: str, variables: dict[str, Any], shopper: int | None = None
    ) -> dict[str, Any]:
        """The answer of both, which must be the same bytes."""
        headers = {}
        if shopper is not None:
            headers["authorization"] = f"Bearer {data.token(SECRET, shopper)}"
        document = {"query": operations.DOCUMENTS[operation], "variables": variables}
        ours = await self.jishi.post("/graphql", json=document, headers=headers)
        theirs = await self.routes.post(
            f"/{operation}", json={"variables": variables}, headers=headers
        )
        assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
        found: dict[str, Any] = orjson.loads(ours.content)["data"]
        return found


@pytest.fixture(scope="module")
def filled(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bench") / "mall.db"
    shutil.copy(migrated, file)
    data.fill(file)
    return file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Both]:
    async with opened(filled, tmp_path_factory.mktemp("both")) as one:
        yield one


@asynccontextmanager
async def opened(source: Path, folder: Path) -> AsyncGenerator[Both]:
    ours, theirs = folder / "jishi.db", folder / "routes.db"
    shutil.copy(source, ours)
    shutil.copy(source, theirs)
    app = handwritten.create_app(str(theirs), SECRET)
    transport = httpx.ASGITransport(app)
    async with (
        served(f"sqlite+aiosqlite:///{ours}") as server,
        httpx.AsyncClient(transport=transport, base_url="http://routes") as routes,
    ):
        yield Both(server.client, routes, server.url)
    app.state.routes.close()


async def test_pages_of_products_are_the_same_to_the_end(both: Both) -> None:
    seen, after = 0, None
    for _ in range(20):
        page = (await both.answer("q1", {"first": 60, "after": after}))["products"]
        seen += len(page["nodes"])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == 930  # of 1,000: 50 of a suspended supplier, 20 taken off the shelves


async def test_the_measured_page_has_413_fields(both: Both) -> None:
    page = await both.answer("q1", operations.PAGE)
    assert len(page["products"]["nodes"]) == 24
    assert _fields(page) == 413


async def test_a_product_page_is_the_same(both: Both) -> None:
    product = (await both.answer("q2", operations.DETAIL))["product"]
    sizes = {name: len(product[name]) for name in ("skus", "options", "groupBuys")}
    assert sizes == {"skus": 8, "options": 2, "groupBuys": 5}
    leader = data.READER + 6  # of the group that is not paid for: not open, even to its leader
    assert await both.answer("q2", operations.DETAIL, shopper=leader) == {"product": product}


@pytest.mark.parametrize("key", [7, 19, 5_000])
async def test_a_hidden_product_is_null_for_both(both: Both, key: int) -> None:
    assert await both.answer("q2", {"id": ids.encode("Product", key)}) == {"product": None}


async def test_a_cart_is_the_same(both: Both) -> None:
    cart = (await both.answer("q3", {}, shopper=data.READER))["cart"]
    assert cart["lines"][0]["unitPrice"] == {"amountMinor": 880}  # the live room's
    assert (len(cart["lines"]), len(cart["groups"])) == (5, 4)
    remote = (await both.answer("q3", {}, shopper=10))["cart"]
    assert remote["cost"]["shipping"]["amountMinor"] == 3_000
    assert await both.answer("q3", {}) == {"cart": None}


async def test_adding_to_carts_is_the_same(both: Both, filled: Path) -> None:
    for shopper, sku_id in data.additions(filled)[:5]:
        changed = await both.answer("m1", operations.addition(sku_id), shopper)
        assert changed["addCartLine"]["cart"]["version"] == 6


async def test_a_line_from_a_live_room_is_the_same(both: Both) -> None:
    given = {"skuId": ids.encode("Sku", 1), "liveRoomId": ids.encode("LiveRoom", data.ROOM)}
    await both.answer("m1", {"input": given}, 150)
    cart = (await both.answer("q3", {}, shopper=150))["cart"]
    assert cart["lines"][-1]["unitPrice"] == {"amountMinor": 880}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (operations.addition(1, 0), "INVALID_INPUT"),
        (operations.addition(1, 1_000), "LIMIT_EXCEEDED"),
        (operations.addition(9_999), "NOT_FOUND"),
        (operations.addition(4 * 6 + 1), "SKU_UNAVAILABLE"),
        ({"input": {"skuId": "?", "quantity": 1}}, "NOT_FOUND"),
    ],
)
async def test_refusals_are_the_same_and_change_nothing(
    both: Both, given: dict[str, Any], code: str
) -> None:
    before = await both.answer("q3", {}, shopper=160)
    assert (await both.answer("m1", given, 160))["addCartLine"]["code"] == code
    assert await both.answer("q3", {}, shopper=160) == before


async def test_sold_out_and_limited_goods_are_refused_alike(filled: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.db"
    shutil.copy(filled, short)
    with sqlite3.connect(short) as change:
        change.execute("UPDATE stocks SET on_hand = reserved + allocated + 2 WHERE sku_id = 2")
        change.execute("UPDATE products SET customer_limit = 3 WHERE id = 2")
    change.close()
    async with opened(short, tmp_path) as both:
        few = await both.answer("m1", operations.addition(2, 3), 50)
        assert few["addCartLine"] == {"code": "OUT_OF_STOCK", "message": "库存不足，仅剩 2 件"}
        many = await both.answer("m1", operations.addition(6, 4), 50)
        assert many["addCartLine"]["code"] == "LIMIT_EXCEEDED"
        assert "cart" in (await both.answer("m1", operations.addition(6, 3), 50))["addCartLine"]


async def test_the_same_mall_is_made_every_time(
    migrated: Path, filled: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.db"
    shutil.copy(migrated, again)
    data.fill(again)
    assert _rows(again) == _rows(filled)


async def test_a_burst_counts_every_answer_and_refuses_a_wrong_one(both: Both) -> None:
    port = int(both.url.rpartition(":")[2])
    body = orjson.dumps({"query": "{ categories { id } }"})
    sent = repeat(load.request("/graphql", body))
    done, spent = await load.burst(
        port, sent, count=20, concurrency=4, check=lambda body: b'"data"' in body, clock=lambda: 2.0
    )
    assert (len(done.latencies), spent) == (20, 0.0)
    with pytest.raises(load.WrongAnswer):
        await load.burst(
            port, sent, count=20, concurrency=4, check=lambda body: b"?" in body, clock=lambda: 2.0
        )


async def test_a_ratio_is_taken_within_each_round() -> None:
    results = _results()
    jishi, hand = Cell("q1", "jishi", 16), Cell("q1", "handwritten", 16)
    assert results.ratio(jishi, hand) == 1.5
    assert Goal("Q1 CPU: Jishi / hand-written", 1.5, 2.0) == report.goals(results)[0]
    assert [goal.is_met for goal in report.goals(results)] == [True, True, True]


async def test_the_picture_is_svg_with_a_bar_for_each_server() -> None:
    root = ET.fromstring(report.picture(_results()))  # noqa: S314  our own text
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 1 + 2  # the ground, and two servers


def _results() -> Results:
    """Rounds of which the middle one ran on a machine that was busy."""
    costs = {"handwritten": (200.0, 900.0, 220.0), "jishi": (300.0, 1_350.0, 330.0)}
    samples = {
        Cell("q1", name, size): [
            Sample(cost, 1e6 / cost, cost / 1e3, cost / 500) for cost in costs[name]
        ]
        for name in costs
        for size in (1, 16, 64)
    }
    return Results(samples, {"handwritten": "hand-written routes", "jishi": "Jishi"}, 100)


def _fields(value: Any) -> int:
    if isinstance(value, list):
        return sum(_fields(one) for one in value)
    if isinstance(value, dict):
        return len(value) + sum(_fields(one) for one in value.values())
    return 0


def _rows(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    with sqlite3.connect(file) as look:
        names = look.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = {
            name: look.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608  a table's name
            for (name,) in names
        }
    look.close()
    return found
