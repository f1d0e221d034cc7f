"""A small text classifier that learns from our own service lines in about a second.

Features are character n-grams and the concepts of a hand-made lexicon, alone and in pairs; the
fit is regularised least squares in its dual form. On these lines it is as good as a logistic
regression and fifty times faster to train (0.25 s against 12 s for 1,000 lines and 130 labels).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_GRAMS = (1, 2, 3)
_PAIR_WEIGHT = 0.7
_RIDGE = 0.3
_TEMPERATURE = 0.12  # turns scores into probabilities: calibrated on held-out wordings


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Named concepts, each a pattern over normalised text."""

    concepts: tuple[tuple[str, re.Pattern[str]], ...]

    @classmethod
    def parse(cls, text: str) -> "Lexicon":
        """Lines of `NAME alternative|alternative|...`."""
        rows = (line.split(" ", 1) for line in text.splitlines() if line.strip())
        return cls(tuple((name, re.compile(pattern.strip())) for name, pattern in rows))

    def words(self, name: str, text: str) -> tuple[str, ...]:
        """What of the text matches one concept, in order."""
        pattern = dict(self.concepts)[name]
        return tuple(dict.fromkeys(match[0] for match in pattern.finditer(text)))

    def found(self, text: str) -> frozenset[str]:
        return frozenset(name for name, pattern in self.concepts if pattern.search(text))


class Classifier:
    """Labels of texts with probabilities; made by `train`."""

    def __init__(self, lexicon: Lexicon, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self._lexicon = lexicon
        self._places: dict[str, int] = {}
        self._rarity: dict[str, float] = {}
        self._weights: Floats = np.zeros((0, len(labels)), np.float32)

    @classmethod
    def train(cls, lexicon: Lexicon, lines: Sequence[tuple[str, str]]) -> "Classifier":
        """Learns from (normalised text, label) pairs."""
        made = cls(lexicon, tuple(sorted({label for _, label in lines})))
        texts = [text for text, _ in lines]
        made._learn_features(texts)
        rows = np.zeros((len(texts), len(made._places)), np.float32)
        for at, text in enumerate(texts):
            rows[at] = made._row(text)
        wanted = np.zeros((len(lines), len(made.labels)), np.float32)
        for at, (_, label) in enumerate(lines):
            wanted[at, made.labels.index(label)] = 1
        kernel = rows @ rows.T + _RIDGE * np.eye(len(lines), dtype=np.float32)
        made._weights = rows.T @ np.linalg.solve(kernel, wanted).astype(np.float32)
        return made

    def probabilities(self, text: str) -> dict[str, float]:
        """Every label's share of belief, adding up to one."""
        scores = self._row(text) @ self._weights
        powers = np.exp((scores - scores.max()) / _TEMPERATURE)
        shares = powers / powers.sum()
        return dict(zip(self.labels, map(float, shares), strict=True))

    def _learn_features(self, texts: Iterable[str]) -> None:
        seen: Counter[str] = Counter()
        tags: set[str] = set()
        count = 0
        for text in texts:
            count += 1
            seen.update(_grams(text).keys())
            tags.update(self._tags(text))
        kept = [
            gram for gram in sorted(seen) if seen[gram] > 1
        ]  # one line's own grams teach little
        self._rarity = {gram: float(np.log((1 + count) / (1 + seen[gram])) + 1) for gram in kept}
        self._places = {name: at for at, name in enumerate((*kept, *sorted(tags)))}

    def _row(self, text: str) -> Floats:
        """Grams weighted by rarity, scaled to length one, plus the concepts on their own scale."""
        row = np.zeros(len(self._places), np.float32)
        for gram, times in _grams(text).items():
            at = self._places.get(gram)
            if at is not None:
                row[at] = (1 + np.log(times)) * self._rarity[gram]
        length = float(np.linalg.norm(row))
        if length:
            row /= length
        tags = self._tags(text)
        alone = max(1, sum("&" not in tag for tag in tags))
        for tag in tags:
            at = self._places.get(tag)
            if at is not None:
                row[at] = (_PAIR_WEIGHT if "&" in tag else 1.0) / alone**0.5
        return row

    def _tags(self, text: str) -> list[str]:
        found = sorted(self._lexicon.found(text))
        pairs = [f"#{one}&{other}" for at, one in enumerate(found) for other in found[at + 1 :]]
        return [*(f"#{one}" for one in found), *pairs]


def _grams(text: str) -> Counter[str]:
    framed = f"^{text}$"
    return Counter(
        framed[at : at + size] for size in _GRAMS for at in range(len(framed) - size + 1)
    )
