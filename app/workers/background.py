"""Every loop that runs beside the requests of a process, each restarted when it breaks."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from app.auth import Tokens
from app.db import Database
from app.gateways.files import Files
from app.gateways.payments import PaymentGateway
from app.services.live_rooms_viewers import Presence
from app.workers import expiries, live_rooms, outbox, refunds, sessions, uploads

PAUSE_S = 5.0
_log = logging.getLogger(__name__)


def start(
    database: Database,
    payments: PaymentGateway,
    files: Files,
    tokens: Tokens,
    presence: Presence,
    stop: asyncio.Event,
) -> list[asyncio.Task[None]]:
    """The loops as tasks that end soon after `stop` is set."""
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        "expiries": lambda: expiries.run(database, stop),
        "live-rooms": lambda: live_rooms.run(database, presence, stop),
        "outbox": lambda: outbox.run(database, stop),
        "refunds": lambda: refunds.run(database, payments, stop),
        "uploads": lambda: uploads.run(database, files, stop),
        "sessions": lambda: sessions.run(database, tokens, stop),
    }
    return [
        asyncio.create_task(_kept_running(name, loop, stop), name=name)
        for name, loop in loops.items()
    ]


async def _kept_running(
    name: str, loop: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """A database that is away for a minute must not end the refunds for good."""
    while not stop.is_set():
        try:
            await loop()
        except Exception:  # noqa: BLE001  whatever broke, the loop goes on
            _log.exception("%s broke, begins again in %s s", name, PAUSE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_S)
