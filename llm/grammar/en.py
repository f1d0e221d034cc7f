"""English wordings; fewer than the Chinese ones, for the same branches."""

from collections.abc import Mapping

from llm.grammar.book import Book, Patterns, StateKey
from llm.plan import STATES, Act, Intent, Mood, Record

_MACROS: Mapping[str, str] = {
    "order": "[order {order.no}|your order {order.no}|order {order.no} ({order.title})|your order {order.no} for {order.title}]",
    "Order": "[Order {order.no}|Your order {order.no}|Order {order.no} ({order.title})|Your order {order.no} for {order.title}]",
    "sum": "[ ({offer.amount})| (worth {coupon.amount})||]",
    "now": "[currently|still|at the moment|now]",
}

_STATES: Mapping[str, Patterns] = {
    "PENDING_PAYMENT": (
        "<Order> has not been paid yet[; the seller starts packing after payment|, so it is not being prepared yet|]{end}",
        "I checked: <order> is [still waiting for payment|not paid yet|awaiting payment]{end}",
    ),
    "AWAITING_GROUP": (
        "<Order> is paid and [still waiting for its group to fill|waiting for more people to join the group]{end} [It ships after the group fills.|The seller ships after the group fills.||]",
        "<Order> belongs to a group-buy that [is not full yet|still needs people|is still open]{end}",
    ),
    "AWAITING_SHIPMENT": (
        "<Order> is paid and [waiting to be shipped|being prepared by the seller|waiting for dispatch]{end}",
        "I checked: the seller is [still preparing|packing] <order>, and it has not left the warehouse yet{end}",
    ),
    "PARTIALLY_SHIPPED": (
        "[Part of|Some items of] <order> [have already left the warehouse|went out first]; the rest is [still being prepared|waiting for dispatch]{end}",
        "<Order> travels in several parcels: [some have left already|the first has left], the rest is [still being prepared|not out yet]{end}",
    ),
    "SHIPPED": (
        "<Order> has shipped with {order.carrier} and is [on its way|in transit]{end}",
        "I checked: {order.carrier} [is carrying|has collected] <order>, and the parcel is [on its way|in transit]{end}",
    ),
    "OUT_FOR_DELIVERY": (
        "<Order> is out for delivery with {order.carrier}[; please keep your phone at hand|; please watch for a call|]{end}",
        "The {order.carrier} courier is out for delivery with <order>[; please keep your phone at hand|]{end}",
    ),
    "DELIVERED": (
        "<Order> [has been delivered|was delivered|is marked as delivered]{end} [If you cannot find it, please check with your family or the pick-up point.|If you do not have it, tell me and we check again.||]",
        "I checked: the parcel of <order> [has been delivered|is marked as delivered]{end}",
    ),
    "COMPLETED": (
        "<Order> is [complete|completed]; receipt has been confirmed{end}",
        "I checked: <order> [is completed|has been completed]{end}",
    ),
    "CANCELLED": (
        "<Order> [has been cancelled|was cancelled|is cancelled] and will not ship{end}",
        "I checked: <order> [is cancelled|has been cancelled]{end}",
    ),
    "CLOSED": (
        "<Order> [has been closed|is closed] and will not ship{end}",
        "I checked: <order> [is closed|has been closed]{end}",
    ),
}

_DECLINE = (
    "[Sorry|I am sorry], order {order.no} cannot <deed> now because <reason>{end}",
    "I checked: <reason>, so order {order.no} cannot <deed> [at this point|for now]{end}",
)
_CONFIRM = (
    "[Just to be sure|Before we go on]: <deed> for <order>? [Please reply 'confirm'|Reply 'confirm' to go on]; nothing changes before that{end}",
    "Shall I go on with <order> (<deed>)? [Please reply 'confirm'.|Reply 'confirm' if that is right.]",
)
_SORRY = {
    Mood.CALM: "[Thank you for telling us|I understand|Thanks for letting us know]",
    Mood.UPSET: "[Sorry to keep you waiting|I understand that this is worrying|I am sorry for the trouble]",
    Mood.ANGRY: "[I am truly sorry about this|I sincerely apologise|You have every right to be upset, and I am sorry]",
}
_CARE = (
    "[Let me look into <topic> for you|Let me check the details|I will look at the records first]"
)

_CORES: Mapping[StateKey, Patterns] = {
    **{(Act.TELL, Record.ORDER, state): cores for state, cores in _STATES.items()},
    **{(Act.DECLINE, Record.ORDER, state): _DECLINE for state in _STATES},
    **{(Act.CONFIRM, Record.ORDER, state): _CONFIRM for state in _STATES},
    (Act.TELL, Record.GROUP, "OPEN"): (
        "The group for {group.title} is still open and needs {group.remaining} more to fill{end}",
        "{group.title} is [still open|not full yet]: {group.remaining} more needed[; you can share the link with friends|]{end}",
    ),
    (Act.TELL, Record.GROUP, "FILLED"): (
        "[Good news: the|The] group for {group.title} [is complete|has filled][; the seller prepares it next|]{end}",
        "{group.title} has filled its group[, the seller prepares it next|]{end}",
    ),
    (Act.TELL, Record.GROUP, "FAILED"): (
        "[Unfortunately the|Sorry, the] group for {group.title} [did not fill in time|was not completed]{end}",
        "The group for {group.title} [did not reach its size|failed to fill]{end}",
    ),
    (Act.TELL, Record.PRODUCT, "ON_SALE"): (
        "{product.title} is [on sale|available to order]{end}",
        "I checked: {product.title} is [available|on sale] [now|at the moment]{end}",
    ),
    (Act.TELL, Record.PRODUCT, "SOLD_OUT"): (
        "[Sorry, |Unfortunately ]{product.title} is [sold out|out of stock]{end} [Please watch the product page for news.||]",
        "I checked: {product.title} is out of stock [now|at the moment]{end}",
    ),
    (Act.TELL, Record.PRODUCT, "DELISTED"): (
        "[Sorry, |Unfortunately ]{product.title} is no longer listed{end} [You may like something similar.||]",
        "I checked: {product.title} has been taken off the shop{end}",
    ),
    (Act.TELL, Record.CART, "FILLED"): (
        "Your cart holds {cart.count} items[ now|, ready for checkout|]{end}",
        "I checked: there are {cart.count} items in your cart{end}",
    ),
    (Act.TELL, Record.CART, "EMPTY"): (
        "Your cart is empty [now|at the moment]{end}",
        "I checked: there is nothing in your cart yet{end}",
    ),
    (Act.QUOTE, Record.POLICY, "COVERED"): (
        "[About|On] <topic>, our rules say: \u201c{policy.text}\u201d",
        "[This is the rule on|The rule that covers] <topic>: \u201c{policy.text}\u201d",
        "{policy.title} says: \u201c{policy.text}\u201d",
        "According to {policy.title}, {policy.clause}: \u201c{policy.text}\u201d",
    ),
    (Act.DECLINE, Record.POLICY, "NOT_COVERED"): (
        "[Sorry, our|Our] rules do not cover this point about <topic>, so I [cannot give you a sure answer|would rather not guess]{end} [A person can check it for you if you like.|Shall I ask a person to check?]",
        "I looked through our documents and found nothing on this point about <topic>{end} [I would rather not guess; a person can check it for you.|A colleague can check it if you like.]",
    ),
    (Act.ASK_WHICH, Record.NONE, ""): (
        "Which order do you mean? You can choose from: {orders.choices}{end}",
        "To be sure about <topic>, please choose an order: {orders.choices}{end}",
    ),
    (Act.NOT_FOUND, Record.NONE, ""): (
        "[Sorry, there|There] is no such order under your account{end} [Please check the number.|Please check the number or sign in with the account you used.]",
        "I could not find that order in your account{end} [You can copy the number from My Orders.||]",
    ),
    (Act.OFFER, Record.NONE, ""): (
        "[To make up for this|For the trouble][ with order {order.no}|], we can offer you {offer.title}<sum>; [would you like it|does that work for you]?",
        "About <topic>, there is this offer[ for order {order.no}|]: {offer.title}<sum>{end} [It applies only if you accept it.|The choice is yours.]",
    ),
    (Act.HAND_OFF, Record.NONE, ""): (
        "A [person|colleague] takes over [now|from here]; your ticket is {ticket.no}{end} [Please wait a moment.||]",
        "I am passing <topic> on to a colleague, ticket {ticket.no}; [you need not repeat anything|they can read our conversation]{end}",
    ),
    (Act.GREET, Record.NONE, ""): (
        "[Hello|Hi], this is Jishi service; [how can I help|what can I do for you]?",
        "Hello, I see you are looking at [order {order.no}|{product.title}]; how can I help?",
        "[Welcome|Hello]! [Ask me about orders, parcels or returns.|How can I help you?]",
    ),
    (Act.THANK, Record.NONE, ""): (
        "[You are welcome|My pleasure|Glad to help][; have a nice day|; just ask if anything comes up|]{end}",
        "Thank you for your patience[; have a nice day|]{end}",
    ),
}

_PRODUCT_INTENTS = (Intent.PRODUCT_QUESTION, Intent.STOCK, Intent.COUPON, Intent.LIVE_ROOM)
_INTENT_CORES: Mapping[tuple[Act, Intent], Patterns] = {
    **{
        (Act.ASK_WHICH, intent): (
            "Which product do you mean? [Please send me its name.|The name or the link helps.]",
            "[Please tell me the name of the product|Please send me the product name], and I will check{end}",
        )
        for intent in _PRODUCT_INTENTS
    },
    **{
        (Act.NOT_FOUND, intent): (
            "[Sorry, I|I] could not find that product{end} [Please try another name.|Could you send the full name?]",
            "There is no such product here{end} [Please check the name.|Perhaps it has another name?]",
        )
        for intent in _PRODUCT_INTENTS
    },
    (Act.TELL, Intent.SMALL_TALK): (
        "I am the service assistant of this shop; [orders, parcels and returns are my field|ask me about orders or products]{end}",
        "Thanks for the chat! [Is there an order or a product I can help with?|How can I help with your shopping?]",
    ),
    (Act.DECLINE, Intent.SMALL_TALK): (
        "[Sorry, I|I] cannot help with that; [orders, parcels and returns are my field|ask me about orders or products]{end}",
        "That is outside what I can answer; shopping questions are welcome{end}",
    ),
    (Act.DECLINE, Intent.UNKNOWN): (
        "[Sorry, I|I] did not quite understand; [could you put it another way|could you say a little more]?",
        "I have no reliable information on that; [a person can check it for you|shall I ask a person]?",
    ),
    (Act.ASK_WHICH, Intent.SMALL_TALK): (
        "What would you like to know about? [Orders, parcels and returns are all fine.|Tell me a little more, please.]",
        "Could you tell me a little more? [Then I can look in the right place.||]",
    ),
    (Act.CONFIRM, Intent.PRIVACY): (
        "Your request about personal data needs a clear yes: please reply 'confirm' [to go on|if you want this]; nothing changes before that{end}",
        "[Just to be sure|Before we go on]: is this a request about your personal data? Please reply 'confirm'{end}",
    ),
    (Act.CONFIRM, Intent.HUMAN): (
        "Would you like to talk to a person? [Please reply 'confirm'.|Reply 'confirm' and I pass you on.]",
        "Shall I pass you on to a person? [Please reply 'confirm'.|Just reply 'confirm'.]",
    ),
}

_DETAILS: Mapping[str, Patterns] = {
    "order.title": ("It is for {order.title}.",),
    "order.placed_at": ("It was placed on {order.placed_at}.",),
    "order.paid_at": ("It was paid on {order.paid_at}.",),
    "order.amount": ("The amount is {order.amount}.", "The order comes to {order.amount}."),
    "order.shipped_at": ("It left on {order.shipped_at}.",),
    "order.carrier": ("The carrier is {order.carrier}.",),
    "order.waybill": ("The waybill number is {order.waybill}.",),
    "order.trace": ("Latest tracking: {order.trace}.", "The last tracking entry: {order.trace}."),
    "order.eta": ("It is expected on {order.eta}.", "Expected arrival: {order.eta}."),
    "order.expires_at": ("Please pay before {order.expires_at}.",),
    "order.ship_by": ("It should leave by {order.ship_by}.",),
    "order.actions": ("What you can do now: {order.actions}.", "Available now: {order.actions}."),
    "order.no": ("The order is {order.no}.",),
    "group.joined": ("{group.joined} people have joined.",),
    "group.size": ("The group size is {group.size}.",),
    "group.remaining": ("{group.remaining} more people are needed.",),
    "group.expires_at": ("The group closes at {group.expires_at}.",),
    "group.price": ("The group price is {group.price}.",),
    "refund.amount": ("The refund amount is {refund.amount}.",),
    "refund.status": ("Refund status: {refund.status}.",),
    "refund.at": ("Refund time: {refund.at}.",),
    "product.title": ("You are looking at {product.title}.",),
    "product.price": ("The price is {product.price}.",),
    "product.stock": ("{product.stock} are in stock.",),
    "policy.title": ("It is from {policy.title}.",),
    "policy.clause": ("The clause is {policy.clause}.",),
    "offer.amount": ("The amount is {offer.amount}.",),
    "coupon.amount": ("The coupon is worth {coupon.amount}.",),
    "cart.amount": ("They come to {cart.amount}.",),
    "orders.choices": ("Orders in your account: {orders.choices}.",),
}

_TOPICS: Mapping[Intent, str] = {
    Intent.LOGISTICS: "tracking",
    Intent.EXPEDITE: "faster delivery",
    Intent.ORDER_STATUS: "the order status",
    Intent.CANCEL_ORDER: "cancelling an order",
    Intent.CHANGE_ADDRESS: "changing the address",
    Intent.RETURN: "returns",
    Intent.EXCHANGE: "exchanges",
    Intent.REFUND_PROGRESS: "refunds",
    Intent.FREIGHT: "shipping costs",
    Intent.INVOICE: "invoices",
    Intent.PRICE_PROTECTION: "price protection",
    Intent.WARRANTY: "the warranty",
    Intent.QUALITY: "product quality",
    Intent.FRESH_CLAIM: "damaged fresh goods",
    Intent.DELIVERY_TIME: "delivery times",
    Intent.COUPON: "coupons",
    Intent.MEMBERSHIP: "membership",
    Intent.GROUP_BUY: "group-buys",
    Intent.GROUP_REFUND: "group-buy refunds",
    Intent.LIVE_ROOM: "live rooms",
    Intent.LOTTERY: "the prize draw",
    Intent.PRODUCT_QUESTION: "the product",
    Intent.STOCK: "stock",
    Intent.PAYMENT: "payment",
    Intent.PRIVACY: "personal data",
    Intent.COMMISSION: "commissions",
    Intent.SETTLEMENT: "settlement",
    Intent.SUPPLY: "supply",
    Intent.COMPLAINT: "your complaint",
    Intent.HUMAN: "service by a person",
    Intent.GREETING: "your question",
    Intent.THANKS: "your feedback",
    Intent.SMALL_TALK: "this topic",
    Intent.UNKNOWN: "this matter",
}

_DEEDS: Mapping[Intent, str] = {
    Intent.CANCEL_ORDER: "be cancelled",
    Intent.CHANGE_ADDRESS: "get a new address",
    Intent.EXPEDITE: "be sped up",
    Intent.RETURN: "be sent back",
    Intent.EXCHANGE: "be exchanged",
    Intent.REFUND_PROGRESS: "be refunded",
}
_CONFIRM_DEEDS: Mapping[Intent, str] = {
    Intent.CANCEL_ORDER: "cancel it",
    Intent.CHANGE_ADDRESS: "change the address",
    Intent.EXPEDITE: "ask for faster handling",
    Intent.RETURN: "ask for a return",
    Intent.EXCHANGE: "ask for an exchange",
    Intent.REFUND_PROGRESS: "ask for a refund",
}

_REASONS: Mapping[str, str] = {
    "PENDING_PAYMENT": "it has not been paid yet",
    "AWAITING_GROUP": "its group is not full yet",
    "AWAITING_SHIPMENT": "the seller is still preparing it",
    "PARTIALLY_SHIPPED": "some items have already left",
    "SHIPPED": "the parcel is [on its way|in transit]",
    "OUT_FOR_DELIVERY": "it is out for delivery",
    "DELIVERED": "it has been delivered",
    "COMPLETED": "it is completed",
    "CANCELLED": "it is cancelled",
    "CLOSED": "it is closed",
}


def _ended(patterns: Patterns) -> Patterns:
    return tuple(text.replace("{end}", ".") for text in patterns)


def _with_confirm_deeds() -> dict[tuple[Act, Intent], Patterns]:
    """A question names the deed in another verb form than a refusal."""
    return {
        (Act.CONFIRM, intent): tuple(text.replace("<deed>", deed) for text in _ended(_CONFIRM))
        for intent, deed in _CONFIRM_DEEDS.items()
    }


BOOK = Book(
    macros=_MACROS,
    openers={
        Mood.CALM: (
            "[Hello|Hi]!",
            "[Hello|Hi] {user.name}!",
            "[Sure|Of course|Thanks for asking].",
        ),
        Mood.UPSET: (
            "[Sorry for the wait|I understand that you are worried|Sorry about the worry].",
            "{user.name}, sorry for the wait.",
        ),
        Mood.ANGRY: (
            "[I am very sorry|I apologise|I am truly sorry about this].",
            "{user.name}, I am very sorry.",
        ),
    },
    closers={
        Mood.CALM: ("[Is there anything else?|Just ask if anything is unclear.]",),
        Mood.UPSET: ("[Please ask if anything is unclear.|A person can help too if you like.]",),
        Mood.ANGRY: ("[A person can take over if you like.|Please tell me what you need.]",),
    },
    cores={key: _ended(patterns) for key, patterns in _CORES.items()}
    | {
        (Act.SOOTHE, Record.NONE, mood): _ended(
            (
                f"{sorry}. {_CARE}{{end}}",
                f"{{user.name}}, thank you for waiting. {sorry}. {_CARE}{{end}}",
            )
        )
        for mood, sorry in _SORRY.items()
    },
    intent_cores={key: _ended(patterns) for key, patterns in _INTENT_CORES.items()}
    | _with_confirm_deeds(),
    details=_DETAILS,
    angles={},
    topics=_TOPICS,
    deeds=_DEEDS,
    reasons=_REASONS,
    space=" ",
)

if set(_STATES) != set(STATES[Record.ORDER]):
    raise LookupError("an order state has no English wording")
