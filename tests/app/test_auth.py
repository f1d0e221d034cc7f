"""Tokens that only we can make, and viewers that must be somebody."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

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
OLD = "the secret before this one, which signs nothing any more"
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


def test_a_token_by_a_key_pair_is_none_of_ours() -> None:
    """Not even when our own secret is what its public key would be."""
    pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = made(pair, algorithm="RS256")
    with pytest.raises(InvalidToken):
        tokens().read(token)


def test_an_old_key_is_still_read_and_the_new_one_signs() -> None:
    clock = Hands()
    before, after = Tokens(OLD, clock), Tokens(SECRET, clock, (OLD,))
    assert after.read(before.issue(SOMEBODY)) == SOMEBODY
    assert Tokens(SECRET, clock).read(after.issue(SOMEBODY)) == SOMEBODY
    with pytest.raises(InvalidToken):
        Tokens(SECRET, clock).read(before.issue(SOMEBODY))


def test_a_key_counts_under_its_own_name_alone() -> None:
    with pytest.raises(InvalidToken):
        Tokens(SECRET, Hands(), (OLD,)).read(made(OLD, kid=key_id(SECRET)))


def test_a_viewer_knows_its_session_and_when_its_token_ends() -> None:
    clock = Hands()
    ours = Tokens(SECRET, clock, access_life=timedelta(minutes=5))
    issued = ours.issued(replace(SOMEBODY, session_id=8))
    viewer = ours.read(issued.token)
    assert issued.expires_at == clock() + timedelta(minutes=5)
    assert (viewer.session_id, viewer.expires_at) == (8, issued.expires_at.timestamp())


def test_tokens_of_an_ended_session_are_not_read_and_others_are() -> None:
    clock = Hands()
    ours = Tokens(SECRET, clock)
    mine, other = (ours.issue(replace(SOMEBODY, session_id=key)) for key in (1, 2))
    ours.read(mine)  # remembered, and refused all the same
    ours.end([1])
    with pytest.raises(InvalidToken):
        ours.read(mine)
    assert ours.read(other) == ours.read(ours.issue(SOMEBODY)) == SOMEBODY


def test_an_ended_session_is_forgotten_when_its_last_token_has_expired() -> None:
    clock = Hands()
    ours = Tokens(SECRET, clock)
    ours.end([1])
    clock.now += ACCESS_LIFE - timedelta(seconds=1)
    ours.end([2])
    assert set(ours._ended) == {1, 2}
    clock.now += timedelta(seconds=1)
    ours.end([])
    assert set(ours._ended) == {2}


def test_who_waits_for_the_end_of_a_session_is_told_once() -> None:
    ours, told = Tokens(SECRET, Hands()), []
    ours.when_ended(1, lambda: told.append("one"))
    forget = ours.when_ended(1, lambda: told.append("gone"))
    ours.when_ended(2, lambda: told.append("two"))
    forget()
    ours.end([1])
    ours.end([1])
    assert told == ["one"]
    ours.when_ended(1, lambda: told.append("late"))
    assert told == ["one", "late"]
    assert set(ours._told) == {2}


def test_nobody_who_has_gone_is_remembered() -> None:
    ours = Tokens(SECRET, Hands())
    ours.when_ended(1, lambda: None)()
    assert ours._told == {}


def test_a_key_id_says_nothing_about_its_key() -> None:
    assert len(key_id(SECRET)) == 12
    assert key_id(SECRET) != key_id(OLD)
    assert SECRET not in repr(Tokens(SECRET, Hands(), (OLD,)))
    assert OLD not in repr(Tokens(SECRET, Hands(), (OLD,)))
