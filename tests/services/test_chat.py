"""Sending messages, the event log, hand-off to people."""

from asyncio import gather

import pytest

from app.auth import Role, Viewer
from app.errors import (
    ConversationBusy,
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    MallError,
    MessageRefused,
    NotFound,
    TooOften,
    Unauthenticated,
    WrongState,
)
from app.services import chat, chat_handoffs, chat_log, chat_turns
from app.services.chat_events import (
    CLOSING,
    Accepted,
    Card,
    CardRow,
    Choice,
    ChoiceOption,
    Delta,
    stored,
)
from app.services.chat_events import read as read_event
from app.tables.chat import ChatEventRow, ChatMessageRow, ConversationRow, TicketRow
from tests.factories import Mall


async def send(mall: Mall, viewer: Viewer, text: str = "在吗", **more: object) -> tuple[int, int]:
    values = {"client_id": mall.key(), **more}
    async with mall.unit() as unit:
        return await chat.send(unit, viewer, text=text, **values)  # type: ignore[arg-type]


async def kinds(mall: Mall, message_id: int) -> list[str]:
    return [row.kind for row in await mall.rows(ChatEventRow, message_id=message_id)]


async def test_a_message_opens_a_conversation_and_is_accepted(mall: Mall) -> None:
    viewer = await mall.consumer()
    conversation_id, message_id = await send(mall, viewer, "我的快递到哪了")
    message = await mall.row(ChatMessageRow, message_id)
    assert (message.author, message.status, message.text) == (
        "SHOPPER",
        "RECEIVED",
        "我的快递到哪了",
    )
    (event,) = await mall.rows(ChatEventRow, conversation_id=conversation_id)
    assert (event.seq, event.kind, event.data["is_queued"]) == (1, "ACCEPTED", False)
    conversation = await mall.row(ConversationRow, conversation_id)
    assert (conversation.role, conversation.state, conversation.event_seq) == ("CONSUMER", "BOT", 1)


async def test_the_same_client_id_gives_the_same_message(mall: Mall) -> None:
    viewer = await mall.consumer()
    first = await send(mall, viewer, "你好", client_id="c1")
    async with mall.unchanged():
        assert await send(mall, viewer, "你好", client_id="c1") == first
        with pytest.raises(IdempotencyKeyReused):
            await send(mall, viewer, "别的话", client_id="c1")


async def test_a_client_id_sent_twenty_times_at_once_makes_one_message(any_mall: Mall) -> None:
    mall = any_mall
    viewer = await mall.consumer()
    found = await gather(*(send(mall, viewer, "你好", client_id="c1") for _ in range(20)))
    assert len(set(found)) == 1
    assert len(await mall.rows(ChatMessageRow)) == 1


@pytest.mark.parametrize("text", ["", "   \n", "\u200b\u0000", "长" * 1001, "x" * 100_000])
async def test_an_empty_or_huge_message_is_refused(mall: Mall, text: str) -> None:
    viewer = await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(MessageRefused):
            await send(mall, viewer, text)


async def test_control_characters_are_left_out(mall: Mall) -> None:
    _, message_id = await send(mall, await mall.consumer(), "\x1b[31m快递\u202e到哪\n了\u0007")
    assert (await mall.row(ChatMessageRow, message_id)).text == "[31m快递到哪 了"


@pytest.mark.parametrize("client_id", ["", "k" * 65])
async def test_a_client_id_has_a_length(mall: Mall, client_id: str) -> None:
    viewer = await mall.consumer()
    async with mall.unchanged():
        with pytest.raises(InvalidInput):
            await send(mall, viewer, client_id=client_id)


async def test_a_guest_is_asked_to_sign_in(mall: Mall) -> None:
    async with mall.unchanged():
        with pytest.raises(Unauthenticated):
            await send(mall, Viewer())


async def test_nobody_writes_into_or_reads_a_foreign_conversation(mall: Mall) -> None:
    mine, other = await mall.consumer(), await mall.consumer()
    conversation_id, message_id = await send(mall, mine)
    async with mall.unchanged():
        with pytest.raises(NotFound):
            await send(mall, other, conversation_id=conversation_id)
        async with mall.unit() as unit:
            with pytest.raises(NotFound):
                await chat.cancel(unit, other, message_id)
    async with mall.database.read() as db:
        with pytest.raises(NotFound):
            await chat.events_after(db, other, conversation_id, 0)
        assert await db.all(chat.visible_to(other)) == []
        assert await db.all(chat.messages_visible_to(other)) == []
        assert [row.id for row in await db.all(chat.messages_visible_to(mine))] == [message_id]


async def test_staff_cannot_read_what_the_bot_answers(mall: Mall) -> None:
    conversation_id, _ = await send(mall, await mall.consumer())
    staff = await mall.staff()
    async with mall.database.read() as db:
        assert await db.all(chat.visible_to(staff)) == []
    await mall.change(ConversationRow, conversation_id, state="QUEUED")
    async with mall.database.read() as db:
        assert [row.id for row in await db.all(chat.visible_to(staff))] == [conversation_id]


async def test_twenty_messages_a_minute_are_enough(mall: Mall) -> None:
    viewer = await mall.consumer()
    for _ in range(chat.RATE):
        await send(mall, viewer)
    async with mall.unchanged():
        with pytest.raises(TooOften) as refusal:
            await send(mall, viewer)
    assert refusal.value.data == {"retry_after_s": 60.0}
    mall.clock.advance(seconds=61)
    await send(mall, viewer)


async def test_three_messages_may_wait_in_a_conversation(mall: Mall) -> None:
    viewer = await mall.consumer()
    conversation_id, _ = await send(mall, viewer)
    for _ in range(chat.MAX_WAITING - 1):
        await send(mall, viewer, conversation_id=conversation_id)
    async with mall.unchanged():
        with pytest.raises(ConversationBusy):
            await send(mall, viewer, conversation_id=conversation_id)


async def test_a_chat_opened_from_something_remembers_it(mall: Mall) -> None:
    viewer, product = await mall.consumer(), await mall.product()
    conversation_id, _ = await send(mall, viewer, about=("Product", product.id))
    conversation = await mall.row(ConversationRow, conversation_id)
    assert (conversation.opened_from_type, conversation.opened_from_id) == ("Product", product.id)
    assert conversation.slots == {"product_id": product.id}


async def test_a_chat_is_not_opened_from_what_the_viewer_may_not_see(mall: Mall) -> None:
    product, buyer = await mall.product(), await mall.consumer()
    trade_id = await mall.bought(buyer, product.sku_id)
    viewer = await mall.consumer()
    async with mall.unchanged():
        for about in (("Order", trade_id), ("Product", 10_000), ("Account", 1)):
            with pytest.raises(NotFound):
                await send(mall, viewer, about=about)


async def test_the_log_counts_without_gaps_under_many_writers(any_mall: Mall) -> None:
    mall = any_mall
    conversation_id, message_id = await send(mall, await mall.consumer())

    async def write(text: str) -> None:
        async with mall.unit() as unit:
            delta = Delta(fallback_text=text, text=text)
            await chat_log.append(unit, conversation_id, message_id, [delta, delta])

    await gather(*(write(str(number)) for number in range(20)))
    rows = await mall.rows(ChatEventRow, conversation_id=conversation_id)
    assert [row.seq for row in rows] == list(range(1, 42))


async def test_a_cursor_gives_exactly_the_rest_of_the_log(mall: Mall) -> None:
    viewer = await mall.consumer()
    conversation_id, message_id = await send(mall, viewer)
    async with mall.unit() as unit:
        deltas = [Delta(fallback_text=text, text=text) for text in "abc"]
        assert await chat_log.append(unit, conversation_id, message_id, deltas) == 4
    async with mall.database.read() as db:
        rows = await chat.events_after(db, viewer, conversation_id, 2)
    assert [(row.seq, row.data["text"]) for row in rows] == [(3, "b"), (4, "c")]


def test_a_stored_event_reads_back_equal() -> None:
    card = Card("x", "ORDER", "订单", (CardRow("状态", "待付款"),), ("转人工",), order_id=3)
    choice = Choice("x", "哪一单", (ChoiceOption("米", "O1", 1),))
    for value in (Accepted("已收到"), card, choice):
        assert read_event(value.kind, {**stored(value), "later": 1}) == value


async def test_calling_off_closes_once_and_for_all(mall: Mall) -> None:
    viewer = await mall.consumer()
    _, message_id = await send(mall, viewer)
    async with mall.unit() as unit:
        turn = await chat_turns.claim(unit, message_id)
        assert turn is not None
        assert await chat.cancel(unit, viewer, message_id) is True
    async with mall.unchanged(), mall.unit() as unit:
        assert await chat.cancel(unit, viewer, message_id) is False
        assert await chat_turns.say(unit, turn, [Delta(fallback_text="x", text="x")]) is False
        assert await chat_turns.fail(unit, turn.message, "INTERNAL") is False
    assert await kinds(mall, message_id) == ["ACCEPTED", "FAILED"]
    assert (await mall.row(ChatMessageRow, message_id)).status == "CANCELLED"


async def test_one_message_of_a_conversation_is_answered_at_a_time(mall: Mall) -> None:
    viewer = await mall.consumer()
    conversation_id, first = await send(mall, viewer)
    _, second = await send(mall, viewer, conversation_id=conversation_id)
    async with mall.unit() as unit:
        assert await chat_turns.claim(unit, second) is None
        turn = await chat_turns.claim(unit, first)
        assert turn is not None
        assert await chat_turns.claim(unit, first) is None
        await chat_turns.fail(unit, turn.message, "INTERNAL")
        assert await chat_turns.waiting_behind(unit.db, first) == [second]
        assert await chat_turns.claim(unit, second) is not None


async def test_a_lost_turn_is_answered_again_when_it_had_said_nothing(mall: Mall) -> None:
    _, message_id = await send(mall, await mall.consumer())
    async with mall.unit() as unit:
        await chat_turns.claim(unit, message_id)
        assert await chat_turns.recover(unit) == 0
    mall.clock.advance(seconds=61)
    async with mall.unit() as unit:
        assert await chat_turns.recover(unit) == 1
        assert await chat_turns.waiting(unit.db) == [message_id]
    assert await kinds(mall, message_id) == ["ACCEPTED"]


async def test_a_lost_turn_that_broke_off_in_the_middle_is_closed(mall: Mall) -> None:
    _, message_id = await send(mall, await mall.consumer())
    async with mall.unit() as unit:
        turn = await chat_turns.claim(unit, message_id)
        assert turn is not None
        await chat_turns.say(unit, turn, [Delta(fallback_text="您", text="您")])
    mall.clock.advance(seconds=61)
    async with mall.unit() as unit:
        assert await chat_turns.recover(unit) == 1
        assert await chat_turns.recover(unit) == 0
        assert await chat_turns.waiting(unit.db) == []
    assert await kinds(mall, message_id) == ["ACCEPTED", "DELTA", "FAILED"]


async def handed_over(mall: Mall) -> tuple[Viewer, int]:
    viewer = await mall.consumer()
    conversation_id, _ = await send(mall, viewer)
    async with mall.unit() as unit:
        assert await chat_handoffs.queue(
            unit, conversation_id, ticket_no="K1", reason="ASKED", summary={}
        )
    return viewer, conversation_id


async def test_a_person_takes_answers_and_gives_back(mall: Mall) -> None:
    viewer, conversation_id = await handed_over(mall)
    staff = await mall.account(Role.AGENT)
    async with mall.unit() as unit:
        await chat_handoffs.take(unit, staff, conversation_id)
        await chat_handoffs.say(unit, staff, conversation_id, "您好，我来处理")
    _, message_id = await send(mall, viewer, "好的", conversation_id=conversation_id)
    assert await kinds(mall, message_id) == ["ACCEPTED", "DONE"]
    async with mall.unit() as unit:
        await chat_handoffs.give_back(unit, staff, conversation_id)
    (ticket,) = await mall.rows(TicketRow)
    assert (ticket.no, ticket.status) == ("K1", "CLOSED")
    assert (await mall.row(ConversationRow, conversation_id)).state == "BOT"
    told = [row for row in await mall.rows(ChatEventRow) if row.kind == "HANDOFF_CHANGED"]
    assert [row.data["state"] for row in told] == ["HUMAN", "BOT"]


async def test_two_colleagues_do_not_take_the_same_conversation(any_mall: Mall) -> None:
    mall = any_mall
    _, conversation_id = await handed_over(mall)
    staff = [await mall.account(Role.AGENT) for _ in range(2)]

    async def take(one: Viewer) -> str:
        try:
            async with mall.unit() as unit:
                await chat_handoffs.take(unit, one, conversation_id)
        except MallError as refusal:
            return refusal.code
        return "taken"

    assert sorted(await gather(*map(take, staff))) == ["WRONG_STATE", "taken"]


async def test_shoppers_take_nothing_and_nobody_speaks_unasked(mall: Mall) -> None:
    viewer, conversation_id = await handed_over(mall)
    staff = await mall.account(Role.AGENT)
    async with mall.unchanged(), mall.unit() as unit:
        with pytest.raises(Forbidden):
            await chat_handoffs.take(unit, viewer, conversation_id)
        with pytest.raises(WrongState):
            await chat_handoffs.say(unit, staff, conversation_id, "您好")
        with pytest.raises(WrongState):
            await chat_handoffs.give_back(unit, staff, conversation_id)


async def test_a_queue_that_nobody_serves_ends_honestly(mall: Mall) -> None:
    viewer, conversation_id = await handed_over(mall)
    mall.clock.advance(minutes=11)
    async with mall.unit() as unit:
        assert await chat_handoffs.release_late(unit) == 1
        assert await chat_handoffs.release_late(unit) == 0
    (told,) = [row for row in await mall.rows(ChatEventRow) if row.kind == "HANDOFF_CHANGED"]
    assert (told.data["state"], told.data["ticket_no"]) == ("BOT", "K1")
    (ticket,) = await mall.rows(TicketRow)
    assert ticket.status == "QUEUED"
    _, message_id = await send(mall, viewer, conversation_id=conversation_id)
    assert (await mall.row(ChatMessageRow, message_id)).status == "RECEIVED"
    assert not CLOSING & set(await kinds(mall, message_id))
