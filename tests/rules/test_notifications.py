"""Words of notifications."""

import re

import pytest

from app.rules.notifications import Kind, words

FACTS = {
    "no": "O2603020001",
    "carrier": "顺丰速运",
    "carrier_code": "SF",
    "waybill": "SF0000000000001",
    "amount_fen": 2790,
    "receive_at": "2026-03-12T18:30:00+00:00",
    "size": 3,
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_words_in_both_languages(kind: Kind) -> None:
    zh, en = words(kind, FACTS, "zh"), words(kind, FACTS, "en")
    assert re.search("[一-鿿]", zh.title)
    assert re.search("[一-鿿]", zh.text)
    assert not re.search("[一-鿿{}]", en.title + en.text)


@pytest.mark.parametrize("kind", Kind)
def test_every_number_is_a_fact(kind: Kind) -> None:
    shown = "O2603020001 SF0000000000001 27.90 2026-03-13 3"
    for locale in ("zh", "en"):
        said = words(kind, FACTS, locale)  # type: ignore[arg-type]
        for number in re.findall(r"[\d.-]*\d", said.title + said.text):
            assert number in shown, (number, said)


def test_money_and_days_read_as_the_language_writes_them() -> None:
    assert words("REFUND_MADE", FACTS, "zh").text == "O2603020001 的退款 ¥27.90 已原路退回"
    said = words("REFUND_MADE", FACTS, "en").text
    assert said == "CNY 27.90 of O2603020001 went back the way it came"
    # half past two in the morning of the next day in China
    assert "2026-03-13" in words("ORDER_DELIVERED", FACTS, "zh").text


def test_a_fact_that_is_missing_is_a_bug() -> None:
    with pytest.raises(KeyError):
        words("REFUND_MADE", {"no": "O1"}, "zh")
