"""How much one caller may hold open, and until when."""

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress

from app.auth import Viewer
from app.context import Context
from app.edge.refusals import TooManyStreams

PER_SOCKET = 50  # operations under way on one websocket
PER_USER = 10  # websockets; a shopper has one, or two while a dead one is noticed
STREAMS_PER_USER = 50  # over HTTP
PER_ADDRESS = 1000  # of either, by unnamed callers: many shoppers may share a carrier's address


class Bounds:
    """Counts what callers hold open in this process."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    @contextmanager
    def hold(self, kind: str, context: Context, most: int) -> Generator[None]:
        """One more of a kind for the caller. Raises TooManyStreams."""
        name = _named(context.viewer)
        most, key = (PER_ADDRESS, context.address) if name is None else (most, name)
        key = f"{kind} of {key}"
        if self._held[key] >= most:
            raise TooManyStreams(limit=most)
        self._held[key] += 1
        try:
            yield
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]


async def ended(context: Context) -> None:
    """Returns when the caller's token has expired or its session ended; else never."""
    viewer, tokens = context.viewer, context.resources.tokens
    over, left_s = asyncio.Event(), None
    if viewer.expires_at is not None:
        left_s = viewer.expires_at - context.resources.clock().timestamp()
    with ExitStack() as stack, suppress(TimeoutError):
        if viewer.session_id is not None:
            stack.callback(tokens.when_ended(viewer.session_id, over.set))
        async with asyncio.timeout(left_s):
            await over.wait()


def _named(viewer: Viewer) -> str | None:
    if viewer.id is not None:
        return f"account {viewer.id}"
    return None if viewer.guest_key is None else f"guest {viewer.guest_key}"
