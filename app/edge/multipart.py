"""Subscriptions as multipart/mixed with `subscriptionSpec=1.0`, which Apollo's clients speak."""

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from app.edge.negotiation import Media

_HEAD = b"\r\ncontent-type: application/json\r\n\r\n"
_BORDER = b"\r\n--graphql"


def _part(value: bytes) -> bytes:
    """A part with the border behind it: only then does a client know that it is whole."""
    return _HEAD + value + _BORDER


class MultipartSubscription:
    """Results lie in `payload`; an empty object is a sign of life."""

    headers: ClassVar[Mapping[str, str]] = {
        "content-type": f'{Media.MULTIPART};boundary="graphql";subscriptionSpec=1.0',
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }
    beat_s = 5.0  # what Apollo's servers send and its clients are tested with
    beat = _part(b"{}")
    opening = b"--graphql" + beat
    ending = b"--\r\n"
    leaving = b""  # without an ending clients take it for a broken connection, which it is

    def part(self, body: bytes, cursor: str | None) -> bytes:  # noqa: ARG002
        return _part(b'{"payload":' + body + b"}")

    def last(self, errors: list[dict[str, Any]]) -> bytes:
        return _part(orjson.dumps({"payload": None, "errors": errors}))
