"""The gate before execution: who asks pays for it, in units of cost, and not more than may be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_network
from typing import Any

from graphql import GraphQLError
from starlette.types import Scope

from app.auth import Role
from app.context import Context
from app.edge.documents import Document, Documents
from app.edge.guard import LIMITS
from app.errors import RateLimited, RequestError, TooCostly
from app.rates import Limit, Rates, Taken

READING, LETTERS = 100, 2  # of a new document, and of so many letters one unit more: the heaviest
# that is let in has some 4,000 letters, and takes 100 ms to read and to plan
WRONG = 20  # of what is refused: it is answered, too
KEPT = 1  # of an answer that stands ready
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a role may spend on one operation, and over time."""

    budget: int
    limit: Limit


# An address may be that of many shoppers behind one carrier, so guests have much at once. Parcels
# of five orders with their traces are the dearest that a shopper's page asks for: 51,536.
ALLOWANCES = {
    Role.GUEST: Allowance(20_000, Limit("guest", burst=200_000, per_s=20_000)),
    Role.CONSUMER: Allowance(60_000, Limit("consumer", burst=300_000, per_s=15_000)),
    Role.DISTRIBUTOR: Allowance(60_000, Limit("distributor", burst=300_000, per_s=15_000)),
    Role.SUPPLIER: Allowance(100_000, Limit("supplier", burst=500_000, per_s=25_000)),
    Role.AGENT: Allowance(200_000, Limit("agent", burst=1_000_000, per_s=50_000)),
    Role.ADMIN: Allowance(200_000, Limit("admin", burst=1_000_000, per_s=50_000)),
}
CHAT = Limit("chat", burst=300, per_s=10)  # a message costs ten


class Gate:
    """Lets in what is a document and paid for; `share` scales what may be spent over time.

    With a share of 0 time does not count, one operation's budget still does.
    """

    def __init__(self, documents: Documents, rates: Rates, *, share: float = 1.0) -> None:
        self._documents, self._rates, self._share = documents, rates, share
        self._limits = {role: self._scaled(one.limit) for role, one in ALLOWANCES.items()}
        self._chat = self._scaled(CHAT)

    def document(self, text: str, operation_name: str | None, context: Context) -> Document:
        """The document, read now if it is new. Raises RateLimited before it is read."""
        known = self._documents.known(text, operation_name)
        if known is not None:
            return known
        is_read = len(text) <= LIMITS.characters
        units = READING + (len(text) // LETTERS if is_read else 0)
        self._take(context, self._limits[context.viewer.role], units)
        return self._documents.look_up(text, operation_name)

    def admit(
        self, document: Document, variables: Mapping[str, Any] | None, context: Context
    ) -> None:
        """Charges an operation. Raises RateLimited, and TooCostly, which costs next to nothing."""
        cost, role = document.cost, context.viewer.role
        units, budget = cost.units(variables or _NONE), ALLOWANCES[role].budget
        if units > budget:
            self._take(context, self._limits[role], WRONG)
            raise TooCostly(units, budget, cost=self._shown(context, units, self._limits[role]))
        if cost.chat:
            self._take(context, self._chat, cost.chat)
        self._take(context, self._limits[role], units)

    def answer_kept(self, address: str) -> None:
        """Charges an unnamed caller for an answer that stood ready. Raises RateLimited."""
        if self._share > 0:
            limit = self._limits[Role.GUEST]
            _refuse(self._rates.take(limit, f"address:{address}", KEPT), {})

    def errors(
        self,
        text: str,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
        context: Context,
    ) -> list[GraphQLError]:
        """What keeps an operation out; nothing for one that is let in, and has been charged."""
        try:
            document = self.document(text, operation_name, context)
            if document.errors:
                self._take(context, self._limits[context.viewer.role], WRONG)
            else:
                self.admit(document, variables, context)
        except RequestError as refused:
            return [GraphQLError("", original_error=refused)]
        return document.told()

    def shown(
        self, document: Document, variables: Mapping[str, Any] | None, context: Context
    ) -> dict[str, Any]:
        """`extensions.cost` of an operation."""
        limit = self._limits[context.viewer.role]
        return self._shown(context, document.cost.units(variables or _NONE), limit)

    def _take(self, context: Context, limit: Limit, units: float) -> None:
        if self._share <= 0:
            return
        taken = self._rates.take(limit, _who(context), units)
        if not taken.is_allowed:
            _refuse(taken, self._shown(context, units, limit))

    def _shown(self, context: Context, units: float, limit: Limit) -> dict[str, Any]:
        budget = ALLOWANCES[context.viewer.role].budget
        shown: dict[str, Any] = {"requested": units, "budget": budget}
        if self._share > 0:
            left = self._rates.take(limit, _who(context), 0).remaining
            reset_s = math.ceil((limit.burst - left) / limit.per_s)
            shown["rateLimit"] = {"remaining": int(left), "resetS": reset_s}
        return shown

    def _scaled(self, limit: Limit) -> Limit:
        return replace(limit, burst=limit.burst * self._share, per_s=limit.per_s * self._share)


def address_of(scope: Scope) -> str:
    """Whose address it is: of IPv6 the network, for a home has as many addresses as it likes."""
    host = (scope.get("client") or ("",))[0]
    return _network(host) if ":" in host else host


@lru_cache(maxsize=10_000)
def _network(host: str) -> str:
    try:
        return str(ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


def _who(context: Context) -> str:
    viewer = context.viewer
    if viewer.id is not None:
        return f"account:{viewer.id}"
    if viewer.guest_key is not None:
        return f"guest:{viewer.guest_key}"
    return f"address:{context.address}"


def _refuse(taken: Taken, cost: dict[str, Any]) -> None:
    if not taken.is_allowed:
        raise RateLimited(math.ceil(taken.wait_s), cost=cost)
