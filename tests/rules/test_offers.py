"""What may be proposed in a chat."""

from datetime import UTC, datetime, timedelta

from app.rules.offers import Case, Compensation, Offer, OfferKind, propose

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
TERMS = Compensation(rate_bp=500, floor_fen=500, cap_fen=5000)
LATE = Case(
    status="AWAITING_SHIPMENT",
    paid_fen=19900,
    ship_by=NOW - timedelta(hours=1),
    compensation=TERMS,
)
SILENT = Case(
    status="SHIPPED",
    paid_fen=19900,
    traced_at=NOW - timedelta(hours=49),
    stale_after=timedelta(hours=48),
)


def test_compensation_is_five_percent_between_floor_and_cap() -> None:
    assert [TERMS.amount_fen(paid) for paid in (1000, 19900, 500000)] == [500, 995, 5000]


def test_a_late_shipment_is_compensated_once() -> None:
    assert propose(LATE, intent="EXPEDITE", now=NOW, made=()) == Offer(
        OfferKind.DELAY_COMPENSATION, 995
    )
    assert propose(LATE, intent="EXPEDITE", now=NOW, made=["DELAY_COMPENSATION"]) is None


def test_a_shipment_in_time_is_not_compensated() -> None:
    early = NOW - timedelta(hours=2)
    assert propose(LATE, intent="EXPEDITE", now=early, made=()) is None


def test_a_silent_parcel_is_chased_and_a_fresh_trace_is_not() -> None:
    assert propose(SILENT, intent="LOGISTICS", now=NOW, made=()) == Offer(OfferKind.EXPEDITE)
    earlier = NOW - timedelta(hours=2)
    assert propose(SILENT, intent="LOGISTICS", now=earlier, made=()) is None


def test_a_complaint_is_offered_a_person_even_without_an_order() -> None:
    assert propose(None, intent="COMPLAINT", now=NOW, made=()) == Offer(OfferKind.PERSON)


def test_an_exchange_is_offered_only_where_a_return_is_possible() -> None:
    fresh = Case(status="COMPLETED", paid_fen=100)
    other = Case(status="COMPLETED", paid_fen=100, is_returnable=True)
    assert propose(fresh, intent="RETURN", now=NOW, made=()) is None
    assert propose(other, intent="RETURN", now=NOW, made=()) == Offer(OfferKind.EXCHANGE)


def test_a_question_about_rules_gets_no_offer() -> None:
    assert propose(LATE, intent="INVOICE", now=NOW, made=()) is None
