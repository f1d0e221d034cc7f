"""Money as integer fen: formatting, shares in basis points, and splits that lose nothing."""

from collections.abc import Sequence
from functools import lru_cache


def split(total_fen: int, weights: Sequence[int]) -> list[int]:
    """Shares of `total_fen` in proportion to `weights`, adding up to it exactly.

    Largest remainder; equal remainders go to the earlier weight (DOMAIN 3.2). All-zero weights
    count as equal ones. Raises ValueError for no weights or a negative one.
    """
    if not weights or min(weights) < 0:
        raise ValueError("a split needs weights, none of them negative")
    if total_fen == 0 or len(weights) == 1:
        return [total_fen, *[0] * (len(weights) - 1)]
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    sign = -1 if total_fen < 0 else 1
    parts = [divmod(abs(total_fen) * weight, whole) for weight in weights]
    shares = [share for share, _ in parts]
    by_remainder = sorted(range(len(parts)), key=lambda i: (-parts[i][1], i))
    for i in by_remainder[: abs(total_fen) - sum(shares)]:
        shares[i] += 1
    return [sign * share for share in shares]


def share_bp(amount_fen: int, rate_bp: int) -> int:
    """`rate_bp` basis points of an amount, rounded down to the fen."""
    return amount_fen * rate_bp // 10_000


@lru_cache(maxsize=10_000)
def formatted(amount_fen: int, locale: str = "zh") -> str:
    """`12900` -> `¥129.00` (`CNY 129.00` in English)."""
    sign, whole = ("-" if amount_fen < 0 else ""), abs(amount_fen)
    mark = "¥" if locale == "zh" else "CNY "
    return f"{sign}{mark}{whole // 100:,}.{whole % 100:02d}"
