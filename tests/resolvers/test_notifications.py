"""Notifications through the schema: pages, words, and marking as read."""

from app.auth import Role, Viewer
from app.rules.notifications import Kind
from app.services import notifications
from app.tables.notifications import NotificationRow
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid, mutation

LIST = """query($first: Int! = 20, $after: String) { notifications(first: $first, after: $after) {
  unreadCount totalCount pageInfo { endCursor }
  nodes { id kind title text targetId readAt } } }"""
READ = mutation(
    "readNotifications", "... on ReadNotifications { marked unreadCount } ... on Problem { code }"
)


async def noted(mall: Mall, viewer: Viewer, number: int = 1) -> str:
    """The global id of a notification about an order."""
    key = await mall.database.change(
        notifications.note,
        viewer.account_id,
        Kind.REFUND_MADE,
        {"no": f"O{number}", "amount_fen": number * 100},
        ("Order", number),
    )
    return gid("Notification", key)


async def test_the_newest_come_first_page_by_page_with_the_unread_count(
    api: Api, mall: Mall
) -> None:
    viewer = await mall.consumer()
    made = [await noted(mall, viewer, number) for number in (1, 2, 3)]
    await noted(mall, await mall.consumer())
    first = await api.ask(LIST, viewer, first=2)
    assert (first["unreadCount"], first["totalCount"]) == (3, 3)
    rest = await api.ask(LIST, viewer, first=2, after=first["pageInfo"]["endCursor"])
    assert [one["id"] for one in first["nodes"] + rest["nodes"]] == made[::-1]
    assert first["nodes"][0] == {
        "id": made[2],
        "kind": "REFUND_MADE",
        "title": "退款已退回",
        "text": "O3 的退款 ¥3.00 已原路退回",
        "targetId": gid("Order", 3),
        "readAt": None,
    }


async def test_words_are_in_the_language_of_whoever_asks(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    await noted(mall, viewer)
    english = Viewer(Role.CONSUMER, viewer.id, locale="en")
    (one,) = (await api.ask(LIST, english))["nodes"]
    assert one["text"] == "CNY 1.00 of O1 went back the way it came"


async def test_a_page_costs_two_selects_however_long(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    for number in range(1, 31):
        await noted(mall, viewer, number)
    query = "{ notifications(first: 30) { unreadCount nodes { id title text } } }"
    await api.ask(query, viewer)
    with mall.selects() as selects:
        await api.ask(query, viewer)
    assert len(selects) == 2


async def test_marking_as_read_tells_what_is_left(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    made = [await noted(mall, viewer, number) for number in (1, 2, 3)]
    assert await api.ask(READ, viewer, input={"ids": made[1:2]}) == {
        "marked": 1,
        "unreadCount": 2,
    }
    assert await api.ask(READ, viewer, input={"upTo": made[1]}) == {"marked": 1, "unreadCount": 1}
    read = [one["readAt"] is not None for one in (await api.ask(LIST, viewer))["nodes"]]
    assert read == [False, True, True]


async def test_marks_that_cannot_be_made_change_nothing(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    mine, theirs = await noted(mall, viewer), await noted(mall, await mall.consumer())
    for given in ({}, {"ids": []}, {"ids": [mine] * 101}, {"ids": [mine], "upTo": mine}):
        assert (await api.problem(READ, viewer, input=given))["code"] == "INVALID_INPUT", given
    for wrong in (*BAD_IDS, theirs, gid("Notification", 999)):
        for given in ({"ids": [mine, wrong]}, {"upTo": wrong}):
            assert (await api.problem(READ, viewer, input=given))["code"] == "NOT_FOUND", given
    assert await api.code(READ, input={"upTo": mine}) == "UNAUTHENTICATED"
    assert len(await mall.rows(NotificationRow, read_at=None)) == 2
