"""Tokens: ours and alive, or refused."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from app.auth import ACCESS_LIFE, AUDIENCE, ISSUER, Role, Tokens, Viewer, new_guest
from app.errors import Forbidden, InvalidToken, Unauthenticated

SECRET = "s" * 40
NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
TOKENS = Tokens(SECRET, lambda: NOW)
SUPPLIER = Viewer(Role.SUPPLIER, id=7, subject_id=3)


def claims(**changes: object) -> dict[str, object]:
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": NOW,
        "exp": NOW + ACCESS_LIFE,
        "sub": "7",
        "role": "CONSUMER",
        "own": None,
        "guest": None,
    }
    return {name: value for name, value in (whole | changes).items() if value != "absent"}


def test_a_token_says_who_holds_it() -> None:
    assert TOKENS.read(TOKENS.issue(SUPPLIER)) == SUPPLIER


def test_a_guest_keeps_the_key_of_the_cart() -> None:
    guest = new_guest()
    assert TOKENS.read(TOKENS.issue(guest)) == guest


def test_a_token_ends_with_its_time() -> None:
    token = TOKENS.issue(SUPPLIER)
    late = Tokens(SECRET, lambda: NOW + ACCESS_LIFE)
    assert Tokens(SECRET, lambda: NOW + ACCESS_LIFE - timedelta(seconds=1)).read(token) == SUPPLIER
    with pytest.raises(InvalidToken):
        late.read(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        jwt.encode(claims(), "", algorithm="none"),
        jwt.encode(claims(), "t" * 64, algorithm="HS256"),
        jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        jwt.encode(claims(aud="another"), SECRET, algorithm="HS256"),
        jwt.encode(claims(iss="another"), SECRET, algorithm="HS256"),
        jwt.encode(claims(exp="absent"), SECRET, algorithm="HS256"),
        jwt.encode(claims(sub="absent"), SECRET, algorithm="HS256"),
        jwt.encode(claims(role="EMPEROR"), SECRET, algorithm="HS256"),
        jwt.encode(claims(role="absent"), SECRET, algorithm="HS256"),
        jwt.encode(claims(sub="one"), SECRET, algorithm="HS256"),
    ],
)
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(InvalidToken):
        TOKENS.read(token)


def test_a_guest_has_to_sign_in_and_a_role_has_to_fit() -> None:
    with pytest.raises(Unauthenticated):
        Viewer().must_be(Role.ADMIN)
    with pytest.raises(Unauthenticated):
        _ = Viewer().account_id
    with pytest.raises(Forbidden):
        SUPPLIER.must_be(Role.ADMIN, Role.AGENT)
    SUPPLIER.must_be(Role.SUPPLIER)
