"""Token buckets: the same promises in one process and in several, and what callers see of them."""

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from app.auth import Role, Viewer
from app.edge import documents
from app.edge.gate import ALLOWANCES, CHAT, address_of
from app.rates import Limit, Rates
from app.redis_rates import SharedRates
from tests.edge.asking import ask, error_of
from tests.patience import PATIENCE_S
from tests.serving import Server, free_port, served

TEN = Limit("ten", burst=10, per_s=0.001)
QUICK = Limit("quick", burst=10, per_s=100)
KINDS = ["memory", pytest.param("redis", marks=pytest.mark.redis)]
VIEWER = "{ viewer { role } }"

Open = Callable[[], Awaitable[Rates]]


@pytest.fixture
async def processes(redis_url: str) -> AsyncGenerator[Open]:
    """Makes the rates of one more process behind the same Redis, which is empty at first."""
    await _emptied(redis_url)
    opened: list[Rates] = []

    async def one() -> Rates:
        opened.append(SharedRates(redis_url))
        return opened[-1]

    yield one
    for each in opened:
        await each.close()


@pytest.fixture(params=KINDS)
async def rates(request: pytest.FixtureRequest) -> AsyncGenerator[Rates]:
    if request.param == "memory":
        one = Rates()
    else:
        url = request.getfixturevalue("redis_url")
        await _emptied(url)
        one = SharedRates(url)
    yield one
    await one.close()


async def _emptied(url: str) -> None:
    async with Redis.from_url(url) as redis:
        await redis.flushall()


async def settled(*rates: Rates) -> None:
    """Lets every process tell what it has taken, and hear what is left."""
    for one in rates:
        if isinstance(one, SharedRates):
            await one.settle()


async def test_a_burst_may_be_taken_and_no_more(rates: Rates) -> None:
    allowed = []
    for _ in range(12):
        allowed.append(rates.take(TEN, "me", 1).is_allowed)
        await settled(rates)
    assert allowed == [True] * 10 + [False] * 2


async def test_a_refusal_takes_nothing_and_says_how_long_to_wait(rates: Rates) -> None:
    assert rates.take(TEN, "me", 8).remaining == pytest.approx(2, abs=0.01)
    await settled(rates)
    refused = rates.take(TEN, "me", 5)
    assert not refused.is_allowed
    assert refused.remaining == pytest.approx(2, abs=0.01)
    assert refused.wait_s == pytest.approx(3000, abs=10)
    assert rates.take(TEN, "me", 2).is_allowed


async def test_units_come_back_with_time(rates: Rates) -> None:
    assert rates.take(QUICK, "me", 10).is_allowed
    await settled(rates)
    refused = rates.take(QUICK, "me", 5)
    assert not refused.is_allowed
    await asyncio.sleep(refused.wait_s + 0.02)
    assert rates.take(QUICK, "me", 5).is_allowed


async def test_never_more_than_a_burst_comes_back(rates: Rates) -> None:
    rates.take(QUICK, "me", 1)
    await settled(rates)
    await asyncio.sleep(0.05)
    assert rates.take(QUICK, "me", 0).remaining == 10


async def test_people_and_limits_are_apart(rates: Rates) -> None:
    assert rates.take(TEN, "me", 10).is_allowed
    await settled(rates)
    assert rates.take(TEN, "you", 10).is_allowed
    assert rates.take(QUICK, "me", 10).is_allowed
    assert not rates.take(TEN, "me", 1).is_allowed


async def test_what_costs_more_than_a_burst_takes_the_burst(rates: Rates) -> None:
    assert rates.take(TEN, "me", 1000).is_allowed
    await settled(rates)
    assert not rates.take(TEN, "me", 1).is_allowed


def test_the_last_seen_are_remembered() -> None:
    rates = Rates(most=3)
    for who in ("a", "b", "a", "c", "d"):
        rates.take(TEN, who, 4)
    assert len(rates) == 3
    assert rates.take(TEN, "a", 0).remaining == pytest.approx(2, abs=0.01)
    assert rates.take(TEN, "b", 0).remaining == 10


def test_taking_costs_less_than_five_microseconds() -> None:
    rates = Rates()

    def seconds() -> float:
        began = time.thread_time()
        for number in range(2000):
            rates.take(QUICK, f"address:{number % 50}", 0.001)
        return (time.thread_time() - began) / 2000

    assert min(seconds() for _ in range(5)) < 5e-6


@pytest.mark.redis
async def test_what_one_process_has_taken_is_gone_for_the_others(processes: Open) -> None:
    one, two = await processes(), await processes()
    one.take(TEN, "me", 6)
    two.take(TEN, "me", 3)
    await settled(one, two)
    two.take(TEN, "me", 0)  # who asks again hears what the other has told meanwhile
    await settled(two)
    assert not two.take(TEN, "me", 2).is_allowed
    assert two.take(TEN, "me", 1).is_allowed


@pytest.mark.redis
async def test_processes_that_took_at_once_pay_it_back_together(processes: Open) -> None:
    one, two = await processes(), await processes()
    assert one.take(TEN, "me", 9).is_allowed
    assert two.take(TEN, "me", 9).is_allowed
    await settled(one, two)
    two.take(TEN, "me", 0)
    await settled(two)
    assert two.take(TEN, "me", 0.1).wait_s == pytest.approx(8100, abs=10)


@pytest.mark.redis
async def test_what_is_taken_while_redis_is_told_is_not_forgotten(processes: Open) -> None:
    one = await processes()
    one.take(TEN, "me", 4)
    telling = asyncio.create_task(settled(one))
    await asyncio.sleep(0)
    one.take(TEN, "me", 4)
    await telling
    assert one.take(TEN, "me", 0).remaining == pytest.approx(2, abs=0.01)


@pytest.mark.redis
async def test_processes_level_by_themselves(processes: Open) -> None:
    one, two = await processes(), await processes()
    one.take(TEN, "me", 5)
    two.take(TEN, "me", 1)
    async with asyncio.timeout(PATIENCE_S):
        for each in (one, two):
            while each.take(TEN, "me", 0).remaining > 4.1:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.01)
    assert two.take(TEN, "me", 0).remaining == pytest.approx(4, abs=0.1)


async def test_without_redis_every_process_limits_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rates = SharedRates(f"redis://127.0.0.1:{free_port()}/0")
    try:
        for _ in range(3):
            assert rates.take(TEN, "me", 3).is_allowed  # asks nobody, so it waits for nobody
            await rates.settle()
        assert not rates.take(TEN, "me", 3).is_allowed
    finally:
        await rates.close()
    assert [one.message for one in caplog.records if one.levelno >= logging.WARNING] == [
        "Redis does not answer: every process limits rates by itself"
    ]


@asynccontextmanager
async def narrow(migrated: Path, folder: Path, share: float, **more: Any) -> AsyncGenerator[Server]:
    """The application with a small share of its limits."""
    file = shutil.copy(migrated, folder / "mall.db")
    async with served(f"sqlite+aiosqlite:///{file}", rate_share=share, **more) as one:
        yield one


async def test_who_asks_too_much_is_told_when_to_come_back(migrated: Path, tmp_path: Path) -> None:
    async with narrow(migrated, tmp_path, 0.0001) as server:  # 20 units, 2 a second
        page = "{ products(first: 100) { nodes { id } } }"
        answer = await ask(server, page, **{"accept-language": "en"})
        assert answer.status_code == 429
        error = error_of(answer)
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert answer.headers["retry-after"] == str(error["extensions"]["retry_after_s"])
        assert answer.headers["cache-control"] == "no-store"
        assert error["message"].startswith("too many requests, try again in ")
        assert (await ask(server, page)).json()["errors"][0]["message"].startswith("请求太频繁")


@pytest.mark.parametrize(
    ("trusted", "statuses"),
    [((), [200, 429, 429]), (("127.0.0.1/32",), [200, 200, 429])],
    ids=["nobody is trusted", "the proxy is trusted"],
)
async def test_an_address_that_is_forwarded_counts_when_a_proxy_says_so(
    migrated: Path, tmp_path: Path, trusted: tuple[str, ...], statuses: list[int]
) -> None:
    async with narrow(migrated, tmp_path, 0.0006, trusted_proxies=trusted) as server:
        found = []
        for address in ("203.0.113.1", "203.0.113.2", "203.0.113.2, 127.0.0.1"):
            query = f"{VIEWER} # {len(found)}"
            found.append((await ask(server, query, **{"x-forwarded-for": address})).status_code)
    assert found == statuses


async def test_addresses_guests_and_people_have_buckets_of_their_own(
    migrated: Path, tmp_path: Path
) -> None:
    async with narrow(migrated, tmp_path, 0.01) as server:  # of an address 2,000
        token = server.resources.tokens.issue(Viewer(Role.CONSUMER, 1))
        statuses = [(await ask(server, f"{VIEWER} # {n}")).status_code for n in range(60)]
        assert set(statuses) == {200, 429}
        mine = await ask(server, VIEWER, authorization=f"Bearer {token}")
        assert mine.status_code == 200


async def test_an_answer_that_stands_ready_is_paid_for_as_well(
    migrated: Path, tmp_path: Path
) -> None:
    async with narrow(migrated, tmp_path, 0.01) as server:
        query = "{ products { nodes { id } } }"
        before = (await ask(server, query)).content
        assert (await ask(server, query)).content == before
        rates, key = server.resources.rates, ("guest", "address:127.0.0.1")
        at = rates._buckets[key][1]
        rates._buckets[key] = (-1000.0, at)
        answer = await ask(server, query)
        assert answer.status_code == 429
        assert error_of(answer)["extensions"]["code"] == "RATE_LIMITED"
        rates._buckets[key] = (1.5, at)
        assert (await ask(server, query)).content == before


async def test_talking_has_a_bucket_of_its_own(migrated: Path, tmp_path: Path) -> None:
    async with narrow(migrated, tmp_path, 0.1) as server:  # three messages, then one in ten seconds
        token = await server.sign_in()
        headers = {"authorization": f"Bearer {token}"}
        query = """mutation($input: SendMessageInput!) {
          sendMessage(input: $input) { ... on ChatTurn { after } ... on Problem { code } } }"""
        statuses = []
        for number in range(5):
            given = {"input": {"text": "你好", "clientId": f"m{number}"}}
            statuses.append((await ask(server, query, given, **headers)).status_code)
        assert statuses == [200, 200, 200, 429, 429]
        assert (await ask(server, VIEWER, **headers)).status_code == 200


async def test_a_socket_is_told_in_band_and_stays_open(migrated: Path, tmp_path: Path) -> None:
    async with narrow(migrated, tmp_path, 0.001) as server, server.socket() as mine:
        codes = []
        for number in range(6):
            await mine.start(str(number), f"{VIEWER} # {number}")
            frame = await mine.next()
            codes.append(
                frame["payload"][0]["extensions"]["code"] if frame["type"] == "error" else ""
            )
            if frame["type"] == "next":
                assert (await mine.next())["type"] == "complete"
        assert codes[0] == ""
        assert codes[-1] == "RATE_LIMITED"


async def test_no_document_is_parsed_for_who_has_nothing_left(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with narrow(migrated, tmp_path, 0.0006) as server:  # 120 units, a new document takes 109
        assert (await ask(server, VIEWER)).status_code == 200
        read: list[str] = []
        monkeypatch.setattr(documents, "parse", lambda text, **_: read.append(text))
        assert (await ask(server, "{ viewer { role } } # another")).status_code == 429
        assert read == []


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("203.0.113.9", 5000), "203.0.113.9"),
        (("2001:db8:1:2:3:4:5:6", 5000), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::ffff", 5000), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5000), "fe80::/64"),
        (("nonsense:", 5000), "nonsense:"),
        (None, ""),
    ],
)
def test_an_address_is_that_of_the_caller_or_of_its_network(client: Any, address: str) -> None:
    assert address_of({"type": "http", "client": client}) == address


def test_a_message_of_the_chat_is_dearer_than_what_comes_back_in_a_second() -> None:
    assert (CHAT.burst, CHAT.per_s) == (300, 10)
    assert ALLOWANCES[Role.GUEST].limit.burst == 200_000
