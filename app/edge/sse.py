"""Server-sent events, one connection for each stream (graphql-sse, "distinct connections")."""

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from app.edge.negotiation import Media


class ServerSentEvents:
    """`id:` carries the cursor of an event; a caller who comes back sends it as Last-Event-ID."""

    headers: ClassVar[Mapping[str, str]] = {
        "content-type": Media.SSE,
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",  # nginx holds back what is short
    }
    beat_s = 15.0
    opening = beat = b":\n\n"
    leaving = b"retry: 1000\n\n"
    ending = b"event: complete\ndata:\n\n"  # without data browsers drop an event

    def part(self, body: bytes, cursor: str | None) -> bytes:
        place = b"" if cursor is None else b"id: " + cursor.encode() + b"\n"
        return place + b"event: next\ndata: " + body + b"\n\n"

    def last(self, errors: list[dict[str, Any]]) -> bytes:
        return self.part(orjson.dumps({"errors": errors}), None)
