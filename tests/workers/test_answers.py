"""The chat workers of a process."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.auth import Viewer
from app.services import chat, chat_turns
from app.services.chat_events import CLOSING
from app.tables.chat import ChatEventRow, ChatMessageRow, ConversationRow
from app.workers.answers import Answers
from llm.protocol import ScriptedEngine
from tests.factories import Mall
from tests.patience import PATIENCE_S

GREETING = "您好，请问有什么可以帮您？"


@asynccontextmanager
async def working(
    mall: Mall, engine: ScriptedEngine | None = None, **options: float
) -> AsyncGenerator[Answers]:
    answers = Answers(mall.database, engine, bus=mall.bus, clock=mall.clock, **options)  # type: ignore[arg-type]
    await answers.start()
    try:
        yield answers
    finally:
        await answers.stop()


async def send(
    mall: Mall, viewer: Viewer, text: str = "你好", conversation_id: int | None = None
) -> tuple[int, int]:
    async with mall.unit() as unit:
        return await chat.send(
            unit, viewer, text=text, client_id=mall.key(), conversation_id=conversation_id
        )


async def closing(mall: Mall, message_id: int) -> list[str]:
    rows = await mall.rows(ChatEventRow, message_id=message_id)
    return [row.kind for row in rows if row.kind in CLOSING]


async def closed(mall: Mall, message_id: int) -> list[str]:
    """The closing events of a message, as soon as there is one."""
    async with asyncio.timeout(20):
        while not (found := await closing(mall, message_id)):  # noqa: ASYNC110 - a row, no event
            await asyncio.sleep(0.02)
    return found


async def asked(engine: ScriptedEngine) -> None:
    """Waits until the engine has begun to speak."""
    async with asyncio.timeout(20):
        while not engine.requests:  # noqa: ASYNC110 - the twin has no event
            await asyncio.sleep(0.01)


async def test_a_question_on_the_bus_is_answered_without_being_submitted(mall: Mall) -> None:
    async with working(mall):
        await asyncio.sleep(0)
        _, message_id = await send(mall, await mall.consumer())
        assert await closed(mall, message_id) == ["DONE"]


async def test_what_waited_before_the_start_is_answered(mall: Mall) -> None:
    _, message_id = await send(mall, await mall.consumer())
    async with working(mall):
        assert await closed(mall, message_id) == ["DONE"]


async def test_two_processes_answer_a_message_once(any_mall: Mall) -> None:
    mall = any_mall
    viewer = await mall.consumer()
    async with working(mall) as one, working(mall) as other:
        sent = [await send(mall, viewer) for _ in range(6)]
        for _, message_id in sent:
            one.submit(message_id)
            other.submit(message_id)
        found = [await closed(mall, message_id) for _, message_id in sent]
        await one.idle()
        await other.idle()
        assert [await closing(mall, message_id) for _, message_id in sent] == found
    assert found == [["DONE"]] * 6
    answers = await mall.rows(ChatMessageRow, author="BOT")
    assert len(answers) == 6


async def test_messages_of_one_conversation_are_answered_in_order(mall: Mall) -> None:
    viewer = await mall.consumer()
    conversation_id, first = await send(mall, viewer)
    others = [(await send(mall, viewer, "谢谢", conversation_id))[1] for _ in range(2)]
    async with working(mall):
        for message_id in (first, *others):
            await closed(mall, message_id)
    rows = await mall.rows(ChatEventRow, conversation_id=conversation_id)
    done = [row.message_id for row in rows if row.kind == "DONE"]
    assert done == [first, *others]
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))


async def test_a_reply_called_off_frees_the_engine(mall: Mall) -> None:
    viewer = await mall.consumer()
    engine = ScriptedEngine([GREETING], pause_s=30)
    async with working(mall, engine) as answers:
        conversation_id, message_id = await send(mall, viewer)
        await asked(engine)
        async with mall.unit() as unit:
            assert await chat.cancel(unit, viewer, message_id) is True
        async with asyncio.timeout(PATIENCE_S):
            await answers.idle()
        assert await closing(mall, message_id) == ["FAILED"]
        async with mall.database.read() as db:
            assert await chat_turns.waiting(db) == []
    conversation = await mall.row(ConversationRow, conversation_id)
    assert conversation.running_message_id is None
    assert (await mall.row(ChatMessageRow, message_id)).status == "CANCELLED"


async def test_a_stop_in_the_middle_closes_what_had_spoken(mall: Mall) -> None:
    engine = ScriptedEngine([GREETING], pause_s=5)
    async with working(mall, engine):
        conversation_id, message_id = await send(mall, await mall.consumer())
        await asked(engine)
    assert await closing(mall, message_id) == ["FAILED"]
    conversation = await mall.row(ConversationRow, conversation_id)
    assert conversation.running_message_id is None


async def test_a_turn_of_a_dead_process_is_taken_over(mall: Mall) -> None:
    _, message_id = await send(mall, await mall.consumer())
    async with mall.unit() as unit:
        assert await chat_turns.claim(unit, message_id) is not None
    mall.clock.advance(seconds=61)
    async with working(mall, sweep_s=0.05):
        assert await closed(mall, message_id) == ["DONE"]


async def test_thirty_chats_at_once_are_all_answered(mall: Mall) -> None:
    viewers = await mall.shoppers(30)
    async with working(mall, at_once=8):
        sent = [(await send(mall, viewer))[1] for viewer in viewers]
        assert [await closed(mall, message_id) for message_id in sent] == [["DONE"]] * 30
