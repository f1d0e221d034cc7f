"""Live rooms as they happen: the host's own stream, replays, and a draw that anybody checks."""

from datetime import timedelta
from typing import Any

from app.auth import Role, Viewer
from app.rules.live_lotteries import Entry, Published, recompute
from app.tables.live_rooms import LiveRoomRow
from app.workers import expiries
from app.workers import live_rooms as worker
from tests.factories import Mall
from tests.resolvers.conftest import Api, gid, mutation

POST = mutation(
    "postLiveMessage",
    """... on LiveMessage { id seq isHeldBack }
    ... on MutedProblem { until } ... on Problem { code }""",
)
MUTE = mutation(
    "muteLiveViewer", "... on LiveMute { id nickname until isLifted } ... on Problem { code }"
)
LIFT = mutation("liftLiveMute", "... on LiveMute { isLifted } ... on Problem { code }")
RELEASE = mutation(
    "releaseLiveMessage", "... on LiveMessage { seq isHeldBack } ... on Problem { code }"
)
OPEN = mutation(
    "openLiveLottery",
    """... on LiveLottery { id status commit seed closesAt entryCount }
    ... on InvalidInputProblem { field } ... on Problem { code }""",
)
MOVES = {
    name: mutation(
        name, "... on LiveRoom { status } ... on Problem { code }", given="LiveRoomInput"
    )
    for name in (
        "pauseLiveRoom",
        "beatLiveRoom",
        "cancelLiveRoom",
        "endLiveRoom",
        "offerLiveRoomReplay",
        "startLiveRoom",
    )
}
BAN = mutation(
    "banLiveRoom",
    """... on LiveRoom { status banReason }
    ... on InvalidInputProblem { field } ... on Problem { code }""",
)
ADD = mutation(
    "addLiveProduct",
    """... on LiveRoom { products { id livePrice { amountMinor } } }
    ... on InvalidInputProblem { field } ... on Problem { code }""",
)
REMOVE = mutation(
    "removeLiveProduct", "... on LiveRoom { products { id } } ... on Problem { code }"
)
REORDER = mutation(
    "reorderLiveProducts", "... on LiveRoom { products { id } } ... on Problem { code }"
)
EVENTS = """subscription($id: ID!, $after: String) { liveRoomEvents(roomId: $id, after: $after) {
  __typename
  ... on LiveMessagesPosted { messages { text } skipped }
  ... on LiveViewersChanged { viewers peak }
  ... on LiveStockChanged { stock { skuId available } }
  ... on LiveShelfChanged { room { products { id } } }
  ... on LiveRoomMoved { room { status } }
  ... on LiveLotteryMoved { lottery { status commit seed winners { number name place } } } } }"""
HOST_EVENTS = """subscription($id: ID!) { liveRoomHostEvents(roomId: $id) {
  __typename
  ... on LiveMessageHeldBack { message { id text nickname } }
  ... on LiveMessageReleased { message { id } }
  ... on LiveMuteChanged { mute { nickname until isLifted } }
  ... on LiveFiguresMoved { room { figures {
    messages likes viewersTotal viewersPeak orders units turnover { amountMinor } isFinal } } } }
} """
REPLAY = """query($id: ID!, $first: Int!, $after: String) {
  liveRoomReplay(roomId: $id, first: $first, after: $after) {
    nodes { seq kind createdAt sku { id } lottery { prize } message { text }
      details { status livePrice { amountMinor } isShelved likes viewers
        messages { seq nickname text } } }
    pageInfo { hasNextPage endCursor } } }"""
ENTRIES = """query($id: ID!, $first: Int!, $after: String) {
  liveLotteryEntries(lotteryId: $id, first: $first, after: $after) {
    nodes { id number name place } pageInfo { hasNextPage endCursor } } }"""
LOTTERY = """query($id: ID!) { node(id: $id) { ... on LiveLottery {
  status commit seed listDigest winnerCount entryCount winners { number place } } } }"""


async def live(mall: Mall, **differences: Any) -> tuple[Viewer, int, str]:
    """(host, SKU of 2990 fen shown for 2500, room)."""
    product = await mall.product(price_fen=2990)
    room = await mall.live_room({product.sku_id: 2500}, **differences)
    host = Viewer(Role.DISTRIBUTOR, (await mall.row(LiveRoomRow, room)).host_id)
    return host, product.sku_id, gid("LiveRoom", room)


async def pages(api: Api, query: str, viewer: Viewer, key: str, first: int) -> list[Any]:
    """All nodes of a list, page by page."""
    nodes: list[Any] = []
    after: str | None = None
    for _ in range(100):
        page = await api.ask(query, viewer, id=key, first=first, after=after)
        nodes += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return nodes
    raise AssertionError("more than a hundred pages")


async def test_the_host_hears_what_the_audience_must_not(api: Api, mall: Mall) -> None:
    host, sku, key = await live(mall)
    shopper = await mall.consumer()
    async with api.stream(HOST_EVENTS, host, id=key) as events, api.stream(EVENTS, id=key) as seen:
        first = await events.next()
        assert first["room"]["figures"]["turnover"] == {"amountMinor": 0}
        await seen.next()
        said = {"roomId": key, "text": "加微信 abc"}
        held = await api.ask(POST, shopper, input=said)
        assert (held["seq"], held["isHeldBack"]) == (1, True)
        message = {"messageId": held["id"]}
        mute = await api.ask(MUTE, host, input=message | {"seconds": 60})
        assert mute["until"] == (mall.clock() + timedelta(seconds=60)).isoformat()
        problem = await api.problem(POST, shopper, input=said)
        assert problem == {"code": "MUTED", "until": mute["until"]}
        assert await api.ask(LIFT, host, input={"muteId": mute["id"]}) == {"isLifted": True}
        released = await api.ask(RELEASE, host, input=message)
        assert released == {"seq": 2, "isHeldBack": False}
        await worker.once(mall.database)
        await mall.add(shopper, sku, 2, live_room_id=1)
        await mall.pay(shopper, await mall.place(shopper))
        told = [await events.next() for _ in range(6)]
        audience = await seen.next()
    kinds = [event.pop("__typename") for event in told]
    assert kinds == [
        "LiveMessageHeldBack",
        "LiveMuteChanged",
        "LiveMuteChanged",
        "LiveMessageReleased",
        "LiveFiguresMoved",
        "LiveFiguresMoved",
    ]
    assert told[0]["message"]["text"] == "加微信 abc"
    figures = told[5]["room"]["figures"]
    assert (figures["orders"], figures["units"], figures["isFinal"]) == (1, 2, False)
    assert figures["turnover"] == {"amountMinor": 5800}  # with the shipping of its lines
    assert audience["messages"] == [{"text": "加微信 abc"}]


async def test_the_hosts_stream_is_for_the_host_and_staff(api: Api, mall: Mall) -> None:
    host, _, key = await live(mall)
    query = """query($id: ID!) { liveRoom(id: $id) {
      figures { messages } mutes { nickname } heldBack { text } } }"""
    shopper, other = await mall.consumer(), await mall.account(Role.DISTRIBUTOR)
    held = await api.ask(POST, shopper, input={"roomId": key, "text": "加微信"})
    await api.ask(MUTE, host, input={"messageId": held["id"]})
    nothing: dict[str, Any] = {"figures": None, "mutes": [], "heldBack": []}
    for viewer in (Viewer(), other):
        async with api.stream(HOST_EVENTS, viewer, id=key) as events:
            assert await events.code() == "NOT_FOUND"
        assert await api.ask(query, viewer, id=key) == nothing
    for viewer in (host, await mall.staff()):
        async with api.stream(HOST_EVENTS, viewer, id=key) as events:
            assert (await events.next())["__typename"] == "LiveFiguresMoved"
        answer = await api.ask(query, viewer, id=key)
        assert answer["figures"] == {"messages": 1}
        assert answer["heldBack"] == [{"text": "加微信"}]
        assert len(answer["mutes"]) == 1


async def test_a_replay_tells_an_audience_what_it_was_told(api: Api, mall: Mall) -> None:
    host, sku, key = await live(mall)
    shopper = await mall.consumer()
    product = gid("LiveProduct", 1)
    pin = mutation("pinLiveProduct", "__typename")
    await api.ask(pin, host, input={"roomId": key, "liveProductId": product})
    for text in ("好看", "加微信", "多少钱"):
        await api.ask(POST, shopper, input={"roomId": key, "text": text})
    await worker.once(mall.database)
    await api.ask(MOVES["endLiveRoom"], host, input={"roomId": key})
    await api.ask(MOVES["offerLiveRoomReplay"], host, input={"roomId": key})
    nodes = await pages(api, REPLAY, Viewer(), key, 2)
    assert [(node["seq"], node["kind"]) for node in nodes] == [
        (1, "PINNED"),
        (3, "MESSAGES_POSTED"),
        (4, "TALLIED"),
        (5, "MOVED"),
        (6, "PINNED"),
        (7, "MOVED"),
    ]
    assert nodes[0]["sku"] == {"id": gid("Sku", sku)}
    assert nodes[0]["details"]["livePrice"] == {"amountMinor": 2500}
    lines = nodes[1]["details"]["messages"]
    assert [(one["seq"], one["text"]) for one in lines] == [(1, "好看"), (3, "多少钱")]
    assert [nodes[3]["details"]["status"], nodes[5]["details"]["status"]] == [
        "ENDED",
        "REPLAY_READY",
    ]
    host_sees = await pages(api, REPLAY, host, key, 50)
    assert host_sees[1]["kind"] == "MESSAGE_HELD_BACK"
    assert host_sees[1]["message"] == {"text": "加微信"}


async def test_a_draw_is_recomputed_from_what_the_api_shows(api: Api, mall: Mall) -> None:
    host, _, key = await live(mall)
    async with api.stream(EVENTS, id=key) as events:
        await events.next()
        given = {"roomId": key, "prize": "小米一袋", "keyword": "暖锅", "winners": 3, "lastsS": 60}
        opened = await api.ask(OPEN, host, input=given)
        assert (opened["status"], opened["seed"], opened["entryCount"]) == ("OPEN", None, 0)
        promised = (await events.next())["lottery"]
        assert (promised["commit"], promised["seed"]) == (opened["commit"], None)
        for shopper in await mall.shoppers(25):
            await api.ask(POST, shopper, input={"roomId": key, "text": "我要暖锅"})
        mall.clock.advance(seconds=60)
        await expiries.once(mall.database)
        drawn = (await events.next())["lottery"]
    shown = await api.ask(LOTTERY, id=opened["id"])
    entries = await pages(api, ENTRIES, Viewer(), opened["id"], 10)
    published = Published(
        promised["commit"],  # as it was told before anybody entered
        shown["seed"],
        shown["listDigest"],
        shown["winnerCount"],
        [Entry(one["number"], one["id"], one["name"]) for one in entries],
    )
    numbers = recompute(published)
    assert shown["entryCount"] == 25
    assert [one["number"] for one in shown["winners"]] == numbers
    assert [one["number"] for one in drawn["winners"]] == numbers
    won = {one["place"]: one["number"] for one in entries if one["place"] is not None}
    assert [won[place] for place in (1, 2, 3)] == numbers


async def test_a_host_pauses_beats_comes_back_and_ends(api: Api, mall: Mall) -> None:
    host, _, key = await live(mall)
    room = {"roomId": key}
    for name, status in (
        ("beatLiveRoom", "LIVE"),
        ("pauseLiveRoom", "PAUSED"),
        ("beatLiveRoom", "PAUSED"),
        ("startLiveRoom", "LIVE"),
        ("endLiveRoom", "ENDED"),
    ):
        assert await api.ask(MOVES[name], host, input=room) == {"status": status}
    assert await api.problem(MOVES["beatLiveRoom"], host, input=room) == {"code": "ROOM_NOT_LIVE"}
    assert await api.problem(MOVES["cancelLiveRoom"], host, input=room) == {"code": "WRONG_STATE"}
    (waiting,) = [await live(mall, status="SCHEDULED")]
    called_off = await api.ask(MOVES["cancelLiveRoom"], waiting[0], input={"roomId": waiting[2]})
    assert called_off == {"status": "CANCELLED"}


async def test_a_ban_ends_the_streams_of_the_audience(api: Api, mall: Mall) -> None:
    host, _, key = await live(mall)
    staff = await mall.staff()
    assert await api.problem(BAN, staff, input={"roomId": key, "reason": ""}) == {
        "code": "INVALID_INPUT",
        "field": "reason",
    }
    async with api.stream(EVENTS, id=key) as events:
        await events.next()
        banned = await api.ask(BAN, staff, input={"roomId": key, "reason": "虚假宣传"})
        assert banned == {"status": "BANNED", "banReason": "虚假宣传"}
        assert await events.code() == "NOT_FOUND"
    query = "query($id: ID!) { liveRoom(id: $id) { banReason } }"
    assert await api.ask(query, host, id=key) == {"banReason": "虚假宣传"}
    assert await api.ask(query, id=key) is None


async def test_the_audience_sees_the_shelf_change(api: Api, mall: Mall) -> None:
    host, _, key = await live(mall)
    more = await mall.product(price_fen=2990)
    first = gid("LiveProduct", 1)
    goods = {"roomId": key, "skuId": gid("Sku", more.sku_id)}
    assert await api.problem(ADD, host, input=goods | {"livePrice": 1}) == {
        "code": "INVALID_INPUT",
        "field": "livePrice",
    }
    async with api.stream(EVENTS, id=key) as events:
        await events.next()
        added = await api.ask(ADD, host, input=goods | {"livePrice": 2600})
        second = added["products"][1]["id"]
        assert added["products"][1]["livePrice"] == {"amountMinor": 2600}
        await events.next()
        order = {"roomId": key, "liveProductIds": [second, first]}
        turned = {"products": [{"id": second}, {"id": first}]}
        assert await api.ask(REORDER, host, input=order) == turned
        assert (await events.next())["room"] == turned
        left = {"products": [{"id": second}]}
        assert await api.ask(REMOVE, host, input={"liveProductId": first}) == left
        assert (await events.next())["room"] == left
        assert await worker.tell_stock(mall.database) == 1
        assert (await events.next())["stock"] == [{"skuId": goods["skuId"], "available": 10}]


async def test_whoever_follows_a_room_is_counted(api: Api, mall: Mall) -> None:
    _, _, key = await live(mall)
    shopper = await mall.consumer()
    async with (
        api.stream(EVENTS, shopper, id=key) as one,
        api.stream(EVENTS, shopper, id=key) as two,
    ):
        await one.next()
        await two.next()
        await worker.count_viewers(mall.database, api.resources.presence)
        await worker.once(mall.database)
        event = await one.next()
    assert (event["viewers"], event["peak"]) == (1, 1)
    query = "query($id: ID!) { liveRoom(id: $id) { viewers viewersPeak viewersTotal } }"
    assert await api.ask(query, id=key) == {"viewers": 1, "viewersPeak": 1, "viewersTotal": 1}
