"""A stream over HTTP: results as they come, signs of life between them, an end in time."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, Protocol

from starlette.types import Receive, Send
from strawberry.schema.schema import StreamResult

from app.context import Context
from app.edge.leases import ended
from app.edge.results import failure, payload_of
from app.errors import InvalidToken


class Wire(Protocol):
    """How a stream looks in bytes; a part goes out whole, so that no proxy or client waits."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    beat_s: float
    opening: bytes
    beat: bytes
    ending: bytes

    def part(self, payload: dict[str, Any], cursor: str | None) -> bytes:
        """One result; `cursor` is the place from which the caller can come back."""
        ...

    def last(self, errors: list[dict[str, Any]]) -> bytes:
        """Why the stream ends before its time."""
        ...


async def follow(
    results: StreamResult, wire: Wire, context: Context, receive: Receive, send: Send
) -> None:
    """Sends the results until they end, the caller leaves, or the caller's token does."""
    headers = [(name.encode(), value.encode()) for name, value in wire.headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await _write(send, wire.opening)
    sending = asyncio.create_task(_send_all(results, wire, context, send))
    gone = asyncio.create_task(_gone(receive))
    over = asyncio.create_task(ended(context))
    tasks = {sending, gone, over}
    try:
        while True:
            done, _ = await asyncio.wait(
                tasks, timeout=wire.beat_s, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                break
            await _write(send, wire.beat)
        if over in done:
            await _stopped(sending)
            refused = failure(InvalidToken(), context.viewer.locale)
            await _write(send, wire.last([dict(refused.formatted)]))
        if gone not in done:
            await _write(send, wire.ending, is_last=True)
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


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _write(send: Send, body: bytes, *, is_last: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})
