"""Names that leave the house: global ids, signed cursors, numbers on receipts."""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.errors import BadCursor, NotFound

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # nothing that reads like something else
_CHINA = timedelta(hours=8)
_LAST_KEY = 2**31 - 1  # what an INTEGER key of PostgreSQL can be compared with


def encode(kind: str, key: int) -> str:
    """The global id of row `key` of GraphQL type `kind`."""
    return base64.urlsafe_b64encode(f"{kind}:{key}".encode()).decode().rstrip("=")


def decode(global_id: str) -> tuple[str, int]:
    """(type name, key). Raises NotFound for anything that `encode` did not make."""
    try:
        padded = global_id + "=" * (-len(global_id) % 4)
        kind, _, key = (
            base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(":")
        )
    except (ValueError, binascii.Error):
        raise NotFound("node") from None
    is_number = key.isascii() and key.isdigit() and len(key) <= 10
    if not kind.isidentifier() or not is_number or int(key) > _LAST_KEY:
        raise NotFound("node")
    return kind, int(key)


def key_of(kind: str, global_id: str) -> int:
    """The key inside an id that must be of type `kind`, else NotFound(kind)."""
    try:
        found, key = decode(global_id)
    except NotFound:
        raise NotFound(kind) from None
    if found != kind:
        raise NotFound(kind)
    return key


def receipt_no(now: datetime, prefix: str) -> str:
    """A number for people: kind, Chinese date, ten random characters that cannot be counted up."""
    day = (now + _CHINA).strftime("%y%m%d")
    return prefix + day + "".join(secrets.choice(_ALPHABET) for _ in range(10))


class CursorSigner:
    """Cursors that only we can make; `scope` ties one to its list or topic.

    `secret` signs; cursors by one of `old_secrets` are still read.
    """

    def __init__(self, secret: str, old_secrets: tuple[str, ...] = ()) -> None:
        self._secret, *self._old = (
            hashlib.sha256(b"cursor:" + one.encode()).digest() for one in (secret, *old_secrets)
        )

    def sign(self, scope: str, values: list[Any]) -> str:
        body = orjson.dumps(values)
        mac = _mac(self._secret, scope, body)
        return base64.urlsafe_b64encode(mac + body).decode().rstrip("=")

    def read(self, scope: str, cursor: str) -> list[Any]:
        """The signed values. Raises BadCursor for a foreign, altered or misplaced cursor."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise BadCursor from None
        mac, body = raw[:12], raw[12:]
        keys = (self._secret, *self._old)
        if not any(hmac.compare_digest(mac, _mac(key, scope, body)) for key in keys):
            raise BadCursor
        values: list[Any] = orjson.loads(body)
        return values


def _mac(key: bytes, scope: str, body: bytes) -> bytes:
    return hmac.digest(key, scope.encode() + b"\0" + body, "sha256")[:12]
