"""Chinese wordings about one order: where it stands, what cannot be done, what to confirm."""

from collections.abc import Mapping

from llm.grammar.book import Patterns, StateKey
from llm.plan import Act, Intent, Record

MACROS: Mapping[str, str] = {
    "order": "[订单{order.no}|您的订单{order.no}|您这笔订单{order.no}|编号{order.no}的订单|您咨询的订单{order.no}|单号为{order.no}的这笔订单|您购买的{order.title}（订单{order.no}）|{order.title}这一单（{order.no}）|您买{order.title}的订单{order.no}]",
    "now": "[目前|现在|当前|这会儿|眼下|]",
    "paid": "[已经付款|已付款|付款成功|已经支付成功|款项已付]",
    "sum": "[（订单金额{order.amount}）|（退款金额{refund.amount}）||]",
    "look": "[订单页|订单详情页|我的订单页|订单详情]",
}

STATE_CORES: Mapping[str, Patterns] = {
    "PENDING_PAYMENT": (
        "<order><now>[还没有付款|还未付款|尚未付款|是待付款状态|还在等待付款|处于待付款状态][|，付款后才会安排发货|，完成付款后商家才会备货|，付款成功后才进入发货环节|，付完款商家就会看到]。",
        "[查到了|看到了|帮您看过了]，<order><now>[还没有付款|是待付款状态|等待付款中][|，所以商家那边还没开始备货|，因此还没有进入发货环节]。",
        "<order>[已经生成|已经生成好了]，[不过|只是|但][还没有付款|还未付款|尚未付款|付款还没完成][|，付款之后商家才会备货发货|，要付款后才往下走]。",
    ),
    "AWAITING_GROUP": (
        "<order><paid>，<now>[还在等待成团|还在拼团中|正在等人拼满|等待拼团人数凑齐][|，成团后商家才会发货|，拼满后会进入发货环节|，人齐之后才安排发货]。",
        "[查到了|看到了|帮您看过了]，<order>是[拼团订单|拼团单]，<now>[人数还没凑齐|还在等待成团|还没拼满|等待成团中][|，所以还没有发货|，因此商家还没开始备货]。",
        "<order>的[拼团|团]<now>[还没有拼满|还在等待成团|人数还没凑齐]，[要等成团之后才会安排发货|人数到齐后商家才会备货|拼满之后才进入发货环节]。",
    ),
    "AWAITING_SHIPMENT": (
        "<order><paid>，<now>[正在等商家发货|是待发货状态|商家正在备货|还没有发出|仓库还在备货|处于待发货状态|等待商家出库]。",
        "[查到了|看到了|帮您看过了]，<order><now>[还没有发出|是待发货状态|商家还在备货|仓库正在备货]，[发出后就能看到物流|发货后这里会显示物流|出库后会有运单信息]。",
        "商家[已经收到|已经接到]<order>，<now>[正在备货|还在备货，尚未发出|还没有发出|处于待发货状态]。",
    ),
    "PARTIALLY_SHIPPED": (
        "<order>[已经发出一部分商品|有一部分商品已经先发出|的商品是分开发的，一部分已经发出|先发出了一部分]，[其余的|剩下的|另外的][还在备货|商家还在备货|还没有发出|仍在等待发出]。",
        "[查到了|看到了|帮您看过了]，<order>[分成了几个包裹|是分包裹发的|拆成了不同包裹]，[一部分已经发出|有一部分先发出了]，[其余的还在备货|剩下的还没有发出|剩下的商家还在备货]。",
        "<order>里[有一部分商品已经发出|一部分商品先发出了]，[其余商品|剩余商品|没发的那部分][还在备货|仍在等待发出|商家还在备货]。",
    ),
    "SHIPPED": (
        "<order>[已经发货|已发货|已经发出|已经从仓库发出]，[由{order.carrier}承运|由{order.carrier}负责运输|走的是{order.carrier}|交给了{order.carrier}运输|承运的是{order.carrier}]，<now>[还在运输途中|正在路上|包裹在途中|在路上]。",
        "[查到了|看到了|帮您看过了]，<order>[已经发货|已经发出]，{order.carrier}[正在运输|正在运送|承运中]，[包裹还在途中|还在路上|正往您这边来]。",
        "<order>的包裹[已经交给{order.carrier}运输|由{order.carrier}承运|由{order.carrier}运送]，<now>[正在运输途中|还在路上|在途中]。",
        "{order.carrier}[已经揽收|已经收走]<order>的包裹，<now>[正在运输途中|正在路上|还在途中]。",
    ),
    "OUT_FOR_DELIVERY": (
        "<order>[已经到您附近|已经到配送站|到了最后一程|已到达您所在的片区]，{order.carrier}[正在派送|的快递员正在派送|的配送员正在派送|的小哥正在派送][|，请保持电话畅通|，麻烦留意来电|，请留意收货|，请留意快递员的电话]。",
        "[查到了|看到了|帮您看过了]，<order>由{order.carrier}承运，<now>[正在派送中|已经在派送了|快递员正在派送][|，请留意电话|，请保持电话畅通|，记得留意收货]。",
        "<order>的包裹<now>[正在派送|派送中]，由{order.carrier}[负责|承运|送货][|，请您留意接听电话|，麻烦保持电话畅通]。",
    ),
    "DELIVERED": (
        "<order>[物流显示已经签收|已经送达|已经签收|显示包裹已送达|的包裹已经送到]。[如果没见到包裹，可以先看看门口、驿站或家人是否代收。|没看到包裹的话，麻烦先问问家人或驿站是否代收。||]",
        "[查到了|看到了|帮您看过了]，<order>的包裹[已经送达|已经签收|显示已签收]。[要是还没拿到，可以先看看驿站或门卫处。|没收到的话告诉我，我们再核对。||]",
    ),
    "COMPLETED": (
        "<order>[已经完成|已经交易完成|已确认收货，交易完成|是已完成状态|已经确认收货]。",
        "[查到了|看到了|帮您看过了]，<order>[已经完成|已确认收货|是已完成状态|交易已经完成]。",
        "<order>[的交易已经完成|已经走完流程，交易完成]，[记录都在<look>里|<look>里可以查看记录|明细可以在<look>查看]。",
    ),
    "CANCELLED": (
        "<order>[已经取消|已取消|是已取消状态|处于已取消状态][|，不会再发货|，后续不会再发出|，商家不会再发货]。",
        "[查到了|看到了|帮您看过了]，<order>[已经取消了|已取消|是已取消状态][|，所以不会再发货|，因此没有后续的发货]。",
    ),
    "CLOSED": (
        "<order>[已经关闭|已关闭|是已关闭状态|处于已关闭状态][|，不会再发货|，后续不会再发出|，商家不会再发货]。",
        "[查到了|看到了|帮您看过了]，<order>[已经关闭了|已关闭|是已关闭状态][|，所以不会再发货|，因此没有后续的发货]。",
    ),
}

REASONS: Mapping[str, str] = {
    "PENDING_PAYMENT": "[这一单还没有付款|订单还在等待付款|订单是待付款状态]",
    "AWAITING_GROUP": "[这一单还在等待成团|拼团还没拼满|这个团人数还没凑齐]",
    "AWAITING_SHIPMENT": "[这一单商家正在备货|订单是待发货状态|这一单还没有发出]",
    "PARTIALLY_SHIPPED": "[有一部分商品已经发出|一部分商品已经先发出]",
    "SHIPPED": "[包裹已经在运输途中|包裹已经发出，正在路上|商品已发货，还在路上]",
    "OUT_FOR_DELIVERY": "[包裹正在派送|快递员正在派送|包裹已经在派送了]",
    "DELIVERED": "[包裹已经签收|物流显示已经签收|包裹已经送达]",
    "COMPLETED": "[这一单已经完成|交易已经完成|这一单已确认收货]",
    "CANCELLED": "[这一单已经取消|订单已取消]",
    "CLOSED": "[这一单已经关闭|订单已关闭]",
}

DEEDS: Mapping[Intent, str] = {
    Intent.CANCEL_ORDER: "[取消订单|取消这一单|取消]",
    Intent.CHANGE_ADDRESS: "[修改收货地址|改地址|更改收货信息]",
    Intent.EXPEDITE: "[加急|催促发货或配送|加快配送]",
    Intent.RETURN: "[申请退货|办理退货|发起退货]",
    Intent.EXCHANGE: "[申请换货|办理换货|发起换货]",
    Intent.REFUND_PROGRESS: "[申请退款|办理退款|发起退款]",
}

DECLINE = (
    "[抱歉|不好意思|很抱歉|实在不好意思]，订单{order.no}[目前的情况是，|的情况是：|现在的状态是，]<reason>，[所以|][暂时没办法|暂时不能|目前不支持|没法再]<deed>。",
    "订单{order.no}<now>[不支持|不能]<deed>，[因为|原因是]<reason>[，还请谅解|，请您理解|]。",
    "<reason>，[所以|因此]订单{order.no}[暂时不能|目前不支持|没办法]<deed>，[抱歉没能帮上您|请您谅解|还请您理解]。",
    "[帮您看过了|核对过了|查了一下]，<order>[暂时不能|目前不支持|没办法]<deed>，<reason>。",
)

CONFIRM = (
    "[您确定要|请确认，是要|跟您确认一下，是要][为|对]<order><deed><sum>吗？[确认请回复“确认”|同意的话请回复“确认”|没问题的话请回复“确认”|确定的话回复“确认”][，在此之前不会有任何改动|，未确认前订单不变|，您不回复就不会变动|]。",
    "[需要跟您核对一下|先和您确认|办理之前确认一下]：<order>，[您要|您想]<deed><sum>，对吗？[请回复“确认”|回复“确认”][后我再继续|之后再往下走|才会继续办理]。",
    "<order>[可用的下一步是|接下来要做的是]<deed><sum>，[请您明确回复“确认”|需要您回复“确认”才会继续|麻烦回复“确认”后再继续]。",
)

_ORDER_PAGE_DECIDES = "[以|请以|要以]<look>[当前显示的操作|显示的可用操作|列出的操作]为准。"
_PROGRESS = "[进度有变化会在<look>显示。|<look>会同步最新进展。|新的进展您在<look>就能看到。||]"
_AFTERSALE = "[相关操作可以在<look>的售后入口查看。|请从<look>的售后入口查看可用操作。|具体能做什么，以<look>的售后入口为准。]"

ANGLES: Mapping[tuple[Intent, str], Patterns] = {
    (Intent.LOGISTICS, "before"): (
        "[所以|因此|][暂时还没有物流信息|目前还没有物流可查|还看不到快递信息]。",
        "[等发出后|发出之后]，[物流会显示在<look>|这里就能查到物流|就能看到快递进度]。",
    ),
    (Intent.LOGISTICS, "after"): ("[有疑问我们再核对。|您可以对照收货信息看一下。||]",),
    (Intent.LOGISTICS, "gone"): ("[所以没有物流信息。|因此查不到物流。||]",),
    (Intent.EXPEDITE, "before"): (
        f"[知道您着急。|您的着急我明白。|明白您想早点收到。]{_PROGRESS}",
    ),
    (Intent.EXPEDITE, "moving"): (
        f"[知道您等得着急。|明白您想早点收到。|您的着急我理解。]{_PROGRESS}",
    ),
    (Intent.DELIVERY_TIME, "before"): (
        "[送达时间要等发出后才能看到。|发出之后才有预计送达时间。|具体到货时间，发出后以物流为准。]",
    ),
    (Intent.DELIVERY_TIME, "moving"): ("[具体到货以物流更新为准。|到货时间请以物流更新为准。||]",),
    (Intent.CANCEL_ORDER, "before"): (f"[能否取消|是否能取消]，{_ORDER_PAGE_DECIDES}",),
    (Intent.CANCEL_ORDER, "moving"): (f"[能否取消|后续怎么办理]，{_ORDER_PAGE_DECIDES}",),
    (Intent.CANCEL_ORDER, "after"): (_AFTERSALE,),
    (Intent.CHANGE_ADDRESS, "before"): (f"[能否改地址|地址能不能改]，{_ORDER_PAGE_DECIDES}",),
    (Intent.CHANGE_ADDRESS, "moving"): (f"[能否改地址|地址还能不能改]，{_ORDER_PAGE_DECIDES}",),
    (Intent.RETURN, "before"): (f"[不想要的话|想退的话]，{_ORDER_PAGE_DECIDES}",),
    (Intent.RETURN, "moving"): (_AFTERSALE,),
    (Intent.RETURN, "after"): (_AFTERSALE,),
    (Intent.EXCHANGE, "before"): (f"[想换的话|需要换的话]，{_ORDER_PAGE_DECIDES}",),
    (Intent.EXCHANGE, "moving"): (_AFTERSALE,),
    (Intent.EXCHANGE, "after"): (_AFTERSALE,),
    (Intent.REFUND_PROGRESS, "before"): (
        "[如果有退款，进度会显示在<look>。|退款进度可以在<look>的售后记录里看。]",
    ),
    (Intent.REFUND_PROGRESS, "moving"): ("[退款相关的进度可以在<look>的售后记录里看。||]",),
    (Intent.REFUND_PROGRESS, "after"): ("[退款进度可以在<look>的售后记录里看。||]",),
    (Intent.REFUND_PROGRESS, "gone"): ("[退款明细也可以在<look>里查看。||]",),
    (Intent.QUALITY, "after"): (
        "[商品有问题的话，麻烦拍照留好凭证。|请把有问题的地方拍清楚，方便核实。]",
        _AFTERSALE,
    ),
    (Intent.FRESH_CLAIM, "after"): (
        "[坏果请尽量拍清楚，方便核实。|麻烦把坏的部分和包装一起拍照留证。]",
        _AFTERSALE,
    ),
    (Intent.INVOICE, "after"): ("[开票入口请以<look>显示的为准。||]",),
}

CORES: Mapping[StateKey, Patterns] = {
    **{(Act.TELL, Record.ORDER, state): cores for state, cores in STATE_CORES.items()},
    **{(Act.DECLINE, Record.ORDER, state): DECLINE for state in STATE_CORES},
    **{(Act.CONFIRM, Record.ORDER, state): CONFIRM for state in STATE_CORES},
}

DETAILS: Mapping[str, Patterns] = {
    "order.title": ("[这一单买的是|商品是|订单里的商品是]{order.title}。",),
    "order.placed_at": ("[下单时间是|您下单的时间是|这一单下单于]{order.placed_at}。",),
    "order.paid_at": ("[付款时间是|支付时间是|这一单付款于]{order.paid_at}。",),
    "order.amount": ("[订单金额是|订单金额为|这一单的金额是]{order.amount}。",),
    "order.shipped_at": ("[发货时间是|发出时间是|商家发货的时间是]{order.shipped_at}。",),
    "order.carrier": ("[承运快递是|承运方是|快递公司是]{order.carrier}。",),
    "order.waybill": (
        "[运单号是|快递单号是|运单号：]{order.waybill}[，方便您自行查询|，您也可以自己查|]。",
    ),
    "order.trace": (
        "[最新物流：|物流最新进展：|最近一条物流：|物流显示：|最新的物流节点是：]{order.trace}。",
    ),
    "order.eta": (
        "[预计|按目前的进度，预计|目前预计]{order.eta}[送达|送到|可以送到]。",
        "预计[送达时间是|到货时间是|送达日期为]{order.eta}。",
    ),
    "group.remaining": ("[还差|目前还差|现在还差]{group.remaining}人[成团|拼满|就能成团]。",),
    "group.expires_at": (
        "[拼团截止时间是|这个团的截止时间是|截止时间为]{group.expires_at}。",
        "[请在|记得在]{group.expires_at}前[邀请好友参团|凑齐人数]。",
    ),
    "order.expires_at": (
        "[请在|记得在|麻烦在]{order.expires_at}前[完成付款|付款|完成支付]，[过时订单会自动失效|超过时间订单会失效|逾期这一单会失效]。",
        "[付款截止时间是|最晚付款时间是|付款有效期到]{order.expires_at}。",
    ),
    "order.ship_by": (
        "[按约定最晚|按约定最迟|商家应在]{order.ship_by}前发出。",
        "[最晚发货时间是|约定的发货时限是|发货截止时间是]{order.ship_by}。",
    ),
    "refund.amount": ("[退款金额是|退款金额为|对应的退款金额是]{refund.amount}。",),
    "refund.status": ("[退款状态：|退款进度：|目前的退款状态是：]{refund.status}。",),
    "refund.at": ("[退款时间：|退款记录的时间是|退款时间是]{refund.at}。",),
    "order.actions": (
        "[这一单现在可用的操作有：|目前可以操作的有：|现在能做的操作：|您现在可选的操作有：]{order.actions}。",
    ),
}
