"""What an intent is answered with: the policy topics it asks for and the records it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llm.intent import Understanding
from llm.plan import Intent


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be gathered before deciding."""

    order: bool = False
    group: bool = False
    product: bool = False
    cart: bool = False
    topics: tuple[str, ...] = ()


# what a question is about when it names no narrower topic
TOPIC: Mapping[Intent, tuple[str, ...]] = MappingProxyType(
    {
        Intent.EXPEDITE: ("ship_within_hours",),
        Intent.CANCEL_ORDER: ("cancel_order",),
        Intent.CHANGE_ADDRESS: ("change_address",),
        Intent.RETURN: ("return_days",),
        Intent.EXCHANGE: ("exchange_days",),
        Intent.REFUND_PROGRESS: ("refund_arrival_days",),
        Intent.FREIGHT: ("freight_payer",),
        Intent.INVOICE: ("invoice_type",),
        Intent.PRICE_PROTECTION: ("price_protection_days",),
        Intent.WARRANTY: ("warranty_months",),
        Intent.QUALITY: ("quality_evidence",),
        Intent.FRESH_CLAIM: ("fresh_claim_hours", "fresh_claim_evidence"),
        Intent.DELIVERY_TIME: ("ship_within_hours",),
        Intent.MEMBERSHIP: ("member_benefits",),
        Intent.GROUP_BUY: ("group_time",),
        Intent.GROUP_REFUND: ("group_refund_days",),
        Intent.LOTTERY: ("draw_publication",),
        Intent.PRIVACY: ("data_deletion",),
        Intent.COMMISSION: ("commission_freeze",),
        Intent.SETTLEMENT: ("settle_cycle",),
        Intent.SUPPLY: ("supplier_ship_hours",),
        Intent.COMPLAINT: ("complaint_hours",),
        Intent.HUMAN: ("service_hours",),
        Intent.PAYMENT: (),
    }
)
# answered by the order itself; a rule comes second
TOLD = frozenset(
    {
        Intent.LOGISTICS,
        Intent.EXPEDITE,
        Intent.ORDER_STATUS,
        Intent.CANCEL_ORDER,
        Intent.CHANGE_ADDRESS,
        Intent.DELIVERY_TIME,
        Intent.COMPLAINT,
    }
)
# answered by a rule; the order only says which case applies
RULED = frozenset(
    {
        Intent.RETURN,
        Intent.EXCHANGE,
        Intent.FREIGHT,
        Intent.INVOICE,
        Intent.PRICE_PROTECTION,
        Intent.WARRANTY,
        Intent.QUALITY,
        Intent.FRESH_CLAIM,
        Intent.REFUND_PROGRESS,
    }
)
GROUPS = frozenset({Intent.GROUP_BUY, Intent.GROUP_REFUND})
GOODS = frozenset({Intent.PRODUCT_QUESTION, Intent.STOCK, Intent.COUPON})
# the order alone answers these states of a question; the rule would only repeat it
SAY: Mapping[Intent, tuple[str, ...]] = MappingProxyType(
    {
        Intent.LOGISTICS: ("order.waybill", "order.trace", "order.eta", "order.ship_by"),
        Intent.EXPEDITE: ("order.trace", "order.eta", "order.ship_by"),
        Intent.DELIVERY_TIME: ("order.eta", "order.ship_by"),
        Intent.ORDER_STATUS: ("order.title", "order.expires_at", "order.ship_by"),
        Intent.COMPLAINT: ("order.trace", "order.eta", "order.ship_by"),
        Intent.CANCEL_ORDER: ("order.title",),
        Intent.CHANGE_ADDRESS: (),
        Intent.REFUND_PROGRESS: ("refund.amount", "refund.status"),
        Intent.GROUP_REFUND: ("refund.amount", "refund.status", "group.expires_at"),
        Intent.GROUP_BUY: ("group.joined", "group.expires_at"),
        Intent.STOCK: ("product.stock",),
        Intent.PRODUCT_QUESTION: ("product.price",),
        Intent.COUPON: ("product.price",),
        Intent.PAYMENT: ("cart.amount",),
    }
)


def needs(asked: Understanding) -> Needs:
    """What to look up for an understanding: the LookUp half of a decision."""
    intent = asked.intent
    topics = asked.topics or TOPIC.get(intent, ())
    return Needs(
        order=intent in TOLD | RULED or bool(asked.codes),
        group=intent in GROUPS,
        product=intent in GOODS,
        cart=intent is Intent.PAYMENT,
        topics=topics,
    )
