"""Money: no fen is lost or made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import money

AMOUNTS = st.integers(min_value=-(10**12), max_value=10**12)
WEIGHTS = st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=20)


@given(AMOUNTS, WEIGHTS)
def test_shares_add_up_to_the_whole(total_fen: int, weights: list[int]) -> None:
    shares = money.split(total_fen, weights)
    assert sum(shares) == total_fen
    assert len(shares) == len(weights)


@given(AMOUNTS, WEIGHTS)
def test_no_share_is_off_by_a_fen(total_fen: int, weights: list[int]) -> None:
    whole = sum(weights)
    if whole:
        for share, weight in zip(money.split(total_fen, weights), weights, strict=True):
            assert abs(share * whole - total_fen * weight) < whole


def test_equal_remainders_go_to_the_earlier_weight() -> None:
    assert money.split(5450, [7000, 3043, 357, 435, 65]) == [3500, 1522, 179, 217, 32]
    assert money.split(100, [1, 1, 1]) == [34, 33, 33]
    assert money.split(10, [0, 0, 0]) == [4, 3, 3]


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_weights_must_be_there_and_not_negative(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        money.split(100, weights)


def test_a_rate_rounds_down_to_the_fen() -> None:
    assert money.share_bp(10_900, 60) == 65
    assert money.share_bp(11_900, 300) == 357


@pytest.mark.parametrize(
    ("amount_fen", "zh", "en"),
    [
        (0, "¥0.00", "CNY 0.00"),
        (5, "¥0.05", "CNY 0.05"),
        (12_900, "¥129.00", "CNY 129.00"),
        (-123_456_789, "-¥1,234,567.89", "-CNY 1,234,567.89"),
    ],
)
def test_amounts_are_written_for_people(amount_fen: int, zh: str, en: str) -> None:
    assert money.formatted(amount_fen) == zh
    assert money.formatted(amount_fen, "en") == en
