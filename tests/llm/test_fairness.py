"""Who is served next when many wait."""

import pytest

from llm.fairness import FairQueue


def test_a_user_with_many_requests_does_not_hold_up_another() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(6):
        queue.push("busy", 200, f"busy {number}")
    queue.push("calm", 200, "calm")
    assert [queue.pop() for _ in range(3)] == ["busy 0", "calm", "busy 1"]


def test_cheap_requests_get_more_turns_than_dear_ones() -> None:
    queue: FairQueue[str] = FairQueue()
    for _ in range(4):
        queue.push("dear", 512, "dear")
        queue.push("cheap", 128, "cheap")
    assert [queue.pop() for _ in range(6)] == ["cheap", "cheap", "dear", "cheap", "cheap", "dear"]


def test_requests_of_one_user_keep_their_order() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(5):
        queue.push("one", 300, number)
    assert [queue.pop() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_removed_request_is_not_served() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("one", 10, "first")
    queue.push("one", 10, "second")
    assert queue.remove("first")
    assert not queue.remove("first")
    assert (queue.pop(), len(queue)) == ("second", 0)
    with pytest.raises(IndexError):
        queue.pop()


def test_draining_returns_everybody_who_waits() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("one", 10, "a")
    queue.push("two", 10, "b")
    assert (queue.drain(), len(queue)) == (["a", "b"], 0)
