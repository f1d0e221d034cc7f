"""The same few hundred drawn requests every time, against a filled mall on each database."""

import asyncio
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.auth import Tokens, Viewer
from app.clock import utc_now
from tests.conftest import _execute
from tests.fuzz.drawn import Drawn, everywhere
from tests.fuzz.drive import Fuzz
from tests.fuzz.server import serving
from tests.plan.conftest import SQLITE, Made, _filled

EXAMPLES = int(os.environ.get("JISHI_FUZZ_EXAMPLES", "150"))
SECRET = "k3VqZ0w9TfYxR7mB2nLhQ5sUeJ8dGcAoIpWv4yXt"
EVENTS = {"accept": "text/event-stream", "content-type": "application/json"}
FOUND = (  # each has been a bug
    Drawn("guest", "POST", b"{}", headers=EVENTS),
    Drawn("guest", "POST", b'{"operationName": []}', headers=EVENTS),
    Drawn(
        "guest",
        "GET",
        query="query=mutation%7BcancelTrade(input%3A%7BtradeId%3A%22%22%7D)%7B__typename%7D%7D",
        headers={**EVENTS, "graphql-require-preflight": "1"},
    ),
)

HOSTILE = (
    ("a\x00b", 1),
    ("%_'\"\\;--*(", 2**31 - 1),
    ("\u202e\ufeff\U0001f600" * 9, -(2**31)),
    ("长" * 5000, 0),
    ("\ud800", -1),
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def filled(request: pytest.FixtureRequest, migrated: Path, tmp_path: Path) -> Made:
    """A filled database, to be spoilt."""
    if request.param == "sqlite":
        shutil.copy(migrated, tmp_path / "mall.db")
        return _filled(f"{SQLITE}{tmp_path / 'mall.db'}")
    url: str = request.getfixturevalue("postgres_url")
    asyncio.run(_execute(url, 'CREATE DATABASE "jishi_fuzz" TEMPLATE "jishi_template"'))
    return _filled(f"{url}jishi_fuzz")


@contextmanager
def fuzzed(filled: Made, folder: Path) -> Generator[Fuzz]:
    """A server over the mall, and tokens of people who are in it."""
    tokens = Tokens(SECRET, utc_now)
    named: dict[str, Viewer] = {one: filled.bazaar.viewers[one] for one in ("consumer", "admin")}
    given = {who: tokens.issue(viewer) for who, viewer in named.items()} | {"nobody": "x.y.z"}
    log = folder / "server.log"
    settings = {"JISHI_SECRET": SECRET, "JISHI_DATABASE_URL": filled.url}
    with serving(folder, log, **settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield Fuzz(client, given, log)


@pytest.mark.slow
def test_no_request_finds_a_bug(filled: Made, tmp_path: Path) -> None:
    with fuzzed(filled, tmp_path) as fuzz:
        for one in FOUND:
            fuzz.ask(one)
        fuzz.batch(EXAMPLES)
        for text, number in HOSTILE:
            for one in everywhere(text, number):
                fuzz.ask(one)
    assert not fuzz.faults, f"{len(fuzz.faults)} faults, the first: {fuzz.faults[0]}"
    assert fuzz.codes["200"] > EXAMPLES // 5
