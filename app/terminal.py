"""`jishi chat`: a conversation in a terminal with the running server, as it streams."""

import asyncio
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from app.errors import MallError

_LOGIN = """mutation($code: String!) { loginWithCode(input: {platform: DEV, code: $code}) {
  ... on Session { token viewer { account { nickname } } } ... on Problem { message } } }"""
_CHAT = """subscription($input: SendMessageInput!) { chat(input: $input) { __typename
  ... on ChatStreamEvent { conversationId fallbackText }
  ... on ChatCard { title rows { label value } quickReplies }
  ... on ChatDelta { text }
  ... on ChatCitation { title clauseNo documentCode version }
  ... on ChatOffer { title reply amount { formatted } }
  ... on ChatChoice { prompt options { label reply } }
  ... on ChatHandoffChanged { state ticketNo }
  ... on ChatDone { writer model intent mood cardMs firstTextMs totalMs }
  ... on ChatFailed { code } } }"""
_DIM, _BOLD, _PLAIN = ("\x1b[2m", "\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")


class _Refused(Exception):
    """The server said no; the message is for the person at the terminal."""


async def talk(url: str, *, code: str, about: str | None, text: str) -> int:
    """One message when there is `text`, else a conversation until the input ends."""
    try:
        token, nickname = await _sign_in(url, code)
        socket_url = f"ws{url.removeprefix('http')}/graphql"
        async with connect(socket_url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            await _send(
                socket, {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
            )
            await socket.recv()
            await _converse(socket, nickname, about, text)
    except (httpx.HTTPError, OSError, WebSocketException) as gone:
        print(f"jishi: no answer from {url} ({gone.__class__.__name__}); is `make run` up?")
        return 1
    except (_Refused, MallError) as refused:
        print(f"jishi: {refused}")
        return 1
    return 0


async def _sign_in(url: str, code: str) -> tuple[str, str]:
    async with httpx.AsyncClient(timeout=10) as client:
        body = {"query": _LOGIN, "variables": {"code": code}}
        answer = (await client.post(f"{url}/graphql", json=body)).json()
    if answer.get("errors"):
        raise _Refused(answer["errors"][0]["message"])
    session = answer["data"]["loginWithCode"]
    if "token" not in session:
        raise _Refused(session["message"])
    return session["token"], session["viewer"]["account"]["nickname"]


async def _converse(socket: ClientConnection, nickname: str, about: str | None, text: str) -> None:
    conversation: str | None = None
    while True:
        message = text or await asyncio.to_thread(_ask, nickname)
        if not message:
            return
        given = {"text": message, "clientId": uuid.uuid4().hex, "about": about}
        given["conversationId"] = conversation
        if text:
            print(f"{_BOLD}{nickname}>{_PLAIN} {text}")
        conversation = await _show(socket, given) or conversation
        if text:
            return


def _ask(nickname: str) -> str:
    try:
        return input(f"{_BOLD}{nickname}>{_PLAIN} ").strip()
    except EOFError:
        return ""


async def _show(socket: ClientConnection, given: dict[str, Any]) -> str | None:
    """Prints the events of one reply as they come; the conversation they belong to."""
    began, is_writing, conversation = time.perf_counter(), False, None
    async with aclosing(_events(socket, given)) as events:
        async for event in events:
            conversation = event.get("conversationId", conversation)
            if event["__typename"] == "ChatDelta":
                if not is_writing:
                    print(f"{_BOLD}集市>{_PLAIN} ", end="")
                is_writing = True
                print(event["text"], end="", flush=True)
                continue
            if is_writing:
                print()
                is_writing = False
            print(*_lines(event, time.perf_counter() - began), sep="\n", end="")
    return conversation


async def _events(
    socket: ClientConnection, given: dict[str, Any]
) -> AsyncGenerator[dict[str, Any]]:
    key = uuid.uuid4().hex
    payload = {"query": _CHAT, "variables": {"input": given}}
    await _send(socket, {"id": key, "type": "subscribe", "payload": payload})
    async for frame in socket:
        message = orjson.loads(frame)
        if message.get("id") != key:
            continue
        if message["type"] == "error":
            raise _Refused(message["payload"][0]["message"])
        if message["type"] == "complete":
            return
        if message["payload"].get("errors"):
            raise _Refused(message["payload"]["errors"][0]["message"])
        yield message["payload"]["data"]["chat"]


def _lines(event: dict[str, Any], seconds: float) -> list[str]:
    """What the terminal shows for one event; every line ends itself."""
    show = _SHOWN.get(event["__typename"])
    return [] if show is None else [*show(event | {"seconds": seconds}), ""]


def _card(event: dict[str, Any]) -> list[str]:
    head = f"{_DIM}┌─{_PLAIN} {_BOLD}{event['title']}{_PLAIN}"
    rows = [f"{_DIM}│{_PLAIN} {row['label']}  {row['value']}" for row in event["rows"]]
    replies = " · ".join(event["quickReplies"])
    when = f" {_DIM}({event['seconds'] * 1000:.0f} ms){_PLAIN}"
    return [head + when, *rows, f"{_DIM}└─ {replies}{_PLAIN}"]


def _citation(event: dict[str, Any]) -> list[str]:
    place = f"{event['documentCode']} v{event['version']} §{event['clauseNo']}"
    return [f"{_DIM}依据：《{event['title']}》{place}{_PLAIN}"]


def _offer(event: dict[str, Any]) -> list[str]:
    amount = event["amount"]["formatted"] if event["amount"] else ""
    return [f"{_DIM}可选：{event['title']} {amount}（回复“{event['reply']}”）{_PLAIN}"]


def _choice(event: dict[str, Any]) -> list[str]:
    return [event["prompt"], *(f"{_DIM}  - {one['label']}{_PLAIN}" for one in event["options"])]


def _handoff(event: dict[str, Any]) -> list[str]:
    return [f"{_DIM}应答者：{event['state']}  工单 {event['ticketNo'] or '-'}{_PLAIN}"]


def _done(event: dict[str, Any]) -> list[str]:
    who = f"{event['writer']} {event['model'] or ''} {event['intent']} {event['mood']}"
    card, text, whole = (event[name] or 0 for name in ("cardMs", "firstTextMs", "totalMs"))
    times = f"card {card:.0f} ms, text {text:.0f} ms, all {whole:.0f} ms"
    return [f"{_DIM}[{who} · {times}]{_PLAIN}"]


def _failed(event: dict[str, Any]) -> list[str]:
    return [f"{event['fallbackText']} ({event['code']})"]


_SHOWN: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "ChatCard": _card,
    "ChatCitation": _citation,
    "ChatOffer": _offer,
    "ChatChoice": _choice,
    "ChatHandoffChanged": _handoff,
    "ChatDone": _done,
    "ChatFailed": _failed,
}


async def _send(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(orjson.dumps(message).decode())
