"""The yardstick: one room by hand. Starlette's websockets, one set of them, one text for all.

What it does: speaks as much of graphql-transport-ws as one subscription needs, gives a newcomer the
last message, and sends what is posted to everybody. What it does not: read a database, check who
asks, resume, look after slow readers, or stop.
"""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

FIRST = b'{"data":{"liveRoomEvents":{"__typename":"LiveRoomMoved"}}}'


class Room:
    def __init__(self) -> None:
        self._followers: dict[WebSocket, str] = {}

    async def follow(self, socket: WebSocket) -> None:
        await socket.accept("graphql-transport-ws")
        try:
            while True:
                message = orjson.loads(await socket.receive_text())
                if message["type"] == "connection_init":
                    await socket.send_text('{"type":"connection_ack"}')
                elif message["type"] == "subscribe":
                    head = '{"id":' + orjson.dumps(message["id"]).decode()
                    self._followers[socket] = head + ',"type":"next","payload":'
                    await socket.send_text(self._followers[socket] + FIRST.decode() + "}")
        except WebSocketDisconnect:
            self._followers.pop(socket, None)

    async def say(self, request: Request) -> Response:
        text = (await request.body()).decode() + "}"
        for socket, head in list(self._followers.items()):
            await socket.send_text(head + text)
        return Response(status_code=204)


def create_app() -> Starlette:
    room = Room()
    return Starlette(
        routes=[
            WebSocketRoute("/graphql", room.follow),
            Route("/say", room.say, methods=["POST"]),
        ]
    )
