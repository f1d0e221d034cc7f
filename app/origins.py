"""Which web pages may speak to the mall: a list of origins, for CORS and for websockets alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_LOOPBACK = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?"
_SCHEME = r"[a-z][a-z0-9+.-]*"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_WEB = re.compile(rf"(https?)://(\*\.)?({_HOST})(:\d{{1,5}})?")
_OTHER = re.compile(rf"({_SCHEME})://(\*|{_HOST})")
_NEVER = {"null", "file", "data", "blob", "javascript", "about"}  # anybody's page can have these


class BadOrigin(ValueError):
    """The text names no origin that may be allowed."""


@dataclass(frozen=True, slots=True)
class Origins:
    """The list; without one, loopback.

    `patterns` are whole origins, `https://*.shop.example` for all subdomains of a host, and
    `scheme://*` for a scheme that is not the web's. Raises BadOrigin.
    """

    patterns: Sequence[str] | None = None
    _allowed: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = self.patterns
        each = [_LOOPBACK] if given is None else [_expression(one) for one in given]
        object.__setattr__(self, "_allowed", re.compile("|".join(each) or r"(?!)"))

    def allows(self, origin: str) -> bool:
        return self._allowed.fullmatch(origin.lower()) is not None


def _expression(pattern: str) -> str:
    """The regular expression of one entry."""
    text = pattern.lower()
    if (web := _WEB.fullmatch(text)) is not None:
        scheme, star, host, port = web.groups()
        if star and "." not in host:  # all of *.com is not one's own
            raise BadOrigin(pattern)
        below = rf"(?:{_LABEL}\.)+" if star else ""
        return re.escape(f"{scheme}://") + below + re.escape(host + (port or ""))
    other = _OTHER.fullmatch(text)
    if other is None or other[1] in _NEVER | {"http", "https"}:
        raise BadOrigin(pattern)
    scheme, host = other.groups()
    return re.escape(f"{scheme}://") + (r"[^/\s]*" if host == "*" else re.escape(host))
