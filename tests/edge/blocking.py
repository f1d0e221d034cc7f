"""How long the event loop was held up, whatever else the machine was doing meanwhile."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

PAUSE_S = 0.005


class Gap:
    """`longest_s` of processor time that the loop's thread spent between two turns of a task."""

    longest_s = 0.0


@asynccontextmanager
async def watched() -> AsyncGenerator[Gap]:
    """Watches the loop of this thread: clients that run in it count, too.

    Processor time, and not the clock's: another program's turn is nobody's fault here.
    """
    gap, stop = Gap(), asyncio.Event()
    assert threading.current_thread() is threading.main_thread()

    async def watch() -> None:
        last = time.thread_time()
        while not stop.is_set():
            await asyncio.sleep(PAUSE_S)
            now = time.thread_time()
            gap.longest_s = max(gap.longest_s, now - last)
            last = now

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        yield gap
        await asyncio.sleep(2 * PAUSE_S)
    finally:
        stop.set()
        await watcher
