"""The schema is shown by a policy, whatever way is asked for it."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from graphql import get_introspection_query

from app.edge import documents, introspection
from app.profiles import Introspection
from tests.serving import Server, served

ASKING = [
    get_introspection_query(),
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Order") { name } }',
    "{ viewer { role } one: __schema { types { name } } }",
    "{ ...a } fragment a on Query { ...b } fragment b on Query { __schema { types { name } } }",
    '{ ... on Query { ... @include(if: true) { __type(name: "Order") { name } } } }',
    "query A { viewer { role } } query B { __schema { types { name } } }",
    "query($no: Boolean = false) { __schema @include(if: $no) { types { name } } }",
]
TYPENAMES = "{ __typename viewer { __typename role } }"
REFUSED = "INTROSPECTION_DISABLED"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(Introspection))
async def server(
    request: pytest.FixtureRequest, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Server]:
    file = tmp_path_factory.mktemp("introspection") / "mall.db"
    shutil.copy(migrated, file)
    url = f"sqlite+aiosqlite:///{file}"
    async with served(url, introspection=request.param, response_cache_s=0.0) as one:
        yield one


@pytest.fixture
def policy(server: Server) -> Introspection:
    return server.resources.settings.introspection


pytestmark = pytest.mark.asyncio(loop_scope="module")


def code_of(answer: dict[str, Any]) -> str | None:
    errors = answer.get("errors")
    return errors[0]["extensions"]["code"] if errors else None


async def by_post(server: Server, query: str, token: str) -> dict[str, Any]:
    body = {"query": query, "operationName": "B" if "query B" in query else None}
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return (await server.client.post("/graphql", json=body, headers=headers)).json()


async def by_get(server: Server, query: str, token: str) -> dict[str, Any]:
    asked = {"query": query} | ({"operationName": "B"} if "query B" in query else {})
    # a header that no page of another site sends without asking first
    headers = {"graphql-require-preflight": "1"}
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    return (await server.client.get("/graphql", params=asked, headers=headers)).json()


async def by_events(server: Server, query: str, token: str) -> dict[str, Any]:
    headers = {"accept": "text/event-stream"}
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    body = {"query": query, "operationName": "B" if "query B" in query else None}
    answer = await server.client.post("/graphql", json=body, headers=headers)
    data = next(line[6:] for line in answer.text.splitlines() if line.startswith("data: {"))
    told: dict[str, Any] = orjson.loads(data)
    return told


async def by_socket(server: Server, query: str, token: str) -> dict[str, Any]:
    async with server.socket(token) as socket:
        payload = {"query": query, "operationName": "B" if "query B" in query else None}
        frame = {"id": "1", "type": "subscribe", "payload": payload}
        await socket.raw.send(orjson.dumps(frame).decode())
        told = await socket.next()
    return told["payload"] if told["type"] == "next" else {"errors": told["payload"]}


WAYS = [by_post, by_get, by_events, by_socket]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", ASKING)
async def test_whoever_may_not_read_the_schema_is_told_so_by_its_code(
    server: Server, policy: Introspection, way: Any, query: str
) -> None:
    for token in ("", await server.sign_in("consumer-1")):
        is_shown = policy is Introspection.OPEN or (
            bool(token) and policy is Introspection.AUTHENTICATED
        )
        answer = await way(server, query, token)
        assert code_of(answer) == (None if is_shown else REFUSED), (policy, query)
        if not is_shown:
            assert answer.get("data") is None
            assert len(answer["errors"]) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_the_name_of_a_type_is_no_secret(server: Server, way: Any) -> None:
    answer = await way(server, TYPENAMES, "")
    assert answer["data"] == {
        "__typename": "Query",
        "viewer": {"__typename": "CurrentViewer", "role": "GUEST"},
    }


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_suggested_unless_the_schema_is_open(
    server: Server, policy: Introspection, way: Any
) -> None:
    for query in ("{ viewr { role } }", "{ viewer { rolle } }", "{ products(frst: 1) { nodes } }"):
        answer = await way(server, query, "")
        assert code_of(answer) == "GRAPHQL_VALIDATION_FAILED"
        told = " ".join(one["message"] for one in answer["errors"])
        assert ("Did you mean" in told) is (policy is Introspection.OPEN)


async def test_a_variable_draws_out_no_names_either(server: Server, policy: Introspection) -> None:
    query = "query($f: ProductFilter) { products(filter: $f) { nodes { id } } }"
    body = {"query": query, "variables": {"f": {"inStok": True}}}
    answer = (await server.client.post("/graphql", json=body)).json()
    told = answer["errors"][0]["message"]
    assert "inStok" in told
    assert ("inStock" in told) is (policy is Introspection.OPEN)


async def test_a_document_is_looked_through_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noted(document: Any) -> bool:
        seen.append(document)
        return introspection.asks_for_schema(document)

    monkeypatch.setattr(documents, "asks_for_schema", noted)
    for _ in range(3):
        await by_post(server, f"{ASKING[1]} # once", "")
    assert len(seen) == 1
