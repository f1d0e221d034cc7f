"""Root fields of people: who am I, signing in, staying so, and signing out."""

from dataclasses import replace
from typing import Annotated

import strawberry

from app.auth import Viewer
from app.context import Context, Info
from app.services import sign_ins
from app.services.sessions import Opened
from app.services.sign_ins import Desk
from resolvers.problems import returns_problems
from resolvers.reads import root
from schema.accounts import (
    CurrentViewer,
    LoginWithCodeInput,
    LoginWithCodeResult,
    LogoutEverywhereInput,
    LogoutEverywhereResult,
    LogoutInput,
    LogoutResult,
    RefreshSessionInput,
    RefreshSessionResult,
    Session,
    SignedOut,
    SwitchRoleInput,
    SwitchRoleResult,
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
        context = info.context
        opened = await sign_ins.by_code(
            _desk(context),
            platform=input.platform.value,
            code=input.code,
            role=input.role,
            guest=context.viewer,
            address=context.address,
        )
        return _session(context, opened)

    @strawberry.mutation(
        description="换取新令牌；旧刷新令牌作废。The next tokens; a reused one ends the session.",
        metadata=_SIGN_IN.metadata(),
    )
    @returns_problems
    async def refresh_session(
        self,
        info: Info,
        input: Annotated[
            RefreshSessionInput, strawberry.argument(description="刷新令牌。The refresh token.")
        ],
    ) -> RefreshSessionResult:
        context = info.context
        opened = await sign_ins.renew(_desk(context), input.refresh_token, address=context.address)
        return _session(context, opened)

    @strawberry.mutation(description="切换角色；原会话结束。Acts in another role, anew.")
    @returns_problems
    async def switch_role(
        self,
        info: Info,
        input: Annotated[SwitchRoleInput, strawberry.argument(description="角色。The role.")],
    ) -> SwitchRoleResult:
        opened = await sign_ins.switch(_desk(info.context), info.context.viewer, input.role)
        return _session(info.context, opened)

    @strawberry.mutation(description="退出登录，令牌立即失效。Signs out; tokens end at once.")
    @returns_problems
    async def logout(
        self,
        info: Info,
        input: Annotated[LogoutInput, strawberry.argument(description="哪个会话。Which session.")],
    ) -> LogoutResult:
        context = info.context
        token = input.refresh_token
        ended = await sign_ins.sign_out(_desk(context), context.viewer, refresh_token=token)
        if token is None:
            context.act_as(Viewer(locale=context.viewer.locale))
        return SignedOut(sessions=ended)

    @strawberry.mutation(description="在所有设备上退出登录。Signs out on every device.")
    @returns_problems
    async def logout_everywhere(
        self,
        info: Info,
        input: Annotated[
            LogoutEverywhereInput, strawberry.argument(description="保留哪个。What to keep.")
        ],
    ) -> LogoutEverywhereResult:
        context = info.context
        ended = await sign_ins.sign_out_everywhere(
            _desk(context), context.viewer, keeps_this=input.keep_this
        )
        if not input.keep_this:
            context.act_as(Viewer(locale=context.viewer.locale))
        return SignedOut(sessions=ended)


def _desk(context: Context) -> Desk:
    resources, settings = context.resources, context.resources.settings
    return Desk(
        resources.database,
        resources.tokens,
        resources.platforms,
        resources.attempts,
        per_minute=settings.sign_ins_per_minute,
        life=settings.session_life,
    )


def _session(context: Context, opened: Opened) -> Session:
    """What the payload reads is the new viewer's."""
    viewer = replace(opened.viewer, locale=context.viewer.locale)
    context.act_as(viewer)
    issued = context.resources.tokens.issued(viewer)
    return Session(
        token=issued.token,
        expires_at=issued.expires_at,
        refresh_token=opened.refresh_token,
        refresh_expires_at=opened.expires_at,
        viewer=_current(viewer),
    )


def _current(viewer: Viewer) -> CurrentViewer:
    return CurrentViewer(role=viewer.role, account_id=viewer.id)
