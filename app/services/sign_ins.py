"""Signing in, staying so, changing the role and signing out, with their lines of the audit log."""

from dataclasses import dataclass, replace
from datetime import timedelta

from app.attempts import Attempts, place_of
from app.auth import Role, Tokens, Viewer
from app.db import Database, Unit
from app.errors import LoginRefused, MallError, NotFound, RoleNotHeld, SessionEnded
from app.gateways.platforms import Platforms
from app.rules.audit import Action, Outcome
from app.services import accounts, audit, sessions
from app.services.sessions import Opened

LONGEST_CODE = 1000


@dataclass(frozen=True, slots=True)
class Desk:
    """What signing in takes; `life` is that of a session nobody uses.

    `per_minute` bounds the refused attempts of one address and all attempts of one account.
    """

    database: Database
    tokens: Tokens
    platforms: Platforms
    attempts: Attempts
    per_minute: int
    life: timedelta


async def by_code(
    desk: Desk,
    *,
    platform: str,
    code: str,
    role: Role | None,
    guest: Viewer,
    address: str,
) -> Opened:
    """Signs in whoever holds the platform's code, in `role` or as `accounts.login` chooses.

    Raises TooOften, LoginRefused, RoleNotHeld, PlatformUnavailable.
    """
    mine = f"sign-in:{place_of(address)}"
    await _take(desk, mine, address)
    try:
        opened = await _identified(desk, platform, code, role, guest)
    except (LoginRefused, RoleNotHeld) as refusal:
        await desk.database.change(_note_refused, platform, refusal, address)
        raise
    except MallError:  # a platform in trouble is nobody's guess
        await _give_back(desk, mine, address)
        raise
    await _give_back(desk, mine, address)
    return opened


async def renew(desk: Desk, refresh_token: str, *, address: str) -> Opened:
    """The session that the refresh token stands for, with its next one. Raises SessionEnded."""
    mine = f"renewal:{place_of(address)}"
    await _take(desk, mine, address)
    renewed = await desk.database.change(
        sessions.renew, refresh_token, life=desk.life, successors=desk.tokens.successors
    )
    if isinstance(renewed, Opened):
        await _give_back(desk, mine, address)
        return renewed
    if renewed is not None:
        desk.tokens.end([renewed])
    raise SessionEnded


async def switch(desk: Desk, viewer: Viewer, role: Role) -> Opened:
    """A new session in another role that the viewer holds; this one ends. Raises RoleNotHeld."""
    opened = await desk.database.change(_switch, viewer, role, desk.life)
    if viewer.session_id is not None:
        desk.tokens.end([viewer.session_id])
    return opened


async def sign_out(desk: Desk, viewer: Viewer, *, refresh_token: str | None) -> int:
    """Ends the session of the refresh token, else the viewer's; how many have ended.

    Raises NotFound for a refresh token of no live session.
    """
    ended = await desk.database.change(_sign_out, viewer, refresh_token)
    desk.tokens.end(ended)
    return len(ended)


async def sign_out_everywhere(desk: Desk, viewer: Viewer, *, keeps_this: bool) -> int:
    """Ends all sessions of the account, in every role; how many. Raises TooOften."""
    await desk.attempts.take(f"everywhere:{viewer.account_id}", per_minute=desk.per_minute)
    ended = await desk.database.change(_sign_out_everywhere, viewer, keeps_this)
    desk.tokens.end(ended)
    return len(ended)


async def _identified(
    desk: Desk, platform: str, code: str, role: Role | None, guest: Viewer
) -> Opened:
    if not 0 < len(code) <= LONGEST_CODE:
        raise LoginRefused
    open_id = await desk.platforms.identify(platform, code)
    await desk.attempts.take(f"account:{platform}:{open_id}", per_minute=desk.per_minute)
    return await desk.database.change(_sign_in, platform, open_id, role, guest, desk.life)


async def _sign_in(
    unit: Unit, platform: str, open_id: str, role: Role | None, guest: Viewer, life: timedelta
) -> Opened:
    viewer = await accounts.login(unit, platform=platform, open_id=open_id, role=role, guest=guest)
    opened = await sessions.begin(unit, viewer, life=life)
    target = "Account", viewer.account_id
    await audit.note(unit, opened.viewer, Action.SIGN_IN, target, detail=platform)
    return opened


async def _note_refused(unit: Unit, platform: str, refusal: MallError, address: str) -> None:
    """The unit of the sign-in itself is rolled back, so this line has one of its own."""
    detail = f"{platform} {refusal.code} {address}".rstrip()
    await audit.note(unit, Viewer(), Action.SIGN_IN, outcome=Outcome.REFUSED, detail=detail)


async def _switch(unit: Unit, viewer: Viewer, role: Role, life: timedelta) -> Opened:
    held = {one.role: one for one in await accounts.roles_of(unit.db, viewer.account_id)}
    if role not in held:
        raise RoleNotHeld
    if viewer.session_id is not None:
        await sessions.end(unit, [viewer.session_id], why=sessions.ROLE_SWITCHED)
    becomes = replace(viewer, role=role, subject_id=held[role].subject_id)
    opened = await sessions.begin(unit, becomes, life=life)
    target = "Account", viewer.account_id
    await audit.note(unit, viewer, Action.SWITCH_ROLE, target, detail=role)
    return opened


async def _sign_out(unit: Unit, viewer: Viewer, refresh_token: str | None) -> list[int]:
    if refresh_token is None:
        viewer.must_be_signed_in()
        leaving: Viewer | None = viewer
    else:
        leaving = await sessions.holder(unit, refresh_token)
    if leaving is None:
        raise NotFound("Session")
    mine = [] if leaving.session_id is None else [leaving.session_id]
    ended = await sessions.end(unit, mine, why=sessions.SIGNED_OUT)
    await audit.note(unit, leaving, Action.SIGN_OUT, ("Account", leaving.account_id))
    return ended


async def _sign_out_everywhere(unit: Unit, viewer: Viewer, keeps_this: bool) -> list[int]:
    live = set(await sessions.live(unit.db, viewer.account_id))
    if keeps_this:
        live.discard(viewer.session_id or 0)
    ended = await sessions.end(unit, live, why=sessions.SIGNED_OUT)
    target = "Account", viewer.account_id
    await audit.note(unit, viewer, Action.SIGN_OUT_EVERYWHERE, target, detail=str(len(ended)))
    return ended


async def _take(desk: Desk, key: str, address: str) -> None:
    """Callers whose address nobody knows, behind a Unix socket, are not all one caller."""
    if address:
        await desk.attempts.take(key, per_minute=desk.per_minute)


async def _give_back(desk: Desk, key: str, address: str) -> None:
    if address:
        await desk.attempts.give_back(key, per_minute=desk.per_minute)
