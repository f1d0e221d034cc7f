"""Threads that own a database connection each and run whole pieces of work on it.

A hop to a thread and back costs as much as several statements, so work goes there as a whole: a
coroutine that awaits nothing but its door is driven to its end without an event loop.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[Any], Any]
Connect = Callable[[], Any]
_Job = tuple[asyncio.Future[Any], Work, Callable[[], None] | None]
_Done = tuple[asyncio.Future[Any], Any, BaseException | None, Callable[[], None] | None]


class Hops:
    """`threads` workers, each with what `connect` gives it, for one event loop.

    They start when the first work comes.
    """

    def __init__(self, connect: Connect, *, threads: int, name: str) -> None:
        self._connect = connect
        self._names = [f"{name}-{number}" for number in range(threads)]
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[_Done] = deque()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_waking = False

    async def run(self, work: Work, *, after: Callable[[], None] | None = None) -> Any:
        """What `work` returns or raises.

        `after` is called on the loop when work has ended, even if nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        if not self._threads:
            self._start(loop)
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((future, work, after))
        return await future

    async def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._threads.clear()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        for name in self._names:
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        connection: Any = None
        while (job := self._jobs.get()) is not None:
            future, work, after = job
            value, error = None, None
            try:
                connection = connection or self._connect()
                value = work(connection)
            except BaseException as raised:  # noqa: BLE001  it belongs to who waits
                error = raised
            self._done.append((future, value, error, after))
            del job, future, work, after, value, error
            if not self._is_waking:
                self._is_waking = True
                assert self._loop is not None
                with suppress(RuntimeError):  # the loop is closed: nobody waits
                    self._loop.call_soon_threadsafe(self._settle)
        if connection is not None:
            connection.close()

    def _settle(self) -> None:
        self._is_waking = False
        while self._done:
            future, value, error, after = self._done.popleft()
            if after is not None:
                after()
            if future.done():  # who waited has gone
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


def driven(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never really waits; RuntimeError for one that does."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("work in a hop awaits nothing but its own door")
