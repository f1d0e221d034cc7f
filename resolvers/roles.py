"""The admins' verbs: giving a role and taking it."""

from typing import Annotated

import strawberry

from app import ids
from app.auth import Role
from app.context import Info
from app.services import roles
from resolvers.problems import returns_problems
from schema.accounts import (
    GrantRoleInput,
    GrantRoleResult,
    RevokeRoleInput,
    RevokeRoleResult,
)


@strawberry.type
class RoleMutation:
    @strawberry.mutation(description="授予角色，管理员专用。Gives a role; admins only.")
    @returns_problems
    async def grant_role(
        self,
        info: Info,
        input: Annotated[
            GrantRoleInput, strawberry.argument(description="授予什么。What to give.")
        ],
    ) -> GrantRoleResult:
        resources = info.context.resources
        info.context.viewer.must_be(Role.ADMIN)
        account_id = ids.key_of("Account", input.account_id)
        ended = await resources.database.change(
            roles.grant,
            info.context.viewer,
            account_id=account_id,
            role=input.role,
            subject_id=_subject(input),
        )
        resources.tokens.end(ended)
        return await info.context.load.one("Account", account_id)

    @strawberry.mutation(
        description="撤销角色，管理员专用；其会话结束。Takes a role, ends its sessions; admins."
    )
    @returns_problems
    async def revoke_role(
        self,
        info: Info,
        input: Annotated[
            RevokeRoleInput, strawberry.argument(description="撤销什么。What to take.")
        ],
    ) -> RevokeRoleResult:
        resources = info.context.resources
        info.context.viewer.must_be(Role.ADMIN)
        account_id = ids.key_of("Account", input.account_id)
        ended = await resources.database.change(
            roles.revoke, info.context.viewer, account_id=account_id, role=input.role
        )
        resources.tokens.end(ended)
        return await info.context.load.one("Account", account_id)


def _subject(given: GrantRoleInput) -> int | None:
    """The key of what the role is held for. Raises NotFound for an id of another kind."""
    if given.subject_id is None:
        return None
    kind = roles.KINDS.get(given.role, "Account")
    return ids.key_of(kind, given.subject_id)
