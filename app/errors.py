"""What can go wrong for a person: stable public codes, words in Chinese and English."""

from datetime import datetime
from typing import Any, ClassVar, Literal

Locale = Literal["zh", "en"]


class MallError(Exception):
    """A refusal that a shopper can cause or understand; `code` is public and never changes."""

    code: ClassVar[str]
    zh: ClassVar[str]
    en: ClassVar[str]
    shown: ClassVar[tuple[str, ...]] = ()  # names of data that stand beside the code

    def __init__(self, **data: Any) -> None:
        self.data = data
        super().__init__(self.en.format(**data))

    def message(self, locale: Locale) -> str:
        return (self.zh if locale == "zh" else self.en).format(**self.data)

    @property
    def extensions(self) -> dict[str, Any]:
        """What programs are told: the code, and numbers."""
        return {"code": self.code} | {name: self.data[name] for name in self.shown}


class RequestError(MallError):
    """A refusal of the whole request: a top-level GraphQL error, never a result."""


class Unauthenticated(RequestError):
    code = "UNAUTHENTICATED"
    zh = "请先登录"
    en = "please sign in first"


class InvalidToken(RequestError):
    code = "INVALID_TOKEN"
    zh = "登录已失效，请重新登录"
    en = "the token is not valid, please sign in again"


class Forbidden(RequestError):
    code = "FORBIDDEN"
    zh = "没有权限"
    en = "this role may not do that"


class IntrospectionDisabled(RequestError):
    code = "INTROSPECTION_DISABLED"
    zh = "此处不提供结构查询（__schema、__type）"
    en = "the schema cannot be asked for here (__schema, __type)"


class BadUserInput(RequestError):
    """`field` names the argument; `zh_why` and `why` say what is wrong with it."""

    code = "BAD_USER_INPUT"
    zh = "参数 {field} 有误：{zh_why}"
    en = "argument {field}: {why}"

    def __init__(self, field: str, zh_why: str, why: str) -> None:
        super().__init__(field=field, zh_why=zh_why, why=why)


class BadCursor(RequestError):
    code = "BAD_CURSOR"
    zh = "游标无效"
    en = "the cursor is not one of ours"


class BadUpload(RequestError):
    code = "BAD_UPLOAD"
    zh = "上传格式有误：需要表单中名为 file 的一个文件"
    en = "a form with one file called `file` is wanted"


class UploadTooLarge(RequestError):
    code = "UPLOAD_TOO_LARGE"
    zh = "图片太大：至多 5 MB、2500 万像素"
    en = "the picture is too large: at most 5 MB and 25 million pixels"


class UploadTooSlow(RequestError):
    code = "UPLOAD_TOO_SLOW"
    zh = "上传超时，请重试"
    en = "the upload took too long, please try again"


class UnsupportedMedia(RequestError):
    code = "UNSUPPORTED_MEDIA"
    zh = "只支持完整的 JPEG、PNG、WebP 或 GIF 图片"
    en = "a whole JPEG, PNG, WebP or GIF picture is wanted"


class QuotaExceeded(RequestError):
    code = "QUOTA_EXCEEDED"
    zh = "上传数量已达上限"
    en = "no more uploads are possible for now"


class DocumentTooLarge(RequestError):
    """`rule` names what there is too much of; `found` counts spreads as if written out."""

    code = "DOCUMENT_TOO_LARGE"
    zh = "查询过大：{rule} 至多 {limit}，实为 {found}"
    en = "the document is too large: {rule} may be {limit} at most, found {found}"
    shown = ("rule", "limit", "found")

    def __init__(self, rule: str, limit: int, found: int) -> None:
        super().__init__(rule=rule, limit=limit, found=found)


class CircularFragments(RequestError):
    """`path` names the fragments that lead from one to itself."""

    code = "CIRCULAR_FRAGMENTS"
    zh = "片段循环引用：{path}"
    en = "fragments go round in a circle: {path}"

    def __init__(self, path: str) -> None:
        super().__init__(path=path)


class TooCostly(RequestError):
    """`requested` is what the operation may cost at worst, `budget` what the role may spend."""

    code = "COST_LIMIT_EXCEEDED"
    zh = "查询代价过高：需要 {requested}，上限 {budget}"
    en = "the operation may cost {requested}, the limit is {budget}"
    shown = ("cost",)

    def __init__(self, requested: int, budget: int, cost: dict[str, Any]) -> None:
        super().__init__(requested=requested, budget=budget, cost=cost)


class RateLimited(RequestError):
    """`retry_after_s` is when there will be enough again for what was asked."""

    code = "RATE_LIMITED"
    zh = "请求太频繁，请在 {retry_after_s} 秒后重试"
    en = "too many requests, try again in {retry_after_s} s"
    shown = ("retry_after_s", "cost")

    def __init__(self, retry_after_s: int, cost: dict[str, Any]) -> None:
        super().__init__(retry_after_s=retry_after_s, cost=cost)


class OperationTimeout(RequestError):
    """What was committed before stays; a change that was under way is finished, not torn."""

    code = "OPERATION_TIMEOUT"
    zh = "操作超时（{limit_s} 秒）"
    en = "the operation took longer than {limit_s} s"

    def __init__(self, limit_s: float) -> None:
        super().__init__(limit_s=limit_s)


class NotFound(MallError):
    """Not there and not yours look the same."""

    code = "NOT_FOUND"
    zh = "找不到该内容"
    en = "no such {kind}"

    def __init__(self, kind: str) -> None:
        super().__init__(kind=kind)


class InvalidInput(MallError):
    """A value that the shopper typed and can correct."""

    code = "INVALID_INPUT"
    zh = "{zh_why}"
    en = "{field}: {why}"

    def __init__(self, field: str, zh_why: str, why: str) -> None:
        super().__init__(field=field, zh_why=zh_why, why=why)


class LoginRefused(MallError):
    code = "LOGIN_REFUSED"
    zh = "登录失败：登录码无效或已过期"
    en = "sign-in refused: the code is unknown or has expired"


class PlatformUnavailable(MallError):
    code = "PLATFORM_UNAVAILABLE"
    zh = "暂时不能用 {platform} 登录"
    en = "sign-in by {platform} is not available now"

    def __init__(self, platform: str) -> None:
        super().__init__(platform=platform)


class SessionEnded(MallError):
    """A refresh token that is unknown, expired, used up or revoked: all look the same."""

    code = "SESSION_ENDED"
    zh = "登录状态已结束，请重新登录"
    en = "the session has ended, please sign in again"


class RoleNotHeld(MallError):
    code = "ROLE_NOT_HELD"
    zh = "您没有该角色"
    en = "this account does not hold that role"


class OutOfStock(MallError):
    code = "OUT_OF_STOCK"
    zh = "库存不足，仅剩 {available} 件"
    en = "only {available} left"

    def __init__(self, sku_id: int, available: int) -> None:
        super().__init__(sku_id=sku_id, available=available)


class SkuUnavailable(MallError):
    code = "SKU_UNAVAILABLE"
    zh = "该规格已下架"
    en = "this item is no longer on sale"

    def __init__(self, sku_id: int) -> None:
        super().__init__(sku_id=sku_id)


class LimitExceeded(MallError):
    code = "LIMIT_EXCEEDED"
    zh = "超过限购数量，最多 {limit} 件"
    en = "at most {limit} of this item"

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)


class CartEmpty(MallError):
    code = "CART_EMPTY"
    zh = "购物车里没有选中的商品"
    en = "nothing is selected in the cart"


class PriceChanged(MallError):
    """`payable_fen` is what the trade would cost now."""

    code = "PRICE_CHANGED"
    zh = "价格有变动，请确认新的应付金额"
    en = "the price has changed, please confirm the new amount"

    def __init__(self, expected_fen: int, payable_fen: int) -> None:
        super().__init__(expected_fen=expected_fen, payable_fen=payable_fen)


class IdempotencyKeyReused(MallError):
    code = "IDEMPOTENCY_KEY_REUSED"
    zh = "该幂等键已用于另一个请求"
    en = "this idempotency key was used for another request"


class WrongState(MallError):
    """The thing is not in a state that allows this; `state` is the one it is in."""

    code = "WRONG_STATE"
    zh = "当前状态不支持该操作"
    en = "a {kind} in state {state} does not allow this"

    def __init__(self, kind: str, state: str) -> None:
        super().__init__(kind=kind, state=state)


class PaymentFailed(MallError):
    code = "PAYMENT_FAILED"
    zh = "支付未成功，请重试"
    en = "the payment did not succeed"


class TradeExpired(MallError):
    code = "TRADE_EXPIRED"
    zh = "订单已超时关闭"
    en = "the trade has expired"


class GroupBuyFull(MallError):
    code = "GROUP_BUY_FULL"
    zh = "该团已满员（{size} 人）"
    en = "the group already has its {size} members"

    def __init__(self, group_buy_id: int, size: int) -> None:
        super().__init__(group_buy_id=group_buy_id, size=size)


class GroupBuyExpired(MallError):
    code = "GROUP_BUY_EXPIRED"
    zh = "该团已结束"
    en = "the group has ended"

    def __init__(self, group_buy_id: int) -> None:
        super().__init__(group_buy_id=group_buy_id)


class AlreadyInGroupBuy(MallError):
    code = "ALREADY_IN_GROUP_BUY"
    zh = "您已参加该拼团活动"
    en = "you already have a seat in this activity"

    def __init__(self, group_buy_id: int) -> None:
        super().__init__(group_buy_id=group_buy_id)


class ActivityNotRunning(MallError):
    code = "ACTIVITY_NOT_RUNNING"
    zh = "拼团活动未在进行中"
    en = "the group-buy activity is not running"


class ShipmentRefused(MallError):
    code = "SHIPMENT_REFUSED"
    zh = "发货数量超过未发数量"
    en = "more units than are left to ship"


class RoomNotLive(MallError):
    code = "ROOM_NOT_LIVE"
    zh = "直播间未在直播"
    en = "the room is not live"

    def __init__(self, state: str) -> None:
        super().__init__(state=state)


class MessageRefused(MallError):
    code = "MESSAGE_REFUSED"
    zh = "消息为空、过长或包含不当内容"
    en = "the message is empty, too long or not allowed"


class TooOften(MallError):
    code = "TOO_OFTEN"
    zh = "操作太频繁，请稍后再试"
    en = "too often, try again later"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s=retry_after_s)


class ConversationBusy(MallError):
    code = "CONVERSATION_BUSY"
    zh = "上一条消息还在回复中，请稍候"
    en = "the previous message is still being answered"


class Muted(MallError):
    """`until` is None for good."""

    code = "MUTED"
    zh = "您在该直播间被禁言"
    en = "you may not write in this room"

    def __init__(self, until: datetime | None) -> None:
        super().__init__(until=until)
