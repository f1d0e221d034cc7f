"""A stream over HTTP: results as they come, signs of life between them, an end in time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Protocol, cast

import orjson
from starlette.types import Receive, Scope, Send
from strawberry.schema.schema import StreamResult

from app.context import Context
from app.edge.channels import Channels
from app.edge.leases import ended
from app.edge.results import Result, failure, payload_of
from app.edge.seats import Part, StreamSeat
from app.errors import InvalidToken
from app.graphql import Followed

STOPPING = "stopping"  # in the state of the application: an event, set before it ends


class Wire(Protocol):
    """How a stream looks in bytes; a part goes out whole, so that no proxy or client waits."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    beat_s: float
    opening: bytes
    beat: bytes
    ending: bytes
    leaving: bytes  # where a server stops: the stream is not over, the caller comes back

    def part(self, body: bytes, cursor: str | None) -> bytes:
        """One result as JSON; `cursor` is the place from which the caller can come back."""
        ...

    def last(self, errors: list[dict[str, Any]]) -> bytes:
        """Why the stream ends before its time."""
        ...


async def follow(
    parts: AsyncGenerator[Part],
    wire: Wire,
    context: Context,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Sends the results until they end, the caller leaves, the token ends, or the server stops."""
    headers = [(name.encode(), value.encode()) for name, value in wire.headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await _write(send, wire.opening)
    sending = asyncio.create_task(_send_all(parts, wire, context, send))
    gone = asyncio.create_task(_gone(receive))
    over = asyncio.create_task(ended(context))
    stopping = asyncio.create_task(_stopping(scope))
    tasks = {sending, gone, over, stopping}
    try:
        while True:
            done, _ = await asyncio.wait(
                tasks, timeout=wire.beat_s, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                break
            await _write(send, wire.beat)
        await _stopped(sending)
        if over in done:
            refused = failure(InvalidToken(), context.viewer.locale)
            await _write(send, wire.last([dict(refused.formatted)]))
        if gone not in done:
            is_left = stopping in done and sending not in done
            await _write(send, wire.leaving if is_left else wire.ending, is_last=True)
    finally:
        for task in tasks:
            await _stopped(task)


async def alone(results: StreamResult, context: Context) -> AsyncGenerator[Part]:
    """The results of a run that is one caller's own."""
    async with aclosing(results):
        async for result in results:
            cursor = None if context.place is None else context.place.last
            yield Part(orjson.dumps(payload_of(cast("Result", result))), cursor)


async def together(
    followed: Followed, channels: Channels, lagging: Callable[[], bytes]
) -> AsyncGenerator[Part]:
    """The events of a run that many share; of its own run where it cannot be shared."""
    seat = StreamSeat(lagging=lagging, gauges=channels.gauges)
    channel = await channels.join(followed, seat)
    parts = seat.parts() if channel is not None else alone(followed, followed.context)
    try:
        async with aclosing(parts):
            async for part in parts:
                yield part
    finally:
        if channel is not None:
            channel.leave(seat)


async def _send_all(parts: AsyncGenerator[Part], wire: Wire, context: Context, send: Send) -> None:
    try:
        async with aclosing(parts):
            async for part in parts:
                await _write(send, wire.part(part.body, part.cursor))
    except Exception as bug:  # noqa: BLE001  masked and logged like that of a field
        await _write(send, wire.last([dict(failure(bug, context.viewer.locale).formatted)]))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stopping(scope: Scope) -> None:
    event: asyncio.Event = scope.get("state", {}).get(STOPPING) or asyncio.Event()
    await event.wait()


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _write(send: Send, body: bytes, *, is_last: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})
