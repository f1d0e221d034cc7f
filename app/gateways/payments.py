"""Payment providers: what we ask of one, and a simulated one that keeps its books in memory."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Charged:
    """The provider's final word on one charge; `event_id` is the same however often it is told."""

    outcome: Outcome
    event_id: str
    amount_fen: int


class ProviderDown(Exception):
    """The provider gave no answer: the charge or refund may or may not have happened."""


class PaymentGateway(Protocol):
    """Every call is idempotent by its number, so that it may be repeated after a lost answer."""

    name: str

    async def charge(self, *, provider_no: str, amount_fen: int) -> Charged:
        """Takes the money once per `provider_no`. Raises ProviderDown."""
        ...

    async def close(self, *, provider_no: str) -> bool:
        """Makes sure that no money comes any more; False when it has come. Raises ProviderDown."""
        ...

    async def refund(self, *, refund_no: str, provider_no: str, amount_fen: int) -> Outcome:
        """Gives money back once per `refund_no`. Raises ProviderDown."""
        ...


@dataclass
class SimulatedPayments:
    """A provider without money: charges succeed unless `declined` names them.

    `charged` and `refunded` are its books, fen by number; `is_down` makes it unreachable.
    """

    name: str = "SIMULATED"
    charged: dict[str, int] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)
    is_down: bool = False

    async def charge(self, *, provider_no: str, amount_fen: int) -> Charged:
        self._answer()
        if provider_no in self.declined | self.closed:
            return Charged(Outcome.FAILED, f"{provider_no}-declined", amount_fen)
        taken_fen = self.charged.setdefault(provider_no, amount_fen)
        return Charged(Outcome.SUCCEEDED, f"{provider_no}-paid", taken_fen)

    async def close(self, *, provider_no: str) -> bool:
        self._answer()
        if provider_no in self.charged:
            return False
        self.closed.add(provider_no)
        return True

    async def refund(self, *, refund_no: str, provider_no: str, amount_fen: int) -> Outcome:
        """A charge from before a restart is not in the books any more: it is taken on trust."""
        self._answer()
        known_fen = self.charged.get(provider_no)
        if known_fen is not None and amount_fen > known_fen:
            return Outcome.FAILED
        self.refunded.setdefault(refund_no, amount_fen)
        return Outcome.SUCCEEDED

    def _answer(self) -> None:
        if self.is_down:
            raise ProviderDown
