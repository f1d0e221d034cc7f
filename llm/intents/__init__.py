"""Service lines of our own, sorted by what they ask, and the concepts they are made of.

`zh.txt` and `en.txt` hold one wording a line under `[INTENT]` or `[INTENT/topic]`, where a topic
is the policy question it asks; `concepts.txt` holds `NAME pattern` lines over normalised text.
"""

from pathlib import Path

_HERE = Path(__file__).parent


def lines() -> list[tuple[str, str]]:
    """(wording, label) of all languages."""
    found: list[tuple[str, str]] = []
    for name in ("zh.txt", "en.txt"):
        label = ""
        for line in (_HERE / name).read_text("utf-8").splitlines():
            if line.startswith("["):
                label = line.strip("[]")
            elif line.strip():
                found.append((line.strip(), label))
    return found


def concepts() -> str:
    return (_HERE / "concepts.txt").read_text("utf-8")
