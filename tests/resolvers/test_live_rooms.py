"""Live rooms through the schema: the host's verbs, the audience's, and the room's stream."""

from datetime import timedelta

from app.auth import Role, Viewer
from app.tables.live_rooms import LiveProductRow, LiveRoomRow
from app.workers import live_rooms as ticks
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid, mutation

ROOM = """id title status likes hostName pinned { id } products { id livePrice { amountMinor } }
  recentMessages { seq text nickname }"""
CODE = "... on Problem { code }"
STATE = "... on Problem { code } ... on WrongStateProblem { state }"
AIR = "... on Problem { code } ... on RoomNotLiveProblem { state }"
FIELD = "... on InvalidInputProblem { field }"
SCHEDULE = mutation("scheduleLiveRoom", f"... on LiveRoom {{ {ROOM} }} {FIELD} {CODE}")
START = mutation("startLiveRoom", f"... on LiveRoom {{ status }} {STATE}", given="LiveRoomInput")
END = mutation(
    "endLiveRoom", f"... on LiveRoom {{ status pinned {{ id }} }} {STATE}", given="LiveRoomInput"
)
PIN = mutation("pinLiveProduct", f"... on LiveRoom {{ pinned {{ id }} }} {AIR}")
POST = mutation(
    "postLiveMessage",
    f"... on LiveMessage {{ seq text nickname }} ... on TooOftenProblem {{ retryAfterS }} {AIR}",
)
LIKE = mutation("likeLiveRoom", f"... on LiveRoom {{ likes }} {FIELD} {AIR}")
EVENTS = """subscription($id: ID!, $after: String) { liveRoomEvents(roomId: $id, after: $after) {
  __typename
  ... on LiveMessagesPosted { cursor messages { seq text } skipped }
  ... on LiveLikesTallied { cursor likes }
  ... on LiveProductPinned { cursor product { id } }
  ... on LiveRoomMoved { cursor room { status } }
  ... on StreamGap { cursor } } }"""


async def hosted(mall: Mall, status: str = "LIVE") -> tuple[Viewer, int, int]:
    """(host, room, SKU of 2990 fen that is shown in it for 2500)."""
    product = await mall.product(price_fen=2990)
    room = await mall.live_room({product.sku_id: 2500}, status=status)
    host = Viewer(Role.DISTRIBUTOR, (await mall.row(LiveRoomRow, room)).host_id)
    return host, room, product.sku_id


async def test_a_room_is_scheduled_shown_started_and_ended(api: Api, mall: Mall) -> None:
    host, product = await mall.account(Role.DISTRIBUTOR), await mall.product(price_fen=2990)
    given = {
        "title": "晚间专场",
        "startsAt": (mall.clock() + timedelta(hours=1)).isoformat(),
        "products": [{"skuId": gid("Sku", product.sku_id), "livePrice": 2500}],
    }
    made = await api.ask(SCHEDULE, host, input=given)
    assert made["status"] == "SCHEDULED"
    assert made["products"][0]["livePrice"] == {"amountMinor": 2500}
    room = {"roomId": made["id"]}
    assert (await api.ask(START, host, input=room))["status"] == "LIVE"
    query = "{ liveRooms(status: LIVE) { nodes { id } totalCount } }"
    assert await api.ask(query) == {"nodes": [{"id": made["id"]}], "totalCount": 1}
    ended = await api.ask(END, host, input=room)
    assert (ended["status"], ended["pinned"]) == ("ENDED", [])
    problem = await api.problem(START, host, input=room)
    assert problem == {"code": "WRONG_STATE", "state": "ENDED"}


async def test_a_room_that_cannot_be_is_refused_whole(api: Api, mall: Mall) -> None:
    host, product = await mall.account(Role.DISTRIBUTOR), await mall.product(price_fen=2990)
    sku = gid("Sku", product.sku_id)
    good = {"title": "专场", "startsAt": (mall.clock() + timedelta(hours=1)).isoformat()}
    for change, code in (
        ({"title": " "}, "INVALID_INPUT"),
        ({"title": "长" * 61}, "INVALID_INPUT"),
        ({"startsAt": (mall.clock() - timedelta(hours=1)).isoformat()}, "INVALID_INPUT"),
        ({"products": [{"skuId": sku, "livePrice": 1}]}, "INVALID_INPUT"),
        ({"products": [{"skuId": sku, "livePrice": 2500}, {"skuId": "x", "livePrice": 1}]},
         "NOT_FOUND"),
    ):  # fmt: skip
        assert (await api.problem(SCHEDULE, host, input=good | change))["code"] == code, change
    many = [{"skuId": sku, "livePrice": 2500}] * 101
    assert await api.code(SCHEDULE, host, input=good | {"products": many}) == "BAD_USER_INPUT"


async def test_a_time_without_a_zone_is_refused(api: Api, mall: Mall) -> None:
    given = {"title": "专场", "startsAt": "2030-01-01T20:00:00"}
    problem = await api.problem(SCHEDULE, await mall.account(Role.DISTRIBUTOR), input=given)
    assert problem == {"code": "INVALID_INPUT", "field": "startsAt"}


async def test_only_the_host_moves_a_room(api: Api, mall: Mall) -> None:
    _, room, _ = await hosted(mall, "SCHEDULED")
    given = {"roomId": gid("LiveRoom", room)}
    other = await mall.account(Role.DISTRIBUTOR)
    for query in (START, END, PIN):
        assert await api.code(query, other, input=given) == "FORBIDDEN"
        assert await api.code(query, await mall.consumer(), input=given) == "FORBIDDEN"
        assert await api.code(query, input=given) == "UNAUTHENTICATED"
    good = {"title": "专场", "startsAt": mall.clock().isoformat()}
    assert await api.code(SCHEDULE, await mall.consumer(), input=good) == "FORBIDDEN"
    assert await api.code(SCHEDULE, input=good) == "UNAUTHENTICATED"


async def test_one_product_is_pinned_at_a_time(api: Api, mall: Mall) -> None:
    first, second = await mall.product(price_fen=2990), await mall.product(price_fen=2990)
    room = await mall.live_room({first.sku_id: 2500, second.sku_id: 2600})
    host = Viewer(Role.DISTRIBUTOR, (await mall.row(LiveRoomRow, room)).host_id)
    shown = [gid("LiveProduct", row.id) for row in await mall.rows(LiveProductRow)]
    key = gid("LiveRoom", room)
    for product in shown:
        pinned = await api.ask(PIN, host, input={"roomId": key, "liveProductId": product})
        assert pinned == {"pinned": [{"id": product}]}
    assert await api.ask(PIN, host, input={"roomId": key}) == {"pinned": []}
    other = gid("LiveProduct", 999)
    problem = await api.problem(PIN, host, input={"roomId": key, "liveProductId": other})
    assert problem["code"] == "NOT_FOUND"


async def test_nothing_is_pinned_said_or_liked_in_a_room_that_is_not_live(
    api: Api, mall: Mall
) -> None:
    host, room, _ = await hosted(mall, "ENDED")
    key = {"roomId": gid("LiveRoom", room)}
    ended = {"code": "ROOM_NOT_LIVE", "state": "ENDED"}
    assert await api.problem(PIN, host, input=key) == ended
    assert await api.problem(POST, await mall.consumer(), input=key | {"text": "好"}) == ended
    assert await api.problem(LIKE, input=key) == ended


async def test_messages_are_numbered_and_shown_with_masked_names(api: Api, mall: Mall) -> None:
    _, room, _ = await hosted(mall)
    key, shopper = gid("LiveRoom", room), await mall.consumer()
    for number, text in enumerate(("好看吗", "多少钱"), 1):
        said = await api.ask(POST, shopper, input={"roomId": key, "text": text})
        assert (said["seq"], said["text"]) == (number, text)
    assert "**" in said["nickname"]
    query = "query($id: ID!) { liveRoom(id: $id) { recentMessages { seq } } }"
    assert await api.ask(query, id=key) == {"recentMessages": [{"seq": 2}, {"seq": 1}]}


async def test_empty_huge_and_hasty_messages_are_refused(api: Api, mall: Mall) -> None:
    _, room, _ = await hosted(mall)
    key, shopper = gid("LiveRoom", room), await mall.consumer()
    for text in ("", "  ", "\x00", "长" * 201, "x" * 100_000):
        problem = await api.problem(POST, shopper, input={"roomId": key, "text": text})
        assert problem["code"] == "MESSAGE_REFUSED"
    assert await api.code(POST, input={"roomId": key, "text": "好"}) == "UNAUTHENTICATED"
    for _ in range(5):
        await api.ask(POST, shopper, input={"roomId": key, "text": "好"})
    problem = await api.problem(POST, shopper, input={"roomId": key, "text": "好"})
    assert problem == {"code": "TOO_OFTEN", "retryAfterS": 10.0}


async def test_guests_may_like_up_to_a_hundred_times_at_once(api: Api, mall: Mall) -> None:
    _, room, _ = await hosted(mall)
    key = {"roomId": gid("LiveRoom", room)}
    assert await api.ask(LIKE, input=key) == {"likes": 1}
    assert await api.ask(LIKE, input=key | {"count": 100}) == {"likes": 101}
    for count in (0, -1, 101):
        problem = await api.problem(LIKE, input=key | {"count": count})
        assert problem == {"code": "INVALID_INPUT", "field": "count"}


async def test_an_id_of_no_room_is_not_found(api: Api, mall: Mall) -> None:
    host, _, _ = await hosted(mall)
    for wrong in (*BAD_IDS, gid("LiveRoom", 999)):
        for query, more in (
            (START, {}),
            (END, {}),
            (PIN, {}),
            (LIKE, {}),
            (POST, {"text": "好"}),
        ):
            problem = await api.problem(query, host, input={"roomId": wrong, **more})
            assert problem["code"] == "NOT_FOUND", (query, wrong)
        async with api.stream(EVENTS, id=wrong) as events:
            assert await events.code() == "NOT_FOUND"


async def test_a_banned_room_is_there_for_its_host_alone(api: Api, mall: Mall) -> None:
    host, room, _ = await hosted(mall, "BANNED")
    query = "query($id: ID!) { liveRoom(id: $id) { status } }"
    key = gid("LiveRoom", room)
    assert await api.ask(query, id=key) is None
    assert await api.ask(query, await mall.consumer(), id=key) is None
    assert await api.ask(query, host, id=key) == {"status": "BANNED"}


async def test_the_stream_tells_all_that_happens(api: Api, mall: Mall) -> None:
    host, room, _ = await hosted(mall)
    key, shopper = gid("LiveRoom", room), await mall.consumer()
    (shown,) = await mall.rows(LiveProductRow)
    product = gid("LiveProduct", shown.id)
    async with api.stream(EVENTS, id=key) as events:
        assert (await events.next())["room"] == {"status": "LIVE"}
        await api.ask(POST, shopper, input={"roomId": key, "text": "好"})
        await api.ask(POST, shopper, input={"roomId": key, "text": "加微信"})  # held back
        await api.ask(LIKE, input={"roomId": key, "count": 3})
        await ticks.once(mall.database)
        await api.ask(PIN, host, input={"roomId": key, "liveProductId": product})
        await api.ask(END, host, input={"roomId": key})
        seen = [await events.next() for _ in range(5)]
    for event in seen:
        assert len(event.pop("cursor")) > 10
    assert seen == [
        {
            "__typename": "LiveMessagesPosted",
            "messages": [{"seq": 1, "text": "好"}],
            "skipped": 0,
        },
        {"__typename": "LiveLikesTallied", "likes": 3},
        {"__typename": "LiveProductPinned", "product": {"id": product}},
        {"__typename": "LiveRoomMoved", "room": {"status": "ENDED"}},
        {"__typename": "LiveProductPinned", "product": None},
    ]


async def test_resuming_the_stream_loses_nothing(api: Api, mall: Mall) -> None:
    _, room, _ = await hosted(mall)
    key = gid("LiveRoom", room)
    async with api.stream(EVENTS, id=key) as events:
        after = (await events.next())["cursor"]
    for _ in range(3):
        await api.ask(LIKE, input={"roomId": key})
        await ticks.once(mall.database)
    async with api.stream(EVENTS, id=key, after=after) as events:
        await api.ask(LIKE, input={"roomId": key})
        await ticks.once(mall.database)
        assert [(await events.next())["likes"] for _ in range(4)] == [1, 2, 3, 4]


async def test_a_room_banned_while_it_is_watched_ends_the_stream_with_a_code(
    api: Api, mall: Mall
) -> None:
    host, room, _ = await hosted(mall)
    key = gid("LiveRoom", room)
    async with api.stream(EVENTS, id=key) as events:
        await events.next()
        await mall.change(LiveRoomRow, room, status="LIVE")
        await api.ask(END, host, input={"roomId": key})
        await mall.change(LiveRoomRow, room, status="BANNED")
        assert await events.code() == "NOT_FOUND"
