"""The viewer, sign-in and addresses."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import strawberry

from app.auth import Role
from app.services import accounts, addresses
from schema.fields import Entity, Value, batch, column, entity, key, many, one
from schema.problems import (
    InvalidInputProblem,
    LoginRefusedProblem,
    NotFoundProblem,
    PlatformUnavailableProblem,
    RoleNotHeldProblem,
    SessionEndedProblem,
    TooOftenProblem,
)
from schema.refs import AccountRef, AddressRef

strawberry.enum(Role, name="Role", description="角色。The role a viewer acts in.")


@strawberry.enum(description="登录平台。The platform that vouches for a person.")
class Platform(StrEnum):
    DEV = "DEV"
    WECHAT = "WECHAT"
    ALIPAY = "ALIPAY"
    BAIDU = "BAIDU"


@entity("收货地址。An address of the viewer.", visible_to=addresses.visible_to)
class Address(Entity):
    id: strawberry.ID = key()
    receiver: str = column("收货人。Who receives.")
    phone: str = column("电话。Telephone.")
    province: str = column("省。Province.")
    city: str = column("市。City.")
    street: str = column("详细地址。Street and house.")
    is_default: bool = column("是否默认。Used when none is named.")


@entity("账户，仅本人可见。An account, visible to its owner.", visible_to=accounts.visible_to)
class Account(Entity):
    id: strawberry.ID = key()
    nickname: str = column("昵称。Nickname.")
    roles: list[Role] = batch(accounts.roles, "拥有的角色。Roles the person holds.")
    addresses: list[AddressRef] = many(
        "Address", "account_id", "收货地址。Addresses.", order=("-is_default", "id"), limit=20
    )


@strawberry.type(description="当前访问者。Who is asking.")
class CurrentViewer(Value):
    account_id: strawberry.Private[int | None]
    role: Role = strawberry.field(description="当前角色。The role acted in.")
    account: AccountRef | None = one("account_id", "Account", "账户，游客为空。Null for a guest.")


@strawberry.type(description="登录成功。A session.")
class Session:
    token: str = strawberry.field(
        description="访问令牌，放入 Authorization: Bearer 头。The access token, sent as bearer."
    )
    expires_at: datetime = strawberry.field(
        description="访问令牌的失效时间。When the access token ends; refreshSession gives the next."
    )
    refresh_token: str = strawberry.field(
        description="刷新令牌：每次 refreshSession 后换新，请妥善保存。Changes with every refresh."
    )
    refresh_expires_at: datetime = strawberry.field(
        description="在此之前须刷新。The session ends then unless it is refreshed before."
    )
    viewer: CurrentViewer = strawberry.field(description="登录者。Who has signed in.")


@strawberry.input(description="用平台登录码登录。Signs in with a one-time code of a platform.")
class LoginWithCodeInput:
    platform: Platform = strawberry.field(description="平台。The platform.")
    code: str = strawberry.field(description="一次性登录码。The one-time code.")
    role: Role | None = strawberry.field(
        default=None,
        description="要使用的角色，缺省为消费者。The role to act in; a consumer's else.",
    )


LoginWithCodeResult = Annotated[
    Session
    | LoginRefusedProblem
    | PlatformUnavailableProblem
    | RoleNotHeldProblem
    | TooOftenProblem,
    strawberry.union("LoginWithCodeResult", description="登录结果。A session or why not."),
]


@strawberry.input(
    description="换取新的访问令牌；请求不带 Authorization。Sent without Authorization."
)
class RefreshSessionInput:
    refresh_token: str = strawberry.field(description="最新的刷新令牌。The newest refresh token.")


@strawberry.input(description="切换到自己拥有的另一角色。Acts in another role that one holds.")
class SwitchRoleInput:
    role: Role = strawberry.field(description="角色。The role.")


@strawberry.input(description="退出登录。Signs out.")
class LogoutInput:
    refresh_token: str | None = strawberry.field(
        default=None,
        description="要结束的会话，缺省为当前会话。Whose session ends; this one's else.",
    )


@strawberry.input(description="在所有设备上退出登录。Signs out on every device.")
class LogoutEverywhereInput:
    keep_this: bool = strawberry.field(
        default=False, description="保留当前会话。Whether this session goes on."
    )


@strawberry.type(description="已退出登录。Signed out.")
class SignedOut:
    sessions: int = strawberry.field(description="结束的会话数。How many sessions have ended.")


@strawberry.input(description="授予角色，管理员专用。Gives a role; admins only.")
class GrantRoleInput:
    account_id: strawberry.ID = strawberry.field(description="账户。The account.")
    role: Role = strawberry.field(description="角色。The role.")
    subject_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="供应商或分销商，其他角色留空。The supplier or distributor it is held for.",
    )


@strawberry.input(description="撤销角色，管理员专用；其会话随即结束。Takes a role; admins only.")
class RevokeRoleInput:
    account_id: strawberry.ID = strawberry.field(description="账户。The account.")
    role: Role = strawberry.field(description="角色。The role.")


RefreshSessionResult = Annotated[
    Session | SessionEndedProblem | TooOftenProblem,
    strawberry.union("RefreshSessionResult", description="刷新结果。A session or why not."),
]
SwitchRoleResult = Annotated[
    Session | RoleNotHeldProblem,
    strawberry.union("SwitchRoleResult", description="切换结果。A new session or why not."),
]
LogoutResult = Annotated[
    SignedOut | NotFoundProblem,
    strawberry.union("LogoutResult", description="退出结果。Signed out, or why not."),
]
LogoutEverywhereResult = Annotated[
    SignedOut | TooOftenProblem,
    strawberry.union("LogoutEverywhereResult", description="退出结果。Signed out, or why not."),
]
GrantRoleResult = Annotated[
    Account | NotFoundProblem | InvalidInputProblem,
    strawberry.union("GrantRoleResult", description="授予结果。The account or why not."),
]
RevokeRoleResult = Annotated[
    Account | NotFoundProblem | InvalidInputProblem,
    strawberry.union("RevokeRoleResult", description="撤销结果。The account or why not."),
]
