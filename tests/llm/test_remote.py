"""The remote engine against a server on this machine that speaks the OpenAI wire format."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llm import remote
from llm.protocol import EngineBusy, EngineUnavailable, Finish, Message, Piece, Request
from llm.remote import RemoteEngine
from tests.patience import PATIENCE_S

ASK = Request("1", messages=(Message("system", "规则"), Message("user", "在吗")), seed=5)


@dataclass
class ModelServer:
    """Answers with `pieces`; the other fields make it misbehave."""

    pieces: tuple[str, ...] = ("\n您好，", "包裹", "在路上。")
    status: int = 200
    pause_s: float = 0.0
    pause_before_s: float = 0.0
    cut: bool = False
    junk: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def models(self, _: HttpRequest) -> Response:
        return JSONResponse({"data": [{"id": "local-model"}]})

    async def complete(self, request: HttpRequest) -> Response:
        self.asked.append(await request.json())
        self.keys.append(request.headers.get("authorization", ""))
        if self.status != 200:
            return JSONResponse({}, self.status, headers={"retry-after": "7"})
        return StreamingResponse(self.stream(), media_type="text/event-stream")

    async def stream(self) -> AsyncIterator[str]:
        try:
            await asyncio.sleep(self.pause_before_s)
            yield event(delta={"role": "assistant", "content": None})
            for piece in self.pieces:
                yield self.junk + event(delta={"content": piece})
                await asyncio.sleep(self.pause_s)
            if self.cut:
                return
            yield event(delta={}, finish_reason="stop")
            usage = {"prompt_tokens": 11, "completion_tokens": 3}
            yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"
        finally:
            self.left.set()


def event(**choice: Any) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0} | choice]}, ensure_ascii=False)}\n\n"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    model = ModelServer()
    routes = [
        Route("/v1/models", model.models),
        Route("/v1/chat/completions", model.complete, methods=["POST"]),
    ]
    door = socket.create_server(("127.0.0.1", 0))
    model.url = f"http://127.0.0.1:{door.getsockname()[1]}/v1"
    http = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", ws="none"))
    serving = asyncio.create_task(http.serve(sockets=[door]))
    yield model
    http.should_exit = True
    await serving
    door.close()


async def opened(server: ModelServer, **options: Any) -> RemoteEngine:
    engine = RemoteEngine(server.url, **options)
    await engine.start()
    return engine


async def reply(engine: RemoteEngine, request: Request = ASK) -> tuple[list[str], Finish]:
    *pieces, finish = [event async for event in engine.stream(request)]
    assert isinstance(finish, Finish)
    return [piece.text for piece in pieces if isinstance(piece, Piece)], finish


async def test_a_reply_streams_and_ends_with_the_tokens_the_server_counted(
    server: ModelServer,
) -> None:
    engine = await opened(server, api_key="k")
    assert (engine.name, engine.state, engine.speaks_plan) == ("local-model", "ready", False)
    texts, finish = await reply(engine)
    await engine.close()
    assert texts == ["您好，", "包裹", "在路上。"]
    assert (finish.reason, finish.prompt_tokens, finish.output_tokens) == ("stop", 11, 3)
    assert 0 < finish.first_ms <= finish.total_ms
    assert server.keys == ["Bearer k"]
    assert server.asked[0]["messages"] == [
        {"role": "system", "content": "规则"},
        {"role": "user", "content": "在吗"},
    ]
    assert (server.asked[0]["model"], server.asked[0]["seed"]) == ("local-model", 5)


async def test_the_fragment_of_the_address_names_the_model(server: ModelServer) -> None:
    engine = RemoteEngine(f"{server.url}#qwen")
    await reply(engine)
    await engine.close()
    assert (engine.name, server.asked[0]["model"]) == ("qwen", "qwen")


async def test_a_reader_who_leaves_ends_the_request(server: ModelServer) -> None:
    server.pieces, server.pause_s = ("您",) * 1000, 0.02
    engine = await opened(server)
    async with aclosing(engine.stream(ASK)) as events:
        assert await anext(events) == Piece("您")
    async with asyncio.timeout(PATIENCE_S):
        await server.left.wait()
    assert engine.metrics()["cancelled"] == 1
    await engine.close()


@pytest.mark.parametrize(
    ("slow", "late", "texts"),
    [
        ({"pause_before_s": 2.0}, "first token", []),
        ({"pause_s": 2.0}, "gap", ["您好，"]),
    ],
)
async def test_a_silent_server_ends_by_deadline(
    server: ModelServer, slow: dict[str, float], late: str, texts: list[str]
) -> None:
    for name, value in slow.items():
        setattr(server, name, value)
    engine = await opened(server, first_s=0.4, gap_s=0.4)
    said, finish = await reply(engine)
    await engine.close()
    assert (said, finish.reason, finish.detail) == (texts, "deadline", late)


async def test_the_whole_reply_has_a_deadline(server: ModelServer) -> None:
    server.pieces, server.pause_s = ("您",) * 1000, 0.02
    engine = await opened(server)
    said, finish = await reply(engine, Request("1", ASK.messages, deadline_s=0.5))
    await engine.close()
    assert (finish.reason, finish.detail) == ("deadline", "whole reply")
    assert 1 < len(said) < 30


async def test_a_stream_that_breaks_off_keeps_its_text(server: ModelServer) -> None:
    server.cut = True
    engine = await opened(server)
    said, finish = await reply(engine)
    await engine.close()
    assert (said, finish.reason) == (["您好，", "包裹", "在路上。"], "failed")
    assert finish.detail == "the stream ended early"


async def test_an_answer_that_is_not_json_is_a_failure(server: ModelServer) -> None:
    server.junk = "data: {oops\n\n"
    engine = await opened(server)
    with pytest.raises(EngineUnavailable, match="JSONDecodeError"):
        await reply(engine)
    await engine.close()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_full_server_says_when_to_come_back(server: ModelServer, status: int) -> None:
    server.status = status
    engine = await opened(server)
    with pytest.raises(EngineBusy) as busy:
        await reply(engine)
    await engine.close()
    assert busy.value.retry_after_s == 7.0


async def test_a_failing_server_is_left_alone_and_then_tried_again(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LONGEST_PAUSE_S", 0.2)
    engine = await opened(server)
    engine._breaker.pause_s = 0.2
    server.status = 500
    for _ in range(5):
        with pytest.raises(EngineUnavailable, match="status 500"):
            await reply(engine)
    assert len(server.asked) == 3
    assert (engine.state, engine.metrics()["ready"]) == ("unavailable", 0.0)
    server.status = 200
    await asyncio.sleep(0.25)
    assert (await reply(engine))[1].reason == "stop"
    assert (engine.state, engine.metrics()["ready"]) == ("ready", 1.0)
    await engine.close()


async def test_a_server_that_is_not_there_is_told_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"http://127.0.0.1:{door.getsockname()[1]}/v1"
    engine = RemoteEngine(url)
    await engine.start()
    assert engine.state == "unavailable"
    assert engine.reason.startswith("model server: ConnectError")
    with pytest.raises(EngineUnavailable, match="ConnectError"):
        await anext(engine.stream(ASK))
    await engine.close()
