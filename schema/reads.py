"""What a root field reads, as data: its resolver says it, one of two executors carries it out.

The generic executor is resolvers/reads.py; a compiled plan reads the same from the same values.
Kinds are the names of entities. A `listing` is pure and is called as `listing(viewer, **narrowed)`;
it takes bound parameters in place of numbers and texts, so that its statement is compiled once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app.auth import Viewer
from app.db import Reader
from app.services.pages import Listing

if TYPE_CHECKING:
    from schema.common import Connection

ListingOf = Callable[..., Listing]
LookUp = Callable[[Reader], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class ById:
    """The entity of that key; null without a key, or when the viewer may not see it."""

    kind: str
    key: int | None


@dataclass(frozen=True, slots=True)
class ByIds:
    """Entities by (kind, key) in this order, each null as in `ById`; every kind is an entity."""

    places: tuple[tuple[str, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The first `limit` entities of a list that has no pages."""

    kind: str
    listing: ListingOf
    limit: int
    narrowed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FirstOf:
    """The first entity of a list, or null."""

    kind: str
    listing: ListingOf
    narrowed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page of a list as a value of `connection`, which keeps this read for its tallies.

    `first` is checked already; `after` is a cursor as it was sent, good only for `scope`: whoever
    carries the read out checks it (BadCursor). `look_up` finds more of `narrowed` in the database.
    """

    kind: str
    connection: type[Connection[Any]]
    listing: ListingOf
    narrowed: Mapping[str, Any]
    first: int
    after: str | None
    scope: str
    look_up: LookUp | None = None

    async def settled(self, db: Reader) -> PageOf:
        """This read with all of `narrowed` known; a settled one looks nothing up any more."""
        if self.look_up is None:
            return self
        found = await self.look_up(db)
        return replace(self, narrowed={**self.narrowed, **found}, look_up=None)

    def listed(self, viewer: Viewer) -> Listing:
        """The whole list that this is a page of; of a settled read only."""
        return self.listing(viewer, **self.narrowed)


Read = ById | ByIds | Rows | FirstOf | PageOf
