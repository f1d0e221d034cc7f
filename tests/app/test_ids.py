"""Global ids, signed cursors and receipt numbers."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import ids
from app.errors import BadCursor, NotFound
from app.ids import CursorSigner

SIGNER = CursorSigner("a secret of the tests")


def raw(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@given(st.sampled_from(["Sku", "GroupBuy", "OrderLine"]), st.integers(0, 2**31 - 1))
def test_an_id_leads_back_to_its_row(kind: str, key: int) -> None:
    assert ids.decode(ids.encode(kind, key)) == (kind, key)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "%%%",
        "Sku:1",
        raw("Sku"),
        raw("Sku:"),
        raw("Sku:-1"),
        raw("Sku:1.5"),
        raw("Sku:１"),
        raw("Sku:1:2"),
        raw(f"Sku:{2**31}"),
        raw(":1"),
        raw("S ku:1"),
        raw("Sku:1") + "\n",
        "汉字",
        base64.urlsafe_b64encode(b"Sku:\xff").decode(),
    ],
)
def test_anything_else_is_not_found(wrong: str) -> None:
    with pytest.raises(NotFound):
        ids.decode(wrong)


def test_an_id_of_another_kind_is_not_found() -> None:
    assert ids.key_of("Sku", ids.encode("Sku", 7)) == 7
    with pytest.raises(NotFound) as refused:
        ids.key_of("Sku", ids.encode("Order", 7))
    assert refused.value.data == {"kind": "Sku"}


def test_a_receipt_number_tells_the_chinese_day_and_nothing_else() -> None:
    evening = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
    numbers = {ids.receipt_no(evening, "T") for _ in range(100)}
    assert len(numbers) == 100
    for number in numbers:
        assert number.startswith("T260302")
        assert len(number) == 17
        assert not set(number[7:]) & set("01OI")


def test_a_cursor_gives_its_values_back_in_its_own_scope_only() -> None:
    cursor = SIGNER.sign("products", ["2026-03-02T04:00:00+00:00", 7, None])
    assert SIGNER.read("products", cursor) == ["2026-03-02T04:00:00+00:00", 7, None]
    with pytest.raises(BadCursor):
        SIGNER.read("orders", cursor)
    with pytest.raises(BadCursor):
        CursorSigner("another secret").read("products", cursor)


@given(st.integers(0, 40), st.characters(codec="ascii"))
def test_a_cursor_with_one_changed_sign_is_refused(place: int, sign: str) -> None:
    cursor = SIGNER.sign("products", [7, "x", "and some more"])
    changed = cursor[:place] + sign + cursor[place + 1 :]
    if changed == cursor:
        return
    with pytest.raises(BadCursor):
        SIGNER.read("products", changed)


@pytest.mark.parametrize("wrong", ["", "=", "a", "汉字", "AAAA", "A" * 5000])
def test_what_was_never_a_cursor_is_refused(wrong: str) -> None:
    with pytest.raises(BadCursor):
        SIGNER.read("products", wrong)


def test_a_cursor_of_an_old_secret_is_still_read_and_of_a_foreign_one_not() -> None:
    before = CursorSigner("the secret before").sign("orders", [7])
    after = CursorSigner("the secret now", ("the secret before", "one older"))
    assert after.read("orders", before) == [7]
    assert CursorSigner("the secret now").read("orders", after.sign("orders", [8])) == [8]
    with pytest.raises(BadCursor):
        CursorSigner("the secret now").read("orders", before)
