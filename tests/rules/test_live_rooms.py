"""Live rooms: moves between states, and which words the audience does not see."""

import pytest

from app.rules.live_rooms import MOVES, RoomStatus, cleaned, is_sensitive, sources_of


def test_a_room_goes_on_air_from_its_schedule_or_a_pause() -> None:
    assert set(sources_of(RoomStatus.LIVE)) == {RoomStatus.SCHEDULED, RoomStatus.PAUSED}
    assert set(sources_of(RoomStatus.ENDED)) == {RoomStatus.LIVE, RoomStatus.PAUSED}
    assert sources_of(RoomStatus.SCHEDULED) == ()


def test_every_state_says_where_it_may_go() -> None:
    assert set(MOVES) == set(RoomStatus)
    assert [state for state, targets in MOVES.items() if not targets] == [RoomStatus.BANNED]
    assert set(sources_of(RoomStatus.BANNED)) == set(RoomStatus) - {RoomStatus.BANNED}


@pytest.mark.parametrize(
    "text",
    [
        "加微信吧",
        "加 . 微 _ 信",
        "＋薇信：ａｂｃ12345",
        "qq号 12345678",
        "1 3 9 1 2 3 4 5 6 7 8",
        "刷★单",
    ],
)
def test_words_are_seen_through_signs_and_spaces(text: str) -> None:
    assert is_sensitive(text)


@pytest.mark.parametrize(
    "text", ["微信支付可以吗", "这单包邮吗", "拍了 12345 件", "单号 SF0123456789", "几天能到"]
)
def test_honest_questions_are_shown(text: str) -> None:
    assert not is_sensitive(text)


def test_control_characters_and_blank_runs_disappear() -> None:
    assert cleaned("  你好\x00\u200b \n\t 主播 ") == "你好 主播"
