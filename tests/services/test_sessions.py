"""Sessions: refresh tokens that follow one another, a stolen one found out, ends that hold."""

from asyncio import gather
from datetime import timedelta

import pytest

from app.auth import Role, Tokens, Viewer
from app.db import Unit
from app.services import sessions
from app.services.sessions import GRACE, Opened
from app.tables.outbox import OutboxRow
from app.tables.sessions import AuditRow, SessionRow
from tests.factories import START, Mall

LIFE = timedelta(days=30)
SECRET = "a secret of the tests, long enough for every algorithm that is tried here"
OLD = "the secret before this one, which signs nothing any more"


async def begun(mall: Mall, viewer: Viewer | None = None) -> Opened:
    person = viewer or await mall.consumer()
    return await mall.database.change(sessions.begin, person, life=LIFE)


async def renewed(mall: Mall, token: str, *secrets: str) -> Opened | int | None:
    tokens = Tokens((secrets or (SECRET,))[0], mall.clock, secrets[1:])
    return await mall.database.change(
        sessions.renew, token, life=LIFE, successors=tokens.successors
    )


async def chain(mall: Mall, opened: Opened, links: int) -> list[str]:
    """Refresh tokens in their order, each used after the grace of the one before."""
    used = [opened.refresh_token]
    for _ in range(links):
        mall.clock.advance(minutes=15)
        following = await renewed(mall, used[-1])
        assert isinstance(following, Opened)
        used.append(following.refresh_token)
    return used


async def test_a_refresh_token_gives_the_next_one_and_the_same_viewer(any_mall: Mall) -> None:
    person = await any_mall.account(Role.SUPPLIER, subject_id=5)
    opened = await begun(any_mall, person)
    any_mall.clock.advance(days=29)
    following = await renewed(any_mall, opened.refresh_token)
    assert isinstance(following, Opened)
    assert (following.viewer, following.viewer.session_id) == (person, opened.viewer.session_id)
    assert following.refresh_token != opened.refresh_token
    assert following.expires_at == START + timedelta(days=59)
    assert len(set(await chain(any_mall, following, 3))) == 4


async def test_only_hashes_are_kept(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    (row,) = await any_mall.rows(SessionRow)
    family, secret = opened.refresh_token.split(".")
    assert len(bytes.fromhex(secret)) == 32
    assert not {family, secret, opened.refresh_token} & {str(value) for value in row}
    assert {len(row.family_hash), len(row.refresh_hash)} == {64}


@pytest.mark.parametrize(
    "token",
    ["", "x", ".", "a.b", "x" * 43 + "." + "0" * 64, "游" * 43 + "." + "0" * 64, "x" * 100_000],
    ids=range(7),
)
async def test_what_is_no_refresh_token_changes_nothing(mall: Mall, token: str) -> None:
    await begun(mall)
    async with mall.unchanged():
        assert await renewed(mall, token) is None


async def test_a_session_that_nobody_renews_ends_by_itself(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    any_mall.clock.advance(days=30)
    async with any_mall.unchanged():
        assert await renewed(any_mall, opened.refresh_token) is None


@pytest.mark.parametrize("links", [1, 2, 5])
async def test_a_used_token_ends_the_session_however_old_it_is(any_mall: Mall, links: int) -> None:
    opened, other = await begun(any_mall), await begun(any_mall)
    used = await chain(any_mall, opened, links)
    any_mall.clock.now += GRACE
    assert await renewed(any_mall, used[0]) == opened.viewer.session_id
    async with any_mall.unchanged():
        assert [await renewed(any_mall, one) for one in used] == [None] * (links + 1)
    ended = {row.id: row.ended_why for row in await any_mall.rows(SessionRow)}
    assert ended == {opened.viewer.session_id: "REUSED", other.viewer.session_id: None}
    (line,) = await any_mall.rows(AuditRow)
    assert (line.action, line.outcome) == ("REFRESH_REUSED", "REFUSED")
    assert (line.account_id, line.session_id) == (opened.viewer.id, opened.viewer.session_id)
    (event,) = await any_mall.rows(OutboxRow)
    assert event.payload == {"session_ids": [opened.viewer.session_id]}


async def test_a_forged_secret_of_a_known_family_ends_the_session(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    family = opened.refresh_token.split(".")[0]
    assert await renewed(any_mall, f"{family}.{'0' * 64}") == opened.viewer.session_id


async def test_a_lost_answer_is_given_again_within_the_grace(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    first = await renewed(any_mall, opened.refresh_token)
    any_mall.clock.now += GRACE - timedelta(seconds=1)
    async with any_mall.unchanged():
        assert await renewed(any_mall, opened.refresh_token) == first
    any_mall.clock.advance(seconds=1)
    assert await renewed(any_mall, opened.refresh_token) == opened.viewer.session_id


async def test_the_grace_holds_for_the_last_token_alone(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    first = await renewed(any_mall, opened.refresh_token)
    assert isinstance(first, Opened)
    assert isinstance(await renewed(any_mall, first.refresh_token), Opened)
    assert await renewed(any_mall, opened.refresh_token) == opened.viewer.session_id


async def test_taps_at_once_get_one_token(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    answers = await gather(*(renewed(any_mall, opened.refresh_token) for _ in range(8)))
    assert len({one.refresh_token for one in answers if isinstance(one, Opened)}) == 1
    assert all(isinstance(one, Opened) for one in answers)
    (row,) = await any_mall.rows(SessionRow)
    assert row.ended_at is None


async def test_thief_and_owner_cannot_both_go_on(any_mall: Mall) -> None:
    """Whoever of the two comes second with the stolen link ends the session for both."""
    opened = await begun(any_mall)
    stolen = opened.refresh_token
    thiefs = await chain(any_mall, opened, 2)
    assert await renewed(any_mall, stolen) == opened.viewer.session_id
    assert await renewed(any_mall, thiefs[-1]) is None


async def test_a_new_signing_key_breaks_no_chain(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    first = await renewed(any_mall, opened.refresh_token, OLD)
    assert isinstance(first, Opened)
    repeated = await renewed(any_mall, opened.refresh_token, SECRET, OLD)
    assert repeated == first
    assert isinstance(await renewed(any_mall, first.refresh_token, SECRET, OLD), Opened)


async def test_an_ended_session_is_told_and_stays_ended(any_mall: Mall) -> None:
    opened = await begun(any_mall)
    session_id = opened.viewer.session_id
    assert session_id is not None

    async def end(unit: Unit) -> list[int]:
        return await sessions.end(unit, [session_id], why="SIGNED_OUT")

    assert await any_mall.database.change(end) == [session_id]
    any_mall.clock.advance(minutes=1)
    await any_mall.database.change(end)
    (row,) = await any_mall.rows(SessionRow)
    assert (row.ended_at, row.ended_why) == (START, "SIGNED_OUT")
    async with any_mall.database.read() as db:
        assert await sessions.ended_since(db, START - timedelta(seconds=1)) == [session_id]
        assert await sessions.ended_since(db, START) == []
    assert await renewed(any_mall, opened.refresh_token) is None


async def test_live_sessions_are_those_of_one_account_and_role(any_mall: Mall) -> None:
    person, other = await any_mall.consumer(), await any_mall.consumer()
    shop = Viewer(Role.SUPPLIER, person.id, 5)
    mine = [(await begun(any_mall, one)).viewer.session_id for one in (person, shop)]
    await begun(any_mall, other)
    async with any_mall.database.read() as db:
        assert await sessions.live(db, person.account_id) == mine
        assert await sessions.live(db, person.account_id, role=Role.SUPPLIER) == mine[1:]


async def test_sessions_long_over_are_forgotten_and_live_ones_kept(any_mall: Mall) -> None:
    lapsed, left = await begun(any_mall), await begun(any_mall)
    assert left.viewer.session_id is not None
    any_mall.clock.advance(days=29)
    kept = await begun(any_mall)
    await any_mall.database.change(sessions.end, [left.viewer.session_id], why="SIGNED_OUT")
    any_mall.clock.advance(days=30)
    assert await any_mall.database.change(sessions.forget) == 0
    any_mall.clock.advance(days=0.5)
    assert await any_mall.database.change(sessions.forget) == 1
    any_mall.clock.advance(days=0.6)
    assert await any_mall.database.change(sessions.forget) == 1
    (row,) = await any_mall.rows(SessionRow)
    assert row.id == kept.viewer.session_id != lapsed.viewer.session_id
