"""Runs the turns of chats: takes questions from the bus, answers a bounded number at once."""

import asyncio
import contextlib
import logging

from app.bus import Bus, Gap
from app.clock import Clock
from app.db import Database
from app.events import QUESTIONS
from app.services import chat_answer, chat_handoffs, chat_turns
from llm import intent
from llm.protocol import Engine

log = logging.getLogger(__name__)
AT_ONCE = 8
SWEEP_S = 5.0  # how often lost turns and forgotten messages are looked for
PAUSE_S = 1.0


class Answers:
    """The chat workers of a process; several processes share the work by claims in the database."""

    def __init__(
        self,
        database: Database,
        engine: Engine | None,
        *,
        bus: Bus,
        clock: Clock,
        at_once: int = AT_ONCE,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._database, self._engine = database, engine
        self._bus, self._clock = bus, clock
        self._places = asyncio.Semaphore(at_once)
        self._sweep_s = sweep_s
        self._turns: dict[int, asyncio.Task[None]] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listens, trains the classifier, and picks up what was left unanswered."""
        self._loops = [
            asyncio.create_task(self._listen(), name="answers-listen"),
            asyncio.create_task(self._sweep(), name="answers-sweep"),
        ]

    async def stop(self) -> None:
        """Breaks off every turn; what had not spoken is answered after the next start."""
        running = [*self._loops, *self._turns.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._loops, self._turns = [], {}

    def submit(self, message_id: int) -> None:
        """Answers a message soon; a repetition changes nothing."""
        if message_id not in self._turns:
            task = asyncio.create_task(self._turn(message_id), name=f"answer-{message_id}")
            self._turns[message_id] = task
            task.add_done_callback(lambda _: self._turns.pop(message_id, None))

    def cancel(self, message_id: int) -> None:
        """Frees the engine at once; that the reply is called off stands in the database already."""
        task = self._turns.get(message_id)
        if task is not None:
            task.cancel()

    async def idle(self) -> None:
        """Waits until nothing is being answered."""
        while self._turns:
            await asyncio.gather(*self._turns.values(), return_exceptions=True)

    async def _turn(self, message_id: int) -> None:
        async with self._places:
            await chat_answer.answer(self._database, self._engine, message_id, clock=self._clock)
        async with self._database.read() as db:
            behind = await chat_turns.waiting_behind(db, message_id)
        for other in behind:
            self.submit(other)

    async def _listen(self) -> None:
        """Questions and calls to stop, whichever process they were sent to."""
        while True:
            with contextlib.suppress(Exception):
                await self._hear()
            await asyncio.sleep(PAUSE_S)

    async def _hear(self) -> None:
        async with self._bus.subscribe(QUESTIONS) as items:
            async for item in items:
                if isinstance(item, Gap):
                    continue
                message_id = item.message.payload["message_id"]
                if item.message.kind == "ReplyCancelled":
                    self.cancel(message_id)
                else:
                    self.submit(message_id)

    async def _sweep(self) -> None:
        """Takes over lost turns, ends queues nobody served, answers what no event told of."""
        await asyncio.to_thread(intent.warm)
        while True:
            try:
                await self._look()
            except Exception:
                log.exception("looking for unanswered messages failed")
            await asyncio.sleep(self._sweep_s)

    async def _look(self) -> None:
        now = self._clock()
        async with self._database.read() as db:
            is_due = await chat_turns.lost(db, now) or await chat_handoffs.late(db, now)
        if is_due:  # the write lock is taken only when there is something to write
            async with self._database.unit() as unit:
                await chat_turns.recover(unit)
                await chat_handoffs.release_late(unit)
        async with self._database.read() as db:
            for message_id in await chat_turns.waiting(db):
                self.submit(message_id)
