"""How long one operation may take: looked after by one clock for all, so that none pays for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.errors import OperationTimeout

T = TypeVar("T")
LOOK_S = 0.25  # so late may the end of an operation be


class Deadline:
    """Ends what takes longer than `limit_s` with OperationTimeout.

    A timer of its own would cost an operation 10 us. A deed is not torn when its time is up, nor
    when its caller leaves: who waits for it is told, the deed itself goes on to its end.
    """

    def __init__(self, limit_s: float = 5.0) -> None:
        self.limit_s = limit_s
        self._running: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._deeds: set[asyncio.Task[Any]] = set()
        self._is_looking = False

    async def within(self, work: Coroutine[Any, Any, T], *, is_deed: bool = False) -> T:
        """What `work` gives. Raises OperationTimeout."""
        task = asyncio.current_task()
        if task is None or task in self._running:  # within another operation's time
            return await work
        loop = asyncio.get_running_loop()
        self._running[task] = loop.time() + self.limit_s
        if not self._is_looking:
            self._is_looking = True
            loop.call_later(LOOK_S, self._look, loop)
        try:
            return await (self._deed(work) if is_deed else work)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise OperationTimeout(self.limit_s) from None
        finally:
            del self._running[task]
            self._late.discard(task)

    async def close(self, wait_s: float = 5.0) -> None:
        """Waits for the deeds whose callers have gone."""
        if self._deeds:
            await asyncio.wait(self._deeds, timeout=wait_s)

    def _deed(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        deed = asyncio.create_task(work)
        self._deeds.add(deed)
        deed.add_done_callback(self._deeds.discard)
        return asyncio.shield(deed)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, until in self._running.items():
            if until <= now and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._is_looking = bool(self._running)
        if self._is_looking:
            loop.call_later(LOOK_S, self._look, loop)
