"""`make fuzz`: minutes of drawn requests against a seeded server of its own.

A fault is a 5xx, the code INTERNAL, a refusal without a code, or a traceback in the server's log.
"""

import argparse
import secrets
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import httpx

from tests.fuzz.drive import Fuzz, signed_in
from tests.fuzz.server import serving

say = partial(print, flush=True)
BATCH = 200
SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jishi-fuzz-") as folder:
        log = Path(folder) / "server.log"
        with serving(Path(folder), log) as url, httpx.Client(base_url=url, timeout=30) as client:
            fuzz = Fuzz(client, signed_in(client), log)
            number, until = given.seed, time.monotonic() + 60 * given.minutes
            say(f"seed {number}")
            while time.monotonic() < until:
                fuzz.batch(BATCH, number=number)
                fuzz.tokens = signed_in(client)  # those of before may end soon
                number += 1
                say(f"{fuzz.sent} requests, {len(fuzz.faults)} faults")
    _report(fuzz)
    return 1 if fuzz.faults else 0


def _report(fuzz: Fuzz) -> None:
    for code, count in fuzz.codes.most_common():
        say(f"{count:8} {code}")
    kinds: dict[str, list[str]] = {}
    for fault in fuzz.faults:
        last = fault.why[-160:]
        kinds.setdefault(last, []).append(f"{fault.drawn}\n  -> {fault.why}\n  -> {fault.answer}")
    say(f"{fuzz.sent} requests, {len(fuzz.faults)} faults of {len(kinds)} kinds")
    for last, faults in list(kinds.items())[:SHOWN]:
        say(f"--- {len(faults)} x {last}\n{faults[0]}")


if __name__ == "__main__":
    sys.exit(main())
