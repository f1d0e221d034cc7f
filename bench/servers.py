"""The servers that are compared, each a process of its own with its own copy of the database."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import handwritten

ROOT = Path(__file__).parent.parent
MERCURIUS = Path(__file__).parent / "mercurius"
_READY_S = 60.0
_UVICORN = (
    *(sys.executable, "-m", "uvicorn", "--factory", "--host", "127.0.0.1"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
)


class NotReady(Exception):
    """A server did not come up; the message holds the end of what it wrote."""


@dataclass(frozen=True)
class Kind:
    """How a server is started: a command and an environment, given (port, database file)."""

    name: str
    title: str
    command: Callable[[int, Path], tuple[str, ...]]
    environment: Callable[[int, Path], Mapping[str, str]]
    speaks_graphql: bool = True

    def path(self, operation: str) -> str:
        return "/graphql" if self.speaks_graphql else f"/{operation}"


def _plain(_port: int, file: Path) -> dict[str, str]:
    return {handwritten.DATABASE: str(file)}


def _jishi(port: int, file: Path, **more: str) -> dict[str, str]:
    return {
        "JISHI_DEV": "1",
        "JISHI_DATABASE_URL": f"sqlite+aiosqlite:///{file}",
        "JISHI_MODEL": "none",
        "JISHI_HOST": "127.0.0.1",
        "JISHI_PORT": str(port),
        "JISHI_RATE_SHARE": "1000",  # every request is charged, and none is refused
        **more,
    }


def _serve(_port: int, _file: Path) -> tuple[str, ...]:
    return sys.executable, "-m", "app.cli", "serve"


HANDWRITTEN = Kind(
    "handwritten",
    "hand-written routes",
    lambda port, _: (*_UVICORN, "--port", str(port), "bench.handwritten:from_environment"),
    _plain,
    speaks_graphql=False,
)
JISHI = Kind(
    "jishi",
    "Jishi",
    _serve,
    lambda port, file: _jishi(port, file, JISHI_RESPONSE_CACHE_S="0"),
)
CACHED = Kind("cached", "Jishi, response cache", _serve, _jishi)
NODE = Kind(
    "mercurius",
    "mercurius + graphql-jit",
    lambda port, _: ("node", str(MERCURIUS / "server.mjs"), str(port)),
    lambda port, file: {**_plain(port, file), "NODE_ENV": "production"},
)
DOCS = Kind(
    "docs_style",
    "strawberry, docs style",
    lambda port, _: (*_UVICORN, "--port", str(port), "bench.docs_style.app:from_environment"),
    _plain,
)


class Server:
    """One running server; `close` ends it and nothing else."""

    def __init__(self, kind: Kind, source: Path, folder: Path, secret: str) -> None:
        self.kind, self.port = kind, _free_port()
        file = folder / f"{kind.name}.db"
        shutil.copy(source, file)
        self._log = folder / f"{kind.name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  our own commands
                kind.command(self.port, file),
                cwd=ROOT,
                env={
                    **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                    handwritten.SECRET: secret,
                    **kind.environment(self.port, file),
                },
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Returns when it accepts connections. Raises NotReady after a minute, or at its end."""
        until = time.monotonic() + _READY_S
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise NotReady(f"{self.kind.title} did not start:\n{self.written()}")

    def written(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2_000:]

    def cpu_seconds(self) -> float:
        """Processor time of the server and its children so far, all threads, user and system."""
        return sum(_cpu_seconds(pid) for pid in _tree(self.process.pid))

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            with suppress(OSError):  # a thread that has ended meanwhile
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _cpu_seconds(pid: int) -> float:
    """The kernel's clock of a process, named as by clock_getcpuclockid(3): in ns, not ticks."""
    return time.clock_gettime(~pid << 3 | 2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
