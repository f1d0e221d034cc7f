"""The lottery of a room: a seed that is promised before and shown after, and a draw from it.

Whoever has what the room publishes (commit, seed, entries in order, how many win) can work the
winners out again with this file alone: see `recompute`.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

MAX_PRIZE_CHARS = 60
MAX_KEYWORD_CHARS = 20
MAX_WINNERS = 100
SHORTEST = timedelta(seconds=10)
LONGEST = timedelta(hours=1)
_WORD = 2**64


class LotteryStatus(StrEnum):
    OPEN = "OPEN"
    DRAWN = "DRAWN"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Entry:
    """`id` is the public id of the entry, `name` the masked name; both are in the list's digest."""

    number: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Published:
    """All that a room shows of a lottery that was drawn."""

    commit: str
    seed: str
    list_digest: str
    winner_count: int
    entries: Sequence[Entry]


class Tampered(Exception):
    """What was published does not fit together."""


def commit_of(seed: str) -> str:
    """What is published when a lottery opens: SHA-256 of the seed's bytes; both in hex."""
    return hashlib.sha256(bytes.fromhex(seed)).hexdigest()


def digest_of(entries: Sequence[Entry]) -> str:
    """SHA-256 of the lines `number <tab> id <tab> name <newline>` in order, in hex."""
    listed = "".join(f"{one.number}\t{one.id}\t{one.name}\n" for one in entries)
    return hashlib.sha256(listed.encode()).hexdigest()


def draw(seed: str, list_digest: str, entry_count: int, winner_count: int) -> list[int]:
    """Numbers of the winning entries, first prize first; all entries when there are too few.

    The first `winner_count` steps of a Fisher-Yates shuffle of 1..n. Random words are the first
    eight bytes of HMAC-SHA256(seed, digest + counter), big-endian, the counter 0, 1, 2 ... in eight
    bytes. A word that would favour some places is passed over (rejection sampling), so every set of
    winners is as likely as any other.
    """
    key, message = bytes.fromhex(seed), bytes.fromhex(list_digest)
    counter = 0

    def below(limit: int) -> int:
        nonlocal counter
        while True:
            block = hmac.digest(key, message + counter.to_bytes(8, "big"), "sha256")
            counter += 1
            word = int.from_bytes(block[:8], "big")
            if word < _WORD - _WORD % limit:
                return word % limit

    numbers = list(range(1, entry_count + 1))
    for place in range(min(winner_count, entry_count)):
        chosen = place + below(entry_count - place)
        numbers[place], numbers[chosen] = numbers[chosen], numbers[place]
    return numbers[: min(winner_count, entry_count)]


def recompute(published: Published) -> list[int]:
    """The winners' numbers from what was published alone.

    Raises Tampered for a seed that was not the promised one, and for a list that is not the one
    that was drawn from or is not numbered 1, 2, 3 ...
    """
    if commit_of(published.seed) != published.commit:
        raise Tampered("the seed is not the one that was promised")
    if [one.number for one in published.entries] != list(range(1, len(published.entries) + 1)):
        raise Tampered("the entries are not numbered one by one")
    if digest_of(published.entries) != published.list_digest:
        raise Tampered("the entries are not the ones that were drawn from")
    return draw(
        published.seed, published.list_digest, len(published.entries), published.winner_count
    )
