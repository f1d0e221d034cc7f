"""The viewer, sign-in and addresses."""

from enum import StrEnum
from typing import Annotated

import strawberry

from app.auth import Role
from app.services import accounts, addresses
from schema.fields import Entity, Value, batch, column, entity, key, many, one
from schema.problems import LoginRefusedProblem, PlatformUnavailableProblem
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
    token: str = strawberry.field(description="放入 Authorization: Bearer 头。The bearer token.")
    viewer: CurrentViewer = strawberry.field(description="登录者。Who has signed in.")


@strawberry.input(description="用平台登录码登录。Signs in with a one-time code of a platform.")
class LoginWithCodeInput:
    platform: Platform = strawberry.field(description="平台。The platform.")
    code: str = strawberry.field(description="一次性登录码。The one-time code.")


LoginWithCodeResult = Annotated[
    Session | LoginRefusedProblem | PlatformUnavailableProblem,
    strawberry.union("LoginWithCodeResult", description="登录结果。A session or why not."),
]
