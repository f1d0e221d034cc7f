"""Chinese wordings about groups, products, carts and policy clauses."""

from collections.abc import Mapping

from llm.grammar.book import Patterns, StateKey
from llm.plan import Act, Intent, Record

CORES: Mapping[StateKey, Patterns] = {
    (Act.TELL, Record.GROUP, "OPEN"): (
        "[您参加的|您的|]{group.title}拼团[还在进行中|正在进行|还没拼满]，[还差|目前还差|现在还差]{group.remaining}人[成团|就能成团|拼满]。",
        "[查到了|看到了|帮您看过了]，{group.title}这个团[还没有拼满|正在拼团中|还在等人]，还差{group.remaining}人[|，可以邀请好友一起参团|，可以分享给好友]。",
        "{group.title}[目前|现在]还差{group.remaining}人[成团|拼满]，[团还在进行中|拼团还在进行]。[可以把拼团链接分享给朋友。|邀请好友参团会快一些。||]",
    ),
    (Act.TELL, Record.GROUP, "FILLED"): (
        "[好消息，|恭喜，|]{group.title}[已经成团|拼团成功了|已经拼满成团][|，商家会接着备货|，接下来由商家备货|，后面等商家发货就好]。",
        "[查到了|看到了|帮您看过了]，{group.title}这个团[人数已经凑齐|已经成团|拼团成功]，[订单会进入备货环节|接下来等商家备货发货|后面由商家安排备货]。",
    ),
    (Act.TELL, Record.GROUP, "FAILED"): (
        "[很遗憾，|不好意思，|抱歉，|]{group.title}[拼团没有成功|没能成团|拼团失败了|到时间人数没凑齐，没有成团]。",
        "[查到了|看到了|帮您看过了]，{group.title}这个团[没有拼成|没能成团|拼团未成功]，[到截止时人数没有凑齐|人数没凑够|截止前没凑齐人数]。",
    ),
    (Act.TELL, Record.PRODUCT, "ON_SALE"): (
        "{product.title}[目前在售|现在有售|正在销售|还在售][，可以正常下单|，喜欢可以下单|]。",
        "[帮您看了|查到了|看到了]，{product.title}[正在售卖|目前在售|在售中]。",
        "[您问的|您看的|您关注的]{product.title}[目前在售|正在售卖|有售]。",
    ),
    (Act.TELL, Record.PRODUCT, "SOLD_OUT"): (
        "[很抱歉，|不好意思，|]{product.title}[目前已经售罄|暂时没货了|已经卖完了|暂时缺货][，补货情况请留意商品页|，可以先收藏商品页留意补货|]。",
        "[帮您看了|查到了|看到了]，{product.title}[目前缺货|已经售罄|暂时无货]，[是否补货以商品页为准|补货时间还不确定|可以先收藏，留意商品页]。",
    ),
    (Act.TELL, Record.PRODUCT, "DELISTED"): (
        "[很抱歉，|不好意思，|]{product.title}[已经下架|目前已下架][，暂时不能下单|，现在买不了了|，没办法下单了]。",
        "[帮您看了|查到了|看到了]，{product.title}[已经下架了|是已下架状态]，[可以看看同类的其他商品|要不要看看类似的商品|建议看看同类商品]。",
    ),
    (Act.TELL, Record.CART, "FILLED"): (
        "您的购物车里[现在有|目前有|共有]{cart.count}件商品[，可以随时去结算|，价格以结算页为准|]。",
        "[帮您看了|查到了|看到了]，购物车里[一共有|共有|有]{cart.count}件商品。",
        "购物车[目前|现在]有{cart.count}件商品[在等您|还没结算|，还没有下单]。",
    ),
    (Act.TELL, Record.CART, "EMPTY"): (
        "您的购物车[目前是空的|现在还是空的|里还没有商品][，可以先逛逛|，看中的商品可以加进来|，想买什么可以跟我说|]。",
        "[帮您看了|查到了|看到了]，购物车里[还没有商品|暂时没有商品|是空的]。",
    ),
    (Act.QUOTE, Record.POLICY, "COVERED"): (
        "关于<topic>，[规则写明|平台规则是这样写的|规则里是这样说的|规则原文是|规则这样规定]：「{policy.text}」",
        "[帮您查了<topic>的规则|查到了<topic>的相关规定|这是<topic>的规定|<topic>这块的规则如下]：「{policy.text}」",
        "<topic>[按这一条执行|适用这一条|以这一条为准]：「{policy.text}」",
        "[您问的<topic>|<topic>的问题|<topic>这件事]，规则[写明|里写的是|原文是]：「{policy.text}」",
        "[《{policy.title}》里写明|《{policy.title}》里是这样写的|按《{policy.title}》|依据《{policy.title}》]：「{policy.text}」",
        "[根据|按照|依据]《{policy.title}》{policy.clause}：「{policy.text}」",
    ),
    (Act.DECLINE, Record.POLICY, "NOT_COVERED"): (
        "[抱歉|不好意思|很抱歉]，关于<topic>，[我们的规则文件里没有写到您问的情况|现有的规则里没有覆盖这种情况|我手上的资料没有写到这一点|规则文档里没查到对应的说明]，[不敢随便答复您|我不能随意答复|为了不误导您，我先不下结论]。[需要的话可以转人工为您核实。|可以请人工客服帮您确认。|要不要请人工客服来核实？|建议由人工客服为您确认。]",
        "[查了一遍规则|翻了现有的规则|核对了规则文件]，<topic>[方面没有写到这种情况|这里没有对应的条款|方面没有查到相关规定]，[我不想给您不准确的答复|怕说错误导您|不确定的事我不乱说]。[要转人工吗？|可以为您转人工核实。|可以请同事来确认，您看需要吗？]",
        "[这个问题|您问的这一点][在我们的规则里没有写到|规则文档没有覆盖|目前的规则文件没有提及]，[我没法给出准确答复|我先不乱答|我不能替规则做主]。[可以请人工客服核实，要转接吗？|需要的话，我请人工客服来看。|如果方便，可以转人工进一步确认。]",
    ),
}

DETAILS: Mapping[str, Patterns] = {
    "group.joined": ("[目前已有|现在已有|已经有]{group.joined}人参团。",),
    "group.size": ("[这个团是|这是个]{group.size}人团。", "满{group.size}人成团。"),
    "group.price": ("[拼团价是|参团价是|拼团价格为]{group.price}。",),
    "product.price": ("[当前售价是|现价是|售价为]{product.price}。",),
    "product.stock": ("[现货还有|目前库存|库存还有]{product.stock}件。",),
    "cart.amount": ("[合计金额是|商品合计|目前合计金额为]{cart.amount}。",),
    "coupon.amount": ("[可用优惠券面额是|有一张优惠券，面额|优惠券金额为]{coupon.amount}。",),
    "policy.title": ("[出处是|来源是|这条出自]《{policy.title}》。",),
    "policy.clause": ("[对应条款是|条款编号：|见条款]{policy.clause}。",),
    "order.no": ("[对应的订单是|关联订单：|相关订单是]{order.no}。",),
    "offer.amount": ("[金额是|金额为|对应金额：]{offer.amount}。",),
    "orders.choices": (
        "[您名下的订单有：|您账号下可查的订单：|您最近的订单有：]{orders.choices}。",
    ),
    "product.title": ("[您正在看的是|当前商品是|您关注的商品是]{product.title}。",),
}

TOPICS: Mapping[Intent, str] = {
    Intent.LOGISTICS: "[物流|物流配送]",
    Intent.EXPEDITE: "[加急|催单]",
    Intent.ORDER_STATUS: "订单状态",
    Intent.CANCEL_ORDER: "取消订单",
    Intent.CHANGE_ADDRESS: "[修改地址|改收货地址]",
    Intent.RETURN: "[退货|退换货]",
    Intent.EXCHANGE: "[换货|退换货]",
    Intent.REFUND_PROGRESS: "[退款|退款进度]",
    Intent.FREIGHT: "[运费|运费承担]",
    Intent.INVOICE: "[发票|开票]",
    Intent.PRICE_PROTECTION: "[价格保护|价保]",
    Intent.WARRANTY: "[保修|质保]",
    Intent.QUALITY: "[商品质量|质量问题]",
    Intent.FRESH_CLAIM: "[生鲜坏果|生鲜售后]",
    Intent.DELIVERY_TIME: "[发货时效|发货和送达时间]",
    Intent.COUPON: "[优惠券|优惠券使用]",
    Intent.MEMBERSHIP: "[会员权益|会员]",
    Intent.GROUP_BUY: "拼团",
    Intent.GROUP_REFUND: "拼团退款",
    Intent.LIVE_ROOM: "[直播间|直播间购物]",
    Intent.LOTTERY: "[抽奖|晒单抽奖]",
    Intent.PRODUCT_QUESTION: "[商品|商品信息]",
    Intent.STOCK: "[库存|补货]",
    Intent.PAYMENT: "[支付|付款]",
    Intent.PRIVACY: "[个人信息|隐私]",
    Intent.COMMISSION: "[佣金|分销佣金]",
    Intent.SETTLEMENT: "[结算|货款结算]",
    Intent.SUPPLY: "[供货|供应商合作]",
    Intent.COMPLAINT: "[投诉|投诉处理]",
    Intent.HUMAN: "人工服务",
    Intent.GREETING: "您的咨询",
    Intent.THANKS: "您的反馈",
    Intent.SMALL_TALK: "您说的话题",
    Intent.UNKNOWN: "[您提到的情况|您说的这件事]",
}
