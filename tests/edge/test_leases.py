"""What outlives its request ends with the token it was opened with."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from app.auth import Role, Tokens, Viewer
from app.clock import Clock
from app.edge.leases import ended
from tests.factories import Hands
from tests.patience import PATIENCE_S

SECRET = "a" * 32
SOMEBODY = Viewer(role=Role.CONSUMER, id=7)


def asking(tokens: Tokens, clock: Clock, viewer: Viewer) -> Any:
    """As much of a context as a lease looks at."""
    return SimpleNamespace(viewer=viewer, resources=SimpleNamespace(tokens=tokens, clock=clock))


async def test_a_stream_hears_when_its_token_expires_or_its_session_ends() -> None:
    clock = Hands()
    ours = Tokens(SECRET, clock, access_life=timedelta(hours=1))
    viewer = ours.read(ours.issue(replace(SOMEBODY, session_id=1)))
    clock.advance(seconds=3599.95)
    async with asyncio.timeout(PATIENCE_S):
        await ended(asking(ours, clock, viewer))
    clock.advance(seconds=-3599.95)
    waiting = asyncio.create_task(ended(asking(ours, clock, viewer)))
    await asyncio.sleep(0)
    assert not waiting.done()
    ours.end([1])
    async with asyncio.timeout(PATIENCE_S):
        await waiting
        await ended(asking(ours, clock, viewer))  # it has ended before
    assert ours._told == {}


async def test_nobody_without_a_token_is_ever_over() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ended(asking(Tokens(SECRET, Hands()), Hands(), Viewer()))


async def test_a_stream_that_leaves_waits_for_nothing_any_more() -> None:
    ours = Tokens(SECRET, Hands())
    waiting = asyncio.create_task(ended(asking(ours, Hands(), replace(SOMEBODY, session_id=1))))
    await asyncio.sleep(0)
    assert set(ours._told) == {1}
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ours._told == {}
