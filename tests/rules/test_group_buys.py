"""Seats, holds and endings of groups."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ActivityNotRunning, InvalidInput, LimitExceeded
from app.rules.group_buys import check_quantity, check_running, expiry, free_seat, heir, hold_until

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_lowest_free_seat_is_taken() -> None:
    assert free_seat({1, 3, 4}, 5) == 2


def test_a_full_group_has_no_seat() -> None:
    with pytest.raises(ValueError, match="full"):
        free_seat({1, 2}, 2)


@given(st.integers(1, 50).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(1, n)))))
def test_a_seat_is_free_and_in_the_group_whenever_one_is_left(
    drawn: tuple[int, set[int]],
) -> None:
    size, taken = drawn
    if len(taken) < size:
        seat_no = free_seat(taken, size)
        assert 1 <= seat_no <= size
        assert seat_no not in taken


@pytest.mark.parametrize(
    ("status", "since", "until", "is_running"),
    [
        ("RUNNING", -HOUR, HOUR, True),
        ("RUNNING", timedelta(0), HOUR, True),
        ("RUNNING", -HOUR, timedelta(0), False),
        ("RUNNING", HOUR, 2 * HOUR, False),
        ("DRAFT", -HOUR, HOUR, False),
        ("SCHEDULED", -HOUR, HOUR, False),
        ("ENDED", -HOUR, HOUR, False),
        ("STOPPED", -HOUR, HOUR, False),
    ],
)
def test_groups_open_only_while_the_activity_runs(
    status: str, since: timedelta, until: timedelta, is_running: bool
) -> None:
    if is_running:
        check_running(status, NOW + since, NOW + until, NOW)
    else:
        with pytest.raises(ActivityNotRunning):
            check_running(status, NOW + since, NOW + until, NOW)


def test_an_order_has_from_one_unit_to_the_limit() -> None:
    check_quantity(1, 2)
    check_quantity(2, 2)
    with pytest.raises(LimitExceeded) as refusal:
        check_quantity(3, 2)
    assert refusal.value.data == {"limit": 2}
    with pytest.raises(InvalidInput):
        check_quantity(0, 2)


def test_a_hold_is_short_and_ends_with_its_group() -> None:
    assert hold_until(NOW, 600, not_after=NOW + HOUR) == NOW + timedelta(minutes=10)
    assert hold_until(NOW, 600, not_after=NOW + timedelta(minutes=3)) == NOW + timedelta(minutes=3)


def test_a_group_ends_after_its_time_or_with_its_activity() -> None:
    assert expiry(NOW, 3600, ends_at=NOW + 5 * HOUR) == NOW + HOUR
    assert expiry(NOW, 3600, ends_at=NOW + HOUR / 2) == NOW + HOUR / 2


@dataclass
class Member:
    id: int
    joined_at: datetime


def test_the_heir_is_who_paid_first_and_of_two_at_once_who_came_first() -> None:
    members = [Member(1, NOW + HOUR), Member(3, NOW), Member(2, NOW)]
    assert heir(members).id == 2
