"""Requests whose answers are looked at whole."""

from typing import Any

import httpx

from tests.serving import Server


async def ask(
    server: Server, query: str, variables: dict[str, Any] | None = None, **headers: str
) -> httpx.Response:
    body = {"query": query, "variables": variables}
    return await server.client.post("/graphql", json=body, headers=headers)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The one error of an answer."""
    (error,) = answer.json()["errors"]
    found: dict[str, Any] = error
    return found
