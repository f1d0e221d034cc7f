"""Replies without a model."""

import pytest

from llm.guard import check
from llm.plan import Act, Intent, Language, Mood, Move, Record, build
from llm.writer import write

MOVE = build(
    (Intent.LOGISTICS, Record.ORDER, "SHIPPED", Act.TELL),
    {"order.no", "order.carrier", "order.eta", "order.trace"},
    say={"order.eta"},
    mood=Mood.UPSET,
)


def test_the_same_seed_gives_the_same_words() -> None:
    assert MOVE is not None
    assert write(MOVE, 41) == write(MOVE, 41)


def test_other_seeds_give_other_words() -> None:
    assert MOVE is not None
    assert len({write(MOVE, seed) for seed in range(100)}) >= 95


def test_every_field_is_said_and_nothing_else_is_promised() -> None:
    assert MOVE is not None
    for seed in range(300):
        text = write(MOVE, seed)
        assert check(text, MOVE) == ()
        assert all(name in text for name in ("{order.no}", "{order.carrier}", "{order.eta}"))
        assert "{refund.amount}" not in text


def test_an_english_move_is_answered_in_english() -> None:
    move = Move(Act.THANK, Intent.THANKS, language=Language.EN)
    assert all(write(move, seed).isascii() for seed in range(50))


def test_a_move_of_no_branch_is_an_error() -> None:
    with pytest.raises(LookupError):
        write(Move(Act.QUOTE, Intent.THANKS, record=Record.POLICY, state="NOT_COVERED"), 1)
