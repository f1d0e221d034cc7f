"""The examples the writer learns from, the figures it is judged by, and the network's parts."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from llm.guard import check
from llm.plan import BRANCHES, Act, Intent, Language, Move, Record
from llm.protocol import ScriptedEngine
from llm.training.evaluate import figures, moves, replies
from llm.training.generate import draw_move, examples, furnish
from llm.writer import write


def test_every_example_is_one_the_guard_lets_through() -> None:
    for example in islice(examples(5), 500):
        assert check(example.reply, example.move) == ()


def test_the_same_seed_gives_the_same_examples() -> None:
    assert list(islice(examples(9), 50)) == list(islice(examples(9), 50))


def test_rare_kinds_of_replies_are_drawn_as_often_as_common_ones() -> None:
    rng = Random(1)
    drawn = Counter(draw_move(rng).act for _ in range(4000))
    assert set(drawn) == set(Act)
    assert drawn[Act.GREET] > 40  # one branch of 539 would be drawn 7 times


def test_a_furnished_move_has_its_required_fields() -> None:
    rng = Random(2)
    for branch in BRANCHES.values():
        move = furnish(branch, rng, Language.ZH)
        assert set(branch.required) <= set(move.fields)
        assert set(move.fields) | set(move.allowed) <= {*branch.required, *branch.optional}


async def test_replies_that_pass_are_counted_as_accepted() -> None:
    wanted = moves(1, seed=3)[:60]
    texts = [write(move, 1) for move in wanted]
    written = await replies(ScriptedEngine(texts), wanted, seed=0)
    assert figures(written)["replies"] == 60
    by_text = {reply.text for reply in written}
    assert by_text == set(texts)


async def test_a_digit_and_a_foreign_state_are_counted() -> None:
    move = Move(
        Act.TELL, Intent.LOGISTICS, record=Record.ORDER, state="CANCELLED", fields=("order.no",)
    )
    engine = ScriptedEngine(["订单{order.no}已经签收，共3件。"])
    seen = figures(await replies(engine, [move], seed=0))
    assert (seen["with_digit"], seen["accepted"], seen["state"]) == (1, 0.0, 0.0)
    assert set(seen["faults"]) == {"NUMBER", "FOREIGN_STATE"}  # type: ignore[call-overload]


def test_the_network_turns_positions_like_llama_cpp_and_hides_other_examples() -> None:
    torch = pytest.importorskip("torch", reason="the optional group `train` is not installed")
    from llm.training.model import Shape, Writer
    from llm.training.train import seen

    torch.manual_seed(1)
    model = Writer(Shape(vocabulary=50, width=32, layers=2, heads=2, hidden=64, context=16))
    tokens = torch.randint(0, 50, (1, 12))
    documents = torch.tensor([[0] * 6 + [1] * 6])
    together = model(tokens, seen(documents))
    alone = model(tokens[:, 6:], seen(documents[:, 6:]))
    assert torch.allclose(together[:, 6:], alone, atol=1e-5)


def test_a_step_of_the_matrix_optimizer_is_orthogonal() -> None:
    torch = pytest.importorskip("torch", reason="the optional group `train` is not installed")
    from llm.training.train import orthogonal

    torch.manual_seed(2)
    spread = torch.linalg.svdvals(orthogonal(torch.randn(48, 20)))
    assert 0.6 < float(spread.min()) <= float(spread.max()) < 1.3


def test_the_chart_names_the_last_loss(tmp_path: Path) -> None:
    from llm.training.chart import draw

    rows = [{"step": n, "tokens": n * 1000, "loss": 8.0 / n} for n in range(1, 9)]
    (tmp_path / "loss.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    draw(tmp_path / "loss.jsonl", tmp_path / "loss.svg")
    assert "0.0 M tokens, loss 1.00" in (tmp_path / "loss.svg").read_text(encoding="utf-8")
