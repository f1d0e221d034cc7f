"""The LangChain side of an engine, under LangChain's own suite."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_tests.unit_tests import ChatModelUnitTests

from llm.chat_model import ChatModel
from llm.protocol import (
    EngineBusy,
    EngineUnavailable,
    Finish,
    Message,
    Reason,
    Request,
    ScriptedEngine,
)

TALK = [SystemMessage("规则"), HumanMessage("在吗"), AIMessage("在的"), HumanMessage("我的快递")]


class TestStandard(ChatModelUnitTests):
    """LangChain's contract for every chat model."""

    @property
    def chat_model_class(self) -> type[ChatModel]:
        return ChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": ScriptedEngine(["您好"])}


class CutEngine(ScriptedEngine):
    """Ends like an engine whose worker died or was too slow."""

    def __init__(self, text: str, reason: Reason) -> None:
        super().__init__([text])
        self._cut = reason

    async def stream(self, request: Request):  # type: ignore[override]
        async for event in super().stream(request):
            yield Finish(self._cut, detail="gap") if isinstance(event, Finish) else event


async def test_a_reply_streams_piece_by_piece_with_its_usage() -> None:
    model = ChatModel(engine=ScriptedEngine(["您好，包裹在路上。"]))
    chunks = [chunk async for chunk in model.astream(TALK)]
    assert [chunk.text for chunk in chunks] == ["您好，包", "裹在路上", "。", ""]
    assert chunks[-1].usage_metadata == {"input_tokens": 0, "output_tokens": 3, "total_tokens": 3}
    assert chunks[-1].response_metadata["finish_reason"] == "stop"


async def test_the_engine_gets_the_conversation_and_what_was_bound() -> None:
    engine = ScriptedEngine(["好"])
    model = ChatModel(engine=engine, max_tokens=40, stop=["。"])
    await model.bind(plan="<|plan|>", banned=("{order.eta}",), seed=7, user="u1").ainvoke(TALK)
    (request,) = engine.requests
    assert request.messages == (
        Message("system", "规则"),
        Message("user", "在吗"),
        Message("assistant", "在的"),
        Message("user", "我的快递"),
    )
    assert (request.plan, request.banned, request.seed, request.user) == (
        "<|plan|>",
        ("{order.eta}",),
        7,
        "u1",
    )
    assert (request.max_tokens, request.stop) == (40, ("。",))


async def test_a_busy_engine_hands_over_to_the_fallback() -> None:
    busy = ChatModel(engine=ScriptedEngine(refusal=EngineBusy(2.0)))
    writer = ChatModel(engine=ScriptedEngine(["模板"]))
    answer = await busy.with_fallbacks([writer]).ainvoke("在吗")
    assert answer.text == "模板"


async def test_a_reply_that_never_began_is_an_error() -> None:
    model = ChatModel(engine=CutEngine("", "deadline"))
    with pytest.raises(EngineUnavailable, match="deadline: gap"):
        await model.ainvoke("在吗")


async def test_a_reply_cut_short_keeps_its_text() -> None:
    answer = await ChatModel(engine=CutEngine("包裹", "failed")).ainvoke("在吗")
    assert answer.text == "包裹"
    assert answer.response_metadata["finish_reason"] == "failed"


async def test_leaving_a_stream_frees_the_engine() -> None:
    engine = ScriptedEngine(["一二三四五六七八"])
    stream = ChatModel(engine=engine).astream("在吗")
    await anext(stream)
    await stream.aclose()
    assert len(engine.cancelled) == 1


async def test_a_message_no_engine_understands_is_refused() -> None:
    engine = ScriptedEngine()
    with pytest.raises(TypeError, match="tool"):
        await ChatModel(engine=engine).ainvoke([ToolMessage("1", tool_call_id="a")])
    assert engine.requests == []


def test_asking_without_an_event_loop_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="ainvoke"):
        ChatModel(engine=ScriptedEngine()).invoke("在吗")


def test_tokens_are_estimated_for_trimming() -> None:
    assert ChatModel(engine=ScriptedEngine()).get_num_tokens("您好hello") == 4
