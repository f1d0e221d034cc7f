"""A queue in which a busy user cannot hold up the others: deficit round robin over tokens."""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

QUANTUM_TOKENS = 256  # a user's allowance a round: about two replies

Item = TypeVar("Item")


@dataclass(slots=True)
class _Line(Generic[Item]):
    allowance: int = QUANTUM_TOKENS
    items: deque[tuple[int, Item]] = field(default_factory=deque)


class FairQueue(Generic[Item]):
    """Users take turns; within a user the order is first come, first served."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line[Item]] = {}
        self._turns: deque[str] = deque()

    def __len__(self) -> int:
        return sum(len(line.items) for line in self._lines.values())

    def push(self, user: str, tokens: int, item: Item) -> None:
        if user not in self._lines:
            self._lines[user] = _Line()
            self._turns.append(user)
        self._lines[user].items.append((tokens, item))

    def pop(self) -> Item:
        """Raises IndexError when nobody waits."""
        while True:
            user = self._turns[0]
            line = self._lines[user]
            tokens, item = line.items[0]
            if tokens <= line.allowance:
                line.allowance -= tokens
                line.items.popleft()
                self._forget_if_empty(user)
                return item
            line.allowance += QUANTUM_TOKENS
            self._turns.rotate(-1)

    def remove(self, item: Item) -> bool:
        """Takes an item out of its line; False when it is not here any more."""
        for user, line in self._lines.items():
            for entry in line.items:
                if entry[1] is item:
                    line.items.remove(entry)
                    self._forget_if_empty(user)
                    return True
        return False

    def drain(self) -> list[Item]:
        """Empties the queue and returns what was in it."""
        items = [item for line in self._lines.values() for _, item in line.items]
        self._lines.clear()
        self._turns.clear()
        return items

    def _forget_if_empty(self, user: str) -> None:
        if not self._lines[user].items:
            del self._lines[user]
            self._turns.remove(user)
