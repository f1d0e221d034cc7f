"""Kept answers: bounded, gone with the commit that makes them stale, never of an older moment."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bus import QUEUE, BusDown, Gap, MemoryBus, Message
from app.context import Resources
from app.edge import response_cache
from app.edge.invalidation import MOST_TAGS, TOPIC, Invalidation, as_tables
from app.edge.response_cache import ENTRY_BYTES, TAG_BYTES, Key, ResponseCache
from app.main import create_app
from app.settings import Settings
from app.tables.products import ProductRow
from llm.protocol import ScriptedEngine
from tests.factories import Mall
from tests.patience import PATIENCE_S
from tests.serving import gid, process

TITLES = "{ products { nodes { title } } }"
SOLD = "query($id: ID!) { product(id: $id) { soldCount } }"
PAY = """mutation($trade: ID!) { payTrade(input: {tradeId: $trade, idempotencyKey: "p"}) {
  ... on Trade { status } ... on Problem { code } } }"""
VARY = "Accept, Accept-Language, Authorization, X-Guest-Token, Origin"
ROW_17 = frozenset({"products", "products:17"})
ANY_ROW = frozenset({"products", "products:*"})


class Seconds:
    """A clock that moves by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def key(name: str = "a", locale: Any = "zh") -> Key:
    return "POST", name.encode(), locale


def cache(**more: Any) -> ResponseCache:
    return ResponseCache(**{"ttl_s": 5.0} | more)


def put(kept: ResponseCache, name: str, *tags: str, body: bytes = b"{}") -> bool:
    return kept.put(key(name), body, frozenset(tags), kept.mark())


def test_an_answer_is_kept_as_it_was() -> None:
    kept = cache()
    assert put(kept, "a", "products", body=b'{"data":1}')
    assert kept.get(key("a")) == b'{"data":1}'


@pytest.mark.parametrize("other", [("GET", b"a", "zh"), ("POST", b"b", "zh"), ("POST", b"a", "en")])
def test_another_method_body_or_language_is_another_answer(other: Key) -> None:
    kept = cache()
    put(kept, "a", "products")
    assert kept.get(other) is None


@pytest.mark.parametrize(
    ("read", "touched", "dies"),
    [
        ({"products"}, ROW_17, True),
        ({"products"}, ANY_ROW, True),
        ({"products:17"}, ROW_17, True),
        ({"products:17"}, ANY_ROW, True),
        ({"products:18"}, ROW_17, False),
        ({"suppliers:17"}, ROW_17, False),
        ({"suppliers"}, ANY_ROW, False),
        ({"suppliers:17"}, ANY_ROW, False),
        ({"suppliers", "products:17"}, ROW_17, True),
        (set(), ANY_ROW, False),
    ],
)
def test_a_commit_ends_what_was_made_of_its_rows(
    read: set[str], touched: frozenset[str], dies: bool
) -> None:
    kept = cache()
    put(kept, "a", *read)
    kept.touched(touched)
    assert (kept.get(key("a")) is None) is dies


@pytest.mark.parametrize(
    ("read", "touched", "is_kept"),
    [
        ({"products"}, ROW_17, False),
        ({"products:17"}, ROW_17, False),
        ({"products:17"}, ANY_ROW, False),
        ({"products:18"}, ROW_17, True),
        ({"suppliers"}, ANY_ROW, True),
    ],
)
def test_what_was_read_before_a_commit_of_its_rows_is_not_kept_after_it(
    read: set[str], touched: frozenset[str], is_kept: bool
) -> None:
    kept = cache()
    mark = kept.mark()
    kept.touched(touched)
    assert kept.put(key(), b"{}", frozenset(read), mark) is is_kept
    assert (kept.get(key()) is not None) is is_kept


def test_a_read_that_began_after_the_commit_is_kept() -> None:
    kept = cache()
    kept.touched(ROW_17)
    assert put(kept, "a", "products", "products:17")


def test_a_read_older_than_what_is_remembered_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_cache, "TOUCHED", 3)
    kept = cache()
    mark = kept.mark()
    kept.touched({"orders:1"})
    young = kept.mark()
    for number in range(2, 5):
        kept.touched({f"orders:{number}"})
    assert len(kept._touched) == 3
    assert not kept.put(key("a"), b"{}", frozenset({"products"}), mark)
    assert kept.put(key("b"), b"{}", frozenset({"products"}), young)


def test_a_cleared_cache_takes_nothing_that_was_read_before() -> None:
    kept = cache()
    put(kept, "a", "products")
    mark = kept.mark()
    kept.clear()
    assert (len(kept), kept.bytes) == (0, 0)
    assert not kept.put(key("a"), b"{}", frozenset({"products"}), mark)
    assert put(kept, "a", "products")


def test_an_answer_lives_no_longer_than_its_time() -> None:
    clock = Seconds()
    kept = cache(clock=clock)
    put(kept, "a", "products")
    clock.now += 4.9
    assert kept.get(key("a")) == b"{}"
    clock.now += 0.1
    assert kept.get(key("a")) is None
    assert (len(kept), kept.bytes) == (0, 0)


def test_a_time_of_nothing_switches_it_off() -> None:
    kept = cache(ttl_s=0)
    assert not put(kept, "a", "products")
    assert kept.get(key("a")) is None


def test_the_answers_used_last_stay() -> None:
    kept = cache(entries=3)
    for name in "abc":
        put(kept, name, "products")
    kept.get(key("a"))
    put(kept, "d", "products")
    assert [name for name in "abcd" if kept.get(key(name))] == ["a", "c", "d"]


def test_bodies_and_keys_stay_below_the_bound() -> None:
    kept = cache(most_bytes=10_000)
    for number in range(50):
        put(kept, f"{number:1000}", body=b"x" * 1000)
    assert (len(kept), kept.bytes) == (4, 4 * (ENTRY_BYTES + 2000))


def test_an_answer_larger_than_everything_displaces_nothing() -> None:
    kept = cache(most_bytes=1000)
    put(kept, "a", body=b"x" * 400)
    assert not put(kept, "b", body=b"x" * 500)
    assert kept.get(key("a")) == b"x" * 400


def test_the_same_question_takes_its_place_once() -> None:
    kept = cache()
    put(kept, "a", "products", body=b"1")
    put(kept, "a", "suppliers", body=b"22")
    kept.touched(ROW_17)
    assert kept.get(key("a")) == b"22"
    assert kept.bytes == ENTRY_BYTES + len(b"a") + len(b"22") + TAG_BYTES


TAGS = st.frozensets(st.sampled_from(["p", "p:1", "p:2", "q", "q:1"]))
WRITES = st.sampled_from([{"p", "p:1"}, {"p", "p:2"}, {"p", "p:*"}, {"q", "q:1"}, {"q", "q:*"}])
STEPS = st.lists(
    st.tuples(st.just("put"), st.sampled_from("abcdef"), TAGS)
    | st.tuples(st.just("get"), st.sampled_from("abcdef"), st.none())
    | st.tuples(st.just("touch"), st.none(), WRITES)
)


@given(STEPS)
def test_the_index_holds_what_is_kept_and_nothing_else(steps: list[Any]) -> None:
    kept = cache(entries=4)
    for step, name, tags in steps:
        if step == "put":
            put(kept, name, *tags)
        elif step == "get":
            kept.get(key(name))
        else:
            kept.touched(tags)
            assert not any(tags & one.tags for one in kept._kept.values())
        index = {(tag, one) for tag, ones in kept._by_tag.items() for one in ones}
        assert index == {(tag, one) for one, held in kept._kept.items() for tag in held.tags}
        assert kept.bytes == sum(one.weight for one in kept._kept.values())
        assert all(kept._by_tag.values())


def test_many_rows_are_told_as_their_tables() -> None:
    assert as_tables({"a", "a:1", "b:2"}) == {"a", "a:*", "b", "b:*"}


class Flaky(MemoryBus):
    """A bus that can be down."""

    is_down = False

    async def publish(self, message: Message) -> bool:
        if self.is_down:
            raise BusDown
        return await super().publish(message)


@dataclass
class Process:
    cache: ResponseCache
    invalidation: Invalidation


@asynccontextmanager
async def processes(bus: MemoryBus, count: int = 2) -> AsyncGenerator[list[Process]]:
    """Caches that tell each other over the bus, their tasks running and subscribed."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            kept = cache()
            made.append(Process(kept, Invalidation(kept, bus)))
            for work in (made[-1].invalidation.tell(), made[-1].invalidation.follow()):
                task = asyncio.create_task(work)
                stack.callback(task.cancel)
        await until(lambda: len(bus._subscribers[TOPIC]) == count)
        yield made


async def until(is_so: Callable[[], bool]) -> None:
    """Waits until it is so; fails when it takes too long."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  caches tell nobody
            await asyncio.sleep(0.01)


async def test_what_one_process_touches_goes_in_the_others() -> None:
    async with processes(MemoryBus(), 3) as (here, there, further):
        for one in (here, there, further):
            put(one.cache, "a", "products")
            put(one.cache, "b", "suppliers")
        here.invalidation.touched(ROW_17)
        assert here.cache.get(key("a")) is None
        await until(lambda: not there.cache.get(key("a")) and not further.cache.get(key("a")))
        assert [bool(one.cache.get(key("b"))) for one in (here, there, further)] == [True] * 3


async def test_a_process_does_not_hear_itself() -> None:
    bus = MemoryBus()
    async with processes(bus) as (here, there):
        here.invalidation.touched(ROW_17)
        put(here.cache, "a", "products")
        put(here.cache, "b", "suppliers")
        there.invalidation.touched(frozenset({"suppliers"}))
        await until(lambda: not here.cache.get(key("b")))  # and so the first was heard as well
        assert here.cache.get(key("a")) == b"{}"


async def test_commits_that_come_together_are_told_together() -> None:
    bus = MemoryBus()
    async with processes(bus) as (here, there):
        for number in range(MOST_TAGS * 2):
            here.invalidation.touched(frozenset({"products", f"products:{number}"}))
        put(there.cache, "a", "products:5000")
        await until(lambda: not there.cache.get(key("a")))
        assert bus._rings[TOPIC].position == 1


async def test_what_could_not_be_told_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.edge.invalidation.RETRY_S", 0.02)
    bus = Flaky()
    async with processes(bus) as (here, there):
        put(there.cache, "a", "products")
        bus.is_down = True
        here.invalidation.touched(ROW_17)
        await asyncio.sleep(0.05)
        assert there.cache.get(key("a")) == b"{}"
        bus.is_down = False
        await until(lambda: not there.cache.get(key("a")))


async def test_a_hole_in_what_is_heard_empties_the_cache() -> None:
    bus = MemoryBus()
    async with processes(bus) as (here, _):
        put(here.cache, "a", "products")
        for _ in range(QUEUE + 1):  # more than a subscriber may be behind
            await bus.publish(Message(TOPIC, "Touched", {"origin": "x", "tags": []}))
        await until(lambda: not here.cache.get(key("a")))
        await until(lambda: len(bus._subscribers[TOPIC]) == 2)
        await bus.publish(Message(TOPIC, "Touched", {"origin": "x", "tags": ["products"]}))
        put(here.cache, "b", "products")
        await until(lambda: not here.cache.get(key("b")))


async def test_a_bus_that_was_emptied_empties_the_cache() -> None:
    bus = MemoryBus()
    async with processes(bus) as (here, _):
        put(here.cache, "a", "products")
        for subscription in bus._subscribers[TOPIC]:
            subscription.offer(Gap("another", "0"))
        await until(lambda: not here.cache.get(key("a")))


async def titles(client: httpx.AsyncClient, **headers: str) -> list[str]:
    answer = (await client.post("/graphql", json={"query": TITLES}, headers=headers)).json()
    return [one["title"] for one in answer["data"]["products"]["nodes"]]


@pytest.fixture
async def file(migrated: Path, tmp_path: Path) -> Path:
    copied: Path = shutil.copy(migrated, tmp_path / "mall.db")
    return copied


@dataclass
class App:
    """One process's application without a socket; its mall changes through its database."""

    client: httpx.AsyncClient
    resources: Resources
    mall: Mall


@asynccontextmanager
async def app(file: Path, **settings: Any) -> AsyncGenerator[App]:
    url = f"sqlite+aiosqlite:///{file}"
    settings = {"response_cache_s": 60.0} | settings
    made = create_app(
        Settings(database_url=url, is_dev=True, model="none", **settings), engine=ScriptedEngine()
    )
    async with made.router.lifespan_context(made) as state:
        resources = state["resources"]
        transport = httpx.ASGITransport(made)
        async with httpx.AsyncClient(base_url="http://mall", transport=transport) as client:
            mall = Mall(resources.database, resources.bus, resources.clock, resources.payments)
            yield App(client, resources, mall)


async def test_the_second_answer_reads_nothing(file: Path) -> None:
    async with app(file) as one:
        await one.mall.product(title="小米")
        first = await titles(one.client)
        with one.mall.selects() as selects:
            assert await titles(one.client) == first == ["小米"]
        assert selects == []


async def test_a_change_is_in_the_next_answer(file: Path) -> None:
    async with app(file) as one:
        product = await one.mall.product(title="小米")
        for title in ("小米", "大米"):
            await one.mall.change(ProductRow, product.id, title=title)
            assert await titles(one.client) == await titles(one.client) == [title]


async def test_what_a_mutation_changes_is_in_the_next_answer(file: Path) -> None:
    async with app(file) as one:
        product = await one.mall.product()
        body = {"query": SOLD, "variables": {"id": gid("Product", product.id)}}

        async def sold() -> int:
            answer = await one.client.post("/graphql", json=body)
            count: int = answer.json()["data"]["product"]["soldCount"]
            return count

        with one.mall.selects() as selects:
            assert [await sold(), await sold()] == [0, 0]
        assert len(selects) == 1
        shopper = await one.mall.consumer()
        trade_id = await one.mall.order(shopper, product.sku_id, quantity=2)
        token = one.resources.tokens.issue(shopper)
        paid = await one.client.post(
            "/graphql",
            json={"query": PAY, "variables": {"trade": gid("Trade", trade_id)}},
            headers={"authorization": f"Bearer {token}"},
        )
        assert paid.json() == {"data": {"payTrade": {"status": "PAID"}}}
        assert await sold() == 2


@pytest.mark.parametrize("header", ["authorization", "x-guest-token"])
async def test_a_caller_with_a_name_gets_nothing_that_was_kept(file: Path, header: str) -> None:
    async with app(file) as one:
        await one.mall.product(title="小米")
        await titles(one.client)
        body = {"query": TITLES}
        answer = await one.client.post("/graphql", json=body, headers={header: "Bearer wrong"})
        assert answer.status_code == 401


async def test_an_answer_with_errors_is_not_kept(file: Path) -> None:
    query = '{ products(after: "wrong") { nodes { title } } }'
    async with app(file) as one:
        for _ in range(2):
            answer = await one.client.get("/graphql", params={"query": query})
            assert "errors" in answer.json()
            assert answer.headers["cache-control"] == "no-store"


async def test_a_public_answer_by_get_may_be_kept_by_others_too(file: Path) -> None:
    async with app(file, response_cache_s=7.9) as one:
        for _ in range(2):
            answer = await one.client.get("/graphql", params={"query": TITLES})
            assert answer.headers["cache-control"] == "public, max-age=7"
            assert answer.headers["vary"] == VARY


async def test_without_a_cache_nobody_may_keep_anything(file: Path) -> None:
    async with app(file, response_cache_s=0.0) as one:
        await one.mall.product(title="小米")
        answer = await one.client.get("/graphql", params={"query": TITLES})
        assert answer.headers["cache-control"] == "no-store"
        with one.mall.selects() as selects:
            await titles(one.client)
        assert len(selects) == 1


@pytest.mark.redis
async def test_a_change_in_one_process_is_soon_in_the_answers_of_another(
    file: Path, redis_url: str
) -> None:
    async with app(file, redis_url=redis_url) as here, app(file, redis_url=redis_url) as there:
        product = await here.mall.product(title="小米")
        assert await titles(there.client) == ["小米"]
        for title in ("大米", "黑米", "红米"):
            await here.mall.change(ProductRow, product.id, title=title)
            assert await titles(here.client) == [title]
            async with asyncio.timeout(PATIENCE_S):
                while await titles(there.client) != [title]:  # noqa: ASYNC110  caches tell nobody
                    await asyncio.sleep(0.02)
            with there.mall.selects() as selects:
                await titles(there.client)
            assert selects == []


@pytest.mark.redis
async def test_a_mutation_in_one_process_is_in_the_next_answers_of_both(
    file: Path, redis_url: str, tmp_path: Path
) -> None:
    """Two servers of their own, one file, one Redis: what each has kept goes with the payment."""
    shared = {"redis_url": redis_url, "secret": "s" * 32, "response_cache_s": "60"}
    url = f"sqlite+aiosqlite:///{file}"
    async with app(file, redis_url=redis_url, secret="s" * 32) as third:
        product, shopper = await third.mall.product(), await third.mall.consumer()
        trade_id = await third.mall.order(shopper, product.sku_id, quantity=2)
        token = third.resources.tokens.issue(shopper)
    asked = {"query": SOLD, "variables": {"id": gid("Product", product.id)}}
    paying = {"query": PAY, "variables": {"trade": gid("Trade", trade_id)}}

    async def sold(client: httpx.AsyncClient) -> int:
        answer = (await client.post("/graphql", json=asked)).json()
        count: int = answer["data"]["product"]["soldCount"]
        return count

    with process(url, tmp_path, **shared) as one, process(url, tmp_path, **shared) as other:
        async with (
            httpx.AsyncClient(base_url=one) as here,
            httpx.AsyncClient(base_url=other) as there,
        ):
            assert [await sold(one) for one in (here, here, there, there)] == [0, 0, 0, 0]
            paid = await here.post(
                "/graphql", json=paying, headers={"authorization": f"Bearer {token}"}
            )
            assert paid.json() == {"data": {"payTrade": {"status": "PAID"}}}
            assert await sold(here) == 2
            async with asyncio.timeout(PATIENCE_S):
                while await sold(there) != 2:  # noqa: ASYNC110  caches tell nobody
                    await asyncio.sleep(0.02)
