"""What goods cost, to the fen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import money
from app.rules.pricing import (
    Item,
    ShippingTerms,
    honoured_price,
    is_remote,
    quote,
    shipping_fee,
)

TERMS = ShippingTerms(fee_fen=800, remote_surcharge_fen=1000, free_from_fen=9900)


@pytest.mark.parametrize(
    ("goods_fen", "province", "fee_fen"),
    [
        (0, "浙江省", 0),
        (9899, "浙江省", 800),
        (9900, "浙江省", 0),
        (9899, "新疆维吾尔自治区", 1800),
        (9900, "西藏自治区", 1000),
        (100, None, 800),
    ],
)
def test_shipping_is_free_from_a_sum_but_never_to_far_provinces(
    goods_fen: int, province: str | None, fee_fen: int
) -> None:
    assert shipping_fee(TERMS, goods_fen, province) == fee_fen


def test_a_supplier_without_a_free_sum_always_asks_its_fee() -> None:
    assert shipping_fee(ShippingTerms(500, 0, None), 1_000_000, "浙江省") == 500


def test_only_named_provinces_are_remote() -> None:
    found = [is_remote(one) for one in ("新疆维吾尔自治区", "西藏", "海南省", None)]
    assert found == [True, True, False, False]


@pytest.mark.parametrize(
    ("live_fen", "status", "price_fen"),
    [(800, "LIVE", 800), (800, "PAUSED", 1000), (800, "ENDED", 1000), (None, None, 1000)],
)
def test_a_live_price_holds_only_while_the_room_is_live(
    live_fen: int | None, status: str | None, price_fen: int
) -> None:
    assert honoured_price(1000, live_fen, status) == price_fen


def test_a_cart_splits_per_supplier_and_shares_fees_by_worth() -> None:
    items = [Item(1, 11, 7, 2, 1000), Item(2, 12, 7, 1, 1000), Item(3, 13, 5, 1, 9900)]
    counted = quote(items, {5: TERMS, 7: TERMS}, province="浙江省")
    assert [(one.supplier_id, one.goods_fen, one.shipping_fen) for one in counted.parcels] == [
        (5, 9900, 0),
        (7, 3000, 800),
    ]
    assert [line.shipping_fen for line in counted.parcels[1].lines] == [533, 267]
    assert counted.payable_fen == 13_700


def test_a_discount_is_shared_by_worth_over_all_suppliers() -> None:
    items = [Item(1, 11, 7, 1, 1000), Item(2, 12, 5, 1, 1000), Item(3, 13, 5, 1, 1000)]
    free = ShippingTerms(0, 0, None)
    counted = quote(items, {5: free, 7: free}, province=None, discount_fen=100)
    shares = {line.item.key: line.discount_fen for one in counted.parcels for line in one.lines}
    assert shares == {1: 34, 2: 33, 3: 33}  # the odd fen goes to the first line
    assert counted.payable_fen == 2900


@pytest.mark.parametrize("discount_fen", [-1, 1001])
def test_a_discount_beyond_the_goods_is_refused(discount_fen: int) -> None:
    with pytest.raises(ValueError, match="discount"):
        quote([Item(1, 1, 1, 1, 1000)], {1: TERMS}, province=None, discount_fen=discount_fen)


def test_nothing_costs_nothing() -> None:
    assert quote([], {}, province=None).payable_fen == 0


ITEMS = st.lists(
    st.tuples(
        st.integers(1, 4), st.integers(1, 999), st.integers(1, 10_000_00)
    ),  # supplier, quantity, unit price
    min_size=1,
    max_size=12,
)


@given(ITEMS, st.integers(0, 5000), st.integers(0, 3000), st.integers(0, 100), st.booleans())
def test_no_fen_is_lost_or_made(
    drawn: list[tuple[int, int, int]], fee: int, surcharge: int, percent: int, is_far: bool
) -> None:
    items = [Item(key, key, *one) for key, one in enumerate(drawn)]
    terms = {supplier: ShippingTerms(fee, surcharge, None) for supplier in range(1, 5)}
    goods_fen = sum(item.goods_fen for item in items)
    discount_fen = goods_fen * percent // 100
    counted = quote(items, terms, province="西藏" if is_far else "浙江", discount_fen=discount_fen)
    lines = [line for parcel in counted.parcels for line in parcel.lines]
    suppliers = {item.supplier_id for item in items}
    assert sorted(line.item.key for line in lines) == list(range(len(items)))
    assert counted.goods_fen == goods_fen
    assert counted.discount_fen == discount_fen
    assert counted.shipping_fen == len(suppliers) * (fee + (surcharge if is_far else 0))
    assert counted.payable_fen == sum(line.payable_fen for line in lines)
    assert counted.payable_fen == goods_fen + counted.shipping_fen - discount_fen
    assert min(line.payable_fen for line in lines) >= 0


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_shares_add_up_and_are_off_by_less_than_a_fen(total: int, weights: list[int]) -> None:
    shares = money.split(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    if whole:
        for share, weight in zip(shares, weights, strict=True):
            assert abs(share * whole - total * weight) < whole
