"""Values that every word uses: money, pages, problems."""

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Generic, Self, TypeVar

import strawberry

from app import money
from app.auth import Viewer
from app.db import Reader
from app.errors import Locale as LocaleCode
from app.errors import MallError
from app.services import pages
from schema.fields import tally
from schema.reads import PageOf

T = TypeVar("T")


@strawberry.enum(description="币种。Currency of an amount.")
class CurrencyCode(StrEnum):
    CNY = "CNY"


@strawberry.enum(description="显示语言。Language of formatted text.")
class Locale(StrEnum):
    ZH_CN = "zh"
    EN = "en"


@strawberry.type(description="金额，整数分。An amount of money in integer minor units.")
class Money:
    amount_minor: int = strawberry.field(description="金额（分）。Amount in fen.")
    currency: CurrencyCode = strawberry.field(
        default=CurrencyCode.CNY, description="币种。Currency."
    )

    @strawberry.field(description="给人看的写法，如 ¥12.90。Text for people.")
    def formatted(
        self,
        locale: Annotated[
            Locale, strawberry.argument(description="语言。Language.")
        ] = Locale.ZH_CN,
    ) -> str:
        return money.formatted(self.amount_minor, locale)

    @staticmethod
    @lru_cache(maxsize=10_000)
    def of(amount_fen: int) -> "Money":
        """The amount; equal ones are one value that nobody changes."""
        return Money(amount_minor=amount_fen)

    @staticmethod
    def maybe(amount_fen: int | None) -> "Money | None":
        return None if amount_fen is None else Money.of(amount_fen)


@strawberry.type(description="翻页信息。Where a page begins and ends.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="后面是否还有。Is there a next page?")
    has_previous_page: bool = strawberry.field(
        description="前面是否还有。Was this page reached by a cursor?"
    )
    start_cursor: str | None = strawberry.field(description="首条游标。Cursor of the first item.")
    end_cursor: str | None = strawberry.field(description="末条游标。Cursor of the last item.")


@strawberry.type(description="列表中的一项及其游标。An item of a list with its cursor.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="游标。Give it as `after` to go on from here.")
    node: T = strawberry.field(description="这一项。The item.")


async def _total(db: Reader, viewer: Viewer, page_of: PageOf) -> int:
    return await pages.count(db, (await page_of.settled(db)).listed(viewer))


@strawberry.type(description="分页列表。A page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="带游标的各项。Items with cursors.")
    nodes: list[T] = strawberry.field(description="各项。The items.")
    page_info: PageInfo = strawberry.field(description="翻页信息。Where the page stands.")
    page_of: strawberry.Private[PageOf]
    total_count: int | None = tally(_total, "总数，被选择时才统计。Counted only when selected.")


@strawberry.enum(description="业务拒绝的稳定代码。Stable codes of refusals.")
class ProblemCode(StrEnum):
    NOT_FOUND = "NOT_FOUND"
    INVALID_INPUT = "INVALID_INPUT"
    LOGIN_REFUSED = "LOGIN_REFUSED"
    PLATFORM_UNAVAILABLE = "PLATFORM_UNAVAILABLE"
    SESSION_ENDED = "SESSION_ENDED"
    ROLE_NOT_HELD = "ROLE_NOT_HELD"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    SKU_UNAVAILABLE = "SKU_UNAVAILABLE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    CART_EMPTY = "CART_EMPTY"
    PRICE_CHANGED = "PRICE_CHANGED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    WRONG_STATE = "WRONG_STATE"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    TRADE_EXPIRED = "TRADE_EXPIRED"
    GROUP_BUY_FULL = "GROUP_BUY_FULL"
    GROUP_BUY_EXPIRED = "GROUP_BUY_EXPIRED"
    ALREADY_IN_GROUP_BUY = "ALREADY_IN_GROUP_BUY"
    ACTIVITY_NOT_RUNNING = "ACTIVITY_NOT_RUNNING"
    SHIPMENT_REFUSED = "SHIPMENT_REFUSED"
    ROOM_NOT_LIVE = "ROOM_NOT_LIVE"
    MESSAGE_REFUSED = "MESSAGE_REFUSED"
    MUTED = "MUTED"
    TOO_OFTEN = "TOO_OFTEN"
    CONVERSATION_BUSY = "CONVERSATION_BUSY"


@strawberry.interface(description="业务拒绝：没有任何改变。A refusal; nothing has changed.")
class Problem:
    code: ProblemCode = strawberry.field(description="稳定代码。The stable code.")
    message: str = strawberry.field(description="给人看的说明。Words for people.")

    @classmethod
    def of(cls, error: MallError, locale: LocaleCode) -> Self:
        """The problem that tells of `error`; a subclass adds its own data in `details`."""
        return cls(
            code=ProblemCode(error.code), message=error.message(locale), **cls.details(error)
        )

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:  # noqa: ARG003  for subclasses
        return {}


@strawberry.interface(description="订阅中的一个事件。An event of a subscription.")
class StreamEvent:
    cursor: str = strawberry.field(
        description="断线后作为 after 续订。Give it as `after` to go on."
    )
    seq: int | None = strawberry.field(
        default=None,
        description="主题内的序号，从 1 起连续；首个快照没有。Counts the events of its topic.",
    )


@strawberry.type(
    description="历史已不可得：请重新查询再订阅。History is gone: query again, then go on."
)
class StreamGap(StreamEvent):
    pass


@strawberry.type(
    description="已从此刻起订阅：请随后查询现状，之后的变化都会推送。"
    "You follow from here on: query how things stand now, every change after this is told."
)
class StreamOpened(StreamEvent):
    pass


@strawberry.input(description="收货地址。Where goods go.")
class AddressInput:
    receiver: str = strawberry.field(description="收货人。Who receives.")
    phone: str = strawberry.field(description="电话。Telephone.")
    province: str = strawberry.field(description="省。Province.")
    city: str = strawberry.field(description="市。City.")
    street: str = strawberry.field(description="详细地址。Street and house.")
