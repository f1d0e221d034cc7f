"""The first answer to (who, what, key), kept so that a repetition gets the same one."""

import hashlib
from collections.abc import Mapping

import orjson
from sqlalchemy import ColumnElement, select, update

from app.auth import Viewer
from app.db import Unit
from app.errors import IdempotencyKeyReused, InvalidInput
from app.tables.columns import table
from app.tables.outbox import IdempotencyRow

KEYS = table(IdempotencyRow)
LONGEST_KEY = 100


async def begin(
    unit: Unit, viewer: Viewer, operation: str, key: str, body: Mapping[str, object]
) -> int | None:
    """The result of the same earlier request; None when this is the first, which now owns the key.

    On PostgreSQL a concurrent repetition waits here for the first one's transaction; when that one
    is refused its key is free again. Raises IdempotencyKeyReused for another body, InvalidInput
    for an empty or overlong key.
    """
    if not 0 < len(key) <= LONGEST_KEY:
        raise InvalidInput(
            "idempotencyKey",
            f"幂等键须为 1 到 {LONGEST_KEY} 个字符",
            f"must have 1 to {LONGEST_KEY} characters",
        )
    request_hash = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    fresh = await unit.insert_new(
        KEYS,
        actor_id=viewer.account_id,
        operation=operation,
        idempotency_key=key,
        request_hash=request_hash,
        created_at=unit.clock(),
    )
    if fresh is not None:
        return None
    earlier = await unit.db.first(select(*KEYS.c).where(*_mine(viewer, operation, key)))
    assert earlier is not None
    if earlier.request_hash != request_hash:
        raise IdempotencyKeyReused
    assert earlier.result_id is not None  # `begin` and `finish` share one transaction
    return int(earlier.result_id)


async def finish(unit: Unit, viewer: Viewer, operation: str, key: str, result_id: int) -> None:
    """Keeps the result for repetitions; in the same unit as `begin`."""
    where = _mine(viewer, operation, key)
    await unit.changed(update(KEYS).where(*where).values(result_id=result_id))


def _mine(viewer: Viewer, operation: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        KEYS.c.actor_id == viewer.account_id,
        KEYS.c.operation == operation,
        KEYS.c.idempotency_key == key,
    )
