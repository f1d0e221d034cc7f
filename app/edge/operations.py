"""An operation as it was asked for, read straight from the ASGI messages or from a frame."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from app.edge.refusals import BadRequest

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_PARAMETERS = 20


@dataclass(slots=True)
class Operation:
    """`query` is empty where only an id or a hash of the document was sent."""

    query: str
    name: str | None
    variables: dict[str, Any]
    document_id: str | None = None
    sha256: str | None = None


def posted(body: bytes) -> Operation:
    """The operation of a body. Raises BadRequest."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("请求体不是 JSON", "the body is not JSON") from None
    return operation_of(given)


def asked(query_string: bytes) -> Operation:
    """The operation of a GET; the last value of a name counts. Raises BadRequest."""
    try:
        text = query_string.decode("ascii")
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
        given: dict[str, Any] = dict(pairs)
        for name in ("variables", "extensions"):
            if given.get(name):
                given[name] = orjson.loads(given[name])
    except ValueError:
        raise BadRequest("查询参数无法读取", "the query string cannot be read") from None
    return operation_of(given)


def operation_of(given: object) -> Operation:
    """The operation of a JSON value. Raises BadRequest with what is wrong about it."""
    if not isinstance(given, dict):
        raise BadRequest("应为单个 JSON 对象", "one JSON object is wanted")
    query, name = given.get("query"), given.get("operationName")
    variables, extensions = given.get("variables"), given.get("extensions")
    document_id = given.get("documentId")
    if not (query is None or isinstance(query, str)):
        raise _wrong("query", "a string")
    if not (name is None or isinstance(name, str)):
        raise _wrong("operationName", "a string")
    if not (variables is None or isinstance(variables, dict)):
        raise _wrong("variables", "an object")
    if not (extensions is None or isinstance(extensions, dict)):
        raise _wrong("extensions", "an object")
    if not (document_id is None or isinstance(document_id, str)):
        raise _wrong("documentId", "a string")
    sha256 = _hash_in(extensions) if extensions else None
    if not query and not document_id and not sha256:
        raise BadRequest(
            "缺少 query、documentId 或 extensions.persistedQuery",
            "query, documentId or extensions.persistedQuery is wanted",
        )
    return Operation(query or "", name, variables or {}, document_id or None, sha256)


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


def _hash_in(extensions: dict[str, Any]) -> str | None:
    """The hash of `extensions.persistedQuery`. Raises BadRequest for one of another shape."""
    persisted = extensions.get("persistedQuery")
    if persisted is None:
        return None
    if not isinstance(persisted, dict) or persisted.get("version") != 1:
        raise _wrong("extensions.persistedQuery", "an object of version 1")
    sha256 = persisted.get("sha256Hash")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise _wrong("extensions.persistedQuery.sha256Hash", "64 hexadecimal digits in lower case")
    return sha256


def _wrong(name: str, wanted: str) -> BadRequest:
    return BadRequest(f"{name} 的类型不对", f"{name} must be {wanted}")
