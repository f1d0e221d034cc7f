"""graphql-transport-ws: strawberry's handler with our frames, bounds, refusals and endings."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack, aclosing, nullcontext, suppress
from typing import Any, Protocol, cast

import orjson
from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)

from app.bus import Lagging
from app.context import Context
from app.edge.channels import Channel, Channels
from app.edge.gauges import Gauges
from app.edge.leases import PER_SOCKET, PER_USER, Bounds, ended
from app.edge.operations import Operation as Asked
from app.edge.operations import operation_of
from app.edge.persisted import Persisted
from app.edge.refusals import BadRequest, TooManyStreams
from app.edge.results import failure, masked
from app.edge.seats import SocketSeat
from app.edge.server import DIRECT, Frames
from app.errors import InvalidToken, RequestError
from app.graphql import Followed

UNAUTHORISED, FORBIDDEN, DUPLICATE, TOO_MANY = 4401, 4403, 4409, 4429
_TYPES = {"connection_init", "ping", "pong", "subscribe", "complete"}


class TextAdapter(ASGIWebSocketAdapter):
    """Sends text frames, which is what the protocol asks for, in orjson's encoding."""

    ws: WebSocket

    async def send_json(self, message: Mapping[str, object]) -> None:
        if self.ws.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnected  # closed by another operation of this socket
        try:
            await self.ws.send_text(orjson.dumps(message).decode())
        except WebSocketDisconnect as gone:
            raise WebSocketDisconnected from gone

    async def close(self, code: int, reason: str) -> None:
        if self.ws.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect):
                await self.ws.close(code, reason)


class Shared(Protocol):
    """What the sockets of an endpoint share."""

    persisted: Persisted
    bounds: Bounds
    gauges: Gauges
    channels: Channels


class _Operation(Operation[Context, None]):
    """An operation that may sit in a channel: then nothing runs for it alone."""

    __slots__ = ("channel", "seat")
    channel: Channel | None
    seat: SocketSeat | None

    def __init__(self, handler: "SocketHandler", key: str, text: str, asked: Asked) -> None:
        super().__init__(handler, key, text, asked.variables, asked.name)
        self.channel, self.seat = None, None

    def leave(self) -> None:
        if self.seat is not None:
            self.seat.close()
            if self.channel is not None:
                self.channel.leave(self.seat)


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket: a wrong frame closes it, a wrong operation is told and leaves it open."""

    websocket: TextAdapter

    @property
    def shared(self) -> Shared:
        return cast("Shared", self.view)

    def on_request_accepted(self) -> None:
        self._held = ExitStack()
        self._ending: asyncio.Task[None] | None = None
        self._frames: Frames | None = self.websocket.ws.scope.get("extensions", {}).get(DIRECT)
        if self._frames is not None:
            self._frames.drained = self._drained
        self._held.enter_context(self.shared.gauges.sockets.track_inprogress())
        super().on_request_accepted()

    async def shutdown(self) -> None:
        self._held.close()
        if self._ending is not None and self._ending is not asyncio.current_task():
            self._ending.cancel()
        await super().shutdown()

    async def handle_message(self, message: Any) -> None:
        if not _is_message(message):
            await self.handle_invalid_message("Failed to parse message")
            return
        await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        is_first = not self.connection_init_received
        await super().handle_connection_init(message)
        if not is_first or not self.connection_acknowledged:
            return
        try:
            holding = self.shared.bounds.hold("sockets", self.context, PER_USER)
            self._held.enter_context(holding)
        except TooManyStreams as refused:
            await self.websocket.close(TOO_MANY, refused.code)
            return
        self._ending = asyncio.create_task(self._end_in_time())

    async def handle_subscribe(self, message: Any) -> None:
        """Starts an operation; one that may not start is told with its id."""
        if not self.connection_acknowledged:
            await self.websocket.close(UNAUTHORISED, "Unauthorized")
            return
        key = message["id"]
        if key in self.operations:
            await self.websocket.close(DUPLICATE, f"Subscriber for {key[:60]} already exists")
            return
        try:
            asked = operation_of(message["payload"])
        except BadRequest as wrong:
            await self.handle_invalid_message(wrong.message("en"))
            return
        try:
            if len(self.operations) >= PER_SOCKET:
                raise TooManyStreams(limit=PER_SOCKET)
            text = self.shared.persisted.text(asked)
        except RequestError as refused:
            await self._refuse(key, self._error(refused))
            return
        operation = _Operation(self, key, text, asked)
        operation.task = asyncio.create_task(self.run_operation(operation))
        operation.task.add_done_callback(self._task_done)
        self.operations[key] = operation

    async def cleanup_operation(self, operation_id: str) -> None:
        operation = self.operations.get(operation_id)
        await super().cleanup_operation(operation_id)
        if isinstance(operation, _Operation):
            operation.leave()

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        try:
            results = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self.context,
                operation_name=operation.operation_name,
            )
            async with aclosing(results):
                if await self._is_seated(operation, results):
                    return
                is_stream = isinstance(results, Followed)
                streams = self.shared.gauges.streams
                with streams.track_inprogress() if is_stream else nullcontext():
                    await self._send_result_stream(operation, results)
            await operation.send_operation_message({"id": operation.id, "type": "complete"})
        except WebSocketDisconnected:
            self.operations.pop(operation.id, None)
        except Exception as bug:  # noqa: BLE001  masked and logged like that of a field
            with suppress(WebSocketDisconnected):
                await operation.send_initial_errors([self._error(bug)])

    async def _is_seated(self, operation: Operation[Context, None], results: object) -> bool:
        """Seats an operation whose events many are told; its frames go out from the channel."""
        shared, frames = self.shared, self._frames
        if frames is None or not isinstance(results, Followed):
            return False
        assert isinstance(operation, _Operation)
        operation.seat = SocketSeat(
            frames,
            operation.id,
            lagging=lambda: masked(Lagging(), self.context.viewer.locale),
            over=lambda: self._forget(operation),
            gauges=shared.gauges,
        )
        operation.channel = await shared.channels.join(results, operation.seat)
        if operation.channel is None:
            operation.seat.close()
            operation.seat = None
        return operation.seat is not None

    def _forget(self, operation: _Operation) -> None:
        """The stream has told its end; its id may be used again."""
        operation.completed = True
        self.operations.pop(operation.id, None)
        operation.leave()

    def _drained(self) -> None:
        for operation in list(self.operations.values()):
            if isinstance(operation, _Operation) and operation.seat is not None:
                operation.seat.drained()

    async def _end_in_time(self) -> None:
        """Ends all operations when the token does; a client that comes back brings another."""
        await ended(self.context)
        self.context.refusal = InvalidToken()
        error = self._error(self.context.refusal)
        with suppress(WebSocketDisconnected):
            for key in list(self.operations):
                await self.cleanup_operation(key)
                await self._refuse(key, error)
            await self.websocket.close(FORBIDDEN, InvalidToken.code)

    async def _refuse(self, key: str, error: GraphQLError) -> None:
        await self.send_message({"id": key, "type": "error", "payload": [error.formatted]})

    def _error(self, cause: Exception) -> GraphQLError:
        return failure(cause, self.context.viewer.locale)

    @staticmethod
    def _get_pre_execution_close_reason(_error: object) -> str | None:
        return None  # a failed operation answers `error` and leaves the socket to the others


def _is_message(message: object) -> bool:
    if not isinstance(message, dict):
        return False
    kind = message.get("type")
    return isinstance(kind, str) and kind in _TYPES and isinstance(message.get("id", ""), str)
