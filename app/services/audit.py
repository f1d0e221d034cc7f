"""The audit log: who did what in which role, written in the transaction of the deed itself."""

from typing import Any

from sqlalchemy import Select, false, insert, select

from app.auth import Role, Viewer
from app.db import Unit
from app.rules.audit import Action, Outcome
from app.services.pages import Listing
from app.statements import Prepared, bind
from app.tables.columns import table
from app.tables.sessions import AuditRow

AUDIT = table(AuditRow)
LONGEST_DETAIL = 200

_NOTE = Prepared(
    insert(AUDIT).values(
        created_at=bind("now"),
        account_id=bind("who"),
        role=bind("acting_as"),
        session_id=bind("session"),
        action=bind("what"),
        target_kind=bind("kind"),
        target_id=bind("target"),
        outcome=bind("end"),
        detail=bind("words"),
        request_id=bind("request"),
    )
)


def visible_to(viewer: Viewer) -> Select[Any]:
    """The log is for admins alone."""
    query = select(*AUDIT.c)
    return query if viewer.role is Role.ADMIN else query.where(false())


def listing(viewer: Viewer, *, action: Action | None, account_id: int | None) -> Listing:
    """The log, newest first."""
    query = visible_to(viewer)
    if action is not None:
        query = query.where(AUDIT.c.action == action)
    if account_id is not None:
        query = query.where(AUDIT.c.account_id == account_id)
    return Listing(query, [(AUDIT.c.id, True)])


async def note(
    unit: Unit,
    viewer: Viewer,
    action: Action,
    target: tuple[str, int] | None = None,
    *,
    outcome: Outcome = Outcome.DONE,
    detail: str = "",
) -> None:
    """Writes one line; `target` is (GraphQL type, key). A viewer who is nobody is the system.

    Never put a code, a token or a key into `detail`.
    """
    kind, key = target or (None, None)
    noted = {
        "now": unit.clock(),
        "who": viewer.id,
        "acting_as": None if viewer.id is None else viewer.role,
        "session": viewer.session_id,
        "what": action,
        "kind": kind,
        "target": key,
        "end": outcome,
        "words": detail[:LONGEST_DETAIL],
        "request": unit.request_id,
    }
    await unit.insert(_NOTE, noted)
