"""Who asks: viewers, their roles, and the tokens that carry them."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

import jwt

from app.clock import Clock
from app.errors import Forbidden, InvalidToken, Locale, Unauthenticated

ISSUER = "jishi"
AUDIENCE = "jishi-api"
ACCESS_LIFE = timedelta(hours=12)
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
    """`id` is the account, None for a guest; `subject_id` the supplier or distributor acted for."""

    role: Role = Role.GUEST
    id: int | None = None
    subject_id: int | None = None
    guest_key: str | None = None
    locale: Locale = "zh"
    expires_at: float | None = field(default=None, compare=False)  # POSIX time of the token's end

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
class Tokens:
    """Signs and reads our bearer tokens: HS256 only, issuer and audience fixed.

    What a token says is checked once (70 us) and remembered; whether it has expired, every time.
    """

    secret: str
    clock: Clock
    _known: dict[str, tuple[Viewer, float]] = field(default_factory=dict, repr=False)

    def issue(self, viewer: Viewer) -> str:
        now = self.clock()
        life = GUEST_LIFE if viewer.role is Role.GUEST else ACCESS_LIFE
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + life,
            "sub": str(viewer.id or 0),
            "role": viewer.role.value,
            "own": viewer.subject_id,
            "guest": viewer.guest_key,
        }
        return jwt.encode(claims, self.secret, algorithm="HS256")

    def read(self, token: str, locale: Locale = "zh") -> Viewer:
        """Who holds the token. Raises InvalidToken for anything but a live one of ours."""
        known = self._known.get(token)
        if known is None:
            known = self._read(token)
            if len(self._known) >= _TOKENS_KEPT:
                self._known.clear()
            self._known[token] = known
        viewer, expires = known
        if expires <= self.clock().timestamp():
            raise InvalidToken
        return viewer if viewer.locale == locale else replace(viewer, locale=locale)

    def _read(self, token: str) -> tuple[Viewer, float]:
        """Who holds it, and the time from which on nobody does."""
        try:
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=["HS256"],
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
                expires_at=expires,
            )
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise InvalidToken from None
        return viewer, expires


def new_guest(locale: Locale = "zh") -> Viewer:
    return Viewer(guest_key=secrets.token_urlsafe(16), locale=locale)
