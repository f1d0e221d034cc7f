"""Waybills of carriers, and where a parcel is."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.shipments import CARRIERS, ShipmentStatus, status_of

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
S = ShipmentStatus
RANK = {
    one: rank
    for rank, one in enumerate(
        (S.CREATED, S.PICKED_UP, S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.DELIVERED, S.RETURNED)
    )
}


def at(minute: int, code: ShipmentStatus) -> tuple[datetime, str]:
    return NOW + timedelta(minutes=minute), code


WAYBILLS = {
    "SF": "SF1234567890123",
    "ZTO": "73123456789012",
    "YTO": "YT1234567890123",
    "STO": "771234567890123",
    "YUNDA": "412345678901234",
    "JD": "JDVA12345678901",
    "EMS": "EA123456789CN",
    "JTSD": "JT1234567890123",
    "DBL": "DPK123456789012",
    "LLYS": "LL123456789012",
}


def test_every_carrier_knows_its_own_waybills_and_no_other() -> None:
    assert WAYBILLS.keys() == CARRIERS.keys()
    for code, waybill in itertools.product(CARRIERS, WAYBILLS.values()):
        assert CARRIERS[code].accepts(waybill) is (WAYBILLS[code] == waybill)


@pytest.mark.parametrize("waybill", ["", "SF", "SF12", "sf1234567890123", "SF1234567890123 "])
def test_a_wrong_waybill_is_not_accepted(waybill: str) -> None:
    assert not CARRIERS["SF"].accepts(waybill)


def test_a_parcel_without_a_trace_was_just_made() -> None:
    assert status_of([]) is S.CREATED


def test_the_furthest_node_counts() -> None:
    trace = [at(0, S.CREATED), at(9, S.OUT_FOR_DELIVERY), at(5, S.IN_TRANSIT)]
    assert status_of(trace) is S.OUT_FOR_DELIVERY


def test_an_exception_counts_until_something_newer_is_known() -> None:
    stuck = [at(0, S.PICKED_UP), at(5, S.EXCEPTION)]
    assert status_of(stuck) is S.EXCEPTION
    assert status_of([*stuck, at(6, S.IN_TRANSIT)]) is S.IN_TRANSIT


def test_a_parcel_that_arrived_is_not_stuck() -> None:
    assert status_of([at(4, S.DELIVERED), at(5, S.EXCEPTION)]) is S.DELIVERED


TRACES = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(list(S))), max_size=8)


@given(TRACES, st.randoms())
def test_the_order_of_arrival_does_not_matter(trace, random) -> None:
    events = [at(minute, code) for minute, code in dict(trace).items()]
    shuffled = list(events)
    random.shuffle(shuffled)
    assert status_of(shuffled) is status_of(events)


@given(TRACES)
def test_one_more_node_never_moves_a_parcel_back(trace) -> None:
    events = [at(minute, code) for minute, code in dict(trace).items() if code in RANK]
    states = [RANK[status_of(events[:count])] for count in range(len(events) + 1)]
    assert states == sorted(states)
