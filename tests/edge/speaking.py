"""What the tests of transports send, and how they read what comes back."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import orjson

from app.auth import Tokens
from tests.serving import Server

JSON = {"content-type": "application/json"}
VIEWER = "{ viewer { role } }"
GUEST = {"data": {"viewer": {"role": "GUEST"}}}
TICKS = """subscription($id: ID!, $after: String) {
  groupBuyUpdated(id: $id, after: $after) { ... on GroupBuyUpdate { cause } } }"""
RESPONSE = "application/graphql-response+json"
SSE = "text/event-stream"
MULTIPART = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'


async def post(server: Server, body: object, **headers: str) -> httpx.Response:
    """A POST of bytes as they are, or of anything else as JSON."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await server.client.post("/graphql", content=content, headers={**JSON, **headers})


async def get(server: Server, query: str = VIEWER, **headers: str) -> httpx.Response:
    return await server.client.get("/graphql", params={"query": query}, headers=headers)


def code_of(answer: httpx.Response) -> str:
    """The code of an answer that is nothing but errors."""
    body = answer.json()
    assert list(body) == ["errors"], body
    code: str = body["errors"][0]["extensions"]["code"]
    return code


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, code_of(answer)


@asynccontextmanager
async def streamed(
    server: Server, body: dict[str, Any], **headers: str
) -> AsyncGenerator[tuple[httpx.Response, "Chunks"]]:
    """A stream over HTTP that is read piece by piece."""
    given = {**JSON, "accept": SSE, **headers}
    async with server.client.stream("POST", "/graphql", json=body, headers=given) as answer:
        yield answer, Chunks(answer.aiter_text())


class Chunks:
    """Text that is read up to a mark."""

    def __init__(self, source: Any) -> None:
        self._source, self.text = source, ""

    async def until(self, mark: str) -> str:
        """What came up to the end of the mark; fails with the stream's end."""
        while mark not in self.text:
            self.text += await anext(self._source)
        found, _, self.text = self.text.partition(mark)
        return found + mark


async def soon_over(server: Server) -> str:
    """A consumer's token that ends within two seconds."""
    resources = server.resources
    tokens = Tokens(resources.settings.secret, resources.clock, access_life=timedelta(seconds=2))
    return tokens.issue(await server.mall.consumer())
