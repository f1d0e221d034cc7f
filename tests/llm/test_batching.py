"""What goes into each step of the model; the model here is a table that always says one token."""

from collections.abc import Sequence

import numpy as np
import pytest

from llm.batching import Batching, Row
from llm.protocol import Request
from llm.sampling import Logits, Vocabulary
from llm.templates import Prompt, TemplateBroken
from llm.wire import Ended, Said

END, LETTER = 0, 1


class Table:
    """Says `a` until a sequence holds `length` tokens, then ends the reply."""

    def __init__(self, *, sequences: int = 4, budget: int = 8, length: int = 99) -> None:
        self.sequences, self.prompt_budget, self.context_tokens = sequences, budget, 100
        self.speaks_plan = False
        silent = np.array([True, False])
        self.vocabulary = Vocabulary.of((b"", b"a"), ends=silent, silent=silent, placeholders={})
        self.batches: list[list[Row]] = []
        self.copies: list[tuple[int, int]] = []
        self.forgotten: list[int] = []
        self._length = length

    def prompt(self, request: Request) -> Prompt:
        """The plan of a request here is `<tokens> <shared tokens>`."""
        if not request.plan:
            raise TemplateBroken("chat template: no")
        size, shared = map(int, request.plan.split())
        return Prompt((LETTER,) * size, shared)

    def decode(self, rows: Sequence[Row]) -> Logits:
        self.batches.append(list(rows))
        last = [row for row in rows if row.is_last]
        says = [END if row.position + 1 >= self._length else LETTER for row in last]
        return np.eye(2, dtype=np.float32)[says] * 1000

    def forget(self, sequence: int) -> None:
        self.forgotten.append(sequence)

    def copy(self, source: int, target: int) -> None:
        self.copies.append((source, target))

    def shapes(self) -> list[list[tuple[int, int]]]:
        """(sequence, position) of the rows of each batch."""
        return [[(row.sequence, row.position) for row in batch] for batch in self.batches]


def ask(id: str, *, prompt: str = "2 0", tokens: int = 50) -> Request:
    return Request(id, plan=prompt, max_tokens=tokens)


def test_every_reply_moves_one_token_a_step() -> None:
    table = Table()
    batching = Batching(table)
    batching.submit(ask("x"))
    batching.submit(ask("y", prompt="1 0"))
    said = [batching.step().said for _ in range(2)]
    assert said == [(Said("x", "a", 1), Said("y", "a", 1))] * 2
    assert table.shapes() == [[(0, 0), (0, 1), (1, 0)], [(0, 2), (1, 1)]]


def test_a_long_prompt_is_read_in_chunks_beside_the_speaking() -> None:
    table = Table(budget=4)
    batching = Batching(table)
    batching.submit(ask("speaks", prompt="1 0"))
    batching.step()
    batching.submit(ask("reads", prompt="10 0"))
    said = [[one.id for one in batching.step().said] for _ in range(3)]
    assert said == [["speaks"], ["speaks"], ["speaks", "reads"]]
    assert [len(batch) for batch in table.batches] == [1, 5, 5, 3]


def test_a_new_reply_takes_the_lowest_free_sequence() -> None:
    table = Table(sequences=3)
    batching = Batching(table)
    for name in "abcd":
        batching.submit(ask(name))
    batching.step()
    batching.cancel("b")
    batching.step()
    assert table.shapes()[1] == [(0, 2), (1, 0), (1, 1), (2, 2)]


def test_a_gap_is_closed_with_the_highest_sequence() -> None:
    table = Table()
    batching = Batching(table)
    for name in "abc":
        batching.submit(ask(name))
    batching.step()
    batching.cancel("a")
    assert batching.step().ended == (Ended("a", "cancelled", 2, 1),)
    batching.step()
    assert table.copies == [(2, 0)]
    assert table.shapes()[2] == [(0, 3), (1, 3)]


def test_the_end_of_a_reply_frees_its_sequence() -> None:
    table = Table(length=4)
    batching = Batching(table)
    batching.submit(ask("x"))
    steps = [batching.step() for _ in range(3)]
    assert [step.ended for step in steps] == [(), (), (Ended("x", "stop", 2, 2),)]
    assert batching.is_idle
    assert table.forgotten == [0, 0]


def test_the_last_allowed_token_ends_with_length() -> None:
    batching = Batching(Table())
    batching.submit(ask("x", tokens=2))
    steps = [batching.step() for _ in range(2)]
    assert steps[1].said == (Said("x", "a", 1),)
    assert steps[1].ended == (Ended("x", "length", 2, 2),)


def test_the_rules_of_a_conversation_are_read_once() -> None:
    table = Table(budget=50)
    batching = Batching(table)
    batching.submit(ask("first", prompt="44 40"))
    batching.step()
    batching.step()
    batching.submit(ask("second", prompt="43 40"))
    step = batching.step()
    assert [len(batch) for batch in table.batches] == [40, 4, 1 + 3]
    assert table.copies == [(0, 4), (4, 1)]
    assert step.shared_tokens == 40


@pytest.mark.parametrize(
    ("prompt", "ended"),
    [
        ("", Ended("x", "failed", 0, 0, "chat template: no")),
        ("100 0", Ended("x", "failed", 100, 0, "100 prompt tokens, room for 100")),
    ],
)
def test_a_request_that_cannot_be_served_ends_as_failed(prompt: str, ended: Ended) -> None:
    table = Table()
    batching = Batching(table)
    batching.submit(ask("x", prompt=prompt))
    assert batching.step().ended == (ended,)
    assert (table.batches, batching.is_idle) == ([], True)


def test_a_reply_stops_where_the_context_is_full() -> None:
    batching = Batching(Table(budget=98, length=200))
    batching.submit(ask("x", prompt="98 0"))
    assert [batching.step().ended for _ in range(2)] == [(), (Ended("x", "length", 98, 2),)]
