"""The local engine with real weights: tiny, random, but loaded and run by llama.cpp."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from llm.engine import Limits, LocalEngine, NoEngine, open_engine
from llm.protocol import EngineBusy, EngineUnavailable, Finish, Message, Piece, Request
from llm.remote import RemoteEngine
from llm.wire import Boot
from tests.llm.tiny_model import PLACEHOLDERS, PLAN, Shape, chat_model, plan_model

pytestmark = pytest.mark.model

ASK = Request("ask", plan=PLAN, seed=1, max_tokens=64)
LONG = replace(ASK, max_tokens=480)
PATIENT = Limits(queue_s=30.0, first_s=30.0, gap_s=30.0)


@pytest.fixture(scope="session")
def plan_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plan_model(tmp_path_factory.mktemp("plan") / "tiny-plan.gguf")


@pytest.fixture(scope="session")
def chat_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_model(tmp_path_factory.mktemp("chat") / "tiny-chat.gguf")


@asynccontextmanager
async def opened(
    path: Path, *, sequences: int = 8, limits: Limits = PATIENT
) -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(Boot(str(path), sequences=sequences, nice=0), limits=limits)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def reply(engine: LocalEngine, request: Request) -> tuple[str, Finish]:
    *pieces, finish = [event async for event in engine.stream(request)]
    assert isinstance(finish, Finish)
    return "".join(piece.text for piece in pieces if isinstance(piece, Piece)), finish


async def first_piece(engine: LocalEngine, request: Request) -> Piece | Finish:
    async with aclosing(engine.stream(request)) as events:
        return await anext(events)


async def until(check: Callable[[], bool]) -> None:
    for _ in range(1000):
        if check():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen within 20 s")


async def test_pieces_come_one_by_one_and_one_finish_ends_them(plan_path: Path) -> None:
    async with opened(plan_path) as engine:
        assert (engine.state, engine.reason, engine.name) == ("ready", "", "tiny-plan")
        assert engine.speaks_plan
        *pieces, finish = [event async for event in engine.stream(ASK)]
        again, _ = await reply(engine, ASK)
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.prompt_tokens, finish.output_tokens) == ("length", 13, 64)
    assert 0 < finish.first_ms < finish.total_ms
    texts = [piece.text for piece in pieces if isinstance(piece, Piece)]
    assert len(texts) == len(pieces) > 30
    assert "".join(texts) == again
    assert "\ufffd" not in again  # random bytes are tried all the time, whole characters come out


async def test_eight_at_once_say_what_each_says_alone(plan_path: Path) -> None:
    requests = [replace(ASK, id=str(seed), seed=seed) for seed in range(8)]
    async with opened(plan_path) as engine:
        alone = [(await reply(engine, request))[0] for request in requests]
        together = await asyncio.gather(*(reply(engine, request) for request in requests))
    assert [text for text, _ in together] == alone
    assert len(set(alone)) == 8


@pytest.mark.parametrize("kind", ["plan", "chat"])
async def test_replies_that_come_and_go_do_not_disturb_each_other(
    kind: str, plan_path: Path, chat_path: Path
) -> None:
    rules = "请耐心等待" * 12
    requests = [
        replace(
            _chat("你好" * (seed % 5 + 1), rules=rules), plan=PLAN, seed=seed, max_tokens=tokens
        )
        for seed, tokens in enumerate((5, 90, 12, 60, 3, 40, 75, 20, 9, 55, 31, 14))
    ]

    async def leave_early(request: Request) -> None:
        async with aclosing(engine.stream(request)) as events:
            for _ in range(3):
                await anext(events)

    async with opened(plan_path if kind == "plan" else chat_path, sequences=4) as engine:
        alone = [(await reply(engine, request))[0] for request in requests]
        leaving = [leave_early(replace(LONG, messages=requests[0].messages)) for _ in range(6)]
        staying = [reply(engine, request) for request in requests]
        jobs = [job for pair in zip(staying, leaving, strict=False) for job in pair]
        told = await asyncio.gather(*jobs, *staying[6:])
        counts = engine.metrics()
    together = [answer[0] for answer in told if answer is not None]
    assert together == alone
    assert (counts["cancelled"], counts["running"]) == (6, 0)


async def test_a_reader_who_leaves_frees_the_model(plan_path: Path) -> None:
    async with opened(plan_path, sequences=1) as engine:
        assert isinstance(await first_piece(engine, LONG), Piece)
        _, finish = await reply(engine, replace(ASK, max_tokens=1))
        counts = engine.metrics()
    assert finish.reason == "length"
    assert (counts["cancelled"], counts["running"], counts["waiting"]) == (1, 0, 0)
    assert counts["output_tokens"] < 400  # the rest of the first reply was never computed


async def test_a_waiting_reader_who_leaves_is_forgotten(plan_path: Path) -> None:
    async with opened(plan_path, sequences=1) as engine, aclosing(engine.stream(LONG)) as long:
        await anext(long)
        waiting = asyncio.create_task(reply(engine, ASK))
        await asyncio.sleep(0)
        assert engine.metrics()["waiting"] == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (engine.metrics()["waiting"], engine.metrics()["running"]) == (0, 1)


async def test_a_killed_worker_fails_its_replies_and_comes_back(plan_path: Path) -> None:
    async with opened(plan_path) as engine:
        before, _ = await reply(engine, ASK)
        async with aclosing(engine.stream(LONG)) as events:
            assert isinstance(await anext(events), Piece)
            assert engine.worker_pid is not None
            os.kill(engine.worker_pid, signal.SIGKILL)
            *_, finish = [event async for event in events]
        assert isinstance(finish, Finish)
        assert (finish.reason, finish.detail) == ("failed", "the worker was killed by signal 9")
        with pytest.raises(EngineUnavailable, match=r"signal 9|loading"):
            await first_piece(engine, ASK)
        await until(lambda: engine.state == "ready")
        after, _ = await reply(engine, ASK)
        assert after == before
        assert engine.metrics()["restarts"] == 1


async def test_more_waiting_requests_than_allowed_are_told_to_come_later(plan_path: Path) -> None:
    limits = replace(PATIENT, waiting=1)
    async with opened(plan_path, sequences=1, limits=limits) as engine:
        taken = [asyncio.create_task(reply(engine, LONG)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy) as busy:
            await first_piece(engine, ASK)
        assert busy.value.retry_after_s >= 0.5
        assert (engine.metrics()["busy"], engine.metrics()["requests"]) == (1, 2)
        assert [finish.reason for _, finish in await asyncio.gather(*taken)] == ["length"] * 2


async def test_a_wait_longer_than_the_patience_is_refused_at_once(plan_path: Path) -> None:
    limits = replace(PATIENT, queue_s=0.01)
    async with opened(plan_path, sequences=1, limits=limits) as engine:
        await reply(engine, LONG)  # teaches how long a reply takes
        async with aclosing(engine.stream(LONG)) as events:
            await anext(events)
            with pytest.raises(EngineBusy):
                await first_piece(engine, ASK)


@pytest.mark.parametrize(
    ("limits", "late"),
    [
        (replace(PATIENT, queue_s=0.02), "queue"),
        (PATIENT, "whole reply"),
    ],
)
async def test_a_request_that_waits_too_long_ends_by_deadline(
    plan_path: Path, limits: Limits, late: str
) -> None:
    async with opened(plan_path, sequences=1, limits=limits) as engine:
        async with aclosing(engine.stream(LONG)) as events:
            await anext(events)
            text, finish = await reply(engine, replace(ASK, deadline_s=0.03))
        assert (text, finish.reason, finish.detail) == ("", "deadline", late)
        assert engine.metrics()["waiting"] == 0


async def test_a_reply_cut_by_its_deadline_keeps_what_was_said(plan_path: Path) -> None:
    async with opened(plan_path) as engine:
        whole, unhurried = await reply(engine, LONG)
        half_s = unhurried.total_ms / 2000
        part, finish = await reply(engine, replace(LONG, deadline_s=half_s))
    assert (finish.reason, finish.detail) == ("deadline", "whole reply")
    assert 0 < len(part) < len(whole)
    assert whole.startswith(part)


async def test_no_reply_holds_a_digit_unless_it_may(plan_path: Path) -> None:
    requests = [replace(LONG, id=str(seed), seed=seed, temperature=1.5) for seed in range(8)]
    async with opened(plan_path) as engine:
        without = await asyncio.gather(*(reply(engine, one) for one in requests))
        free = [replace(one, no_digits=False) for one in requests]
        having = await asyncio.gather(*(reply(engine, one) for one in free))
    assert [[char for char in text if char.isdigit()] for text, _ in without] == [[]] * 8
    assert all(any(char.isdigit() for char in text) for text, _ in having)


async def test_a_banned_placeholder_is_not_said_in_any_spelling(plan_path: Path) -> None:
    requests = [replace(LONG, id=str(seed), seed=seed, temperature=1.5) for seed in range(8)]
    async with opened(plan_path) as engine:
        free = await asyncio.gather(*(reply(engine, one) for one in requests))
        banned = [replace(one, banned=PLACEHOLDERS[1:]) for one in requests]
        bound = await asyncio.gather(*(reply(engine, one) for one in banned))
    said = "".join(text for text, _ in free)
    assert all(placeholder in said for placeholder in PLACEHOLDERS)
    kept = "".join(text for text, _ in bound).replace(PLACEHOLDERS[0], "")
    assert "{" not in kept
    assert "<|" not in said  # control tokens are never text


async def test_a_stop_string_ends_the_reply_before_it(plan_path: Path) -> None:
    async with opened(plan_path) as engine:
        whole, _ = await reply(engine, ASK)
        stop = whole[10:12]
        part, finish = await reply(engine, replace(ASK, stop=(stop,)))
    assert (part, finish.reason) == (whole[: whole.index(stop)], "stop")


async def test_markup_typed_by_a_shopper_is_only_characters(chat_path: Path) -> None:
    contents = ("", "<|im_end|>", "<tool_call>", "<s>", "</s>")
    async with opened(chat_path) as engine:
        assert not engine.speaks_plan
        counts = [
            (await reply(engine, _chat("a" + content)))[1].prompt_tokens for content in contents
        ]
    assert [count - counts[0] for count in counts] == [len(content) for content in contents]


async def test_rules_read_once_are_shared_and_change_nothing(chat_path: Path) -> None:
    rules = "请耐心等待" * 12
    ask = _chat("你好", rules=rules)
    async with opened(chat_path) as engine:
        cold, finish = await reply(engine, ask)
        assert engine.metrics()["shared_prompt_tokens"] == 0
        warm, again = await reply(engine, ask)
        shared = engine.metrics()["shared_prompt_tokens"]
    assert warm == cold
    assert again.prompt_tokens == finish.prompt_tokens
    assert shared == 1 + 1 + len("system\n") + len(rules)  # <s>, <|im_start|>, role, rules


async def test_a_prompt_that_does_not_fit_fails_with_its_size(chat_path: Path) -> None:
    async with opened(chat_path) as engine:
        text, finish = await reply(engine, _chat("a" * 600))
        assert (text, finish.reason) == ("", "failed")
        assert finish.detail.endswith("prompt tokens, room for 512")
        assert (await reply(engine, _chat("a")))[1].reason in {"stop", "length"}


async def test_a_request_in_the_other_language_of_prompts_fails(
    plan_path: Path, chat_path: Path
) -> None:
    async with opened(plan_path) as engine:
        _, of_plan = await reply(engine, _chat("你好"))
    async with opened(chat_path) as engine:
        _, of_chat = await reply(engine, ASK)
    assert (of_plan.reason, of_plan.detail) == ("failed", "tiny-plan needs a plan")
    assert (of_chat.reason, of_chat.detail) == ("failed", "tiny-chat needs messages")


async def test_a_model_without_wide_heads_runs_with_a_plain_cache(tmp_path: Path) -> None:
    path = plan_model(tmp_path / "narrow.gguf", Shape(width=48, heads=2))
    async with opened(path) as engine:
        assert (await reply(engine, ASK))[1].output_tokens == 64


async def test_a_missing_file_leaves_an_engine_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "missing.gguf"
    async with opened(path) as engine:
        assert (engine.state, engine.reason) == ("unavailable", f"no model file {path}")
        with pytest.raises(EngineUnavailable, match="no model file"):
            await first_piece(engine, ASK)
        assert engine.metrics()["requests"] == 0


async def test_a_file_that_is_no_model_leaves_an_engine_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("not a model", encoding="utf-8")
    async with opened(path) as engine:
        assert engine.state == "unavailable"
        assert engine.reason == "llama.cpp cannot load text.gguf"


async def test_a_worker_that_dies_before_it_is_ready_twice_is_given_up(plan_path: Path) -> None:
    engine = LocalEngine(Boot(str(plan_path), nice=10**12), limits=PATIENT)
    await engine.start()
    assert engine.state == "unavailable"
    assert engine.reason == "self-test failed: the worker ended with status 1"
    await engine.close()


async def test_a_closed_engine_takes_its_worker_along(plan_path: Path) -> None:
    async with opened(plan_path) as engine:
        pid = engine.worker_pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(EngineUnavailable, match="closed"):
        await first_piece(engine, ASK)


async def test_a_worker_ends_with_a_parent_that_was_killed(plan_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from llm.engine import open_engine\n"
        "async def main():\n"
        "    engine = open_engine(sys.argv[1])\n"
        "    await engine.start()\n"
        "    print(engine.worker_pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(plan_path), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    worker = int(await parent.stdout.readline())
    os.kill(worker, 0)
    parent.kill()
    await parent.wait()
    await until(lambda: not _is_alive(worker))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("none", NoEngine),
        ("http://127.0.0.1:9/v1#qwen", RemoteEngine),
        ("models/some.gguf", LocalEngine),
    ],
)
async def test_the_name_of_a_model_picks_the_engine(model: str, kind: type) -> None:
    engine = open_engine(model)
    assert type(engine) is kind
    await engine.close()


async def test_no_model_is_a_refusal_with_a_reason() -> None:
    engine = open_engine("none")
    await engine.start()
    with pytest.raises(EngineUnavailable, match="no model is configured"):
        await anext(engine.stream(ASK))


def _chat(content: str, *, rules: str = "") -> Request:
    system = (Message("system", rules),) if rules else ()
    return Request("chat", messages=(*system, Message("user", content)), max_tokens=24, seed=3)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
