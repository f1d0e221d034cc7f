"""Sessions, roles and the audit log through the schema, with both executors."""

from typing import Any

import pytest

from app.auth import Role, Viewer
from app.errors import InvalidToken
from app.tables.accounts import AccountRoleRow
from app.tables.sessions import AuditRow
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid, mutation

SESSION = """... on Session { token expiresAt refreshToken refreshExpiresAt
  viewer { role account { roles } } } ... on Problem { code }"""
LOGIN = mutation("loginWithCode", SESSION)
REFRESH = mutation("refreshSession", f"{SESSION} ... on TooOftenProblem {{ retryAfterS }}")
SWITCH = mutation("switchRole", SESSION)
LOGOUT = mutation("logout", "... on SignedOut { sessions } ... on Problem { code }")
EVERYWHERE = mutation("logoutEverywhere", "... on SignedOut { sessions } ... on Problem { code }")
ROLES = "... on Account { id roles } ... on Problem { code } ... on InvalidInputProblem { field }"
GRANT = mutation("grantRole", ROLES)
REVOKE = mutation("revokeRole", ROLES)
LOG = """query($first: Int, $after: String, $action: AuditAction, $accountId: ID) {
  auditLog(first: $first, after: $after, action: $action, accountId: $accountId) {
    nodes { id createdAt action outcome role account { nickname } targetId detail requestId }
    pageInfo { hasNextPage endCursor } } }"""
NODE = "query($id: ID!) { node(id: $id) { ... on AuditEntry { action } } }"
ME = "{ viewer { role account { id } } }"
NOBODY = "x" * 43 + "." + "0" * 64


async def entered(api: Api, code: str = "consumer-1", **more: str) -> dict[str, Any]:
    session = await api.ask(LOGIN, input={"platform": "DEV", "code": code, **more})
    assert "token" in session, session
    return session


def holder(api: Api, session: dict[str, Any]) -> Viewer:
    return api.resources.tokens.read(session["token"])


async def test_a_session_is_renewed_and_a_used_token_ends_it(api: Api, mall: Mall) -> None:
    first = await entered(api)
    assert first["expiresAt"] == "2026-03-02T04:15:00+00:00"
    assert first["refreshExpiresAt"] == "2026-04-01T04:00:00+00:00"
    mall.clock.advance(minutes=16)
    with pytest.raises(InvalidToken):
        holder(api, first)
    second = await api.ask(REFRESH, input={"refreshToken": first["refreshToken"]})
    assert second["viewer"]["role"] == "CONSUMER"
    assert (await api.ask(ME, holder(api, second)))["account"]["id"]
    mall.clock.advance(minutes=2)
    ended = await api.ask(REFRESH, input={"refreshToken": first["refreshToken"]})
    assert ended == {"code": "SESSION_ENDED"}
    with pytest.raises(InvalidToken):
        holder(api, second)
    refused = await api.problem(REFRESH, input={"refreshToken": second["refreshToken"]})
    assert refused == {"code": "SESSION_ENDED"}


async def test_an_unknown_refresh_token_looks_like_an_ended_one(api: Api) -> None:
    for token in ("", "nonsense", NOBODY):
        refused = await api.problem(REFRESH, input={"refreshToken": token})
        assert refused == {"code": "SESSION_ENDED"}


async def test_signing_out_ends_the_tokens_at_once(api: Api) -> None:
    session, other = await entered(api), await entered(api)
    assert await api.ask(LOGOUT, holder(api, session), input={}) == {"sessions": 1}
    with pytest.raises(InvalidToken):
        holder(api, session)
    given = {"refreshToken": other["refreshToken"]}
    assert await api.ask(LOGOUT, input=given) == {"sessions": 1}
    with pytest.raises(InvalidToken):
        holder(api, other)
    assert await api.problem(LOGOUT, input=given) == {"code": "NOT_FOUND"}
    assert await api.code(LOGOUT, input={}) == "UNAUTHENTICATED"


async def test_after_signing_out_the_rest_of_the_document_is_a_guests(api: Api) -> None:
    session = await entered(api)
    query = """mutation { logout(input: {}) { __typename }
      logoutEverywhere(input: {}) { __typename } }"""
    answer = await api.answer(query, holder(api, session))
    (error,) = answer.errors
    assert error.extensions["code"] == "UNAUTHENTICATED"


async def test_signing_out_everywhere_may_keep_this_one(api: Api) -> None:
    sessions = [await entered(api) for _ in range(3)]
    kept = holder(api, sessions[0])
    assert await api.ask(EVERYWHERE, kept, input={"keepThis": True}) == {"sessions": 2}
    assert holder(api, sessions[0]) == kept
    for session in sessions[1:]:
        with pytest.raises(InvalidToken):
            holder(api, session)
    assert await api.ask(EVERYWHERE, kept, input={}) == {"sessions": 1}
    assert await api.code(EVERYWHERE, input={}) == "UNAUTHENTICATED"


async def test_a_person_switches_between_roles_it_holds(api: Api, mall: Mall) -> None:
    person = await mall.consumer()
    await mall.identity(person, "consumer-1")
    await mall.make(AccountRoleRow, account_id=person.id, role=Role.AGENT)
    session = await entered(api)
    working = await api.ask(SWITCH, holder(api, session), input={"role": "AGENT"})
    assert working["viewer"] == {"role": "AGENT", "account": {"roles": ["CONSUMER", "AGENT"]}}
    with pytest.raises(InvalidToken):
        holder(api, session)
    asked = await entered(api, role="AGENT")
    assert asked["viewer"]["role"] == "AGENT"
    refused = await api.problem(SWITCH, holder(api, asked), input={"role": "ADMIN"})
    assert refused == {"code": "ROLE_NOT_HELD"}
    given = {"platform": "DEV", "code": "consumer-1", "role": "ADMIN"}
    assert await api.noted(LOGIN, input=given) == {"code": "ROLE_NOT_HELD"}
    assert await api.code(SWITCH, input={"role": "AGENT"}) == "UNAUTHENTICATED"


async def test_admins_give_and_take_roles(api: Api, mall: Mall) -> None:
    admin, person = await mall.account(Role.ADMIN), await mall.consumer()
    await mall.identity(person, "consumer-1")
    supplier = gid("Supplier", await mall.supplier())
    account = gid("Account", person.account_id)
    given = {"accountId": account, "role": "SUPPLIER", "subjectId": supplier}
    made = await api.ask(GRANT, admin, input=given)
    assert made == {"id": account, "roles": ["CONSUMER", "SUPPLIER"]}
    session = await entered(api, role="SUPPLIER")
    assert holder(api, session).subject_id is not None
    taken = await api.ask(REVOKE, admin, input={"accountId": account, "role": "SUPPLIER"})
    assert taken == {"id": account, "roles": ["CONSUMER"]}
    with pytest.raises(InvalidToken):
        holder(api, session)
    refused = await api.problem(REFRESH, input={"refreshToken": session["refreshToken"]})
    assert refused == {"code": "SESSION_ENDED"}


async def test_nobody_else_gives_or_takes_roles(api: Api, mall: Mall) -> None:
    for role in (Role.CONSUMER, Role.DISTRIBUTOR, Role.SUPPLIER, Role.AGENT):
        person = await mall.account(role, subject_id=1)
        given = {"accountId": gid("Account", person.account_id), "role": "ADMIN"}
        for query in (GRANT, REVOKE):
            assert await api.code(query, person, input=given) == "FORBIDDEN"
    for query in (GRANT, REVOKE):
        given = {"accountId": gid("Account", 1), "role": "ADMIN"}
        assert await api.code(query, input=given) == "UNAUTHENTICATED"


async def test_ids_of_other_things_and_wrong_subjects_are_refused(api: Api, mall: Mall) -> None:
    admin, person = await mall.account(Role.ADMIN), await mall.consumer()
    account = gid("Account", person.account_id)
    for bad in set(BAD_IDS) - {gid("Account", 1)}:
        for query in (GRANT, REVOKE):
            refused = await api.problem(query, admin, input={"accountId": bad, "role": "AGENT"})
            assert refused == {"code": "NOT_FOUND"}
        given = {"accountId": account, "role": "SUPPLIER", "subjectId": bad}
        assert (await api.problem(GRANT, admin, input=given))["code"] == "NOT_FOUND"
    for role in ("SUPPLIER", "DISTRIBUTOR"):
        refused = await api.problem(GRANT, admin, input={"accountId": account, "role": role})
        assert refused == {"code": "INVALID_INPUT", "field": "subjectId"}


async def test_the_log_tells_admins_what_happened(api: Api, mall: Mall) -> None:
    admin = await mall.account(Role.ADMIN)
    session = await entered(api)
    await api.noted(LOGIN, input={"platform": "DEV", "code": "agent-9"})
    me = holder(api, session)
    account = gid("Account", me.account_id)
    log = await api.ask(LOG, admin)
    refused, signed_in = log["nodes"]
    assert (refused["action"], refused["outcome"]) == ("SIGN_IN", "REFUSED")
    assert (refused["account"], refused["role"], refused["targetId"]) == (None, None, None)
    assert (signed_in["targetId"], signed_in["role"]) == (account, "CONSUMER")
    assert signed_in["account"]["nickname"].startswith("用户")
    first = await api.ask(LOG, admin, first=1)
    assert first["pageInfo"]["hasNextPage"] is True
    rest = await api.ask(LOG, admin, after=first["pageInfo"]["endCursor"])
    assert [*first["nodes"], *rest["nodes"]] == log["nodes"]
    assert (await api.ask(LOG, admin, accountId=account))["nodes"] == [signed_in]
    assert (await api.ask(LOG, admin, action="SIGN_OUT"))["nodes"] == []
    assert (await api.ask(NODE, admin, id=signed_in["id"])) == {"action": "SIGN_IN"}


async def test_the_log_is_nobody_elses(api: Api, mall: Mall) -> None:
    await entered(api)
    (line,) = await mall.rows(AuditRow)
    for role in (Role.CONSUMER, Role.DISTRIBUTOR, Role.SUPPLIER, Role.AGENT):
        person = await mall.account(role, subject_id=1)
        assert await api.code(LOG, person) == "FORBIDDEN"
        assert await api.ask(NODE, person, id=gid("AuditEntry", line.id)) is None
    assert await api.code(LOG) == "UNAUTHENTICATED"


async def test_another_lists_cursor_is_refused(api: Api, mall: Mall) -> None:
    admin = await mall.account(Role.ADMIN)
    await entered(api)
    end = (await api.ask(LOG, admin, first=1))["pageInfo"]["endCursor"]
    assert await api.code(LOG, admin, after=end, action="SIGN_IN") == "BAD_CURSOR"
    assert await api.code(LOG, admin, first=101) == "BAD_USER_INPUT"


PRIVILEGED = {
    "shipOrder", "scheduleLiveRoom", "startLiveRoom", "endLiveRoom", "pinLiveProduct",
    "pauseLiveRoom", "cancelLiveRoom", "offerLiveRoomReplay", "banLiveRoom", "addLiveProduct",
    "stopGroupBuyActivity",
    "removeLiveProduct", "reorderLiveProducts", "muteLiveViewer", "liftLiveMute",
    "releaseLiveMessage", "openLiveLottery",
    "grantRole", "revokeRole", "loginWithCode", "refreshSession", "switchRole", "logout",
    "logoutEverywhere",
}  # fmt: skip
"""Each writes to the audit log: its services are tried in tests/services/test_audit.py."""
OWN = {
    "addCartLine", "updateCartLine", "removeCartLine", "placeTrade", "payTrade", "cancelTrade",
    "confirmOrder", "openGroupBuy", "joinGroupBuy", "postLiveMessage", "likeLiveRoom",
    "sendMessage", "cancelReply", "beatLiveRoom", "leaveGroupBuy", "readNotifications",
}  # fmt: skip
"""What a shopper does with its own things; and a host who says that he is there, every 10 s."""


def test_every_mutation_is_written_down_or_the_callers_own_business(api: Api) -> None:
    known = api.schema._schema.mutation_type
    assert known is not None
    assert set(known.fields) == PRIVILEGED | OWN
