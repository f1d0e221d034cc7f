"""A plain HTTP request as one operation, read straight from the ASGI messages."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope


@dataclass(frozen=True, slots=True)
class Operation:
    query: str
    name: str | None
    variables: dict[str, Any]


def posted(body: bytes) -> Operation | None:
    """The operation of a body that is one; what is wrong with others, Strawberry's view says."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return _operation(given) if isinstance(given, dict) else None


def asked(query_string: bytes) -> Operation | None:
    """Like `posted`, of a GET; the last value of a name counts."""
    given: dict[str, Any] = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    try:
        for name in ("variables", "extensions"):
            if given.get(name):
                given[name] = orjson.loads(given[name])
    except orjson.JSONDecodeError:
        return None
    return _operation(given)


def heads(scope: Scope) -> dict[bytes, bytes]:
    """The headers; the first of a name counts."""
    return dict(reversed(scope["headers"]))


async def read_body(receive: Receive) -> bytes:
    """Raises ClientDisconnect when the caller leaves before the end."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request" and message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body once more, then what comes after it."""
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _operation(given: dict[str, Any]) -> Operation | None:
    query, name = given.get("query"), given.get("operationName")
    variables, extensions = given.get("variables"), given.get("extensions")
    if not isinstance(query, str) or not query:
        return None
    if not (name is None or isinstance(name, str)):
        return None
    if not (variables is None or isinstance(variables, dict)):
        return None
    if not (extensions is None or isinstance(extensions, dict)):
        return None
    return Operation(query, name, variables or {})
