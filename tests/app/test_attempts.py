"""Buckets of attempts: full at first, filled again evenly, and of everybody's own."""

import pytest

from app import attempts
from app.attempts import Attempts, MemoryAttempts, RatedAttempts, place_of
from app.errors import TooOften
from app.rates import Rates
from tests.factories import Hands


async def taken(bucket: Attempts, key: str, times: int, per_minute: int = 6) -> int:
    """How many of so many attempts were let through."""
    count = 0
    for _ in range(times):
        try:
            await bucket.take(key, per_minute=per_minute)
        except TooOften:
            continue
        count += 1
    return count


@pytest.fixture(params=["alone", "shared"])
def kept(request: pytest.FixtureRequest) -> tuple[Attempts, Hands]:
    """The buckets of one process, and those that several share, by the same clock."""
    clock = Hands()
    rates = Rates(clock=lambda: clock().timestamp())
    return MemoryAttempts(clock) if request.param == "alone" else RatedAttempts(rates), clock


async def test_a_minutes_worth_at_once_and_then_one_every_ten_seconds(
    kept: tuple[Attempts, Hands],
) -> None:
    bucket, clock = kept
    assert await taken(bucket, "a", 20) == 6
    clock.advance(seconds=9)
    assert await taken(bucket, "a", 20) == 0
    clock.advance(seconds=1)
    assert await taken(bucket, "a", 20) == 1
    clock.advance(hours=1)
    assert await taken(bucket, "a", 20) == 6


async def test_a_refusal_says_when_and_takes_nothing(
    kept: tuple[Attempts, Hands],
) -> None:
    bucket, clock = kept
    await taken(bucket, "a", 6)
    for passed, wait in ((0, 10), (3, 7)):
        clock.advance(seconds=passed)
        with pytest.raises(TooOften) as refusal:
            await bucket.take("a", per_minute=6)
        assert refusal.value.data == {"retry_after_s": wait}


async def test_one_key_says_nothing_of_another(kept: tuple[Attempts, Hands]) -> None:
    bucket, _ = kept
    assert await taken(bucket, "a", 7) == 6
    assert await taken(bucket, "b", 7) == 6


async def test_an_honest_attempt_comes_back(kept: tuple[Attempts, Hands]) -> None:
    bucket, _ = kept
    for _ in range(20):
        await bucket.take("a", per_minute=6)
        await bucket.give_back("a", per_minute=6)
    await bucket.give_back("never seen", per_minute=6)
    assert await taken(bucket, "a", 20) == 6


async def test_memory_is_bounded_and_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "MOST_KEYS", 2)
    bucket = MemoryAttempts(Hands())
    for key in ("a", "b", "a", "c"):
        await bucket.take(key, per_minute=6)
    assert list(bucket._full_at) == ["a", "c"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_a_home_network_is_one_caller(address: str, place: str) -> None:
    assert place_of(address) == place
