"""Moves, branches and the plan line that carries them."""

from random import Random

import pytest

from llm.plan import (
    BRANCHES,
    PLACEHOLDERS,
    STATES,
    Act,
    Intent,
    Language,
    Mood,
    Move,
    Record,
    build,
    control_pieces,
    parse_line,
)

SHIPPED = (Intent.LOGISTICS, Record.ORDER, "SHIPPED", Act.TELL)


def test_a_plan_line_is_control_pieces_and_placeholders_only() -> None:
    move = build(SHIPPED, {"order.no", "order.carrier", "order.trace"})
    assert move is not None
    assert move.line() == (
        "<|plan|><|act:TELL|><|intent:LOGISTICS|><|mood:CALM|><|record:ORDER|><|state:SHIPPED|>"
        "<|lang:ZH|><|must|>{order.no}{order.carrier}<|may|>{order.trace}<|reply|>"
    )


@pytest.mark.parametrize("key", BRANCHES, ids=str)
def test_every_branch_comes_back_from_its_line(key: tuple[Intent, Record, str, Act]) -> None:
    branch, rng = BRANCHES[key], Random(7)
    move = build(
        key,
        {*branch.required, *branch.optional},
        say=rng.sample(branch.optional, len(branch.optional) // 2),
        mood=rng.choice(tuple(Mood)),
        language=rng.choice(tuple(Language)),
    )
    assert move is not None
    assert parse_line(move.line()) == move


def test_a_move_without_a_required_value_is_not_built() -> None:
    assert build(SHIPPED, {"order.no"}) is None


def test_a_branch_that_does_not_exist_is_not_built() -> None:
    assert build((Intent.THANKS, Record.CART, "EMPTY", Act.TELL), set()) is None


def test_a_value_asked_for_but_missing_is_neither_said_nor_allowed() -> None:
    move = build(SHIPPED, {"order.no", "order.carrier"}, say={"order.eta"})
    assert move is not None
    assert (move.fields, move.allowed) == (("order.no", "order.carrier"), ())


def test_a_value_of_another_record_is_never_available() -> None:
    move = build(SHIPPED, {"order.no", "order.carrier", "refund.amount"})
    assert move is not None
    assert "{refund.amount}" in move.banned
    assert len(move.banned) == len(PLACEHOLDERS) - 2


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "<|plan|><|act:TELL|><|reply|>",
        Move(Act.THANK, Intent.THANKS).line() + "x",
        Move(Act.THANK, Intent.THANKS).line().replace("THANK|", "GIVE|", 1),
        Move(Act.THANK, Intent.THANKS, fields=("order.price",)).line(),
        Move(Act.TELL, Intent.STOCK, record=Record.CART, state="SHIPPED").line(),
    ],
)
def test_what_is_not_a_plan_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"plan line|is not a valid"):
        parse_line(line)


def test_every_branch_names_known_states_and_placeholders() -> None:
    for branch in BRANCHES.values():
        assert branch.state in STATES[branch.record]
        assert {*branch.required, *branch.optional} <= PLACEHOLDERS.keys()
        assert not set(branch.required) & set(branch.optional)


def test_every_piece_of_every_line_is_a_control_piece() -> None:
    pieces = set(control_pieces())
    for branch in BRANCHES.values():
        line = Move(branch.act, branch.intent, record=branch.record, state=branch.state).line()
        assert {f"<|{part}|>" for part in line[2:-2].split("|><|")} <= pieces
