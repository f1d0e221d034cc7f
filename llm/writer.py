"""The writer that needs no model: it says a move in one of the grammar's wordings."""

from random import Random

from llm.grammar import sample
from llm.plan import Move


def write(move: Move, seed: int) -> str:
    """A reply with placeholders in braces; the same move and seed give the same words.

    Raises LookupError for a move of no known branch.
    """
    return sample(move, Random(f"{seed}:{move.line()}"))  # noqa: S311 - wording, not a secret
