"""Persisted documents: ids, hashes and modes, through every transport."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from app.edge.operations import Operation, operation_of
from app.edge.persisted import ENTRY_BYTES, Persisted, read_manifest, sha256_of
from app.edge.refusals import (
    BadRequest,
    DocumentNotTrusted,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    Refused,
)
from app.settings import BadSetting, DocumentMode, Settings
from tests.edge.speaking import GUEST, MULTIPART, RESPONSE, SSE, TICKS, VIEWER, get, post, refused
from tests.serving import Server, gid, served, text

OPEN, APQ, TRUSTED = DocumentMode
OTHER = "{ __typename }"
MANIFEST = {"who": VIEWER, "ticks": TICKS}


def asking(text: str = "", key: str | None = None, sha256: str | None = None) -> Operation:
    return Operation(text, None, {}, key, sha256)


def hashed(sha256: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256}}


@pytest.mark.parametrize("mode", DocumentMode)
def test_the_manifest_serves_in_every_mode_by_id_and_by_hash(mode: DocumentMode) -> None:
    known, sha256 = Persisted(mode, MANIFEST), sha256_of(VIEWER)
    for asked in (
        asking(key="who"),
        asking(sha256=sha256),
        asking(VIEWER),
        asking(VIEWER, "who", sha256),
        asking(VIEWER, sha256=sha256),
    ):
        assert known.text(asked) == VIEWER
    assert len(known) == 0


@pytest.mark.parametrize(
    ("mode", "asked", "wanted"),
    [
        (OPEN, asking(OTHER), OTHER),
        (OPEN, asking(key="x"), PersistedQueryNotFound),
        (OPEN, asking(sha256="0" * 64), PersistedQueryNotSupported),
        (OPEN, asking(OTHER, sha256=sha256_of(OTHER)), OTHER),
        (OPEN, asking(OTHER, sha256="0" * 64), BadRequest),
        (OPEN, asking(OTHER, key="who"), BadRequest),
        (OPEN, asking(OTHER, sha256=sha256_of(VIEWER)), BadRequest),
        (OPEN, asking(key="who", sha256=sha256_of(TICKS)), BadRequest),
        (APQ, asking(OTHER), OTHER),
        (APQ, asking(key="x"), PersistedQueryNotFound),
        (APQ, asking(sha256="0" * 64), PersistedQueryNotFound),
        (APQ, asking(OTHER, sha256="0" * 64), BadRequest),
        (TRUSTED, asking(OTHER), DocumentNotTrusted),
        (TRUSTED, asking(f"{VIEWER} "), DocumentNotTrusted),
        (TRUSTED, asking(key="x"), PersistedQueryNotFound),
        (TRUSTED, asking(OTHER, key="x"), PersistedQueryNotFound),
        (TRUSTED, asking(OTHER, key="who"), BadRequest),
        (TRUSTED, asking(sha256="0" * 64), PersistedQueryNotFound),
        (TRUSTED, asking(OTHER, sha256=sha256_of(OTHER)), DocumentNotTrusted),
    ],
)
def test_what_a_mode_makes_of_a_request(
    mode: DocumentMode, asked: Operation, wanted: str | type[Refused]
) -> None:
    known = Persisted(mode, MANIFEST)
    if isinstance(wanted, str):
        assert known.text(asked) == wanted
    else:
        with pytest.raises(wanted):
            known.text(asked)
    assert len(known) == 0


def test_a_registered_text_answers_to_its_hash_until_others_need_its_place() -> None:
    texts = [f"{VIEWER} # {number}" for number in range(3)]
    known = Persisted(APQ, most_bytes=2 * (ENTRY_BYTES + 4 * len(texts[0])))
    first, second, third = ((one, sha256_of(one)) for one in texts)
    for one, sha256 in (first, second):
        assert known.text(asking(one, sha256=sha256)) == one
    assert known.text(asking(sha256=first[1])) == first[0]
    known.text(asking(third[0], sha256=third[1]))
    assert len(known) == 2
    assert known.text(asking(sha256=first[1])) == first[0]
    with pytest.raises(PersistedQueryNotFound):
        known.text(asking(sha256=second[1]))


def test_a_flood_of_texts_takes_no_more_than_its_bytes() -> None:
    known = Persisted(APQ, most_bytes=100_000)
    for number in range(5000):
        one = f"{VIEWER} # {number}"
        known.text(asking(one, sha256=sha256_of(one)))
    assert 90_000 < known.bytes <= 100_000
    known.text(asking("# " + "x" * 100_000, sha256=sha256_of("# " + "x" * 100_000)))
    assert (len(known), known.bytes) == (0, 0)


def test_other_extensions_are_none_of_ours() -> None:
    asked = operation_of({"query": VIEWER, "extensions": {"tracing": 1, "persistedQuery": None}})
    assert asked == Operation(VIEWER, None, {})


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"a": 5}', b'{"": "{a}"}', b'{"a": ""}'])
def test_a_manifest_that_is_none_stops_the_start(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "manifest.json"
    file.write_bytes(content)
    with pytest.raises(BadSetting, match="JISHI_MANIFEST"):
        read_manifest(file)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"JISHI_DOCUMENTS": "closed"}, "JISHI_DOCUMENTS must be open, apq or trusted"),
        ({"JISHI_DOCUMENTS": "trusted"}, "JISHI_DOCUMENTS=trusted needs JISHI_MANIFEST"),
        ({"JISHI_MANIFEST": "/nowhere/manifest.json"}, "JISHI_MANIFEST names no file"),
    ],
)
def test_settings_that_do_not_fit_stop_the_start(given: dict[str, str], told: str) -> None:
    with pytest.raises(BadSetting, match=told):
        Settings.from_env({"JISHI_DEV": "1", **given})


def test_the_modes_come_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_bytes(orjson.dumps(MANIFEST))
    given = {"JISHI_DEV": "1", "JISHI_DOCUMENTS": "Trusted", "JISHI_MANIFEST": str(file)}
    settings = Settings.from_env(given)
    assert (settings.documents, read_manifest(settings.manifest)) == (TRUSTED, MANIFEST)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[APQ, TRUSTED])
async def server(
    request: pytest.FixtureRequest, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    folder = tmp_path_factory.mktemp("persisted")
    shutil.copy(migrated, folder / "mall.db")
    (folder / "manifest.json").write_bytes(orjson.dumps(MANIFEST))
    url = f"sqlite+aiosqlite:///{folder / 'mall.db'}"
    async with served(url, documents=request.param, manifest=folder / "manifest.json") as one:
        yield one


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "asked", [{"documentId": "who"}, {"extensions": hashed(sha256_of(VIEWER))}]
)
async def test_an_id_or_a_hash_stands_for_the_text(server: Server, asked: dict[str, Any]) -> None:
    for accept in ("*/*", RESPONSE, MULTIPART):
        assert (await post(server, asked, accept=accept)).json() == GUEST
    assert orjson.dumps(GUEST) in (await post(server, asked, accept=SSE)).content
    params = {key: one if isinstance(one, str) else text(one) for key, one in asked.items()}
    for accept in ("*/*", SSE):
        answer = await server.client.get("/graphql", params=params, headers={"accept": accept})
        assert orjson.dumps(GUEST) in answer.content
    async with server.socket() as mine:
        await mine.raw.send(text({"id": "1", "type": "subscribe", "payload": asked}))
        assert await mine.data("1", "viewer") == {"role": "GUEST"}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_subscription_by_its_id_streams(server: Server) -> None:
    group = await server.mall.group_buy()
    asked = {"documentId": "ticks", "variables": {"id": gid("GroupBuy", group.id)}}
    async with server.socket() as mine:
        await mine.raw.send(text({"id": "1", "type": "subscribe", "payload": asked}))
        assert await mine.data("1", "groupBuyUpdated") == {"cause": "SNAPSHOT"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("asked", [{"documentId": "x"}, {"extensions": hashed("0" * 64)}])
async def test_what_is_not_known_is_told_as_clients_expect(
    server: Server, asked: dict[str, Any]
) -> None:
    for accept in ("*/*", RESPONSE, SSE, MULTIPART):
        answer = await post(server, asked, accept=accept)
        assert refused(answer) == (200, "PERSISTED_QUERY_NOT_FOUND")
        assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    async with server.socket() as mine:
        await mine.raw.send(text({"id": "1", "type": "subscribe", "payload": asked}))
        frame = await mine.next()
        assert (frame["id"], frame["type"]) == ("1", "error")
        assert frame["payload"][0]["extensions"] == {"code": "PERSISTED_QUERY_NOT_FOUND"}
        await mine.start("2", VIEWER)
        assert await mine.data("2", "viewer") == {"role": "GUEST"}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_text_outside_the_manifest_is_run_by_apq_and_refused_when_trusted(
    server: Server,
) -> None:
    is_trusted = server.resources.settings.documents is TRUSTED
    wanted = (403, "DOCUMENT_NOT_TRUSTED")
    asked = {"query": OTHER, "extensions": hashed(sha256_of(OTHER))}
    for accept in ("*/*", SSE):
        for answer in (
            await post(server, {"query": OTHER}, accept=accept),
            await post(server, asked, accept=accept),
            await get(server, OTHER, accept=accept),
        ):
            if is_trusted:
                assert refused(answer) == wanted
            else:
                assert b'{"data":{"__typename":"Query"}}' in answer.content
    async with server.socket() as mine:
        await mine.start("1", OTHER)
        frame = await mine.next()
        assert frame["type"] == ("error" if is_trusted else "next")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("server", [APQ], indirect=True)
async def test_a_hash_that_was_sent_with_its_text_is_known_to_every_transport(
    server: Server,
) -> None:
    query = "{ viewer { __typename role } }"
    by_hash = {"extensions": hashed(sha256_of(query))}
    assert refused(await post(server, by_hash)) == (200, "PERSISTED_QUERY_NOT_FOUND")
    first = await post(server, {"query": query, **by_hash})
    assert (await post(server, by_hash)).content == first.content
    async with server.socket() as mine:
        await mine.raw.send(text({"id": "1", "type": "subscribe", "payload": by_hash}))
        assert (await mine.data("1", "viewer"))["role"] == "GUEST"
