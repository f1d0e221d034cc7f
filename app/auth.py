"""Who asks: viewers, their roles, and the tokens that carry them."""

import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

import jwt

from app.clock import Clock
from app.errors import Forbidden, InvalidToken, Locale, Unauthenticated

ISSUER = "jishi"
AUDIENCE = "jishi-api"
ALGORITHM = "HS256"
ACCESS_LIFE = timedelta(minutes=15)
GUEST_LIFE = timedelta(days=30)
_TOKENS_KEPT = 10_000  # of some hundred bytes each


class Role(StrEnum):
    GUEST = "GUEST"
    CONSUMER = "CONSUMER"
    DISTRIBUTOR = "DISTRIBUTOR"
    SUPPLIER = "SUPPLIER"
    AGENT = "AGENT"
    ADMIN = "ADMIN"


@dataclass(frozen=True, slots=True)
class Viewer:
    """`id` is the account, None for a guest; `subject_id` the supplier or distributor acted for.

    What the token was, its session and its end (POSIX time), makes nobody somebody else.
    """

    role: Role = Role.GUEST
    id: int | None = None
    subject_id: int | None = None
    guest_key: str | None = None
    locale: Locale = "zh"
    session_id: int | None = field(default=None, compare=False)
    expires_at: float | None = field(default=None, compare=False)

    @property
    def account_id(self) -> int:
        """The account. Raises Unauthenticated for a guest."""
        if self.id is None:
            raise Unauthenticated
        return self.id

    def must_be_signed_in(self) -> None:
        """Raises Unauthenticated for a guest."""
        if self.id is None:
            raise Unauthenticated

    @property
    def is_staff(self) -> bool:
        return self.role in {Role.AGENT, Role.ADMIN}

    def must_be(self, *roles: Role) -> None:
        """Raises Unauthenticated for a guest, Forbidden for a role that is not among `roles`."""
        if self.id is None:
            raise Unauthenticated
        if self.role not in roles:
            raise Forbidden


@dataclass(frozen=True, slots=True)
class Issued:
    token: str
    expires_at: datetime


@dataclass(slots=True, eq=False)
class Tokens:
    """Signs and reads our bearer tokens: HS256 only, issuer and audience fixed.

    `secret` signs; those of `old_secrets` are still read, each by the key id that its tokens name.
    What a token says is checked once (70 us) and remembered; whether it has expired and whether
    its session has ended, every time.
    """

    secret: str = field(repr=False)
    clock: Clock
    old_secrets: tuple[str, ...] = field(default=(), repr=False)
    access_life: timedelta = ACCESS_LIFE
    _keys: dict[str, str] = field(init=False, repr=False)
    _known: dict[str, tuple[Viewer, float]] = field(default_factory=dict, repr=False)
    _ended: dict[int, float] = field(default_factory=dict, repr=False)  # until nobody may ask
    _told: dict[int, set[Callable[[], None]]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._keys = {key_id(one): one for one in (*self.old_secrets, self.secret)}

    def issue(self, viewer: Viewer) -> str:
        return self.issued(viewer).token

    def issued(self, viewer: Viewer) -> Issued:
        """A token for the viewer's session, and when it ends, to the second."""
        now = self.clock().replace(microsecond=0)
        expires_at = now + (GUEST_LIFE if viewer.role is Role.GUEST else self.access_life)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": expires_at,
            "sub": str(viewer.id or 0),
            "sid": viewer.session_id,
            "role": viewer.role.value,
            "own": viewer.subject_id,
            "guest": viewer.guest_key,
        }
        named = {"kid": key_id(self.secret)}
        return Issued(
            jwt.encode(claims, self.secret, algorithm=ALGORITHM, headers=named), expires_at
        )

    def read(self, token: str, locale: Locale = "zh") -> Viewer:
        """Who holds the token. Raises InvalidToken for anything but a live one of ours."""
        known = self._known.get(token)
        if known is None:
            known = self._read(token)
            if len(self._known) >= _TOKENS_KEPT:
                self._known.clear()
            self._known[token] = known
        viewer, expires = known
        if expires <= self.clock().timestamp() or viewer.session_id in self._ended:
            raise InvalidToken
        return viewer if viewer.locale == locale else replace(viewer, locale=locale)

    def end(self, session_ids: Iterable[int]) -> None:
        """From here on no token of these sessions is read in this process; who waits is told.

        Remembered for as long as an access token can live.
        """
        now = self.clock().timestamp()
        self._ended = {key: until for key, until in self._ended.items() if until > now}
        until = now + self.access_life.total_seconds()
        for key in session_ids:
            is_new = key not in self._ended
            self._ended[key] = until
            for told in self._told.pop(key, ()) if is_new else ():
                told()

    def when_ended(self, session_id: int, told: Callable[[], None]) -> Callable[[], None]:
        """Calls `told` once the session ends, at once if it has; until the result is called."""
        if session_id in self._ended:
            told()
            return lambda: None
        waiting = self._told.setdefault(session_id, set())
        waiting.add(told)

        def forget() -> None:
            waiting.discard(told)
            if not waiting and self._told.get(session_id) is waiting:
                del self._told[session_id]

        return forget

    def successors(self, refresh_secret: str) -> list[str]:
        """The secret that follows in a chain of refresh tokens, by our key and by each old one.

        It follows from the one before, so that a repeated question gets the same answer although
        only a hash of it is kept.
        """
        return [_successor(key, refresh_secret) for key in (self.secret, *self.old_secrets)]

    def _read(self, token: str) -> tuple[Viewer, float]:
        """Who holds it, and the time from which on nobody does."""
        try:
            claims = jwt.decode(
                token,
                self._keys[jwt.get_unverified_header(token)["kid"]],
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
            )
            expires = float(claims["exp"])
            viewer = Viewer(
                role=Role(claims["role"]),
                id=int(claims["sub"]) or None,
                subject_id=claims.get("own"),
                guest_key=claims.get("guest"),
                session_id=claims.get("sid"),
                expires_at=expires,
            )
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise InvalidToken from None
        return viewer, expires


def key_id(secret: str) -> str:
    """What tokens call the key that signed them; says nothing about it."""
    return hmac.digest(secret.encode(), b"jishi key id", "sha256").hex()[:12]


def _successor(key: str, refresh_secret: str) -> str:
    return hmac.digest(key.encode(), b"refresh:" + refresh_secret.encode(), "sha256").hex()


def new_guest(locale: Locale = "zh") -> Viewer:
    return Viewer(guest_key=secrets.token_urlsafe(16), locale=locale)
