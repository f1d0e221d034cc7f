"""The server with a provider that takes its time over large amounts.

    python -m tests.load.slow_till

A charge that outlives the hold of its seat is how money gets late in a real mall.
"""

import asyncio
import os
import sys
from dataclasses import dataclass

from app.edge import server
from app.gateways.payments import Charged, SimulatedPayments
from app.main import create_app
from app.settings import Settings
from app.telemetry import start_logging

LARGE_FEN = 4000
SLOW_S = 3.0


@dataclass
class SlowPayments(SimulatedPayments):
    async def charge(self, *, provider_no: str, amount_fen: int) -> Charged:
        if amount_fen >= LARGE_FEN:
            await asyncio.sleep(SLOW_S)
        return await super().charge(provider_no=provider_no, amount_fen=amount_fen)


def main() -> int:
    settings = Settings.from_env(os.environ)
    start_logging(settings.log_level)
    return 0 if server.serve(create_app(settings, payments=SlowPayments()), settings) else 3


if __name__ == "__main__":
    sys.exit(main())
