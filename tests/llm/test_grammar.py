"""The hand-written wordings: every branch, both languages, only what is true for the state."""

from random import Random

import pytest

from llm.grammar import sample
from llm.grammar.cues import foreign, states_its_own
from llm.grammar.phrases import count, fits, parse, render
from llm.guard import check
from llm.plan import BRANCHES, STATES, Act, Intent, Key, Language, Mood, Move, Record, build


def drawn(key: Key, rng: Random, language: Language) -> Move:
    branch = BRANCHES[key]
    move = build(
        key,
        {*branch.required, *(name for name in branch.optional if rng.random() < 0.6)},
        say={name for name in branch.optional if rng.random() < 0.35},
        mood=rng.choice(tuple(Mood)),
        language=language,
    )
    assert move is not None
    return move


@pytest.mark.parametrize("times", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_every_branch_passes_the_guard_every_time(times: int) -> None:
    rng = Random(times)
    refused = [
        (key, text, faults)
        for key in BRANCHES
        for at in range(times)
        for move in [drawn(key, rng, Language.EN if at % 5 == 4 else Language.ZH)]
        for text in [sample(move, rng)]
        if (faults := check(text, move))
    ]
    assert refused == []


@pytest.mark.parametrize("state", STATES[Record.ORDER])
@pytest.mark.parametrize("language", Language)
def test_an_order_is_told_in_hundreds_of_ways(state: str, language: Language) -> None:
    rng = Random(3)
    key = (Intent.LOGISTICS, Record.ORDER, state, Act.TELL)
    texts = {sample(drawn(key, rng, language), rng) for _ in range(400)}
    assert len(texts) >= (300 if language is Language.ZH else 200)


@pytest.mark.parametrize("language", Language)
def test_what_is_told_about_one_state_is_foreign_to_every_opposite_one(language: Language) -> None:
    opposite = {
        "PENDING_PAYMENT": "SHIPPED",
        "AWAITING_GROUP": "DELIVERED",
        "AWAITING_SHIPMENT": "OUT_FOR_DELIVERY",
        "SHIPPED": "AWAITING_SHIPMENT",
        "OUT_FOR_DELIVERY": "PENDING_PAYMENT",
        "DELIVERED": "SHIPPED",
        "COMPLETED": "CANCELLED",
        "CANCELLED": "AWAITING_SHIPMENT",
        "CLOSED": "COMPLETED",
    }
    rng = Random(5)
    for state, other in opposite.items():
        move = drawn((Intent.ORDER_STATUS, Record.ORDER, state, Act.TELL), rng, language)
        wrong = Move(move.act, move.intent, record=Record.ORDER, state=other, language=language)
        for _ in range(50):
            text = sample(move, rng)
            assert list(foreign(text, wrong)), (text, other)
            assert states_its_own(text, move)


def test_a_state_is_not_told_where_no_record_is_named() -> None:
    soothe = Move(Act.SOOTHE, Intent.LOGISTICS)
    assert list(foreign("您的包裹已经发出", soothe)) == ["已经发出"]


def test_a_branch_without_wording_is_an_error() -> None:
    with pytest.raises(LookupError):
        sample(Move(Act.CONFIRM, Intent.STOCK), Random(1))


def test_a_pattern_uses_available_placeholders_only() -> None:
    row = parse("[订单{order.no}|您的订单][已付{order.amount}|]。")
    assert fits(row, frozenset(), {})
    assert count(row, frozenset(), {}) == 2 - 1
    assert {render(row, frozenset({"order.no"}), {}, Random(n)) for n in range(20)} == {
        "订单{order.no}。",
        "您的订单。",
    }


@pytest.mark.parametrize("pattern", ["[a|b", "a]", "a|b", "{Order}", "a<b"])
def test_a_pattern_with_stray_signs_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"sign|bracket"):
        parse(pattern)
