"""Levels of emotion and what they are read from."""

import pytest

from llm.emotion import ANGRY, CALM, UNEASY, UPSET, Emotion, read
from llm.plan import Mood


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("我的快递到哪了", CALM),
        ("麻烦帮我查一下订单", CALM),
        ("不着急，慢慢来", CALM),
        ("我不是要投诉，就想问问", CALM),
        ("滚筒洗衣液有货吗", CALM),
        ("垃圾袋什么时候发货", CALM),
        ("花呗怎么还款", CALM),
        ("我急用，能快点吗", UNEASY),
        ("怎么还不发货", UPSET),
        ("你们太慢了，我要投诉", UPSET),
        ("都五天了还没到", UPSET),
        ("你们就是骗子", ANGRY),
        ("再不处理我就打12315曝光你们", ANGRY),
        ("this is a scam", ANGRY),
    ],
)
def test_a_sentence_has_a_level(text: str, level: int) -> None:
    assert read(text).level == level


def test_the_cue_is_the_reason() -> None:
    assert read("你们太慢了，我要投诉") == Emotion(UPSET, "太慢")


def test_repeated_signs_and_a_question_asked_again_raise_the_level() -> None:
    assert read("快点啊！！！").level == UPSET
    assert read("我的快递到哪了", repeats=2) == Emotion(UNEASY, "repeated")
    assert read("还没收到", repeats=1).level == ANGRY


def test_the_level_of_the_last_turn_fades() -> None:
    assert [read("好的", before=before).level for before in (3.0, 2.0, 1.0)] == [1, 1, 0]


def test_moods_follow_levels() -> None:
    assert [Emotion(level).mood for level in range(4)] == [
        Mood.CALM,
        Mood.UPSET,
        Mood.UPSET,
        Mood.ANGRY,
    ]
