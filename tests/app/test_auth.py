"""Tokens that only we can make, and viewers that must be somebody."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest

from app.auth import (
    ACCESS_LIFE,
    AUDIENCE,
    GUEST_LIFE,
    ISSUER,
    Role,
    Tokens,
    Viewer,
    key_id,
    new_guest,
)
from app.errors import Forbidden, InvalidToken, Unauthenticated
from tests.factories import Hands

SECRET = "a secret of the tests, long enough for every algorithm that is tried here"
KEY_ID = key_id(SECRET)
SOMEBODY = Viewer(Role.SUPPLIER, 7, 3)


def tokens() -> Tokens:
    return Tokens(SECRET, Hands())


def made(secret: str = SECRET, algorithm: str = "HS256", kid: Any = KEY_ID, **claims: Any) -> str:
    """A token of ours, with differences; a claim of None is left out, as is a kid."""
    all_claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": Hands()() + timedelta(hours=1),
        "sub": "7",
        "role": "CONSUMER",
        **claims,
    }
    given = {name: value for name, value in all_claims.items() if value is not None}
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(given, secret, algorithm=algorithm, headers=headers)


@pytest.mark.parametrize("viewer", [SOMEBODY, Viewer(Role.CONSUMER, 1), Viewer(guest_key="g")])
def test_a_token_leads_back_to_its_viewer(viewer: Viewer) -> None:
    assert tokens().read(tokens().issue(viewer)) == viewer


def test_the_language_is_the_requests() -> None:
    assert tokens().read(tokens().issue(SOMEBODY), "en") == replace(SOMEBODY, locale="en")


@pytest.mark.parametrize(("viewer", "life"), [(SOMEBODY, ACCESS_LIFE), (new_guest(), GUEST_LIFE)])
def test_a_token_ends_to_the_second(viewer: Viewer, life: timedelta) -> None:
    clock = Hands()
    ours = Tokens(SECRET, clock)
    token = ours.issue(viewer)
    clock.now += life - timedelta(seconds=1)
    assert ours.read(token) == viewer
    clock.now += timedelta(seconds=1)
    with pytest.raises(InvalidToken):
        ours.read(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        made(secret="another secret of the tests, not ours"),
        made(algorithm="HS512"),
        made(kid=None),
        made(kid=key_id("another secret of the tests, not ours")),
        made(secret="", algorithm="none", kid=None),
        made(secret="", algorithm="none"),
        made(aud="somebody else"),
        made(iss="somebody else"),
        made(aud=None),
        made(exp=None),
        made(sub=None),
        made(sub="seven"),
        made(role=None),
        made(role="ROOT"),
        made(role=["ADMIN"]),
        made() + "x",
    ],
)
def test_anything_else_is_no_token(token: str) -> None:
    with pytest.raises(InvalidToken):
        tokens().read(token)


def test_a_guest_must_sign_in_and_others_need_the_role() -> None:
    SOMEBODY.must_be(Role.SUPPLIER, Role.ADMIN)
    with pytest.raises(Forbidden):
        SOMEBODY.must_be(Role.CONSUMER)
    for guest in (Viewer(), new_guest()):
        with pytest.raises(Unauthenticated):
            guest.must_be(Role.GUEST, Role.CONSUMER)
        with pytest.raises(Unauthenticated):
            _ = guest.account_id


def test_two_guests_are_two_people() -> None:
    assert new_guest().guest_key != new_guest().guest_key
