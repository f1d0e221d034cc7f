"""What may be sent: `Accept` read once per value, methods, content types, pages of other sites."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from app.edge.refusals import CrossSite, MethodNotAllowed, NotAcceptable, UnsupportedType

PREFLIGHT = b"graphql-require-preflight"
_KEPT = 256  # values of Accept whose meaning is remembered; clients share a handful
_LONGEST_KEPT = 300
_MOST_RANGES = 50
# a page can send these only after asking (CORS), unlike what forms, images and links send
_ASKED_FOR = (PREFLIGHT, b"authorization", b"x-guest-token", b"apollo-require-preflight")


class Media(StrEnum):
    JSON = "application/json"
    RESPONSE = "application/graphql-response+json"
    SSE = "text/event-stream"
    MULTIPART = "multipart/mixed"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One media type for a single answer, one for a stream; one of them may be missing."""

    single: Media | None
    stream: Media | None


_PLAIN = Accepted(Media.JSON, None)
_COMMON = {b"": _PLAIN, b"*/*": _PLAIN, b"application/json": _PLAIN}


def accepted(method: str, given: Mapping[bytes, bytes]) -> Accepted:
    """What a request of this form may be answered with.

    Raises MethodNotAllowed, NotAcceptable, UnsupportedType or CrossSite, in this order.
    """
    if method not in {"POST", "GET"}:
        raise MethodNotAllowed
    accept = given.get(b"accept", b"")
    found = _COMMON.get(accept) or _accepted(accept)
    if method == "GET":
        _check_site(given)
    elif given.get(b"content-type") != b"application/json":
        _check_content(given.get(b"content-type", b""))
    return found


def _check_content(content_type: bytes) -> None:
    """A POST is exactly JSON, so that no page of another site can send one without asking."""
    media_type, *parameters = content_type.lower().split(b";")
    charsets = [
        value.strip(b' "')
        for name, _, value in (one.partition(b"=") for one in parameters)
        if name.strip() == b"charset"
    ]
    if media_type.strip() != b"application/json" or any(one != b"utf-8" for one in charsets):
        raise UnsupportedType


def _check_site(given: Mapping[bytes, bytes]) -> None:
    """A GET that a page of another site has sent must carry what such pages ask for first.

    Browsers name the site (older ones only the origin, and only to read the answer); whoever
    names neither is no page: mini-programs, apps, servers.
    """
    site, origin = given.get(b"sec-fetch-site"), given.get(b"origin")
    if site is not None:
        is_other = site not in {b"same-origin", b"none"}
    else:
        is_other = origin is not None and origin.partition(b"://")[2] != given.get(b"host")
    if is_other and not any(name in given for name in _ASKED_FOR):
        raise CrossSite


def _accepted(accept: bytes) -> Accepted:
    found = _remembered(accept) if len(accept) <= _LONGEST_KEPT else _read(accept)
    if found.single is None and found.stream is None:
        raise NotAcceptable(offered=", ".join(Media))
    return found


def _read(accept: bytes) -> Accepted:
    single: dict[Media, tuple[float, bool, int]] = {}
    stream: dict[Media, tuple[float, bool, int]] = {}
    ranges = accept.decode("latin-1").lower().split(",")[:_MOST_RANGES]
    for place, one in enumerate(ranges):
        name, *rest = (part.strip() for part in one.split(";"))
        parameters = dict(part.replace(" ", "").partition("=")[::2] for part in rest)
        rank = _quality(parameters.get("q")), "*" not in name, -place
        if name in {"*/*", "application/*"}:
            single.setdefault(Media.JSON, rank)
        elif name in {Media.JSON, Media.RESPONSE}:
            single[Media(name)] = rank  # what is named counts, not what a wildcard says of it
        elif name == Media.SSE:
            stream[Media.SSE] = rank
        elif name == Media.MULTIPART and _is_subscription(parameters):
            stream[Media.MULTIPART] = rank
    return Accepted(_best(single), _best(stream))


_remembered = lru_cache(maxsize=_KEPT)(_read)


def _best(found: Mapping[Media, tuple[float, bool, int]]) -> Media | None:
    wanted = {media: rank for media, rank in found.items() if rank[0] > 0}
    return max(wanted, key=lambda media: wanted[media]) if wanted else None


def _quality(value: str | None) -> float:
    try:
        return 1.0 if value is None else min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def _is_subscription(parameters: Mapping[str, str]) -> bool:
    """Is it the protocol of subscriptions, and not that of @defer?"""
    return parameters.get("subscriptionspec", "").strip("\"'") == "1.0"
