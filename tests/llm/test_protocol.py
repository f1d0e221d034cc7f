"""The scripted twin keeps the rules of every engine."""

from contextlib import aclosing

import pytest

from llm.protocol import EngineBusy, Finish, Piece, Request, ScriptedEngine


async def test_a_script_is_said_in_order_and_the_last_text_stays() -> None:
    engine = ScriptedEngine(["您好，请稍等。", "再见"])
    told = []
    for number in range(3):
        events = [event async for event in engine.stream(Request(str(number)))]
        assert isinstance(events[-1], Finish)
        told.append([event.text for event in events if isinstance(event, Piece)])
    assert told == [["您好，请", "稍等。"], ["再见"], ["再见"]]


async def test_a_function_sees_the_request() -> None:
    engine = ScriptedEngine(lambda request: request.plan)
    events = [event async for event in engine.stream(Request("1", plan="<|x|>"))]
    assert events[:-1] == [Piece("<|x|"), Piece(">")]


async def test_a_refusal_is_raised_before_any_piece() -> None:
    engine = ScriptedEngine(refusal=EngineBusy(1.5))
    with pytest.raises(EngineBusy, match=r"1\.5 s") as refusal:
        await anext(engine.stream(Request("1")))
    assert refusal.value.retry_after_s == 1.5
    assert engine.requests == []


async def test_a_reader_who_leaves_is_noted() -> None:
    engine = ScriptedEngine(["一二三四五六七八"])
    async with aclosing(engine.stream(Request("left"))) as pieces:
        assert await anext(pieces) == Piece("一二三四")
    assert engine.cancelled == ["left"]
