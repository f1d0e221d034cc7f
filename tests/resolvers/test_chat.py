"""The chat through the schema: sending, streaming, resuming, calling off; whose is what."""

import pytest

from app.auth import Viewer
from app.tables.chat import ChatMessageRow, ConversationRow
from app.tables.orders import OrderRow
from llm.protocol import EngineUnavailable
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid, mutation

SEND = mutation(
    "sendMessage",
    """... on ChatTurn { after conversation { id state messages { author text } }
         message { id status author text } }
       ... on Problem { code } ... on InvalidInputProblem { field }
       ... on TooOftenProblem { retryAfterS }""",
)
CANCEL = mutation("cancelReply", "... on ChatMessage { id status } ... on Problem { code }")
SHOWN = """__typename ... on ChatStreamEvent { seq cursor conversationId messageId fallbackText }
  ... on ChatDelta { text } ... on ChatAccepted { isQueued } ... on ChatFailed { code }
  ... on ChatDone { writer }"""
CHAT = f"subscription($input: SendMessageInput!) {{ chat(input: $input) {{ {SHOWN} }} }}"
EVENTS = f"""subscription($id: ID!, $after: String) {{
  chatEvents(conversationId: $id, after: $after) {{ {SHOWN} }} }}"""
QUESTION = "七天无理由退货运费谁出"


@pytest.fixture(autouse=True)
def _without_a_model(api: Api) -> None:
    api.engine.refusal = EngineUnavailable("none")


def said(text: str = QUESTION, client_id: str = "c-1", **more: object) -> dict[str, object]:
    return {"text": text, "clientId": client_id, **more}


async def begun(api: Api, mall: Mall, viewer: Viewer) -> tuple[str, str]:
    """(conversation, its first message), with a reply that never ends."""
    turn = await api.ask(SEND, viewer, input=said())
    await api.resources.answers.idle()
    (conversation,) = await mall.rows(ConversationRow)
    (first, *_) = await mall.rows(ChatMessageRow)
    await mall.change(ConversationRow, conversation.id, running_message_id=first.id)
    return turn["conversation"]["id"], turn["message"]["id"]


async def test_one_subscription_sends_and_streams_and_ends(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    async with api.stream(CHAT, viewer, input=said()) as events:
        seen = await events.rest()
    kinds = [event["__typename"] for event in seen]
    assert (kinds[0], kinds[-1]) == ("ChatAccepted", "ChatDone")
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert len({(event["conversationId"], event["messageId"]) for event in seen}) == 1
    assert seen[-1]["writer"] == "TEMPLATE"
    text = "".join(event["text"] for event in seen if event["__typename"] == "ChatDelta")
    question, answer = await mall.rows(ChatMessageRow)
    assert (question.text, question.status) == (QUESTION, "ANSWERED")
    assert answer.text == text != ""
    assert mall.bus._subscribers == {}


async def test_a_sent_message_can_be_followed_from_its_cursor(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    turn = await api.ask(SEND, viewer, input=said())
    assert turn["message"]["text"] == QUESTION
    assert turn["conversation"]["state"] == "BOT"
    key = turn["conversation"]["id"]
    async with api.stream(EVENTS, viewer, id=key, after=turn["after"]) as events:
        seen = [await events.next()]
        while seen[-1]["__typename"] != "ChatDone":
            seen.append(await events.next())
    assert {event["messageId"] for event in seen} == {turn["message"]["id"]}
    for place, event in enumerate(seen[:-1]):
        async with api.stream(EVENTS, viewer, id=key, after=event["cursor"]) as events:
            again = [await events.next() for _ in seen[place + 1 :]]
        assert again == seen[place + 1 :]


async def test_two_devices_see_the_same_reply(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    turn = await api.ask(SEND, viewer, input=said())
    await api.resources.answers.idle()
    key = turn["conversation"]["id"]
    given = said("还有别的吗", "c-2", conversationId=key)
    async with (
        api.stream(EVENTS, viewer, id=key) as there,
        api.stream(CHAT, viewer, input=given) as here,
    ):
        mine = await here.rest()
        theirs = [await there.next() for _ in range(mine[-1]["seq"])]
    assert theirs[-len(mine) :] == mine


async def test_a_repetition_is_the_same_message(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    first = await api.ask(SEND, viewer, input=said())
    await api.resources.answers.idle()
    async with mall.unchanged():
        again = await api.ask(SEND, viewer, input=said())
    assert (again["message"]["id"], again["after"]) == (first["message"]["id"], first["after"])
    problem = await api.problem(SEND, viewer, input=said("别的"))
    assert problem == {"code": "IDEMPOTENCY_KEY_REUSED"}


async def test_a_repeated_chat_streams_the_stored_reply_again(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    async with api.stream(CHAT, viewer, input=said()) as events:
        first = await events.rest()
    async with mall.unchanged(), api.stream(CHAT, viewer, input=said()) as events:
        assert await events.rest() == first


async def test_empty_huge_and_nameless_messages_are_refused(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    for text in ("", " \n", "\x00\x01", "长" * 1001, "x" * 100_000):
        problem = await api.problem(SEND, viewer, input=said(text))
        assert problem == {"code": "MESSAGE_REFUSED"}
        async with api.stream(CHAT, viewer, input=said(text)) as events:
            assert await events.code() == "MESSAGE_REFUSED"
    for key in ("", "k" * 65):
        problem = await api.problem(SEND, viewer, input=said(client_id=key))
        assert problem == {"code": "INVALID_INPUT", "field": "clientId"}


async def test_guests_sign_in_first(api: Api) -> None:
    assert await api.code(SEND, input=said()) == "UNAUTHENTICATED"
    assert await api.code("{ conversations { id } }") == "UNAUTHENTICATED"
    async with api.stream(CHAT, input=said()) as events:
        assert await events.code() == "UNAUTHENTICATED"


async def test_a_foreign_conversation_is_not_there(api: Api, mall: Mall) -> None:
    owner, other = await mall.consumer(), await mall.consumer()
    key, message = await begun(api, mall, owner)
    problem = await api.problem(SEND, other, input=said(conversationId=key))
    assert problem == {"code": "NOT_FOUND"}
    problem = await api.problem(CANCEL, other, input={"messageId": message})
    assert problem == {"code": "NOT_FOUND"}
    node = "query($id: ID!) { node(id: $id) { id } }"
    for viewer in (other, Viewer(), await mall.staff()):
        assert await api.ask(node, viewer, id=key) is None
        assert await api.ask(node, viewer, id=message) is None
        async with api.stream(EVENTS, viewer, id=key) as events:
            assert await events.code() == "NOT_FOUND"
    assert await api.ask("{ conversations { id } }", other) == []
    assert await api.ask("{ conversations { id } }", owner) == [{"id": key}]


async def test_an_id_of_nothing_is_not_found(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    for wrong in (*BAD_IDS, gid("Conversation", 999), gid("ChatMessage", 999)):
        for given in (said(conversationId=wrong), said(about=wrong)):
            assert await api.problem(SEND, viewer, input=given) == {"code": "NOT_FOUND"}, given
        problem = await api.problem(CANCEL, viewer, input={"messageId": wrong})
        assert problem == {"code": "NOT_FOUND"}
        async with api.stream(EVENTS, viewer, id=wrong) as events:
            assert await events.code() == "NOT_FOUND"


async def test_a_chat_cannot_be_about_a_foreign_order(api: Api, mall: Mall) -> None:
    await mall.bought(await mall.consumer(), (await mall.product()).sku_id)
    (order,) = await mall.rows(OrderRow)
    given = said(about=gid("Order", order.id))
    problem = await api.problem(SEND, await mall.consumer(), input=given)
    assert problem == {"code": "NOT_FOUND"}


async def test_the_fourth_waiting_message_is_refused(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    key, _ = await begun(api, mall, viewer)
    for number in range(3):
        given = said(client_id=f"w-{number}", conversationId=key)
        assert (await api.ask(SEND, viewer, input=given))["message"]["status"] == "RECEIVED"
    problem = await api.problem(SEND, viewer, input=said(client_id="w", conversationId=key))
    assert problem == {"code": "CONVERSATION_BUSY"}


async def test_twenty_messages_a_minute_are_enough(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    for number in range(20):
        await api.ask(SEND, viewer, input=said(client_id=f"c-{number}"))
    await api.resources.answers.idle()
    problem = await api.problem(SEND, viewer, input=said(client_id="c"))
    assert problem == {"code": "TOO_OFTEN", "retryAfterS": 60.0}
    mall.clock.advance(seconds=61)
    assert "message" in await api.ask(SEND, viewer, input=said(client_id="c"))


async def test_a_reply_that_is_called_off_ends_with_its_reason(api: Api, mall: Mall) -> None:
    viewer = await mall.consumer()
    key, _ = await begun(api, mall, viewer)
    turn = await api.ask(SEND, viewer, input=said(client_id="c-2", conversationId=key))
    message = turn["message"]["id"]
    async with api.stream(EVENTS, viewer, id=key, after=turn["after"]) as events:
        accepted = await events.next()
        assert (accepted["__typename"], accepted["isQueued"]) == ("ChatAccepted", True)
        stopped = await api.ask(CANCEL, viewer, input={"messageId": message})
        assert stopped == {"id": message, "status": "CANCELLED"}
        last = await events.next()
    assert (last["__typename"], last["code"]) == ("ChatFailed", "CANCELLED")
    async with mall.unchanged():
        assert await api.ask(CANCEL, viewer, input={"messageId": message}) == stopped


async def test_a_cursor_of_nobody_or_of_another_conversation_is_refused(
    api: Api, mall: Mall
) -> None:
    mine, other = await mall.consumer(), await mall.consumer()
    key = (await api.ask(SEND, mine, input=said()))["conversation"]["id"]
    foreign = (await api.ask(SEND, other, input=said()))["after"]
    await api.resources.answers.idle()
    for after in ("", "nonsense", foreign):
        async with api.stream(EVENTS, mine, id=key, after=after) as events:
            assert await events.code() == "BAD_CURSOR"
