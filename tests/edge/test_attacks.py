"""Attacks by what is asked: each is answered in time, with a code, and harms nobody else."""

import asyncio
import base64
import logging
from typing import Any

import httpx
import orjson
import pytest

from app.auth import Role, Viewer
from tests.edge.asking import ask, error_of
from tests.edge.blocking import watched
from tests.serving import Server, gid

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_BLOCKED_S = 0.1
VIEWER = "{ viewer { role } }"
LOGIN = 'loginWithCode(input: {platform: DEV, code: "guess-%d"}) { __typename }'
SPREADS = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(20))


def many(made: str, count: int) -> str:
    return " ".join(made.replace("%d", str(number)) for number in range(count))


FLOODS = {
    "3,000 aliases": ("{" + many("a%d: a", 3000) + "}", "tokens"),
    "31 aliases": ("{" + many("a%d: viewer { role }", 31) + "}", "aliases"),
    "2,000 fields": ("{ viewer {" + " role" * 1900 + "} }", "fields"),
    "495 roots": ("{" + " viewer { role }" * 495 + "}", "fields"),
    "directives": ("{ viewer { role" + " @skip(if: false)" * 100 + "} }", "directives"),
    "deep nesting": ("{ viewer " * 150 + "}" * 150, "depth"),
    "20 doubling fragments": (
        f"{{ ...F0 }} {SPREADS} fragment F20 on Query {{ viewer {{ role }} }}",
        "fields",
    ),
    "51 fragments": (VIEWER + many(" fragment F%d on Query { viewer { role } }", 51), "fragments"),
    "11 operations": (many("query Q%d { viewer { role } }", 11), "operations"),
    "51 variables": ("query(" + many("$v%d: Int", 51) + ") { viewer { role } }", "variables"),
    "200 KB of tokens": ("{" + " a" * 100_000 + "}", "characters"),
    "a text of 200 KB": (
        '{ products(search: "' + "a" * 200_000 + '") { totalCount } }',
        "characters",
    ),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_is_refused_with_one_error_and_holds_nobody_up(
    server: Server, name: str
) -> None:
    query, rule = FLOODS[name]
    longest = []
    for attempt in range(3):
        async with watched() as gap:
            answer = await ask(server, f"{query} # {attempt}")
        longest.append(gap.longest_s)
        assert answer.status_code == 200
        error = error_of(answer)
        assert (error["extensions"]["code"], error["extensions"]["rule"]) == (
            "DOCUMENT_TOO_LARGE",
            rule,
        )
        assert error["extensions"]["found"] > error["extensions"]["limit"]
        assert answer.json().get("data") is None
    assert min(longest) < MOST_BLOCKED_S


async def test_a_flood_over_a_socket_is_refused_for_its_id_alone(server: Server) -> None:
    async with server.socket() as mine:
        await mine.start("flood", FLOODS["20 doubling fragments"][0])
        frame = await mine.next()
        assert (frame["id"], frame["type"]) == ("flood", "error")
        assert frame["payload"][0]["extensions"]["found"] == 1_000_000
        await mine.start("next", VIEWER)
        assert await mine.data("next", "viewer") == {"role": "GUEST"}


async def test_a_refusal_speaks_the_callers_language_whoever_came_first(server: Server) -> None:
    query = FLOODS["31 aliases"][0]
    there = error_of(await ask(server, query, **{"accept-language": "en"}))
    here = error_of(await ask(server, query))
    again = error_of(await ask(server, query, **{"accept-language": "en"}))
    assert here["message"] == "查询过大：aliases 至多 30，实为 31"
    assert there["message"] == again["message"]
    assert again["message"] == "the document is too large: aliases may be 30 at most, found 31"


async def test_nesting_past_what_the_parser_follows_is_no_document(server: Server) -> None:
    for query in (
        "{ viewer " * 600 + "}" * 600,
        "{ products(filter: " + "{a: " * 400 + "1" + "}" * 400 + ") { totalCount } }",
        "query($a: " + "[" * 900 + "Int" + "]" * 900 + ") { viewer { role } }",
    ):
        error = error_of(await ask(server, query))
        assert error["extensions"] == {"code": "GRAPHQL_PARSE_FAILED"}


async def test_a_megabyte_is_refused_before_it_is_read(server: Server) -> None:
    async with watched() as gap:
        answer = await ask(server, "{" + " a" * 500_000 + "}")
    assert answer.status_code == 413
    assert error_of(answer)["extensions"]["code"] == "BODY_TOO_LARGE"
    assert gap.longest_s < MOST_BLOCKED_S


async def test_circular_fragments_are_named(server: Server) -> None:
    query = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
    error = error_of(await ask(server, query, **{"accept-language": "en"}))
    assert error["extensions"] == {"code": "CIRCULAR_FRAGMENTS"}
    assert error["message"] == "fragments go round in a circle: A -> B -> A"


async def test_an_array_of_operations_is_no_request(server: Server) -> None:
    body = orjson.dumps([{"query": VIEWER}] * 100)
    headers = {"content-type": "application/json"}
    answer = await server.client.post("/graphql", content=body, headers=headers)
    assert answer.status_code == 400
    assert error_of(answer)["extensions"]["code"] == "BAD_REQUEST"


async def test_a_handful_of_guesses_at_most_fits_into_one_document(server: Server) -> None:
    """Thirty aliases are allowed, thirty attempts to sign in are too costly."""
    async with server.mall.unchanged():
        guesses = "mutation {" + many("a%d: " + LOGIN.replace("%d", "x%d"), 20) + "}"
        error = error_of(await ask(server, guesses))
        assert error["extensions"]["code"] == "COST_LIMIT_EXCEEDED"
        assert error["extensions"]["cost"]["requested"] == 20 * 1001


@pytest.mark.parametrize("digits", ["9" * 10, "9" * 5000, "1e400", "-" + "9" * 30])
async def test_a_huge_number_is_bad_input(server: Server, digits: str) -> None:
    inside = await ask(server, f"{{ products(first: {digits}) {{ totalCount }} }}")
    assert error_of(inside)["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    query = "query($n: Int!) { products(first: $n) { totalCount } }"
    body = f'{{"query": "{query}", "variables": {{"n": {digits}}}}}'
    headers = {"content-type": "application/json"}
    answer = await server.client.post("/graphql", content=body, headers=headers)
    code = error_of(answer)["extensions"]["code"]
    assert (answer.status_code, code) in {(400, "BAD_REQUEST"), (200, "BAD_USER_INPUT")}


@pytest.mark.parametrize(
    "given", [{}, {"n": None}, {"n": "5"}, {"n": 2**31}, {"n": 1.5}, {"n": [5]}, {"n": {"a": 1}}]
)
async def test_a_variable_that_does_not_fit_is_bad_input(
    server: Server, given: dict[str, Any]
) -> None:
    query = "query($n: Int!) { products(first: $n) { totalCount } }"
    answer = await ask(server, query, given)
    assert error_of(answer)["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_time_that_is_none_is_bad_input_and_no_bug(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    query = """mutation($i: ScheduleLiveRoomInput!) {
      scheduleLiveRoom(input: $i) { __typename } }"""
    given = {"title": "直播", "products": [], "startsAt": "tomorrow" * 20}
    for variables in ({"i": given}, {"i": given | {"startsAt": "9999999999-01-01T00:00:00Z"}}):
        error = error_of(await ask(server, query, variables))
        assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert caplog.records == []


ONLY_SIGNS = ["'", '"', "%", "_", "\\", "(((", ")))", "*" * 100, "😀" * 20]
WORDS = [
    "%' OR 1=1 --",
    "'; DROP TABLE products; --",
    '" OR title:*',
    "title : 茶",
    "NEAR(a b, 5)",
    "a OR b",
    "NOT a",
    "^a",
    "a*",
    "{a b} : c",
    "-a",
    "a\x00b",
]
SEARCH = "query($s: String) { products(search: $s) { nodes { title } totalCount } }"


@pytest.mark.parametrize("words", WORDS, ids=ascii)
async def test_a_search_is_words_and_never_a_language(server: Server, words: str) -> None:
    await server.mall.product(title="山野小米")
    found = await server.ask(SEARCH, {"s": words})
    assert found["products"] == {"nodes": [], "totalCount": 0}


@pytest.mark.parametrize("signs", ONLY_SIGNS)
async def test_a_search_without_a_word_is_no_search(server: Server, signs: str) -> None:
    everything = await server.ask(SEARCH)
    assert await server.ask(SEARCH, {"s": signs}) == everything


def _tampered(cursor: str) -> list[str]:
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[-2] ^= 1
    turned = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    forged = base64.urlsafe_b64encode(b"\0" * 12 + b"[1]").decode().rstrip("=")
    return [turned, forged, cursor[:-4], cursor + "AAAA", "", "a", "é", "' OR 1=1", "A" * 10_000]


async def test_a_cursor_that_is_not_ours_is_refused(server: Server) -> None:
    for number in range(3):
        await server.mall.product(title=f"豆 {number}")
    query = "query($a: String) { products(first: 1, after: $a) { pageInfo { endCursor } } }"
    cursor = (await server.ask(query))["products"]["pageInfo"]["endCursor"]
    assert (await server.ask(query, {"a": cursor}))["products"]["pageInfo"]["endCursor"] != cursor
    for wrong in _tampered(cursor):
        error = error_of(await ask(server, query, {"a": wrong}))
        assert error["extensions"]["code"] == "BAD_CURSOR", wrong[:40]


async def test_a_cursor_of_another_list_is_refused(server: Server) -> None:
    for number in range(2):
        await server.mall.product(title=f"茶 {number}")
    newest = "{ products(first: 1, sort: NEWEST) { pageInfo { endCursor } } }"
    cursor = (await server.ask(newest))["products"]["pageInfo"]["endCursor"]
    query = "query($a: String) { products(first: 1, after: $a) { nodes { id } } }"
    assert error_of(await ask(server, query, {"a": cursor}))["extensions"]["code"] == "BAD_CURSOR"


async def test_what_belongs_to_others_looks_like_what_is_not_there(server: Server) -> None:
    owner = await server.mall.consumer()
    mine = server.resources.tokens.issue(Viewer(Role.CONSUMER, owner.id))
    stranger = await server.sign_in("consumer-77")
    account = gid("Account", owner.account_id)
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }"
    own = await server.ask(query, {"ids": [account]}, token=mine)
    assert own == {"nodes": [{"__typename": "Account"}]}
    wrong = [
        account,
        gid("Account", 10**9),
        gid("Account", 10**17),
        gid("Nothing", 1),
        base64.b64encode(b"Account:1 OR 1=1").decode(),
        base64.b64encode(b"Account:-1").decode(),
        "",
        "\u0000",
    ]
    for token in ("", stranger):
        found = await server.ask(query, {"ids": wrong}, token=token)
        assert found == {"nodes": [None] * len(wrong)}


async def test_a_document_of_a_thousand_ids_is_refused(server: Server) -> None:
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    error = error_of(await ask(server, query, {"ids": [gid("Product", 1)] * 1000}))
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_attacks_from_all_sides_hold_up_no_shopper(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Every flood at once, each text new, while a shopper looks at a page."""
    with caplog.at_level(logging.ERROR):
        async with watched() as gap:
            floods = [ask(server, f"{query} # x") for query, _ in FLOODS.values()]
            attacked = asyncio.gather(*floods)
            page: httpx.Response = await ask(server, VIEWER)
            await attacked
    assert page.json() == {"data": {"viewer": {"role": "GUEST"}}}
    assert gap.longest_s < 3 * MOST_BLOCKED_S  # requests that are ready together run in one turn
    assert caplog.records == []
