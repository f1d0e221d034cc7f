"""The same room on strawberry's own handler, as its documentation teaches subscriptions.

Everybody has a queue, and strawberry executes the selection once for each of them.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import orjson
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

_FOLLOWERS: set[asyncio.Queue["LiveProductPinned"]] = set()


@strawberry.type
class Money:
    amount_minor: int
    formatted: str


@strawberry.type
class Product:
    id: strawberry.ID
    title: str
    image: str


@strawberry.type
class LiveProduct:
    id: strawberry.ID
    position: int
    is_pinned: bool
    live_price: Money
    product: Product


@strawberry.interface
class StreamEvent:
    cursor: str
    seq: int | None = None


@strawberry.type
class LiveProductPinned(StreamEvent):
    product: LiveProduct | None


@strawberry.type
class LiveRoom:
    id: strawberry.ID
    status: str


@strawberry.type
class LiveRoomMoved(StreamEvent):
    room: LiveRoom


LiveEvent = Annotated[LiveProductPinned | LiveRoomMoved, strawberry.union("LiveEvent")]


@strawberry.type
class Query:
    @strawberry.field
    def is_up(self) -> bool:
        return True


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def live_room_events(self, room_id: strawberry.ID) -> AsyncGenerator[LiveEvent]:
        queue: asyncio.Queue[LiveProductPinned] = asyncio.Queue()
        _FOLLOWERS.add(queue)
        try:
            yield LiveRoomMoved(cursor="", room=LiveRoom(id=room_id, status="LIVE"))
            while True:
                yield await queue.get()
        finally:
            _FOLLOWERS.discard(queue)


async def say(request: Request) -> Response:
    event = _event(orjson.loads(await request.body())["data"]["liveRoomEvents"])
    for queue in _FOLLOWERS:
        queue.put_nowait(event)
    return Response(status_code=204)


def _event(given: dict[str, Any]) -> LiveProductPinned:
    one = given["product"]
    product = None
    if one is not None:
        money, goods = one["livePrice"], one["product"]
        product = LiveProduct(
            id=one["id"],
            position=one["position"],
            is_pinned=one["isPinned"],
            live_price=Money(amount_minor=money["amountMinor"], formatted=money["formatted"]),
            product=Product(id=goods["id"], title=goods["title"], image=goods["image"]),
        )
    return LiveProductPinned(cursor=given["cursor"], seq=given["seq"], product=product)


def create_app() -> Starlette:
    schema = strawberry.Schema(Query, subscription=Subscription, types=[LiveProductPinned])
    graphql = GraphQL[None, None](
        schema, subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,), graphql_ide=None
    )
    return Starlette(
        routes=[WebSocketRoute("/graphql", graphql), Route("/say", say, methods=["POST"])]
    )
