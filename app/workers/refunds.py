"""Money on its way back: asks the provider for each requested refund, outside any transaction."""

import asyncio
import contextlib
import logging

from app.db import Database
from app.gateways.payments import Outcome, PaymentGateway, ProviderDown
from app.services import refunds

INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


async def once(database: Database, gateway: PaymentGateway) -> int:
    """Works off what is requested; how many refunds succeeded.

    A provider that does not answer ends the round, its refund waits for the next one.
    """
    succeeded = 0
    refused: set[int] = set()
    while True:
        task = await database.change(refunds.take, besides=refused)
        if task is None:
            return succeeded
        try:
            outcome = await gateway.refund(
                refund_no=task.refund_no,
                provider_no=task.provider_no,
                amount_fen=task.amount_fen,
            )
        except ProviderDown:
            await database.change(refunds.put_back, task.refund_id)
            return succeeded
        if outcome is Outcome.SUCCEEDED:
            succeeded += await database.change(refunds.complete, task.refund_id)
            continue
        refused.add(task.refund_id)
        if await database.change(refunds.refuse, task.refund_id):
            _log.error("refund needs a person", extra={"refund_id": task.refund_id})


async def run(
    database: Database,
    gateway: PaymentGateway,
    stop: asyncio.Event,
    *,
    interval_s: float = INTERVAL_S,
) -> None:
    """Picks up what a crash left, then looks every `interval_s` seconds until `stop` is set."""
    await database.change(refunds.put_back_abandoned)
    while not stop.is_set():
        await once(database, gateway)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval_s)
