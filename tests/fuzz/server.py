"""A server process with a seeded database, its log in a file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.serving import free_port

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(folder: Path, log: Path, **settings: str) -> Generator[str]:
    """`jishi serve --ready` in `folder`; its address."""
    port = free_port()
    env = {
        **os.environ,
        "JISHI_DEV": "1",
        "JISHI_MODEL": "none",
        "JISHI_RATE_SHARE": "0",  # nothing is found by who is told to wait
        "JISHI_PORT": str(port),
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    command = [sys.executable, "-m", "app.cli", "serve", "--ready"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, server, log)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(15)


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(log.read_text())
