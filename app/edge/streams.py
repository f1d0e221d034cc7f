"""A stream over HTTP: results as they come, signs of life between them, an end in time."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send
from strawberry.schema.schema import StreamResult

from app.context import Context
from app.edge.leases import ended
from app.edge.results import failure, payload_of
from app.errors import InvalidToken

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

    def part(self, payload: dict[str, Any], cursor: str | None) -> bytes:
        """One result; `cursor` is the place from which the caller can come back."""
        ...

    def last(self, errors: list[dict[str, Any]]) -> bytes:
        """Why the stream ends before its time."""
        ...


async def follow(
    results: StreamResult,
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
    sending = asyncio.create_task(_send_all(results, wire, context, send))
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


async def _send_all(results: StreamResult, wire: Wire, context: Context, send: Send) -> None:
    try:
        async with aclosing(results):
            async for result in results:
                cursor = None if context.place is None else context.place.last
                await _write(send, wire.part(payload_of(result), cursor))  # type: ignore[arg-type]
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
