"""Words that no reply may say by itself: values, dates, names, promises, contacts, prompt text."""

import re
from collections.abc import Mapping

from llm.plan import Language

_NUMERAL = "零〇一二两兩三四五六七八九十百千万萬亿億半廿卅俩倆仨壹贰貳叁參肆伍陆陸柒捌玖拾佰仟"
_SPAN = "天|日|号|號|月|年|周|週|星期|礼拜|禮拜|(?:个|個)?(?:小?时|小?時|月|星期|工作日|钟头|鐘頭|季度)|分钟|分鐘|秒|刻钟|元|块|塊|毛|角|折|倍|成(?!团|團|功|为|交)"
_UNIT = rf"{_SPAN}|分|个|個|点|點|件|单|單|位|人|名|次|份|箱|斤|公斤|克|瓶|包(?!括)|盒|期|笔|筆|种|種|层|级|张|張|条|款|%|趟|批|双|套|只"

# idioms with a numeral in them that count nothing
IDIOMS = re.compile(
    rf"(?<![{_NUMERAL}])(?:万一|一一|千万(?=别|不|要|记|留)|[十万]分(?=[感抱理重愿清关诚着遗荣欢支珍])"
    rf"|第三方|第一时间|再三|不二|半点)(?![{_NUMERAL}]|{_UNIT})"
)
NUMERALS = re.compile(
    rf"百分之|[{_NUMERAL}]{{2,}}|[{_NUMERAL.replace('一', '')}](?=多|来|余|几)?(?:{_UNIT})"
    rf"|一(?:{_SPAN})|[几幾数數](?:{_SPAN}|[十百千万])|(?:[约近满滿超共]|不到)[二两三四五六七八九十百千万]"
)

DATES: Mapping[Language, re.Pattern[str]] = {
    Language.ZH: re.compile(
        r"(今|明|后|昨|前|当|當|隔|次|即)[天日晚早]|[今明昨]儿|(?:周|週|星期|礼拜|禮拜)[一二三四五六日天末]"
        r"|(这|這|本|下|上)(个|個)?(周|週|月|星期|礼拜|季)|(月|年)(底|初|末|内)|小时内|分钟内|天内|日内"
        r"|工作日|上午|下午|早上|晚上|凌晨|中午|傍晚|国庆|春节|元旦|双十一|中秋"
    ),
    Language.EN: re.compile(
        r"\b(today|tonight|tomorrow|yesterday|(mon|tues|wednes|thurs|fri|satur|sun)day|weekend"
        r"|january|february|april|june|july|august|september|october|november|december"
        r"|(next|this|last) (week|month|year|morning|afternoon|evening)|noon|midnight"
        r"|seconds|minutes|hours|days|weeks|months|years"
        r"|(in|within|per) (a|an|one) (second|minute|hour|day|week|month|year))\b",
        re.IGNORECASE,
    ),
}
ENGLISH_NUMBERS = re.compile(
    r"\b(zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty"
    r"|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|half|dozens?|couple"
    r"|percent|per cent|yuan|rmb|cny|dollars?|euros?|usd|one (yuan|item|order|person|hundred|day))\b",
    re.IGNORECASE,
)
CURRENCY = re.compile(r"[¥￥$€£%‰₩₽]")

CARRIERS = re.compile(
    r"顺丰|順豐|中通|圆通|圓通|申通|韵达|韻達|京东|京東|邮政|郵政|极兔|極兔|德邦|菜鸟|菜鳥|丰网|百世|跨越|天天快递"
    r"|\b(ems|ups|dhl|fedex|tnt|usps|sf express|zto|yto|sto|yunda|j&t|jd|deppon|china post|cainiao)\b",
    re.IGNORECASE,
)
CAPITALS = re.compile(r"\b(?!(?:OK|FAQ|VIP|ID|SKU|APP|PLUS)\b)[A-Z]{2,}\b")
CHINESE_TEXT_WORDS = frozenset({"APP", "VIP", "PLUS", "SKU", "OK", "app"})

PROMISES: Mapping[Language, re.Pattern[str]] = {
    Language.ZH: re.compile(
        r"保证|保證|承诺|承諾|担保|(?<!不)一定(?!程度)|(?<!不)肯定|必定|必然|绝对|絕對|百分百|包退|包赔|包換|包换|包邮"
        r"|全额|全額|全款|双倍|雙倍|加倍|翻倍|免费|免費|赠送|贈送|送您一|免运费|免邮|赔|無條件|无条件|无理由|優先|优先"
        r"|(已经?|刚刚?)(全部|成功|原路)?(退款|退回|退还|退到|退给|到账|返还|发放|入账|打款|补发|受理|催促|催了|提交|登记|备注|通知|联系|反馈|上报|安排|办理|办好|处理|修改|改好|更改|申请)"
        r"|(退款|退货|换货|修改|申请|办理|催单)(已经?)?(成功|完成|到账|通过)|款项?(已经?)?(退|到账)|钱(已经?)?(退|到账)"
        r"|已经?(为|帮|给|替)您(?!转|查|核|找|看)|(帮|给|为|替)您.{0,6}(退|取消|改|催|换|申请|办|补|赔)(好|了|完|掉|成功)"
        r"|(马上|立即|立刻|立马|尽快|很快|即将|稍后|待会|一会儿?)(就|会|给|为|帮|能|可以|您|我|们|商家)*(退|到(?!底)|补|发|送|派|打款|解决)"
        r"|原路|原支付|退到|(我们|商家|卖家|平台|由我方|您|买家).{0,3}(承担|负担|出)(运费|费用)|运费由|(承担|出)运费"
        r"|(?<![不否没])(可以|支持|能够?|允许|可)(直接|随时|正常|继续|为您|帮您|给您|先)*(申请|办理|发起)?"
        r"(取消|修改|改|更改|退(?!出)|换货|换新|全退|加急|开票|开发票|理赔)|对折|半价|打折|立减|返现|红包"
    ),
    Language.EN: re.compile(
        r"\b(guarantee\w*|promise\w*|definitely|certainly|absolutely|assure\w*|for free|free of charge"
        r"|full refund|fully|(?<!cannot be )refunded|compensat\w*|immediately|right away|at once|asap"
        r"|will (refund|be refunded|be delivered|arrive|compensate|send you|cover|pay)"
        r"|you (can|may) (cancel|return|exchange|change|get a refund)"
        r"|(have|has been|already) (sped|changed|submitted|arranged|urged|updated|approved|issued|processed)"
        r"|(we|seller|shop|buyer|you) (pay|pays|cover|covers) (the )?(shipping|freight|postage)"
        r"|priority|no questions asked|unconditional\w*)\b",
        re.IGNORECASE,
    ),
}
# what cannot be done is said by a refusal only, and why is not made up
REFUSALS: Mapping[Language, re.Pattern[str]] = {
    Language.ZH: re.compile(
        r"(不能|不可以|无法|不支持|没办法|没法|不予|拒绝)(再|直接|为您|给您|进行)*(申请|办理|发起)?"
        r"(取消|修改|改地址|更改|退|换货|开票|开发票|加急)"
    ),
    Language.EN: re.compile(
        r"\b(cannot|can't|can not|unable to|not possible to|may not) (be )?"
        r"(cancel|return|refund|exchange|chang|sped|speed)\w*",
        re.IGNORECASE,
    ),
}
EXCUSES = re.compile(
    r"天气|暴雨|台风|爆仓|爆单|疫情|堵车|系统(故障|升级|维护|繁忙)|(商家|卖家|快递员?|仓库)(太|很|比较)忙|放假|订单量大"
    r"|\b(weather|storm|holiday|system (error|failure|maintenance)|backlog|traffic)\b",
    re.IGNORECASE,
)
RUDE = re.compile(
    r"傻|蠢|滚(?!动)|废物|闭嘴|活该|白痴|神经病|有病|去死|笨|\b(stupid|idiot|shut up|damn|fool\w*)\b",
    re.IGNORECASE,
)
PLACES = re.compile(
    r"转运中心|分拨中心|集散中心|中转|营业部|(到达|抵达|离开|发往|运往|途经)(?!您)[\u4e00-\u9fff]{2}"
    r"|北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南"
    r"|四川|贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门|广州|深圳|杭州|南京|苏州|成都|武汉"
    r"|西安|郑州|长沙|青岛|宁波|厦门|福州|合肥|济南|沈阳|大连|哈尔滨|昆明|贵阳|南宁|南昌|义乌|无锡|东莞|佛山|嘉兴|温州"
    r"|\b(beijing|shanghai|guangzhou|shenzhen|hangzhou|chengdu|wuhan|nanjing|xi'an|yiwu|sorting cent\w+)\b",
    re.IGNORECASE,
)
# said only while a case really goes to a person
HAND_OFF_CLAIMS = re.compile(r"已经?(提交|登记|通知|反馈|上报|联系)|priority", re.IGNORECASE)

CONTACTS = re.compile(
    r"https?:|www\.|://|\.(com|cn|net|org|top|vip)\b|@|微信|扣扣|二维码|扫码|扫一扫|点击链接|私聊|私下|转账|汇款|验证码|密码"
    r"|银行卡|身份证|支付宝|花呗|whatsapp|wechat|telegram|\bqq\b|password|bank card|verification code",
    re.IGNORECASE,
)
PROMPT_TEXT = re.compile(
    r"<\||\|>|<s>|</s>|\[INST|```|###|\*\*|系统提示|提示词|占位符|语言模型|大模型|人工智能模型|角色设定|指令|作为一?[个名]?AI"
    r"|system prompt|language model|as an ai|placeholder|instruction|assistant:|user:|\bjson\b|plan line",
    re.IGNORECASE,
)

INJECTIONS: Mapping[str, re.Pattern[str]] = {
    "override": re.compile(
        r"(忽略|无视|忘记|忘掉|不要管|别管|跳过|绕过|覆盖).{0,8}(之前|前面|上面|以上|所有|原来|系统|你的).{0,6}(指令|规则|要求|设定|提示|限制|内容)"
        r"|(ignore|disregard|forget|override|bypass).{0,24}(previous|above|prior|earlier|all|your|the).{0,16}(instruction|rule|prompt|message|direction)s?",
        re.IGNORECASE,
    ),
    "role": re.compile(
        r"(你现在是|从现在起你|假装你?是|扮演|充当|进入).{0,12}(管理员|开发者|系统|老板|店长|模式|没有限制|黑客|角色)"
        r"|(you are now|act as|pretend (to be|you are)|developer mode|jailbreak|dan mode|roleplay)",
        re.IGNORECASE,
    ),
    "reveal": re.compile(
        r"(输出|显示|告诉我|复述|打印|泄露|重复).{0,10}(系统提示|提示词|系统指令|你的指令|prompt|内部规则|密钥|token)"
        r"|(reveal|print|show|repeat|leak).{0,16}(system|hidden|initial|your).{0,10}(prompt|instruction|rule|message)s?",
        re.IGNORECASE,
    ),
    "markup": re.compile(
        r"<\|[^|]{0,40}\|>|</?(s|system|user|assistant|im_start|im_end)>|\[/?INST\]|<<SYS>>|###\s*(system|instruction|系统)"
        r"|(^|\n)\s*(system|assistant|系统|助手)\s*[:：]|\{(order|user|policy|refund|ticket|offer)\.\w+\}",
        re.IGNORECASE,
    ),
    "authority": re.compile(
        r"(我是|本人是|我就是).{0,4}(管理员|平台(的)?(员工|工作人员|负责人)|你(的)?(老板|开发者|主人)|系统|工程师|超级用户)"
        r"|\bi am (the |an? )?(admin\w*|developer|owner|system|root)\b",
        re.IGNORECASE,
    ),
    "others": re.compile(
        r"(查|看|告诉|给|调出|列出|导出).{0,8}(别人|他人|其他人|其他(用户|客户|买家|顾客)|所有(用户|人|客户|订单)|全部用户).{0,6}(订单|地址|电话|手机|信息|资料|数据)?"
        r"|(other|another|all) (users?|customers?|people|buyers?)('s|s')? ?(orders?|address(es)?|phones?|data|information)",
        re.IGNORECASE,
    ),
}
