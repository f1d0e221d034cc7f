"""Takes away files that no row names: what a crash between file and row has left."""

import asyncio
import contextlib
import logging
import time

from app.db import Database
from app.gateways.files import Files
from app.services import assets

INTERVAL_S = 600.0
GRACE_S = 3600.0  # after which a file without a row will not get one
_log = logging.getLogger(__name__)


async def once(database: Database, files: Files, *, now: float | None = None) -> int:
    """How many files were taken away."""
    moment = (time.time() if now is None else now) - GRACE_S
    gone = 0
    for path in await asyncio.to_thread(lambda: list(files.older_than(moment))):
        if await _is_kept(database, path.name):
            continue
        aside = files.take_away(path)
        # looked at again where nobody can renew it: an upload may have come in between
        if await _is_kept(database, path.name) or aside.stat().st_mtime >= moment:
            files.restore(aside)
        else:
            aside.unlink()
            gone += 1
    return gone


async def _is_kept(database: Database, sha256: str) -> bool:
    async with database.read() as db:
        return await assets.is_kept(db, sha256)


async def run(
    database: Database, files: Files, stop: asyncio.Event, *, interval_s: float = INTERVAL_S
) -> None:
    """Looks every `interval_s` seconds until `stop` is set."""
    while not stop.is_set():
        gone = await once(database, files)
        if gone:
            _log.info("files without a row were taken away", extra={"fields": {"count": gone}})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_s)
