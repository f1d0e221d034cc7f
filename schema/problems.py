"""One Problem type per refusal; the data a client needs to go on stands beside the words."""

from datetime import datetime
from typing import Any

import strawberry

from app import errors, ids
from app.errors import MallError
from schema.common import Money, Problem

PROBLEMS: dict[type[MallError], type[Problem]] = {}


def _problem(error: type[MallError], description: str) -> Any:
    def make(cls: type[Problem]) -> type[Problem]:
        made = strawberry.type(cls, description=description)
        PROBLEMS[error] = made
        return made

    return make


@_problem(errors.NotFound, "找不到，或不属于您。Not there, or not yours.")
class NotFoundProblem(Problem):
    pass


@_problem(errors.InvalidInput, "输入有误。A value that has to be corrected.")
class InvalidInputProblem(Problem):
    field: str = strawberry.field(description="哪个输入。Which input.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"field": error.data["field"]}


@_problem(errors.LoginRefused, "登录码无效。The code is not valid.")
class LoginRefusedProblem(Problem):
    pass


@_problem(
    errors.PlatformUnavailable,
    "平台未启用或无应答。The platform is not set up, or does not answer.",
)
class PlatformUnavailableProblem(Problem):
    pass


@_problem(errors.SessionEnded, "登录已结束，请重新登录。The session has ended: sign in again.")
class SessionEndedProblem(Problem):
    pass


@_problem(errors.RoleNotHeld, "没有该角色。The account does not hold the role.")
class RoleNotHeldProblem(Problem):
    pass


@_problem(errors.OutOfStock, "库存不足。Not enough units left.")
class OutOfStockProblem(Problem):
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")
    available: int = strawberry.field(description="可售数量。Units left.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {
            "sku_id": strawberry.ID(ids.encode("Sku", error.data["sku_id"])),
            "available": error.data["available"],
        }


@_problem(errors.SkuUnavailable, "规格已下架。The SKU is not on sale.")
class SkuUnavailableProblem(Problem):
    sku_id: strawberry.ID = strawberry.field(description="规格。The SKU.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"sku_id": strawberry.ID(ids.encode("Sku", error.data["sku_id"]))}


@_problem(errors.LimitExceeded, "超过限购。More than one shopper may buy.")
class LimitExceededProblem(Problem):
    limit: int = strawberry.field(description="最多件数。At most so many.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"limit": error.data["limit"]}


@_problem(errors.CartEmpty, "没有选中的商品。Nothing is selected.")
class CartEmptyProblem(Problem):
    pass


@_problem(errors.PriceChanged, "应付金额已变。The amount has changed.")
class PriceChangedProblem(Problem):
    expected: Money = strawberry.field(description="您看到的金额。What was expected.")
    payable: Money = strawberry.field(description="现在的金额。What it is now.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {
            "expected": Money.of(error.data["expected_fen"]),
            "payable": Money.of(error.data["payable_fen"]),
        }


@_problem(
    errors.IdempotencyKeyReused, "幂等键已被另一请求使用。The key stands for another request."
)
class IdempotencyKeyReusedProblem(Problem):
    pass


@_problem(errors.WrongState, "当前状态不允许。The state does not allow it.")
class WrongStateProblem(Problem):
    state: str = strawberry.field(description="当前状态。The state it is in.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"state": error.data["state"]}


@_problem(errors.PaymentFailed, "支付未成功。The payment did not succeed.")
class PaymentFailedProblem(Problem):
    pass


@_problem(errors.TradeExpired, "订单已超时关闭。The trade has expired.")
class TradeExpiredProblem(Problem):
    pass


@_problem(errors.GroupBuyFull, "已满员。Every seat is taken.")
class GroupBuyFullProblem(Problem):
    size: int = strawberry.field(description="成团人数。Seats of the group.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"size": error.data["size"]}


@_problem(errors.GroupBuyExpired, "团已结束。The group has ended.")
class GroupBuyExpiredProblem(Problem):
    pass


@_problem(errors.AlreadyInGroupBuy, "已在该活动中。Already in this activity.")
class AlreadyInGroupBuyProblem(Problem):
    group_buy_id: strawberry.ID = strawberry.field(description="所在的团。The group of the seat.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"group_buy_id": strawberry.ID(ids.encode("GroupBuy", error.data["group_buy_id"]))}


@_problem(errors.ActivityNotRunning, "活动未在进行。The activity is not running.")
class ActivityNotRunningProblem(Problem):
    pass


@_problem(errors.ShipmentRefused, "发货数量过多。More than is left to ship.")
class ShipmentRefusedProblem(Problem):
    pass


@_problem(errors.RoomNotLive, "直播间未在直播。The room is not live.")
class RoomNotLiveProblem(Problem):
    state: str = strawberry.field(description="直播间状态。The state of the room.")

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"state": error.data["state"]}


@_problem(errors.MessageRefused, "消息不被接受。The message is not accepted.")
class MessageRefusedProblem(Problem):
    pass


@_problem(errors.Muted, "被禁言。Muted in this room.")
class MutedProblem(Problem):
    until: datetime | None = strawberry.field(
        description="到何时，空为永久。Until when; null for good."
    )

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"until": error.data["until"]}


@_problem(errors.TooOften, "太频繁。Too often.")
class TooOftenProblem(Problem):
    retry_after_s: float = strawberry.field(
        description="几秒后再试。Try again after so many seconds."
    )

    @classmethod
    def details(cls, error: MallError) -> dict[str, Any]:
        return {"retry_after_s": error.data["retry_after_s"]}


@_problem(errors.ConversationBusy, "上一条还在回复。The previous one is still being answered.")
class ConversationBusyProblem(Problem):
    pass
