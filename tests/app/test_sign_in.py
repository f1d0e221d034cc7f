"""Signing in over HTTP: platforms, floods, expiry, and ends that every process hears of."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from app.auth import Tokens, key_id
from app.gateways.wechat import WeChatApp
from app.services import sessions
from app.tables.sessions import AuditRow
from app.workers import sessions as sessions_worker
from tests.factories import Mall
from tests.gateways.vendors import APP_ID, SECRET, Vendors, running
from tests.patience import PATIENCE_S
from tests.serving import free_port, served

LOGIN = """mutation($platform: Platform! = DEV, $code: String!) {
  loginWithCode(input: {platform: $platform, code: $code}) {
    ... on Session { token refreshToken expiresAt } ... on Problem { code message }
    ... on TooOftenProblem { retryAfterS } } }"""
REFRESH = """mutation($token: String!) { refreshSession(input: {refreshToken: $token}) {
  ... on Session { token refreshToken } ... on Problem { code } } }"""
LOGOUT = "mutation { logout(input: {}) { ... on SignedOut { sessions } } }"
ME = "{ viewer { role } }"
ALIASES = 15  # as many as the budget of a guest lets in
SECRET_OF_TESTS = "a secret of the tests, long enough for every algorithm that is tried here"


@pytest.fixture
def url(migrated: Path, tmp_path: Path) -> str:
    file = tmp_path / "mall.db"
    shutil.copy(migrated, file)
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture
async def vendors() -> AsyncGenerator[Vendors]:
    async with running() as one:
        yield one


async def status(client: httpx.AsyncClient, token: str) -> tuple[int, str]:
    """HTTP status and error code of asking who one is."""
    headers = {"authorization": f"Bearer {token}"}
    answer = await client.post("/graphql", json={"query": ME}, headers=headers)
    errors = answer.json().get("errors")
    return answer.status_code, errors[0]["extensions"]["code"] if errors else ""


async def becomes_invalid(client: httpx.AsyncClient, token: str, *, within_s: float) -> float:
    """After how many seconds the token is refused."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while await status(client, token) != (401, "INVALID_TOKEN"):  # noqa: ASYNC110  it is asked
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_a_shopper_of_wechat_signs_in_refreshes_and_signs_out(
    url: str, vendors: Vendors
) -> None:
    app = WeChatApp(APP_ID, SECRET, vendors.url)
    vendors.codes["071abc"] = "o6_bmjrPTlm6_2sgVt7hMZOPfL2M"
    async with served(url, wechat=app) as server:
        given = {"platform": "WECHAT", "code": "071abc"}
        session = (await server.ask(LOGIN, given))["loginWithCode"]
        assert await server.ask(ME, token=session["token"]) == {"viewer": {"role": "CONSUMER"}}
        again = (await server.ask(LOGIN, given))["loginWithCode"]
        assert again["code"] == "LOGIN_REFUSED"
        answer = await server.ask(REFRESH, {"token": session["refreshToken"]})
        renewed = answer["refreshSession"]
        ended = await server.ask(LOGOUT, token=renewed["token"])
        assert ended == {"logout": {"sessions": 1}}
        for token in (session["token"], renewed["token"]):
            assert await status(server.client, token) == (401, "INVALID_TOKEN")
        lines = await server.mall.rows(AuditRow)
        assert [(one.action, one.outcome) for one in lines] == [
            ("SIGN_IN", "DONE"),
            ("SIGN_IN", "REFUSED"),
            ("SIGN_OUT", "DONE"),
        ]
        assert len({one.request_id for one in lines} - {""}) == 3
        assert lines[1].detail == "WECHAT LOGIN_REFUSED 127.0.0.1"


async def test_a_platform_that_is_down_says_so_and_stops_nobody_else(
    url: str, vendors: Vendors
) -> None:
    nowhere = WeChatApp(APP_ID, SECRET, f"http://127.0.0.1:{free_port()}")
    async with served(url, wechat=nowhere) as server:
        given = {"platform": "WECHAT", "code": "071abc"}
        refused = (await server.ask(LOGIN, given))["loginWithCode"]
        assert refused == {"code": "PLATFORM_UNAVAILABLE", "message": "暂时不能用 WECHAT 登录"}
        assert await server.sign_in()


async def test_codes_are_not_guessed_by_aliases_or_by_many_requests(url: str) -> None:
    """What is tried in one document and in many counts together."""
    tries = " ".join(
        f'a{number}: loginWithCode(input: {{platform: DEV, code: "admin-{number}"}}) {{'
        " ... on Problem { code } ... on TooOftenProblem { retryAfterS } }"
        for number in range(1, ALIASES + 1)
    )
    async with served(url, sign_ins_per_minute=10) as server:
        first = await server.ask(f"mutation {{ {tries} }}")
        second = await asyncio.gather(
            *(server.ask(LOGIN, {"code": f"agent-{number}"}) for number in range(1, 11))
        )
        answers = [*first.values(), *(one["loginWithCode"] for one in second)]
        counted = Counter(one["code"] for one in answers)
        assert counted["LOGIN_REFUSED"] in range(10, 13)  # some come back while this test runs
        assert counted["TOO_OFTEN"] == len(answers) - counted["LOGIN_REFUSED"]
        waits = [one["retryAfterS"] for one in answers if one["code"] == "TOO_OFTEN"]
        assert all(0 < wait <= 6 for wait in waits)
        refused = (await server.ask(LOGIN, {"code": "consumer-1"}))["loginWithCode"]
        assert refused["code"] == "TOO_OFTEN"
        assert len(await server.mall.rows(AuditRow)) == counted["LOGIN_REFUSED"]


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims, _: jwt.encode(claims, "", algorithm="none"),
        lambda claims, key: jwt.encode(claims, key, "HS512", {"kid": key_id(key)}),
        lambda claims, key: jwt.encode(claims, key, "HS256"),
        lambda claims, key: jwt.encode(claims, key, "HS256", {"kid": "x"}),
        lambda claims, key: jwt.encode(claims, key[::-1], "HS256", {"kid": key_id(key)}),
        lambda claims, key: jwt.encode(
            {**claims, "aud": "another"}, key, "HS256", {"kid": key_id(key)}
        ),
        lambda claims, key: jwt.encode(
            {**claims, "iss": "another"}, key, "HS256", {"kid": key_id(key)}
        ),
        lambda claims, key: jwt.encode({**claims, "exp": 1}, key, "HS256", {"kid": key_id(key)}),
    ],
    ids=[
        "none",
        "other algorithm",
        "no key id",
        "unknown key id",
        "other key",
        "other audience",
        "other issuer",
        "expired",
    ],
)
async def test_a_forged_token_is_refused_with_its_code(url: str, forge: Any) -> None:
    async with served(url, secret=SECRET_OF_TESTS) as server:
        claims = jwt.decode(await server.sign_in(), options={"verify_signature": False})
        forged = forge(claims, SECRET_OF_TESTS)
        assert await status(server.client, forged) == (401, "INVALID_TOKEN")


async def test_a_new_secret_leaves_those_signed_in_where_they_are(url: str) -> None:
    old = "the secret before this one, which signs nothing any more"
    async with served(url, secret=old) as before:
        session = (await before.ask(LOGIN, {"code": "consumer-1"}))["loginWithCode"]
    async with served(url, secrets_old=(old,)) as after:
        assert await status(after.client, session["token"]) == (200, "")
        answer = await after.ask(REFRESH, {"token": session["refreshToken"]})
        assert "token" in answer["refreshSession"]


async def test_tokens_live_as_long_as_the_setting_says(url: str) -> None:
    async with served(url, access_life=timedelta(seconds=60)) as server:
        claims = jwt.decode(await server.sign_in(), options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 60


async def test_a_process_that_starts_knows_what_ended_before(url: str) -> None:
    async with served(url) as first:
        token = await first.sign_in()
        await first.ask(LOGOUT, token=token)
    async with served(url) as second:
        assert await becomes_invalid(second.client, token, within_s=5) < 1


async def test_without_a_bus_an_end_is_found_in_the_database(mall: Mall) -> None:
    """Two processes on one database, and nothing that tells one of the other."""
    here, there = Tokens(SECRET_OF_TESTS, mall.clock), Tokens(SECRET_OF_TESTS, mall.clock)
    person = await mall.consumer()
    opened = await mall.database.change(sessions.begin, person, life=timedelta(days=1))
    token = here.issue(opened.viewer)
    assert there.read(token) == person
    session_id = opened.viewer.session_id
    assert session_id is not None
    await mall.database.change(sessions.end, [session_id], why="SIGNED_OUT")
    stop = asyncio.Event()
    looking = asyncio.create_task(sessions_worker.run(mall.database, there, stop, interval_s=0.01))
    async with asyncio.timeout(PATIENCE_S):
        while session_id not in there._ended:  # noqa: ASYNC110  tokens tell nobody of new ones
            await asyncio.sleep(0.01)
    stop.set()
    await looking


@contextmanager
def process(url: str, folder: Path, redis_url: str) -> Generator[str]:
    """A server process of its own; its address."""
    port = free_port()
    env = {
        **os.environ,
        "JISHI_DEV": "1",
        "JISHI_SECRET": SECRET_OF_TESTS,
        "JISHI_MODEL": "none",
        "JISHI_PORT": str(port),
        "JISHI_DATABASE_URL": url,
        "JISHI_REDIS_URL": redis_url,
        "JISHI_LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "app.cli", "serve"]
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(15)
    assert "Traceback" not in log.read_text(), log.read_text()


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


@pytest.mark.redis
async def test_an_end_in_one_process_holds_in_the_other_at_once(
    url: str, tmp_path: Path, redis_url: str
) -> None:
    with process(url, tmp_path, redis_url) as one, process(url, tmp_path, redis_url) as two:
        async with (
            httpx.AsyncClient(base_url=one, timeout=10) as here,
            httpx.AsyncClient(base_url=two, timeout=10) as there,
        ):
            await asyncio.gather(ready(here), ready(there))
            ask = {"query": LOGIN, "variables": {"code": "consumer-1"}}
            tokens = []
            for _ in range(5):
                answer = (await here.post("/graphql", json=ask)).json()
                tokens.append(answer["data"]["loginWithCode"]["token"])
            slowest = 0.0
            for token in tokens:
                assert await status(there, token) == (200, "")
                headers = {"authorization": f"Bearer {token}"}
                await here.post("/graphql", json={"query": LOGOUT}, headers=headers)
                assert await status(here, token) == (401, "INVALID_TOKEN")
                slowest = max(slowest, await becomes_invalid(there, token, within_s=4))
            assert slowest < 1  # the look at the database comes every five seconds
