"""The local engine: keeps one worker process alive and shares it fairly among requests."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from llm.fairness import FairQueue
from llm.link import Link
from llm.protocol import (
    Engine,
    EngineBusy,
    EngineUnavailable,
    Finish,
    Piece,
    Reason,
    Request,
    State,
)
from llm.remote import RemoteEngine
from llm.wire import Boot, Broken, Cancel, Ended, FromWorker, Ready, Said, Step, Submit

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0  # before a dead worker is started again
HEALTHY_S = 60.0  # a worker that lived this long starts the pauses over
CHARS_A_TOKEN = 2  # to weigh requests against each other, not to count


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may wait, and how many may."""

    waiting: int = 64
    queue_s: float = 3.0
    first_s: float = 5.0
    gap_s: float = 2.0
    boot_s: float = 120.0
    stall_s: float = 30.0  # a worker silent for so long with work to do is killed


@dataclass(frozen=True, slots=True)
class Sent:
    """The request left the queue."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A request on its way; `events` is filled by the worker's reader."""

    request: Request
    events: asyncio.Queue[Sent | Said | Ended] = field(default_factory=asyncio.Queue)
    asked_at: float = field(default_factory=time.monotonic)
    sent_at: float = 0.0
    first_at: float = 0.0
    last_at: float = 0.0
    output_tokens: int = 0
    is_over: bool = False

    def patience(self, limits: Limits) -> tuple[float, str]:
        """Until when the next event must come (monotonic seconds), and what is late otherwise."""
        if not self.sent_at:
            until, what = self.asked_at + limits.queue_s, "queue"
        elif not self.first_at:
            until, what = self.sent_at + limits.first_s, "first token"
        else:
            until, what = self.last_at + limits.gap_s, "gap"
        return min((until, what), (self.asked_at + self.request.deadline_s, "whole reply"))

    def finish(self, reason: Reason, prompt_tokens: int = 0, detail: str = "") -> Finish:
        first = (self.first_at - self.asked_at) * 1000 if self.first_at else 0.0
        total = (time.monotonic() - self.asked_at) * 1000
        return Finish(reason, prompt_tokens, self.output_tokens, first, total, detail)


class LocalEngine:
    """Serves a GGUF file from a process of its own (see llm.worker)."""

    def __init__(
        self, boot: Boot, *, limits: Limits | None = None, log: Path | None = None
    ) -> None:
        self.name, self.speaks_plan = Path(boot.model).stem, False
        self.state: State = "starting"
        self.reason = "not started"
        self.sequences = boot.sequences
        self._boot, self._limits, self._log = boot, limits or Limits(), log
        self._link: Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._queue: FairQueue[Ticket] = FairQueue()
        self._running: dict[str, Ticket] = {}
        self._serial = 0
        self._reply_s = 0.0  # moving average of one reply's time in the worker
        self._stepped_at = 0.0
        self._counts: Counter[str] = Counter()
        self._busy_s = self._first_ms = 0.0
        self._shared_tokens = 0

    @property
    def worker_pid(self) -> int | None:
        return self._link.pid if self._link else None

    async def start(self) -> None:
        """Returns when the model answers or when it is certain that it will not."""
        if not await asyncio.to_thread(Path(self._boot.model).is_file):
            self._give_up(f"no model file {self._boot.model}")
            return
        self._keeper = asyncio.create_task(self._keep_running(), name="llm worker")
        await self._settled.wait()

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        self._give_up("closed")

    async def stream(self, request: Request) -> AsyncGenerator[Piece | Finish, None]:
        ticket = self._admit(request)
        try:
            while True:
                event = await self._next(ticket)
                if isinstance(event, Piece):
                    yield event
                elif event is not None:
                    break
            ticket.is_over = True
            self._counts[event.reason] += 1
            yield event
        finally:
            self._leave(ticket)

    def metrics(self) -> Mapping[str, float]:
        counts, busy_s = self._counts, self._busy_s
        finished = sum(counts[reason] for reason in ("stop", "length"))
        return {
            "ready": float(self.state == "ready"),
            "waiting": float(len(self._queue)),
            "running": float(len(self._running)),
            "requests": float(counts["requests"]),
            "finished": float(finished),
            "failed": float(counts["failed"]),
            "deadline": float(counts["deadline"]),
            "cancelled": float(counts["cancelled"]),
            "busy": float(counts["busy"]),
            "restarts": float(counts["restarts"]),
            "output_tokens": float(counts["tokens"]),
            "shared_prompt_tokens": float(self._shared_tokens),
            "tokens_per_s": counts["tokens"] / busy_s if busy_s else 0.0,
            "first_ms": self._first_ms,
        }

    def _admit(self, request: Request) -> Ticket:
        if self.state != "ready":
            raise EngineUnavailable(self.reason)
        wait_s = self._wait_s()
        if len(self._queue) >= self._limits.waiting or wait_s > self._limits.queue_s:
            self._counts["busy"] += 1
            raise EngineBusy(max(wait_s, 0.5))
        self._serial += 1
        self._counts["requests"] += 1
        ticket = Ticket(replace(request, id=str(self._serial)))
        chars = len(request.plan) + sum(len(message.content) for message in request.messages)
        self._queue.push(request.user, chars // CHARS_A_TOKEN + request.max_tokens, ticket)
        self._dispatch()
        return ticket

    def _wait_s(self) -> float:
        """How long one more request would wait in the queue."""
        if len(self._running) < self.sequences:
            return 0.0
        return (len(self._queue) + 1) * self._reply_s / self.sequences

    def _dispatch(self) -> None:
        while self._link and len(self._queue) and len(self._running) < self.sequences:
            ticket = self._queue.pop()
            ticket.sent_at = time.monotonic()
            if not self._running:
                self._stepped_at = ticket.sent_at
            self._running[ticket.request.id] = ticket
            ticket.events.put_nowait(Sent())
            self._link.send(Submit(ticket.request))

    async def _next(self, ticket: Ticket) -> Piece | Finish | None:
        until, what = ticket.patience(self._limits)
        try:
            async with asyncio.timeout(max(until - time.monotonic(), 0.0)):
                event = await ticket.events.get()
        except TimeoutError:
            return ticket.finish("deadline", detail=what)
        match event:
            case Said():
                return self._piece(ticket, event)
            case Ended():
                ticket.output_tokens = event.output_tokens
                return ticket.finish(event.reason, event.prompt_tokens, event.detail)
            case Sent():
                return None

    def _piece(self, ticket: Ticket, said: Said) -> Piece:
        ticket.last_at = time.monotonic()
        if not ticket.first_at:
            ticket.first_at = ticket.last_at
            self._first_ms = _average(self._first_ms, (ticket.first_at - ticket.asked_at) * 1000)
        ticket.output_tokens += said.tokens
        return Piece(said.text, said.tokens)

    def _leave(self, ticket: Ticket) -> None:
        """Frees what a reader left behind; a finished reply has left nothing."""
        if not ticket.is_over:
            self._counts["cancelled"] += 1
        if not self._queue.remove(ticket) and ticket.request.id in self._running and self._link:
            self._link.send(Cancel(ticket.request.id))

    async def _keep_running(self) -> None:
        """Starts the worker again whenever it dies, later each time."""
        boot, pause_s = self._boot, FIRST_PAUSE_S
        while True:
            self.state, self.reason = "starting", "the model is loading"
            try:
                link = await Link.open(boot, self._log)
            except OSError as error:
                self._give_up(f"the worker cannot start: {error}")
                return
            try:
                event = await self._first_event(link)
                if isinstance(event, Ready):
                    lived_s = await self._serve(link, event)
                    pause_s = FIRST_PAUSE_S if lived_s > HEALTHY_S else pause_s
            finally:
                self._lose(f"the worker {await _ending(link)}")
            if isinstance(event, Broken):
                self._give_up(event.reason)
                return
            if isinstance(event, Ready):
                self._counts["restarts"] += 1
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            elif boot.extra_buffers:
                boot = replace(boot, extra_buffers=False)
            else:
                self._give_up(f"self-test failed: {self.reason}")
                return

    async def _first_event(self, link: Link) -> FromWorker | None:
        try:
            return await link.read(self._limits.boot_s)
        except TimeoutError:
            link.kill()
            return None

    async def _serve(self, link: Link, ready: Ready) -> float:
        """Reads events until the worker ends or stalls; returns how long it lived (s)."""
        born = time.monotonic()
        self.name, self.speaks_plan = ready.name, ready.speaks_plan
        self.sequences, self._link = ready.sequences, link
        self.state, self.reason = "ready", ""
        self._settled.set()
        while True:
            try:
                event = await link.read(self._limits.stall_s)
            except TimeoutError:
                silent_s = time.monotonic() - self._stepped_at
                if self._running and silent_s >= self._limits.stall_s:
                    link.kill()
                continue
            if not isinstance(event, Step):
                return time.monotonic() - born
            self._take(event)

    def _take(self, step: Step) -> None:
        now = time.monotonic()
        self._busy_s += now - self._stepped_at
        self._stepped_at = now
        self._shared_tokens = step.shared_tokens
        for said in step.said:
            self._counts["tokens"] += said.tokens
            self._running[said.id].events.put_nowait(said)
        for ended in step.ended:
            ticket = self._running.pop(ended.id)
            self._reply_s = _average(self._reply_s, now - ticket.sent_at)
            ticket.events.put_nowait(ended)
        self._dispatch()

    def _lose(self, reason: str) -> None:
        """Without a worker nobody gets an answer: who waits is told at once."""
        self._link = None
        self.state, self.reason = "starting", reason
        for ticket in (*self._running.values(), *self._queue.drain()):
            ticket.events.put_nowait(Ended(ticket.request.id, "failed", 0, 0, reason))
        self._running.clear()

    def _give_up(self, reason: str) -> None:
        self.state, self.reason = "unavailable", reason
        self._settled.set()


class NoEngine:
    """Stands where no model is wanted: every request is refused."""

    name, speaks_plan = "none", False
    state: State = "unavailable"
    reason = "no model is configured"

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def stream(self, request: Request) -> AsyncGenerator[Piece | Finish, None]:
        if self.state == "unavailable":
            raise EngineUnavailable(self.reason)
        yield Finish("failed", detail=request.id)  # makes this an async generator

    def metrics(self) -> Mapping[str, float]:
        return {"ready": 0.0}


def open_engine(
    model: str,
    *,
    threads: int = 2,
    sequences: int = 16,
    context_tokens: int = 2048,
    limits: Limits | None = None,
    log: Path | None = None,
    api_key: str = "",
) -> Engine:
    """Picks by name: a GGUF path, `http(s)://host/v1#model` or `none`; starts nothing."""
    if model == "none":
        return NoEngine()
    if model.startswith(("http://", "https://")):
        return RemoteEngine(model, api_key=api_key)
    boot = Boot(model, threads=threads, sequences=sequences, context_tokens=context_tokens)
    return LocalEngine(boot, limits=limits, log=log)


async def _ending(link: Link) -> str:
    status = await link.close()
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


def _average(old: float, new: float) -> float:
    return new if not old else 0.8 * old + 0.2 * new
