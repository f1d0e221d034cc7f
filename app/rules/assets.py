"""What may be uploaded, how much of it, and by whom."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.auth import Role
from app.errors import QuotaExceeded, Unauthenticated

MOST_BYTES = 5 * 1024 * 1024  # of a file as it comes
MOST_PIXELS = 25_000_000  # 100 MB while one is decoded; cameras of telephones take 12 to 24
LONGEST_SIDE = 2560  # of what is kept
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Quota:
    """Bytes kept in all, and files taken within 24 hours."""

    most_bytes: int
    most_a_day: int


@dataclass(frozen=True, slots=True)
class Used:
    kept_bytes: int
    taken_today: int


QUOTAS: Mapping[Role, Quota] = {
    Role.CONSUMER: Quota(200 * MB, 50),
    Role.DISTRIBUTOR: Quota(500 * MB, 100),
    Role.SUPPLIER: Quota(2000 * MB, 500),
    Role.AGENT: Quota(500 * MB, 200),
    Role.ADMIN: Quota(2000 * MB, 500),
}
"""Guests have none: nobody would answer for what they leave."""


def quota_of(role: Role) -> Quota:
    """Raises Unauthenticated for a guest."""
    quota = QUOTAS.get(role)
    if quota is None:
        raise Unauthenticated
    return quota


def check_quota(quota: Quota, used: Used, *, more_bytes: int) -> None:
    """Raises QuotaExceeded when one more file of that size is too much."""
    if used.taken_today >= quota.most_a_day or used.kept_bytes + more_bytes > quota.most_bytes:
        raise QuotaExceeded
