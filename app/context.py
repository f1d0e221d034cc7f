"""What every operation is given: the resources of the process, who asks, and the batch loaders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import strawberry

from app.services.live_rooms_viewers import Presence

if TYPE_CHECKING:
    from app.attempts import Attempts
    from app.auth import Tokens, Viewer
    from app.bus import Bus
    from app.clock import Clock
    from app.db import Database
    from app.errors import RequestError
    from app.gateways.payments import PaymentGateway
    from app.gateways.platforms import Platforms
    from app.ids import CursorSigner
    from app.rates import Rates
    from app.settings import Settings
    from app.workers.answers import Answers
    from llm.protocol import Engine


@dataclass(frozen=True, slots=True)
class Resources:
    """Opened once per process by the lifespan, closed in reverse order."""

    settings: Settings
    database: Database
    bus: Bus
    clock: Clock
    tokens: Tokens
    cursors: CursorSigner
    payments: PaymentGateway
    platforms: Platforms
    attempts: Attempts
    engine: Engine
    answers: Answers
    rates: Rates
    presence: Presence = field(default_factory=Presence)  # who watches rooms in this process


class Load(Protocol):
    """Batch loaders of one operation; see resolvers/loaders.py."""

    def __init__(self, database: Database, viewer: Viewer) -> None: ...

    async def one(self, kind: str, key: int) -> Any: ...

    async def many(self, declared: Any, key: int) -> Sequence[Any]: ...

    async def batch(self, declared: Any, kind: str, row: Any) -> Any: ...


@dataclass(slots=True)
class Place:
    """Where a resumable stream stands: what its caller has seen already, and the last event."""

    after: str | None = None  # a cursor that counts in place of the argument `after`
    last: str | None = None


@dataclass(slots=True)
class Context:
    """One operation, or one event of a subscription: never kept longer than that."""

    viewer: Viewer
    resources: Resources
    load: Load
    request_id: str = ""
    address: str = ""  # of the caller, or of the caller's network
    connection_params: Mapping[str, Any] = field(default_factory=dict)
    refusal: RequestError | None = None  # why a websocket's operations are refused
    place: Place | None = None  # of transports that carry it themselves, like Last-Event-ID

    def resumed(self, after: str | None) -> str | None:
        """The cursor to go on from: the transport's, else the argument `after`."""
        return after if self.place is None else self.place.after or after

    def reached(self, cursor: str) -> str:
        """Tells the transport where the stream stands; the cursor itself."""
        if self.place is not None:
            self.place.last = cursor
        return cursor

    def for_operation(self) -> Context:
        """A context of its own, with empty loaders: what a socket has read goes stale."""
        return replace(self, load=self._empty_loaders())

    def act_as(self, viewer: Viewer) -> None:
        """From here on the viewer is this one, and nothing that another has read is known."""
        self.viewer = viewer
        self.look_again()

    def look_again(self) -> None:
        """Forgets what the loaders have read: an event must show the state after it."""
        self.load = self._empty_loaders()

    def _empty_loaders(self) -> Load:
        return type(self.load)(self.resources.database, self.viewer)


Info = strawberry.Info[Context, None]
