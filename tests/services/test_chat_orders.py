"""Which of the own orders a message names."""

import pytest

from app.services.chat_orders import named_in

TITLES = ["谷雨五常稻花香大米", "晴低糖电饭煲", "日常重磅纯棉T恤"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("上周买的T恤降价了", [2]),
        ("那件t恤呢", [2]),
        ("电饭煲保修多久", [1]),
        ("我的快递到哪了", []),
        ("where is my parcel", []),
    ],
)
def test_two_characters_of_a_title_are_enough(text: str, named: list[int]) -> None:
    assert named_in(text, TITLES) == named
