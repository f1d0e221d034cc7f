"""Root field of the audit log."""

from typing import Annotated

import strawberry

from app import ids
from app.auth import Role
from app.context import Info
from app.rules.audit import Action
from app.services import audit
from resolvers.pages import After, First, checked_first
from resolvers.reads import root
from schema.audit import AuditEntry
from schema.common import Connection
from schema.reads import PageOf


@strawberry.type
class AuditQuery:
    @root(
        "审计日志，新的在前，仅管理员。The audit log, newest first; admins only.",
        Connection[AuditEntry],
    )
    def audit_log(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        action: Annotated[
            Action | None, strawberry.argument(description="只看某动作。Only this action.")
        ] = None,
        account_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="只看某账户。Only what this account did."),
        ] = None,
    ) -> PageOf:
        info.context.viewer.must_be(Role.ADMIN)
        account = None if account_id is None else ids.key_of("Account", account_id)
        return PageOf(
            "AuditEntry",
            Connection,
            audit.listing,
            {"action": action, "account_id": account},
            first=checked_first(first),
            after=after,
            scope=f"audit:{action}:{account}",
        )
