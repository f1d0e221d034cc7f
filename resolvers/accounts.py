"""Root fields of people: who am I, and signing in."""

from dataclasses import replace
from typing import Annotated

import strawberry

from app.auth import Viewer
from app.context import Info
from app.services import accounts
from resolvers.problems import returns_problems
from resolvers.reads import root
from schema.accounts import (
    CurrentViewer,
    LoginWithCodeInput,
    LoginWithCodeResult,
    Session,
)
from schema.fields import Price

_SIGN_IN = Price(units=1000)  # so that no document tries more than a handful of codes


@strawberry.type
class AccountQuery:
    @root("当前访问者。Who is asking.", CurrentViewer)
    def viewer(self, info: Info) -> CurrentViewer:
        return _current(info.context.viewer)


@strawberry.type
class AccountMutation:
    @strawberry.mutation(
        description="用平台登录码登录；游客购物车会并入。Signs in; a guest's cart is merged.",
        metadata=_SIGN_IN.metadata(),
    )
    @returns_problems
    async def login_with_code(
        self,
        info: Info,
        input: Annotated[
            LoginWithCodeInput, strawberry.argument(description="平台与登录码。Platform and code.")
        ],
    ) -> LoginWithCodeResult:
        resources = info.context.resources
        platform = input.platform.value
        open_id = await resources.platforms.identify(platform, input.code)
        viewer = await resources.database.change(
            accounts.login, platform=platform, open_id=open_id, guest=info.context.viewer
        )
        viewer = replace(viewer, locale=info.context.viewer.locale)
        info.context.act_as(viewer)  # what the payload reads is the new viewer's
        return Session(token=resources.tokens.issue(viewer), viewer=_current(viewer))


def _current(viewer: Viewer) -> CurrentViewer:
    return CurrentViewer(role=viewer.role, account_id=viewer.id)
