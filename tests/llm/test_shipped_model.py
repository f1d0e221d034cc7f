"""The model in the repository, through the real engine: what it writes passes the check."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llm.engine import LocalEngine
from llm.plan import BRANCHES, Act
from llm.training.evaluate import Reply, figures, moves, replies
from llm.wire import Boot

MODEL = Path(__file__).parents[2] / "llm" / "models" / "jishi-writer-q8_0.gguf"
pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def written() -> list[Reply]:
    """One reply for every branch."""

    async def ask() -> list[Reply]:
        engine = LocalEngine(Boot(model=str(MODEL), threads=1, context_tokens=256))
        await engine.start()
        try:
            assert engine.speaks_plan, engine.reason
            return await replies(engine, moves(1, seed=99), seed=99)
        finally:
            await engine.close()

    return asyncio.run(ask())


def test_the_file_is_small_enough_for_the_repository() -> None:
    assert 1_000_000 < MODEL.stat().st_size <= 12_000_000


def test_every_branch_gets_a_reply(written: list[Reply]) -> None:
    assert {reply.move.key for reply in written} == set(BRANCHES)
    assert [reply.move.key for reply in written if not reply.text.strip()] == []


def test_no_reply_holds_a_digit(written: list[Reply]) -> None:
    assert [reply.text for reply in written if any(sign.isdigit() for sign in reply.text)] == []


def test_the_guard_lets_nearly_every_reply_through(written: list[Reply]) -> None:
    seen: dict[str, Any] = dict(figures(written))
    assert seen["accepted"] >= 0.95, seen
    assert seen["state"] >= 0.97, seen
    assert seen["distinct"] >= 0.9, seen
    assert {reply.move.act for reply in written if not reply.faults} == set(Act)
