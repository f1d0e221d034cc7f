"""The whole state machine of orders, move by move."""

import itertools
from dataclasses import replace

import pytest

from app.errors import InvalidInput
from app.rules.orders import (
    Action,
    Address,
    Cause,
    Move,
    OrderStatus,
    Side,
    actions,
    origins,
    target,
)

S = OrderStatus
ALLOWED = {
    (S.PENDING_PAYMENT, Move.PAID): S.AWAITING_SHIPMENT,
    (S.PENDING_PAYMENT, Move.PAID_FOR_GROUP): S.AWAITING_GROUP,
    (S.PENDING_PAYMENT, Move.CANCELLED): S.CANCELLED,
    (S.AWAITING_GROUP, Move.GROUP_FILLED): S.AWAITING_SHIPMENT,
    (S.AWAITING_GROUP, Move.GROUP_FAILED): S.CANCELLED,
    (S.AWAITING_GROUP, Move.LEFT_GROUP): S.CANCELLED,
    (S.AWAITING_GROUP, Move.REFUNDED): S.CLOSED,
    (S.AWAITING_SHIPMENT, Move.PART_SHIPPED): S.PARTIALLY_SHIPPED,
    (S.AWAITING_SHIPMENT, Move.SHIPPED): S.SHIPPED,
    (S.AWAITING_SHIPMENT, Move.REFUNDED): S.CLOSED,
    (S.PARTIALLY_SHIPPED, Move.PART_SHIPPED): S.PARTIALLY_SHIPPED,
    (S.PARTIALLY_SHIPPED, Move.SHIPPED): S.SHIPPED,
    (S.PARTIALLY_SHIPPED, Move.REFUNDED): S.CLOSED,
    (S.SHIPPED, Move.RECEIVED): S.COMPLETED,
    (S.SHIPPED, Move.REFUNDED): S.CLOSED,
}
MOVES = [move for move in Move if move is not Move.PLACED]  # placing has no state before it
HOME = Address("林小满", "13800000001", "浙江省", "杭州市", "文三路 1 号")


@pytest.mark.parametrize(("status", "move"), list(itertools.product(OrderStatus, MOVES)))
def test_every_pair_of_state_and_move_is_decided(status: OrderStatus, move: Move) -> None:
    found = target(move) if status in origins(move) else None
    assert found == ALLOWED.get((status, move))


@pytest.mark.parametrize("status", OrderStatus)
def test_a_buyer_goes_on_or_back_as_the_state_allows(status: OrderStatus) -> None:
    expected = {
        S.PENDING_PAYMENT: [Action.PAY, Action.CANCEL],
        S.AWAITING_GROUP: [Action.LEAVE_GROUP],
        S.SHIPPED: [Action.CONFIRM],
    }
    assert actions(status, Side.BUYER) == expected.get(status, [])


@pytest.mark.parametrize("status", OrderStatus)
def test_a_supplier_ships_what_is_paid_and_not_yet_gone(status: OrderStatus) -> None:
    may_ship = status in {S.AWAITING_SHIPMENT, S.PARTIALLY_SHIPPED}
    assert actions(status, Side.SUPPLIER) == ([Action.SHIP] if may_ship else [])


@pytest.mark.parametrize("status", OrderStatus)
def test_others_do_nothing(status: OrderStatus) -> None:
    assert actions(status, Side.OTHER) == []


def test_an_address_loses_its_outer_blanks() -> None:
    assert replace(HOME, name=" 林小满 ").checked() == HOME


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("name", ""),
        ("name", "长" * 41),
        ("phone", "12345"),
        ("phone", "not a number"),
        ("province", " "),
        ("city", ""),
        ("street", "路" * 121),
    ],
)
def test_an_address_that_nobody_can_ship_to_is_refused(part: str, text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        replace(HOME, **{part: text}).checked()
    assert refusal.value.data["field"] == f"address.{part}"


def test_every_move_is_a_cause_to_be_told() -> None:
    assert set(Move) <= set(Cause)
