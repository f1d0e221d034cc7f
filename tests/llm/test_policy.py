"""Decisions: which moves a message gets from the facts of its turn."""

from dataclasses import replace

import pytest

from llm import emotion, topics
from llm.emotion import ANGRY, UPSET, Emotion
from llm.intent import understand
from llm.plan import Act, Intent, Record
from llm.policy import Decision, Evidence, Kind, Quote, Situation, decide

CALM = Emotion(0)
SHIPPED = Evidence(
    Record.ORDER,
    "SHIPPED",
    {
        "order.no": "O261123ABCDEFGHJK",
        "order.carrier": "中通快递",
        "order.waybill": "73111111111111",
        "order.trace": "11月22日 10:00 已到达武汉",
        "order.eta": "11月25日",
    },
)
UNPAID = Evidence(Record.ORDER, "PENDING_PAYMENT", {"order.no": "O261123ABCDEFGHJK"})
FAILED = Evidence(
    Record.GROUP,
    "FAILED",
    {"group.title": "三人团", "refund.amount": "¥19.90", "refund.status": "退款处理中"},
)
RETURNS = Quote("return_days", 1, {"policy.text": "7 天内可退。", "policy.title": "退货规则"})
POSTAGE = Quote(
    "freight_payer", 2, {"policy.text": "买家承担。", "policy.title": "退货规则"}, Intent.FREIGHT
)


def decided(text: str, **facts: object) -> Decision:
    felt = emotion.read(text)
    return decide(understand(text), replace(Situation(felt, "K1"), **facts))  # type: ignore[arg-type]


def acts(decision: Decision) -> list[Act]:
    return [step.move.act for step in decision.steps]


def test_a_parcel_is_told_with_waybill_trace_and_day() -> None:
    decision = decided("我的快递到哪了", order=SHIPPED)
    (step,) = decision.steps
    assert step.move.key == (Intent.LOGISTICS, Record.ORDER, "SHIPPED", Act.TELL)
    assert set(step.move.fields) == {
        "order.no",
        "order.carrier",
        "order.waybill",
        "order.trace",
        "order.eta",
    }
    assert step.facts["order.carrier"] == "中通快递"


def test_two_questions_get_the_clause_of_each_under_its_own_subject() -> None:
    decision = decided("这个能退吗，运费谁出", order=SHIPPED, quotes=(RETURNS, POSTAGE))
    assert [(step.move.intent, step.clause_id) for step in decision.steps] == [
        (Intent.RETURN, 1),
        (Intent.FREIGHT, 2),
    ]


def test_without_a_record_the_question_is_declined_and_a_person_stays_possible() -> None:
    decision = decided("保修多久", order=SHIPPED)
    assert (decision.kind, decision.is_resolved) == (Kind.REFUSE, False)
    assert decision.steps[0].move.state == "NOT_COVERED"


def test_a_question_from_elsewhere_is_declined_whatever_clause_is_near() -> None:
    decision = decided("可以寄到日本吗", quotes=(RETURNS,))
    assert (decision.kind, acts(decision)) == (Kind.REFUSE, [Act.DECLINE])


def test_a_foreign_number_is_not_found_and_nothing_else_is_said() -> None:
    decision = decided("帮我查一下 O261123ABCDEFGHJK", is_foreign=True)
    assert (decision.kind, acts(decision)) == (Kind.REFUSE, [Act.NOT_FOUND])
    assert decision.steps[0].facts == {}


def test_several_orders_are_asked_back() -> None:
    decision = decided("我的快递到哪了", choices="1. A；2. B")
    assert decision.kind is Kind.ASK
    assert decision.steps[0].facts == {"orders.choices": "1. A；2. B"}


def test_cancelling_needs_a_yes_and_says_what_for() -> None:
    decision = decided("取消订单", order=UNPAID, can_cancel=True)
    assert (decision.kind, decision.pending) == (Kind.PROPOSE, "CANCEL_ORDER")
    assert acts(decision) == [Act.CONFIRM]


def test_an_order_that_cannot_be_cancelled_is_told_with_the_rule() -> None:
    rule = Quote("cancel_order", 3, {"policy.text": "已发货的订单不能取消。"})
    decision = decided("取消订单", order=SHIPPED, quotes=(rule,))
    assert acts(decision) == [Act.TELL, Act.QUOTE]
    assert decision.pending == ""


def test_a_failed_group_is_told_with_its_refund_before_the_rule() -> None:
    rule = Quote("group_refund_days", 4, {"policy.text": "1 至 3 个工作日到账。"})
    decision = decided("拼团没成功钱什么时候退", group=FAILED, quotes=(rule,))
    told, quoted = decision.steps
    assert told.move.state == "FAILED"
    assert {"refund.amount", "refund.status"} <= set(told.move.fields)
    assert quoted.clause_id == 4


def test_a_first_complaint_is_soothed_with_facts() -> None:
    decision = decided("你们太慢了，我要投诉", order=SHIPPED)
    assert decision.kind is Kind.ANSWER
    assert acts(decision) == [Act.SOOTHE, Act.TELL]


@pytest.mark.parametrize(
    ("text", "facts", "reason"),
    [
        ("转人工", {}, "ASKED"),
        ("吃完进医院了", {}, "INJURY"),
        ("骗子，垃圾平台", {}, "ANGER"),
        ("怎么还没到", {"upset_turns": 1}, "UPSET_TWICE"),
        ("我要投诉", {"complaints": 1}, "COMPLAINT"),
        ("保修多久", {"unresolved": 2}, "UNRESOLVED"),
    ],
)
def test_a_person_takes_over_when_it_is_time(
    text: str, facts: dict[str, object], reason: str
) -> None:
    decision = decided(text, **facts)
    assert (decision.kind, decision.reason) == (Kind.HAND_OFF, reason)
    assert acts(decision)[-1] is Act.HAND_OFF
    assert decision.steps[-1].facts["ticket.no"] == "K1"


def test_thanks_after_trouble_do_not_hand_off() -> None:
    assert decided("谢谢", unresolved=3).kind is Kind.ANSWER


def test_every_move_of_every_decision_has_all_values_it_must_say() -> None:
    texts = ("我的快递到哪了", "退款到哪了", "我要投诉", "保修多久", "还有货吗", "你好", "转人工")
    for text in texts:
        for order in (None, SHIPPED, UNPAID):
            for felt in (CALM, Emotion(UPSET, "x"), Emotion(ANGRY, "x")):
                here = Situation(felt, "K1", "小满", order=order, quotes=(RETURNS,))
                for step in decide(understand(text), here).steps:
                    assert set(step.facts) == set(step.move.available)


def test_what_to_look_up_follows_the_question() -> None:
    assert topics.needs(understand("运费谁出")).topics == ("freight_payer",)
    assert topics.needs(understand("我的快递到哪了")) == topics.Needs(order=True)
    assert topics.needs(understand("我的拼团差几个人")).group is True
