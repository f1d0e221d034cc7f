"""Ids and cursors: only what we made is accepted."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import ids
from app.errors import BadCursor, NotFound
from app.ids import CursorSigner

SIGNER = CursorSigner("a secret of the tests")


@given(st.sampled_from(["Product", "GroupBuy"]), st.integers(min_value=0, max_value=2**31 - 1))
def test_an_id_leads_back_to_its_row(kind: str, key: int) -> None:
    assert ids.decode(ids.encode(kind, key)) == (kind, key)


@given(st.text(max_size=60))
def test_other_text_is_no_id_and_no_cursor(text: str) -> None:
    try:
        kind, key = ids.decode(text)
    except NotFound:
        pass
    else:
        assert kind.isidentifier()
        assert 0 <= key < 2**31
    with pytest.raises(BadCursor):
        SIGNER.read("products", text)


@pytest.mark.parametrize("text", ["", "x", "Product:1", "UHJvZHVjdDo=", "UHJvZHVjdDotMQ", "💥"])
def test_what_looks_like_an_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        ids.decode(text)


def test_an_id_of_another_kind_is_not_found() -> None:
    with pytest.raises(NotFound) as refused:
        ids.key_of("Order", ids.encode("Product", 1))
    assert refused.value.data == {"kind": "Order"}


def test_a_cursor_gives_its_values_back() -> None:
    assert SIGNER.read("orders", SIGNER.sign("orders", [7, "x", None])) == [7, "x", None]


def test_a_cursor_is_good_for_its_own_list_only() -> None:
    with pytest.raises(BadCursor):
        SIGNER.read("products", SIGNER.sign("orders", [7]))


def test_every_altered_letter_of_a_cursor_is_noticed() -> None:
    cursor = SIGNER.sign("orders", [123])
    for at in range(len(cursor) - 1):  # the last letter may hold bits that base64 ignores
        altered = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        with pytest.raises(BadCursor):
            SIGNER.read("orders", altered)


def test_a_cursor_of_another_secret_is_refused() -> None:
    with pytest.raises(BadCursor):
        CursorSigner("another secret").read("orders", SIGNER.sign("orders", [7]))


def test_receipt_numbers_carry_the_chinese_day_and_cannot_be_counted_up() -> None:
    late = datetime(2026, 11, 22, 17, tzinfo=UTC)
    made = {ids.receipt_no(late, "O") for _ in range(1000)}
    assert len(made) == 1000
    assert {no[:7] for no in made} == {"O261123"}
