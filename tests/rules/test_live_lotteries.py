"""The draw of a lottery: fair, the same for everybody, and checked from what is published."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest

from app.rules.live_lotteries import (
    Entry,
    Published,
    Tampered,
    commit_of,
    digest_of,
    draw,
    recompute,
)

SEED = "00" * 31 + "07"
ENTRIES = tuple(Entry(number, f"entry-{number}", f"小**{number}") for number in range(1, 21))
SHOWN = Published(commit_of(SEED), SEED, digest_of(ENTRIES), 3, ENTRIES)


def test_the_draw_of_a_known_seed_and_list_is_known() -> None:
    """Another program that follows the description must find the same."""
    assert SHOWN.commit == "48428bdb7ddd829410d6bbb924fdeb3a3d7e88c2577bffae073b990c6f061d08"
    assert SHOWN.list_digest == "7405306e033bccd94b532e205330c39c16dab262f21b43cbb7e3d1f80c819b40"
    assert recompute(SHOWN) == [3, 14, 8]


def test_everybody_wins_when_there_are_too_few() -> None:
    assert sorted(draw(SEED, SHOWN.list_digest, 3, 5)) == [1, 2, 3]
    assert draw(SEED, SHOWN.list_digest, 0, 5) == []


def test_nobody_wins_twice() -> None:
    assert sorted(draw(SEED, SHOWN.list_digest, 100, 100)) == list(range(1, 101))


def test_every_order_of_winners_is_as_likely_as_any_other() -> None:
    """Over 6,000 seeds each of the six orders of three comes about a thousand times."""
    seen = Counter(tuple(draw(f"{number:064x}", SHOWN.list_digest, 3, 3)) for number in range(6000))
    assert set(seen) == set(permutations((1, 2, 3)))
    assert all(880 < times < 1120 for times in seen.values()), seen


@pytest.mark.parametrize(
    "forged",
    [
        replace(SHOWN, seed="00" * 31 + "08"),
        replace(SHOWN, entries=ENTRIES[:-1]),
        replace(SHOWN, entries=(*ENTRIES[:-1], replace(ENTRIES[-1], name="大**户"))),
        replace(SHOWN, entries=(*ENTRIES[:-1], replace(ENTRIES[-1], id="entry-99"))),
        replace(SHOWN, entries=(*ENTRIES[:-1], replace(ENTRIES[-1], number=22))),
        replace(SHOWN, list_digest="00" * 32),
    ],
)
def test_another_seed_or_list_is_noticed(forged: Published) -> None:
    with pytest.raises(Tampered):
        recompute(forged)
