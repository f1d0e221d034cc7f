"""Words that claim a state: what a reply about another state must not contain."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llm.plan import STATES, Language, Move, Record


@dataclass(frozen=True, slots=True)
class Cue:
    """A wording that says something is so; `states` are the `RECORD:STATE` it is true for."""

    words: re.Pattern[str]
    states: frozenset[str]


def _orders(names: str) -> frozenset[str]:
    return frozenset(f"ORDER:{name}" for name in names.split())


_ALL = frozenset(f"ORDER:{name}" for name in STATES[Record.ORDER])
_UNPAID = _orders("PENDING_PAYMENT")
_GROUPING = _orders("AWAITING_GROUP") | {"GROUP:OPEN"}
_PACKING = _orders("AWAITING_SHIPMENT PARTIALLY_SHIPPED") | {"GROUP:FILLED"}
_WAITING = _PACKING | _UNPAID | _GROUPING
_MOVING = _orders("PARTIALLY_SHIPPED SHIPPED OUT_FOR_DELIVERY")
_LEFT = _MOVING | _orders("DELIVERED COMPLETED")
_ENDED = _orders("CANCELLED CLOSED")
_PAID = _orders("AWAITING_GROUP AWAITING_SHIPMENT") | _LEFT
_NOT_CONDITION = "(?!之?后|才|时|了?再)"

_TABLES: Mapping[Language, tuple[tuple[str, frozenset[str]], ...]] = {
    Language.ZH: (
        (r"(没有?|未|等待|待)(完成)?(付款|支付)|付款还没完成|付完款", _UNPAID),
        (
            rf"(已经?|刚刚?)(付款|支付|付了款){_NOT_CONDITION}|(付款|支付)成功{_NOT_CONDITION}|款项已付",
            _PAID,
        ),
        (
            r"等待(成团|拼团)|(成团|拼满|人齐)之?后|拼团中|(正在|还在)(拼团|进行中)|(还|尚)(没有?|未)(拼满|成团)|还没凑齐|还差|等人|凑齐人数",
            _GROUPING | {"GROUP:FAILED"},
        ),
        (
            rf"已经?(成团|拼满|拼成)|(拼团|成团|拼成)(成功|了){_NOT_CONDITION}|人数已经?(凑齐|满)",
            frozenset({"GROUP:FILLED"}),
        ),
        (
            r"拼团(没有?|未)?(成功|失败)(?<!拼团成功)|(?<!还)(没有?能?|未能?)(成团|拼成)|人数没有?凑|(?<!还)没凑齐|拼团失败",
            frozenset({"GROUP:FAILED"}),
        ),
        (
            r"待发货|(正在|还在|接着|进入|仍在)备货|等(待)?商家(发货|出库|备货)|等待发出|仓库正在",
            _PACKING,
        ),
        (r"(没有?|未|没开始)(备货|发货|发出|出库)|没发的", _WAITING),
        (r"没有物流|查不到物流|看不到快递", _WAITING | _ENDED),
        (r"已经?(从仓库)?(发货|发出|寄出|出库)", _LEFT),
        (r"在途|在?路上|运输(途)?中|正在(运输|运送|配送)|揽收|收走|往您这边", _MOVING),
        (r"部分.{0,4}(发出|发货|已发)|先发出|分包裹|几个包裹|分开发", _orders("PARTIALLY_SHIPPED")),
        (r"派送|派件|配送站|您附近|送货上门|最后一程|片区", _orders("OUT_FOR_DELIVERY")),
        (r"(已经?|显示)(被)?(签收|送达|送到)|签收了", _orders("DELIVERED COMPLETED")),
        (
            r"已经?(交易)?完成(?!付款|支付)|交易(已经?)?完成|已经?确认收货|走完流程",
            _orders("COMPLETED"),
        ),
        (r"已经?(被|自动)?取消|取消(成功|了)", _orders("CANCELLED")),
        (r"已经?(被|自动)?关闭|关闭了", _orders("CLOSED")),
        (r"不会再发", _ENDED),
        (r"在售|有售|正在(售卖|销售)|正常下单|有货", frozenset({"PRODUCT:ON_SALE"})),
        (r"售罄|没货|卖完|缺货|无货|断货", frozenset({"PRODUCT:SOLD_OUT"})),
        (r"下架|停售", frozenset({"PRODUCT:DELISTED"})),
        (r"购物车.{0,6}(空的|没有商品)", frozenset({"CART:EMPTY"})),
        (
            r"规则(写明|里?写的?|里?是|原文|规定)|规定[:：]|按(规定|规则|这一条)|根据(规定|规则)|适用这一条",
            frozenset({"POLICY:COVERED"}),
        ),
        (
            r"(没有?|未)(写到|覆盖|查到对应|提及|对应的条款|查到相关规定)",
            frozenset({"POLICY:NOT_COVERED"}),
        ),
    ),
    Language.EN: (
        (r"not been paid|not paid|unpaid|waiting for payment|awaiting payment", _UNPAID),
        (r"\bis paid\b|has been paid|was paid\b|payment (was )?received", _PAID),
        (
            r"group to fill|join the group|still needs|still open|not full yet|more (people )?(are )?needed|group is not full|more to fill",
            _GROUPING,
        ),
        (
            r"has filled|group (is|for \S+ is) complete|group [^.]{0,12}(is complete|has filled)",
            frozenset({"GROUP:FILLED"}),
        ),
        (r"did not (fill|reach)|failed to fill|was not completed", frozenset({"GROUP:FAILED"})),
        (
            r"waiting (to be shipped|for dispatch)|being prepared by|preparing|packing\b(?! after)|still being prepared",
            _PACKING,
        ),
        (r"not left|not out yet|not shipped|not being prepared", _WAITING),
        (
            r"has shipped|have shipped|(?<!be )\bshipped with|has left|have (already )?left|first has left|went out first",
            _LEFT,
        ),
        (r"on its way|in transit|has collected|is carrying", _MOVING),
        (r"some items|part of|several parcels|some have left", _orders("PARTIALLY_SHIPPED")),
        (r"out for delivery|courier is|arriv(es|ing) (soon|shortly)", _orders("OUT_FOR_DELIVERY")),
        (
            r"(been|was|as|is|were) delivered|delivered (already|to you)",
            _orders("DELIVERED COMPLETED"),
        ),
        (
            r"is complete(d)?[;.,]? ?(receipt|$|\.)|been completed|is completed|receipt has been",
            _orders("COMPLETED") | {"GROUP:FILLED"},
        ),
        (r"(been|was|is|were) cancelled|cancelled (it|already)", _orders("CANCELLED")),
        (r"(been|was|is) closed", _orders("CLOSED")),
        (r"will not ship", _ENDED),
        (
            r"on sale|available to order|is available (now|at)|in stock now",
            frozenset({"PRODUCT:ON_SALE"}),
        ),
        (r"sold out|out of stock", frozenset({"PRODUCT:SOLD_OUT"})),
        (r"no longer listed|taken off", frozenset({"PRODUCT:DELISTED"})),
        (r"cart is empty|nothing in your cart", frozenset({"CART:EMPTY"})),
        (
            r"(our|the) rules? (say|state)|this is the rule|the rule that covers|according to",
            frozenset({"POLICY:COVERED"}),
        ),
        (r"not cover this|found nothing on", frozenset({"POLICY:NOT_COVERED"})),
    ),
}
CUES: Mapping[Language, tuple[Cue, ...]] = {
    language: tuple(Cue(re.compile(words, re.IGNORECASE), states) for words, states in table)
    for language, table in _TABLES.items()
}


def foreign(text: str, move: Move) -> Iterator[str]:
    """The words of `text` that claim a state which is not the move's; placeholders taken out."""
    here = f"{move.record}:{move.state}"
    for cue in CUES[move.language]:
        if here not in cue.states and (found := cue.words.search(text)):
            yield found.group()


def states_its_own(text: str, move: Move) -> bool:
    """Whether the reply says the state at all; for figures, since paraphrases may go without."""
    here = f"{move.record}:{move.state}"
    own = [cue for cue in CUES[move.language] if here in cue.states]
    return not own or any(cue.words.search(text) for cue in own)
