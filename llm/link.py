"""One worker process of the engine and the pipes to it."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from llm.wire import Boot, FromWorker, ToWorker, pack, unpack_event

GOODBYE_S = 2.0
LINE_BYTES = 1 << 20


class Link:
    """One worker process and its two pipes."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._child, self._commands, self._events = child, child.stdin, child.stdout

    @classmethod
    async def open(cls, boot: Boot, log: Path | None) -> "Link":
        root = str(Path(__file__).parents[1])
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        # waiting threads must not spin on the cores that serve requests
        environment = os.environ | {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"}
        with (log or Path(os.devnull)).open("ab") as errors:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "llm.worker",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                limit=LINE_BYTES,
            )
        link = cls(child)
        link.send(boot)
        return link

    @property
    def pid(self) -> int:
        return self._child.pid

    def send(self, message: ToWorker) -> None:
        """Never waits: what a dead worker does not read is told by its end of file."""
        if not self._commands.is_closing():
            self._commands.write(pack(message))

    async def read(self, timeout_s: float) -> FromWorker | None:
        """Returns None at the end of the worker; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            line = await self._events.readline()
        if not line.endswith(b"\n"):
            return None
        try:
            return unpack_event(line)
        except (KeyError, TypeError, ValueError):
            self.kill()  # something else writes to the pipe: nothing after it can be trusted
            return None

    async def close(self) -> int:
        """Ends the process, by force when it does not leave; returns its exit status."""
        self._commands.close()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._child.wait()
        except TimeoutError:
            self.kill()
        return await self._child.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._child.kill()
