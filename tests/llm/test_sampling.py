"""Drawing tokens under masks, and turning them into whole characters."""

from collections import Counter

import numpy as np
import pytest

from llm.protocol import Request
from llm.sampling import Sampler, Tail, Vocabulary

PIECES = (b"", b"a", b"7", b"{", b"}", b"{order.no}", b"{order.eta}", "①".encode(), b"\x07")
WHERE = {"{order.no}": 5, "{order.eta}": 6}


def vocabulary(pieces: tuple[bytes, ...] = PIECES) -> Vocabulary:
    ends, silent = np.zeros(len(pieces), bool), np.zeros(len(pieces), bool)
    ends[0] = silent[0] = True
    placeholders = {text: at for text, at in WHERE.items() if at < len(pieces)}
    return Vocabulary.of(pieces, ends=ends, silent=silent, placeholders=placeholders)


def drawn(request: Request, logits: list[float], *, times: int = 400) -> Counter[int]:
    sampler = Sampler(request, vocabulary(), speaks_plan=True)
    row = np.array(logits, np.float32)
    return Counter(sampler.draw(row, b"") for _ in range(times))


def test_digits_banned_placeholders_loose_braces_and_bells_are_never_drawn() -> None:
    request = Request("1", banned=("{order.eta}",), top_p=1.0)
    assert set(drawn(request, [0.0] * len(PIECES))) == {0, 1, 5}


def test_digits_are_drawn_when_they_are_allowed() -> None:
    request = Request("1", no_digits=False, top_p=1.0)
    assert set(drawn(request, [0.0] * len(PIECES))) == {0, 1, 2, 5, 6, 7}


def test_a_cold_request_always_takes_the_best() -> None:
    logits = [0.0, 1.0, 9.0, 0.0, 0.0, 1.1, 0.0, 0.0, 0.0]
    assert drawn(Request("1", temperature=0.0), logits) == Counter({5: 400})


def test_top_p_leaves_the_tail_out() -> None:
    logits = [3.0, 2.0, 0.0, 0.0, 0.0, -3.0, -3.0, 0.0, 0.0]
    assert set(drawn(Request("1", temperature=1.0, top_p=0.9), logits)) == {0, 1}


def test_the_seed_decides_the_draws() -> None:
    logits = [0.0] * len(PIECES)
    once, again, other = (drawn(Request("1", seed=seed), logits, times=50) for seed in (3, 3, 4))
    assert once == again
    assert once != other


@pytest.mark.parametrize(
    ("pending", "expected"),
    [(b"", {1}), ("１".encode()[:2], {4, 5}), ("丑".encode()[:2], {2})],
)
def test_characters_built_from_bytes_are_never_torn_and_never_digits(
    pending: bytes, expected: set[int]
) -> None:
    pieces = (b"", b"\xef", "１".encode()[2:], b"\x41", b"\xad", b"\xbd")
    sampler = Sampler(Request("1", top_p=1.0), vocabulary(pieces), speaks_plan=False)
    row = np.array([-99.0, 0.0, 50.0, -99.0, 0.0, 0.0], np.float32)
    assert {sampler.draw(row, pending) for _ in range(100)} == expected


def test_pieces_are_held_until_their_characters_are_whole() -> None:
    tail = Tail(())
    raw = "您好".encode()
    assert [tail.add(raw[at : at + 1]) for at in range(6)] == ["", "", "您", "", "", "好"]


def test_a_torn_end_is_dropped() -> None:
    tail = Tail(())
    assert tail.add(b"ok" + "好".encode()[:2]) == "ok"
    assert tail.pending == "好".encode()[:2]
    assert not tail.end()


def test_a_stop_string_across_pieces_ends_the_reply_before_it() -> None:
    tail = Tail(("<end>",))
    assert [tail.add(piece) for piece in (b"  hi <", b"en", b"d> more")] == ["hi ", "", ""]
    assert tail.is_stopped
    assert not tail.end()


def test_the_beginning_of_a_stop_string_is_said_when_nothing_follows() -> None:
    tail = Tail(("<end>",))
    assert tail.add(b"a<en") == "a"
    assert tail.end() == "<en"
