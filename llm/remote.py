"""The engine protocol over an OpenAI-compatible server (llama-server, vLLM and others)."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag

import httpx
import orjson

from llm.protocol import (
    EngineBusy,
    EngineUnavailable,
    Finish,
    Piece,
    Reason,
    Request,
    State,
)

FAILURES_TO_OPEN = 3
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503
Event = dict[str, Any]


@dataclass(slots=True)
class Breaker:
    """Refuses calls for a while after several failures in a row, then lets one try."""

    failures: int = 0
    pause_s: float = FIRST_PAUSE_S
    closed_until: float = 0.0  # monotonic seconds: no call before

    def wait_s(self) -> float:
        return max(self.closed_until - time.monotonic(), 0.0)

    def succeeded(self) -> None:
        self.failures, self.pause_s, self.closed_until = 0, FIRST_PAUSE_S, 0.0

    def failed(self) -> None:
        self.failures += 1
        if self.failures >= FAILURES_TO_OPEN:
            self.closed_until = time.monotonic() + self.pause_s
            self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)


class RemoteEngine:
    """Streams chat completions; `url` is the base, its fragment names the model.

    `http://127.0.0.1:8080/v1#qwen` asks for the model qwen; without a fragment the first model
    that the server lists is used. Digits and banned placeholders cannot be masked in there, so the
    check of the text has to catch them. `first_s` and `gap_s` limit the silence before the first
    piece and between two.
    """

    speaks_plan = False

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "",
        first_s: float = 5.0,
        gap_s: float = 2.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        base, self.name = urldefrag(url)
        self.state: State = "starting"
        self.reason = "not started"
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.AsyncClient(
            base_url=base.rstrip("/") + "/",
            headers=headers,
            timeout=httpx.Timeout(None, connect=2.0, pool=2.0),  # reading is timed here
            transport=transport,
        )
        self._first_s, self._gap_s = first_s, gap_s
        self._breaker = Breaker()
        self._counts: Counter[str] = Counter()

    async def start(self) -> None:
        """Asks for the list of models; a server that is down now may be up for the next request."""
        try:
            answer = await self._client.get("models", timeout=self._first_s)
            answer.raise_for_status()
            self.name = self.name or str(orjson.loads(answer.content)["data"][0]["id"])
        except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
            self.state, self.reason = "unavailable", f"model server: {_told(error)}"
        else:
            self.state, self.reason = "ready", ""

    async def close(self) -> None:
        await self._client.aclose()
        self.state, self.reason = "unavailable", "closed"

    async def stream(self, request: Request) -> AsyncGenerator[Piece | Finish, None]:
        if (wait_s := self._breaker.wait_s()) > 0:
            raise EngineUnavailable(f"{self.reason}; next try in {wait_s:.0f} s")
        if not self.name:
            await self.start()
            if not self.name:
                raise self._failed(self.reason)
        reply = Reply(request, time.monotonic())
        self._counts["requests"] += 1
        try:
            async with aclosing(self._pieces(reply)) as pieces:
                async for piece in pieces:
                    yield piece
        except GeneratorExit:
            self._counts["cancelled"] += 1
            raise
        self._counts[reply.reason] += 1
        self._counts["tokens"] += reply.tokens
        yield reply.finish()

    def metrics(self) -> Mapping[str, float]:
        return {
            "ready": float(self.state == "ready" and not self._breaker.wait_s()),
            "requests": float(self._counts["requests"]),
            "finished": float(self._counts["stop"] + self._counts["length"]),
            "failed": float(self._counts["failed"]),
            "deadline": float(self._counts["deadline"]),
            "cancelled": float(self._counts["cancelled"]),
            "busy": float(self._counts["busy"]),
            "output_tokens": float(self._counts["tokens"]),
        }

    async def _pieces(self, reply: "Reply") -> AsyncGenerator[Piece, None]:
        """Yields text and leaves in `reply` how it ended.

        Raises EngineBusy or EngineUnavailable before the first piece, never after it.
        """
        answer = await self._ask(reply)
        try:
            async with aclosing(_events(answer)) as events:
                while (event := await self._next(reply, events)) is not None:
                    if text := reply.take(event):
                        yield Piece(text)
        finally:
            await answer.aclose()
        if reply.reason != "failed":
            self._succeeded()

    async def _ask(self, reply: "Reply") -> httpx.Response:
        call = self._client.build_request("POST", "chat/completions", json=self._body(reply))
        try:
            async with asyncio.timeout(min(self._first_s, reply.request.deadline_s)):
                answer = await self._client.send(call, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._failed(_told(error)) from error
        if answer.is_success:
            return answer
        await answer.aclose()
        if answer.status_code in {TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE}:
            self._counts["busy"] += 1
            raise EngineBusy(_retry_after_s(answer))
        raise self._failed(f"status {answer.status_code}")

    async def _next(self, reply: "Reply", events: AsyncIterator[Event]) -> Event | None:
        """The next event, or None when the reply is over."""
        until, what = reply.patience(self._first_s, self._gap_s)
        try:
            async with asyncio.timeout(max(until - time.monotonic(), 0.0)):
                return await anext(events)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            reply.end("deadline", what)
            return None
        except (httpx.HTTPError, ValueError) as error:
            refusal = self._failed(_told(error))
            if not reply.first_at:
                raise refusal from error
            reply.end("failed", _told(error))
            return None

    def _body(self, reply: "Reply") -> dict[str, Any]:
        request = reply.request
        return {
            "model": self.name,
            "messages": [
                {"role": message.role, "content": message.content} for message in request.messages
            ],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "stop": list(request.stop) or None,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _succeeded(self) -> None:
        self._breaker.succeeded()
        self.state, self.reason = "ready", ""

    def _failed(self, detail: str) -> EngineUnavailable:
        """Counts a failure; the server is given a rest after several in a row."""
        self._counts["failed"] += 1
        self._breaker.failed()
        self.reason = f"model server: {detail.removeprefix('model server: ')}"
        if self._breaker.wait_s():
            self.state = "unavailable"
        return EngineUnavailable(self.reason)


@dataclass(slots=True)
class Reply:
    """What has come of one answer so far; times are monotonic seconds."""

    request: Request
    asked_at: float
    first_at: float = 0.0
    last_at: float = 0.0
    prompt_tokens: int = 0
    tokens: int = 0
    reason: Reason = "failed"
    detail: str = "the stream ended early"

    def take(self, event: Event) -> str:
        """Returns the text of an event."""
        usage = event.get("usage") or {}
        self.prompt_tokens = int(usage.get("prompt_tokens", self.prompt_tokens))
        self.tokens = int(usage.get("completion_tokens", self.tokens))
        text = ""
        for choice in (event.get("choices") or [])[:1]:
            text = str((choice.get("delta") or {}).get("content") or "")
            if reason := choice.get("finish_reason"):
                self.end("length" if reason == "length" else "stop")
        if not self.first_at:  # a reply never starts with blanks
            text = text.lstrip()
        if text:
            self.last_at = time.monotonic()
            self.first_at = self.first_at or self.last_at
            self.tokens += not usage
        return text

    def end(self, reason: Reason, detail: str = "") -> None:
        self.reason, self.detail = reason, detail

    def patience(self, first_s: float, gap_s: float) -> tuple[float, str]:
        """Until when the next event must come, and what is late otherwise."""
        until, what = self.asked_at + first_s, "first token"
        if self.first_at:
            until, what = self.last_at + gap_s, "gap"
        return min((until, what), (self.asked_at + self.request.deadline_s, "whole reply"))

    def finish(self) -> Finish:
        first = (self.first_at - self.asked_at) * 1000 if self.first_at else 0.0
        total = (time.monotonic() - self.asked_at) * 1000
        return Finish(self.reason, self.prompt_tokens, self.tokens, first, total, self.detail)


async def _events(answer: httpx.Response) -> AsyncGenerator[Event, None]:
    """Server-sent events up to [DONE]; raises ValueError for one that is not a JSON object."""
    async for line in answer.aiter_lines():
        if not line.startswith("data:"):
            continue
        body = line.removeprefix("data:").strip()
        if body == "[DONE]":
            return
        event = orjson.loads(body)
        if not isinstance(event, dict) or "error" in event:
            raise ValueError(f"the server says {body[:200]}")
        yield event


def _retry_after_s(answer: httpx.Response) -> float:
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else 1.0


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
