"""The first answer to (who, what, key), kept so that a repetition gets the same one."""

import hashlib
from collections.abc import Mapping

import orjson
from sqlalchemy import select, update

from app.auth import Viewer
from app.db import Unit
from app.errors import IdempotencyKeyReused, InvalidInput
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.outbox import IdempotencyRow

KEYS = table(IdempotencyRow)
LONGEST_KEY = 100

_MINE = (
    KEYS.c.actor_id == bind("actor"),
    KEYS.c.operation == bind("verb"),
    KEYS.c.idempotency_key == bind("key"),
)
_EARLIER = Prepared(select(KEYS.c.request_hash, KEYS.c.result_id).where(*_MINE))
_BEGIN = Prepared(
    lambda insert: (
        insert(KEYS)
        .values(
            actor_id=bind("actor"),
            operation=bind("verb"),
            idempotency_key=bind("key"),
            request_hash=bind("body_hash"),
            created_at=bind("now"),
        )
        .on_conflict_do_nothing()
        .returning(KEYS.c.id)
    )
)
_FINISH = Prepared(update(KEYS).where(*_MINE).values(result_id=bind("result")))


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
    mine = _mine(viewer, operation, key)
    fresh = mine | {"body_hash": request_hash, "now": unit.clock()}
    if await unit.returned(_BEGIN, fresh) is not None:
        return None
    earlier = await unit.db.first(_EARLIER, mine)
    assert earlier is not None
    if earlier.request_hash != request_hash:
        raise IdempotencyKeyReused
    assert earlier.result_id is not None  # `begin` and `finish` share one transaction
    return int(earlier.result_id)


async def finish(unit: Unit, viewer: Viewer, operation: str, key: str, result_id: int) -> None:
    """Keeps the result for repetitions; in the same unit as `begin`."""
    mine = _mine(viewer, operation, key)
    await unit.changed(_FINISH, mine | {"result": result_id})


def _mine(viewer: Viewer, operation: str, key: str) -> dict[str, object]:
    return {"actor": viewer.account_id, "verb": operation, "key": key}
