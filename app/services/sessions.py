"""Sessions: a chain of refresh tokens each, renewed at every use, ended for all processes at once.

A refresh token is `<family>.<secret>`. The family stays, the secret is followed by another at every
renewal, so a used token is recognised as one of ours however old it is.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update

from app.auth import Role, Viewer
from app.db import Reader, Unit
from app.events import SessionsEnded
from app.rules.audit import Action, Outcome
from app.services import audit
from app.statements import Prepared, among, bind
from app.tables.columns import table
from app.tables.sessions import SessionRow

SESSIONS = table(SessionRow)
KEPT = timedelta(days=30)  # of a session that is over, for whoever looks into a theft
GRACE = timedelta(seconds=60)  # a mini-program waits so long for an answer before it asks again
REUSED = "REUSED"
SIGNED_OUT = "SIGNED_OUT"
ROLE_SWITCHED = "ROLE_SWITCHED"
ROLE_REVOKED = "ROLE_REVOKED"

Successors = Callable[[str], list[str]]
_TOKEN = re.compile(r"([\w-]{43})\.([0-9a-f]{64})", re.ASCII)
_ENDED_SINCE = Prepared(select(SESSIONS.c.id).where(SESSIONS.c.ended_at > bind("since")))
_END = Prepared(
    update(SESSIONS)
    .where(among(SESSIONS.c.id, "sessions"), SESSIONS.c.ended_at.is_(None))
    .values(ended_at=bind("now"), ended_why=bind("why"))
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What whoever signs in gets; the viewer has its session."""

    viewer: Viewer
    refresh_token: str
    expires_at: datetime


async def begin(unit: Unit, viewer: Viewer, *, life: timedelta) -> Opened:
    """A new session of the viewer."""
    now = unit.clock()
    family, secret = secrets.token_urlsafe(32), secrets.token_hex(32)
    session_id = await unit.insert(
        insert(SESSIONS).values(
            account_id=viewer.account_id,
            role=viewer.role,
            subject_id=viewer.subject_id,
            family_hash=_hash(family),
            refresh_hash=_hash(secret),
            created_at=now,
            renewed_at=now,
            expires_at=now + life,
        )
    )
    return Opened(replace(viewer, session_id=session_id), f"{family}.{secret}", now + life)


async def renew(
    unit: Unit, token: str, *, life: timedelta, successors: Successors
) -> Opened | int | None:
    """The same session with its next refresh token.

    The token used last may be shown again within GRACE and gives the same next one: its answer was
    lost, or two taps were one too many. Any other used token is a stolen one, or the one that was
    stolen from: the session ends, and its key is what comes back. None for what is no live session.
    """
    family, secret = _parts(token)
    row = await _locked(unit, family)
    now = unit.clock()
    if row is None or row.ended_at is not None or row.expires_at <= now:
        return None
    following = successors(secret)
    if hmac.compare_digest(_hash(secret), row.refresh_hash):
        renewed = {
            "refresh_hash": _hash(following[0]),
            "renewed_at": now,
            "expires_at": now + life,
        }
        await unit.changed(update(SESSIONS).where(SESSIONS.c.id == row.id).values(**renewed))
        return Opened(_viewer(row), f"{family}.{following[0]}", now + life)
    repeated = [one for one in following if _hash(one) == row.refresh_hash]
    if repeated and now - row.renewed_at < GRACE:
        return Opened(_viewer(row), f"{family}.{repeated[0]}", row.expires_at)
    await end(unit, [row.id], why=REUSED)
    target = "Account", row.account_id
    await audit.note(unit, _viewer(row), Action.REFRESH_REUSED, target, outcome=Outcome.REFUSED)
    return int(row.id)


async def holder(unit: Unit, token: str) -> Viewer | None:
    """Whose session the refresh token belongs to; None when it is none, or has ended."""
    row = await _locked(unit, _parts(token)[0])
    return None if row is None or row.ended_at is not None else _viewer(row)


async def end(unit: Unit, session_ids: Iterable[int], *, why: str) -> list[int]:
    """Ends these sessions, in every process as soon as it hears of the commit."""
    keys = sorted(session_ids)
    if keys:
        await unit.changed(_END, {"sessions": keys, "now": unit.clock(), "why": why})
        unit.emit(SessionsEnded(keys))
    return keys


async def live(db: Reader, account_id: int, *, role: Role | None = None) -> list[int]:
    """The account's sessions that have not ended, in one role or in all."""
    query = select(SESSIONS.c.id).where(
        SESSIONS.c.account_id == account_id, SESSIONS.c.ended_at.is_(None)
    )
    if role is not None:
        query = query.where(SESSIONS.c.role == role)
    return [row.id for row in await db.all(query)]


async def ended_since(db: Reader, since: datetime) -> list[int]:
    return [row.id for row in await db.all(_ENDED_SINCE, {"since": since})]


async def forget(unit: Unit) -> int:
    """Drops the sessions that have been over for KEPT; how many. The audit log keeps its lines."""
    before = unit.clock() - KEPT
    over = or_(SESSIONS.c.ended_at < before, SESSIONS.c.expires_at < before)
    return await unit.changed(delete(SESSIONS).where(over))


def _parts(token: str) -> tuple[str, str]:
    """Family and secret; what is no refresh token of ours has a family that nobody has."""
    found = _TOKEN.fullmatch(token)
    return ("", "") if found is None else (found[1], found[2])


async def _locked(unit: Unit, family: str) -> Row[Any] | None:
    query = select(*SESSIONS.c).where(SESSIONS.c.family_hash == _hash(family))
    return await unit.db.first(query.with_for_update())


def _viewer(row: Row[Any]) -> Viewer:
    return Viewer(Role(row.role), row.account_id, row.subject_id, session_id=row.id)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
