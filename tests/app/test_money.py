"""Fen that are never lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import money


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (200, [1, 1, 1], [67, 67, 66]),
        (10, [3, 7], [3, 7]),
        (1, [5, 5], [1, 0]),
        (0, [2, 3], [0, 0]),
        (7, [0, 0], [4, 3]),
        (5, [0, 4], [0, 5]),
        (-100, [1, 1, 1], [-34, -33, -33]),
    ],
)
def test_shares_add_up_and_the_rest_goes_to_the_largest_remainder(
    total: int, weights: list[int], shares: list[int]
) -> None:
    assert money.split(total, weights) == shares


@given(
    st.integers(-(10**9), 10**9),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=12),
)
def test_no_fen_is_lost_and_no_share_is_off_by_one_or_more(total: int, weights: list[int]) -> None:
    shares = money.split(total, weights)
    whole = sum(weights) or len(weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights if sum(weights) else [1] * len(weights), strict=True):
        assert abs(share * whole - total * weight) < whole


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_a_split_without_sensible_weights_is_a_bug(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        money.split(100, weights)


def test_a_share_is_rounded_down() -> None:
    assert money.share_bp(9999, 150) == 149
    assert money.share_bp(10_000, 10_000) == 10_000


@pytest.mark.parametrize(
    ("fen", "zh", "en"),
    [
        (0, "¥0.00", "CNY 0.00"),
        (5, "¥0.05", "CNY 0.05"),
        (12_900, "¥129.00", "CNY 129.00"),
        (123_456_789, "¥1,234,567.89", "CNY 1,234,567.89"),
        (-150, "-¥1.50", "-CNY 1.50"),
    ],
)
def test_amounts_are_written_for_people(fen: int, zh: str, en: str) -> None:
    assert (money.formatted(fen), money.formatted(fen, "en")) == (zh, en)
