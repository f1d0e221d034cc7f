"""Units free to sell, and a supplier's count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, LimitExceeded
from app.rules.stock import Units, absorbed, check_quantity, count, is_on_sale


def test_promised_units_are_not_free() -> None:
    assert Units(on_hand=10, allocated=3, reserved=2).available == 5


def test_nothing_is_free_while_the_supplier_owes_units() -> None:
    assert Units(on_hand=10, allocated=3, reserved=2, shortfall=1).available == 0


def test_a_count_below_the_promises_becomes_a_shortfall() -> None:
    assert count(Units(10, 3, 2), 4) == Units(5, 3, 2, shortfall=1)


def test_a_later_count_clears_the_shortfall() -> None:
    assert count(Units(5, 3, 2, shortfall=1), 9) == Units(9, 3, 2, shortfall=0)


def test_a_shelf_cannot_hold_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        count(Units(1, 0, 0), -1)


@pytest.mark.parametrize(("shortfall", "released", "units"), [(0, 3, 0), (2, 3, 2), (5, 3, 3)])
def test_a_shortfall_swallows_released_units(shortfall: int, released: int, units: int) -> None:
    assert absorbed(shortfall, released) == units


@given(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999), st.integers(0, 3000))
def test_a_count_keeps_every_promise(
    free: int, allocated: int, reserved: int, counted: int
) -> None:
    after = count(Units(free + allocated + reserved, allocated, reserved), counted)
    assert after.on_hand >= allocated + reserved
    assert after.on_hand - after.shortfall == counted


@pytest.mark.parametrize("quantity", [0, -1])
def test_less_than_one_unit_is_bad_input(quantity: int) -> None:
    with pytest.raises(InvalidInput):
        check_quantity(quantity)


def test_a_line_holds_999_units() -> None:
    check_quantity(999)
    with pytest.raises(LimitExceeded) as refusal:
        check_quantity(1000)
    assert refusal.value.data == {"limit": 999}


@pytest.mark.parametrize(
    ("sku", "product", "supplier", "is_sold"),
    [
        ("ON_SALE", "ON_SALE", "APPROVED", True),
        ("ON_SALE", "PRE_SALE", "APPROVED", True),
        ("DELISTED", "ON_SALE", "APPROVED", False),
        ("ON_SALE", "DELISTED", "APPROVED", False),
        ("ON_SALE", "ON_SALE", "SUSPENDED", False),
        ("ON_SALE", "ON_SALE", "APPLIED", False),
    ],
)
def test_sku_product_and_supplier_all_have_a_say(
    sku: str, product: str, supplier: str, is_sold: bool
) -> None:
    assert is_on_sale(sku, product, supplier) is is_sold
