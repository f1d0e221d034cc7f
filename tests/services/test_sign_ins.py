"""Signing in and out as callers do it: bounded, told to every process, and written down."""

from asyncio import gather
from collections import Counter
from datetime import timedelta

import pytest

from app.attempts import MemoryAttempts
from app.auth import Role, Tokens, Viewer
from app.errors import (
    InvalidToken,
    LoginRefused,
    NotFound,
    PlatformUnavailable,
    RoleNotHeld,
    SessionEnded,
    TooOften,
    Unauthenticated,
)
from app.gateways.platforms import DevPlatform, Platforms
from app.services import sign_ins
from app.services.sessions import Opened
from app.services.sign_ins import Desk
from app.tables.accounts import AccountRoleRow
from app.tables.sessions import AuditRow, SessionRow
from tests.factories import Mall

SECRET = "a secret of the tests, long enough for every algorithm that is tried here"
HERE = "192.0.2.7"


def desk(mall: Mall, per_minute: int = 30) -> Desk:
    return Desk(
        mall.database,
        Tokens(SECRET, mall.clock),
        Platforms({"DEV": DevPlatform()}),
        MemoryAttempts(mall.clock),
        per_minute=per_minute,
        life=timedelta(days=30),
    )


async def enter(
    at: Desk,
    code: str = "consumer-1",
    *,
    role: Role | None = None,
    address: str = HERE,
    guest: Viewer = Viewer(),  # noqa: B008
) -> Opened:
    return await sign_ins.by_code(
        at, platform="DEV", code=code, role=role, guest=guest, address=address
    )


async def told(mall: Mall) -> list[tuple[str, str, str]]:
    return [(one.action, one.outcome, one.detail) for one in await mall.rows(AuditRow)]


async def outcomes(at: Desk, codes: list[str], **more: str) -> Counter[str]:
    """How attempts one after the other end: "in", or the code of the refusal."""
    counted: Counter[str] = Counter()
    for code in codes:
        try:
            await enter(at, code, **more)
        except (LoginRefused, TooOften) as refusal:
            counted[refusal.code] += 1
        else:
            counted["in"] += 1
    return counted


async def test_a_sign_in_opens_a_session_and_is_written_down(any_mall: Mall) -> None:
    opened = await enter(desk(any_mall))
    (row,) = await any_mall.rows(SessionRow)
    assert (row.id, row.account_id) == (opened.viewer.session_id, opened.viewer.id)
    (line,) = await any_mall.rows(AuditRow)
    assert (line.action, line.outcome, line.detail) == ("SIGN_IN", "DONE", "DEV")
    assert (line.account_id, line.session_id, line.role) == (row.account_id, row.id, "CONSUMER")
    assert (line.target_kind, line.target_id) == ("Account", row.account_id)


async def test_a_refused_sign_in_is_written_down_and_nothing_else(any_mall: Mall) -> None:
    at = desk(any_mall)
    async with any_mall.unchanged("audit_log"):
        with pytest.raises(LoginRefused):
            await enter(at, "admin-9")
    (line,) = await any_mall.rows(AuditRow)
    assert (line.action, line.outcome) == ("SIGN_IN", "REFUSED")
    assert line.detail == f"DEV LOGIN_REFUSED {HERE}"
    assert (line.account_id, line.role, line.target_id) == (None, None, None)


@pytest.mark.parametrize("code", ["", "x" * 1001])
async def test_a_code_of_no_length_or_too_much_asks_no_platform(mall: Mall, code: str) -> None:
    at = desk(mall)
    with pytest.raises(LoginRefused):
        await enter(at, code)


async def test_a_platform_in_trouble_is_no_attempt_against_anybody(mall: Mall) -> None:
    at = desk(mall, per_minute=2)
    async with mall.unchanged():
        for _ in range(5):
            with pytest.raises(PlatformUnavailable):
                await sign_ins.by_code(
                    at, platform="WECHAT", code="c", role=None, guest=Viewer(), address=HERE
                )


async def test_one_address_guesses_so_often_and_then_waits(mall: Mall) -> None:
    at = desk(mall, per_minute=5)
    wrong = [f"admin-{number}" for number in range(1, 21)]
    assert await outcomes(at, wrong) == {"LOGIN_REFUSED": 5, "TOO_OFTEN": 15}
    assert len(await mall.rows(AuditRow)) == 5  # a flood does not fill the log
    with pytest.raises(TooOften) as refusal:
        await enter(at)
    assert refusal.value.data == {"retry_after_s": 12}
    assert (await enter(at, address="192.0.2.8")).viewer.role is Role.CONSUMER
    mall.clock.advance(seconds=12)
    assert (await enter(at)).viewer.role is Role.CONSUMER


async def test_guesses_at_once_are_no_more_than_one_after_the_other(mall: Mall) -> None:
    at = desk(mall, per_minute=5)

    async def guess(number: int) -> str:
        return str((await outcomes(at, [f"agent-{number}"])).most_common()[0][0])

    counted = Counter(await gather(*(guess(number) for number in range(1, 21))))
    assert counted == {"LOGIN_REFUSED": 5, "TOO_OFTEN": 15}


async def test_many_people_behind_one_address_sign_in_all_the_same(mall: Mall) -> None:
    at = desk(mall, per_minute=5)
    codes = [f"consumer-{number}" for number in range(1, 31)]
    assert await outcomes(at, codes) == {"in": 30}


async def test_one_account_signs_in_so_often_from_wherever(mall: Mall) -> None:
    at = desk(mall, per_minute=5)
    counted: Counter[str] = Counter()
    for number in range(12):
        counted += await outcomes(at, ["consumer-1"], address=f"192.0.2.{number}")
    assert counted == {"in": 5, "TOO_OFTEN": 7}


async def test_callers_without_an_address_are_not_one_caller(mall: Mall) -> None:
    at = desk(mall, per_minute=2)
    wrong = [f"agent-{number}" for number in range(1, 9)]
    assert await outcomes(at, wrong, address="") == {"LOGIN_REFUSED": 8}


async def test_refresh_tokens_are_guessed_so_often(mall: Mall) -> None:
    at = desk(mall, per_minute=5)
    opened = await enter(at)
    for _ in range(5):
        with pytest.raises(SessionEnded):
            await sign_ins.renew(at, "x" * 43 + "." + "0" * 64, address=HERE)
    with pytest.raises(TooOften):
        await sign_ins.renew(at, opened.refresh_token, address=HERE)
    assert await sign_ins.renew(at, opened.refresh_token, address="192.0.2.9")


async def test_a_reused_token_ends_the_access_tokens_too(any_mall: Mall) -> None:
    at = desk(any_mall)
    opened = await enter(at)
    token = at.tokens.issue(opened.viewer)
    any_mall.clock.advance(minutes=10)
    following = await sign_ins.renew(at, opened.refresh_token, address=HERE)
    fresh = at.tokens.issue(following.viewer)
    any_mall.clock.advance(minutes=2)
    with pytest.raises(SessionEnded):
        await sign_ins.renew(at, opened.refresh_token, address=HERE)
    for one in (token, fresh):
        with pytest.raises(InvalidToken):
            at.tokens.read(one)


async def test_signing_out_ends_this_session_and_no_other(any_mall: Mall) -> None:
    at = desk(any_mall)
    mine, other = await enter(at), await enter(at)
    tokens = [at.tokens.issue(one.viewer) for one in (mine, other)]
    assert await sign_ins.sign_out(at, mine.viewer, refresh_token=None) == 1
    with pytest.raises(InvalidToken):
        at.tokens.read(tokens[0])
    assert at.tokens.read(tokens[1]) == other.viewer
    with pytest.raises(SessionEnded):
        await sign_ins.renew(at, mine.refresh_token, address=HERE)
    assert (await told(any_mall))[-1] == ("SIGN_OUT", "DONE", "")


async def test_a_refresh_token_signs_out_whoever_shows_it(any_mall: Mall) -> None:
    at = desk(any_mall)
    opened = await enter(at)
    assert await sign_ins.sign_out(at, Viewer(), refresh_token=opened.refresh_token) == 1
    for wrong in (opened.refresh_token, "nonsense"):
        async with any_mall.unchanged():
            with pytest.raises(NotFound):
                await sign_ins.sign_out(at, Viewer(), refresh_token=wrong)


async def test_a_guest_has_nothing_to_sign_out_of(mall: Mall) -> None:
    async with mall.unchanged():
        with pytest.raises(Unauthenticated):
            await sign_ins.sign_out(desk(mall), Viewer(), refresh_token=None)
        with pytest.raises(Unauthenticated):
            await sign_ins.sign_out_everywhere(desk(mall), Viewer(), keeps_this=False)


@pytest.mark.parametrize(("keeps_this", "ended"), [(False, 3), (True, 2)])
async def test_signing_out_everywhere_is_for_every_device(
    any_mall: Mall, keeps_this: bool, ended: int
) -> None:
    at = desk(any_mall)
    mine = [await enter(at) for _ in range(3)]
    stranger = await enter(at, "consumer-2")
    count = await sign_ins.sign_out_everywhere(at, mine[0].viewer, keeps_this=keeps_this)
    assert count == ended
    live = [row.id for row in await any_mall.rows(SessionRow) if row.ended_at is None]
    kept = [mine[0].viewer.session_id] if keeps_this else []
    assert live == [*kept, stranger.viewer.session_id]
    assert (await told(any_mall))[-1] == ("SIGN_OUT_EVERYWHERE", "DONE", str(ended))


async def test_a_role_is_asked_for_at_sign_in_or_switched_to(any_mall: Mall) -> None:
    at = desk(any_mall)
    person = await any_mall.consumer()
    await any_mall.identity(person, "consumer-1")
    await any_mall.make(AccountRoleRow, account_id=person.id, role=Role.DISTRIBUTOR, subject_id=9)
    assert (await enter(at)).viewer.role is Role.CONSUMER
    asked = await enter(at, role=Role.DISTRIBUTOR)
    assert (asked.viewer.role, asked.viewer.subject_id) == (Role.DISTRIBUTOR, 9)
    token = at.tokens.issue(asked.viewer)
    back = await sign_ins.switch(at, asked.viewer, Role.CONSUMER)
    assert (back.viewer.role, back.viewer.subject_id) == (Role.CONSUMER, None)
    with pytest.raises(InvalidToken):
        at.tokens.read(token)
    with pytest.raises(SessionEnded):
        await sign_ins.renew(at, asked.refresh_token, address=HERE)
    line = (await any_mall.rows(AuditRow))[-1]
    assert (line.action, line.role, line.detail) == ("SWITCH_ROLE", "DISTRIBUTOR", "CONSUMER")


async def test_a_role_that_is_not_held_is_refused(any_mall: Mall) -> None:
    at = desk(any_mall)
    opened = await enter(at)
    async with any_mall.unchanged("audit_log"):
        with pytest.raises(RoleNotHeld):
            await enter(at, role=Role.ADMIN)
    assert (await told(any_mall))[-1] == ("SIGN_IN", "REFUSED", f"DEV ROLE_NOT_HELD {HERE}")
    async with any_mall.unchanged():
        for role in (Role.ADMIN, Role.GUEST):
            with pytest.raises(RoleNotHeld):
                await sign_ins.switch(at, opened.viewer, role)
    assert at.tokens.read(at.tokens.issue(opened.viewer)) == opened.viewer
