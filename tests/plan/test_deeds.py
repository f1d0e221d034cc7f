"""The same deeds in two copies of one mall, a copy for each executor: the same answers and rows."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest

from llm.protocol import EngineUnavailable
from tests.plan.conftest import Fair, Made, copied, opened_fair
from tests.plan.corpus import EXAMPLES, HERE
from tests.plan.executors import Executors, Json, compare

Seen = dict[str, Any]
"""The answer to lookups.graphql."""

OURS = frozenset(
    {"token", "guestToken", "cursor", "after", "no", "sent", "cardMs", "firstTextMs", "totalMs"}
)
"""Drawn at random, measured, or changed by the reply that has begun: never twice the same."""

ADDRESS = {
    "receiver": "林小满", "phone": "13800000001", "province": "浙江省",
    "city": "杭州市", "street": "1",
}  # fmt: skip


def sku(seen: Seen) -> str:
    return seen["products"]["nodes"][0]["skus"][0]["id"]


def line(seen: Seen) -> str:
    return seen["cart"]["lines"][0]["id"]


def payable(seen: Seen) -> int:
    return seen["cart"]["cost"]["payable"]["amountMinor"]


def unpaid(seen: Seen) -> str:
    return seen["unpaid"]["nodes"][0]["trade"]["id"]


def room(seen: Seen) -> str:
    return seen["liveRooms"]["nodes"][0]["id"]


def scheduled(seen: Seen) -> str:
    return seen["scheduled"]["nodes"][0]["id"]


def said(seen: Seen) -> str:
    return seen["liveRooms"]["nodes"][0]["recentMessages"][0]["id"]


def held_back(seen: Seen) -> str:
    return seen["liveRooms"]["nodes"][0]["heldBack"][0]["id"]


def lottery(seen: Seen) -> Json:
    return {"roomId": room(seen), "prize": "小米一袋", "keyword": "暖锅"}


def order_of(expected: int, **more: Any) -> Json:
    return {"expectedPayable": expected, "idempotencyKey": f"trade-{expected}", **more}


def seat(seen: Seen, key: str = "seat") -> Json:
    group = seen["groupBuys"]["nodes"][0]
    return {
        "groupBuyId": group["id"],
        "skuId": group["activity"]["skus"][0]["sku"]["id"],
        "idempotencyKey": key,
    }


def leaving(seen: Seen) -> Json:
    return {"groupBuyId": seen["groupBuys"]["nodes"][0]["id"], "idempotencyKey": "leave"}


def stopping(seen: Seen) -> Json:
    return {"activityId": seen["groupBuyActivities"][-1]["id"]}


def opening(seen: Seen, activity: str = "") -> Json:
    chosen = seen["groupBuyActivities"][0] if seen else {"id": activity, "skus": []}
    return {
        "activityId": chosen["id"],
        "skuId": chosen["skus"][0]["sku"]["id"] if seen else "nonsense",
        "idempotencyKey": "open",
    }


def parcel(seen: Seen) -> Json:
    orders = seen["toShip"]["nodes"]
    return {"orderId": orders[0]["id"], "carrierCode": "SF", "waybill": "SF9234567890123"}


def show(seen: Seen) -> Json:
    return {
        "title": "产地直发专场",
        "startsAt": "2026-03-03T04:00:00+00:00",
        "products": [{"skuId": sku(seen), "livePrice": 100}],
    }


DEEDS: list[tuple[str, str, Callable[[Seen], Json]]] = [
    ("guest", "add-cart-line", lambda seen: {"skuId": sku(seen), "quantity": 1}),
    ("guest", "add-cart-line", lambda seen: {"skuId": sku(seen), "quantity": 10_000}),
    ("guest", "add-cart-line", lambda _seen: {"skuId": "nonsense", "quantity": 0}),
    ("guest with a cart", "add-cart-line", lambda seen: {"skuId": sku(seen)}),
    ("guest with a cart", "place-trade", lambda _seen: order_of(1)),
    ("consumer", "add-cart-line", lambda seen: {"skuId": sku(seen), "quantity": 1}),
    ("consumer", "update-cart-line", lambda seen: {"lineId": line(seen), "quantity": 2}),
    ("consumer", "update-cart-line", lambda seen: {"lineId": line(seen), "isSelected": False}),
    ("consumer", "update-cart-line", lambda _seen: {"lineId": "nonsense", "quantity": 2}),
    ("consumer", "place-trade", lambda seen: order_of(payable(seen))),
    ("consumer", "place-trade", lambda _seen: order_of(1)),
    ("distributor", "place-trade", lambda _seen: order_of(0)),
    ("distributor", "add-cart-line", lambda seen: {"skuId": sku(seen)}),
    ("distributor", "place-trade", lambda _seen: order_of(1, address=ADDRESS)),
    ("distributor", "place-trade", lambda seen: order_of(payable(seen), address=ADDRESS)),
    ("distributor", "place-trade", lambda seen: order_of(payable(seen), address=ADDRESS)),
    ("distributor", "pay-trade", lambda seen: {"tradeId": unpaid(seen), "idempotencyKey": "p"}),
    ("distributor", "pay-trade", lambda _seen: {"tradeId": "nonsense", "idempotencyKey": "q"}),
    ("consumer who reads English", "join-group-buy", seat),
    ("consumer who reads English", "join-group-buy", lambda seen: seat(seen, key="again")),
    ("consumer who reads English", "leave-group-buy", leaving),
    ("consumer", "leave-group-buy", lambda seen: leaving(seen) | {"groupBuyId": "nonsense"}),
    ("agent", "open-group-buy", opening),
    ("admin", "stop-group-buy-activity", stopping),
    ("supplier", "stop-group-buy-activity", lambda _seen: {"activityId": "nonsense"}),
    ("admin", "open-group-buy", lambda _seen: opening({}, activity="nonsense")),
    ("supplier", "ship-order", parcel),
    ("consumer", "ship-order", parcel),
    ("supplier", "schedule-live-room", show),
    ("supplier", "start-live-room", lambda seen: {"roomId": scheduled(seen)}),
    ("consumer", "start-live-room", lambda seen: {"roomId": scheduled(seen)}),
    ("distributor", "pin-live-product", lambda seen: {"roomId": room(seen)}),
    ("consumer", "post-live-message", lambda seen: {"roomId": room(seen), "text": "有大码吗"}),
    ("guest", "post-live-message", lambda seen: {"roomId": room(seen), "text": "有大码吗"}),
    ("guest", "like-live-room", lambda seen: {"roomId": room(seen), "count": 3}),
    ("guest", "like-live-room", lambda seen: {"roomId": room(seen), "count": 0}),
    ("distributor", "beat-live-room", lambda seen: {"roomId": room(seen)}),
    ("agent", "mute-live-viewer", lambda seen: {"messageId": said(seen), "seconds": 60}),
    ("agent", "release-live-message", lambda seen: {"messageId": held_back(seen)}),
    ("distributor", "add-live-product", lambda seen: {"roomId": room(seen), "skuId": sku(seen)}),
    ("distributor", "open-live-lottery", lottery),
    ("distributor", "end-live-room", lambda seen: {"roomId": room(seen)}),
    ("consumer", "send-message", lambda _seen: {"text": "七天无理由", "clientId": "a"}),
    ("consumer", "send-message", lambda _seen: {"text": "", "clientId": "b"}),
    ("guest", "send-message", lambda _seen: {"text": "七天无理由", "clientId": "c"}),
]  # fmt: skip


@pytest.fixture
async def fairs(
    made: Made, executors: Executors, tmp_path: Path
) -> AsyncGenerator[tuple[Fair, Fair]]:
    """Two copies of the filled mall."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(2):
            url = await stack.enter_async_context(copied(made.url, tmp_path))
            fair = await stack.enter_async_context(opened_fair(url, made.bazaar, executors))
            fair.api.engine.refusal = EngineUnavailable("none")
            fair.mall.clock.advance(minutes=30)  # or the shopper would have said enough for now
            opened.append(fair)
        yield opened[0], opened[1]


async def test_the_same_deeds_have_the_same_answers(fairs: tuple[Fair, Fair]) -> None:
    first, second = fairs
    kinds = set()
    for who, name, make in DEEDS:
        query = document(name)
        seen = await look(first, who)
        given = {"input": make(seen)}
        one = await first.executors.generic(query, first.context(who), given)
        two = await second.executors.planned(query, second.context(who), given)
        compare(query, given, masked(one), masked(two))
        kinds.add(_kind(one))
        for fair in fairs:
            await fair.api.resources.answers.idle()
    assert {"CartChanged", "Trade", "GroupBuySeat", "Shipment", "LiveRoom", "ChatTurn"} <= kinds
    assert {"LimitExceededProblem", "NotFoundProblem", "PriceChangedProblem", "errors"} <= kinds
    assert await counts(first) == await counts(second)


async def test_one_document_of_several_deeds_does_them_in_order(
    fairs: tuple[Fair, Fair],
) -> None:
    """The second fails, the third is done all the same, for all results may be told apart."""
    query = """mutation($sku: ID!, $room: ID!) {
      one: addCartLine(input: {skuId: $sku}) { ... on CartChanged { cart { lines { quantity } } } }
      two: addCartLine(input: {skuId: $sku, quantity: 5}) { __typename
        ... on CartChanged { cart { lines { quantity sku { code product { title } } } } } }
      three: likeLiveRoom(input: {roomId: $room}) { ... on LiveRoom { likes hostName } }
      four: confirmOrder(input: {orderId: "nonsense"}) { ... on Problem { code message } } }"""
    first, second = fairs
    seen = await look(first, "agent")
    given = {"sku": sku(seen), "room": room(seen)}
    one = await first.executors.generic(query, first.context("agent"), given)
    two = await second.executors.planned(query, second.context("agent"), given)
    compare(query, given, one, two)
    assert [value["quantity"] for value in two["data"]["two"]["cart"]["lines"]] == [6]
    assert two["data"]["four"]["code"] == "NOT_FOUND"


async def test_a_deed_that_is_refused_as_a_whole_ends_the_document(
    fairs: tuple[Fair, Fair],
) -> None:
    query = """mutation($room: ID!) {
      likeLiveRoom(input: {roomId: $room}) { __typename }
      postLiveMessage(input: {roomId: $room, text: "x"}) { __typename }
      again: likeLiveRoom(input: {roomId: $room}) { __typename } }"""
    first, second = fairs
    given = {"room": room(await look(first, "guest"))}
    one = await first.executors.generic(query, first.context("guest"), given)
    two = await second.executors.planned(query, second.context("guest"), given)
    compare(query, given, one, two)
    assert two["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await counts(first) == await counts(second)
    assert await likes(first) == await likes(second)


@pytest.mark.parametrize(
    ("who", "name", "given"),
    [
        ("consumer", "chat", {"input": {"text": "七天无理由退货运费谁出", "clientId": "x"}}),
        ("consumer", "chat", {"input": {"text": " ", "clientId": "x"}}),
        ("guest", "chat", {"input": {"text": "七天无理由", "clientId": "x"}}),
        ("consumer", "chat", {"input": {"text": 5}}),
        ("guest", "group-buy-updated", {"id": "R3JvdXBCdXk6Mg"}),
        ("guest", "group-buy-updated", {"id": "nonsense"}),
        ("guest", "live-room-events", {"roomId": "nonsense"}),
        ("consumer", "chat-events", {"conversationId": "nonsense", "after": "nonsense"}),
    ],
    ids=str,
)
async def test_a_stream_begins_with_the_same_events(
    fairs: tuple[Fair, Fair], who: str, name: str, given: dict[str, Any]
) -> None:
    query = document(name)
    streams = []
    for fair, executor in zip(fairs, ("generic", "planned"), strict=True):
        answers = getattr(fair.executors, f"{executor}_events")(query, fair.context(who), given)
        async with aclosing(answers):
            # a group is followed as long as it can change
            is_endless = name == "group-buy-updated"
            streams.append(
                [masked(await anext(answers))]
                if is_endless
                else [masked(one) async for one in answers]
            )
    assert streams[0] == streams[1]
    assert streams[0]


def document(name: str) -> str:
    return (HERE / EXAMPLES / f"{name}.graphql").read_text(encoding="utf-8")


async def look(fair: Fair, who: str) -> Seen:
    given = {"isSignedIn": fair.bazaar.viewers[who].id is not None}
    answer = await fair.executors.generic(document("lookups"), fair.context(who), given)
    found: Seen = answer["data"]
    return found


async def counts(fair: Fair) -> dict[str, int]:
    return {name: len(rows) for name, rows in (await fair.mall.everything()).items()}


async def likes(fair: Fair) -> list[Any]:
    answer = await fair.both("{ liveRooms { nodes { id likes } } }")
    return answer["data"]["liveRooms"]["nodes"]


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "masked" if key in OURS and one is not None else masked(one)
            for key, one in value.items()
        }
    return [masked(one) for one in value] if isinstance(value, list) else value


def _kind(answer: Json) -> str:
    if answer["data"] is None:
        return "errors"
    (value,) = answer["data"].values()
    kind: str = value["__typename"]
    return kind
