"""What must hold in a mall after every step, whatever was done in whatever order (DOMAIN 3.1)."""

from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import Row

from app.tables.group_buys import GroupBuyMemberRow, GroupBuyRow
from app.tables.orders import OrderLineRow, OrderRow, TradeRow
from app.tables.payments import PaymentRow, RefundRow
from app.tables.products import StockMovementRow, StockReservationRow, StockRow
from tests.factories import Mall

SEATED = {"HELD", "JOINED", "SUCCEEDED"}
AFTER_GROUP = {"AWAITING_SHIPMENT", "PARTIALLY_SHIPPED", "SHIPPED", "COMPLETED"}


async def check(mall: Mall) -> None:
    """Asserts all of them."""
    await check_stock(mall)
    await check_groups(mall)
    await check_money(mall)
    await check_orders(mall)


async def check_stock(mall: Mall) -> None:
    """1. Promises are covered, and every unit is accounted for by reservations and movements."""
    held: Counter[int] = Counter()
    allocated: Counter[int] = Counter()
    for one in await mall.rows(StockReservationRow):
        {"HELD": held, "ALLOCATED": allocated}.get(one.status, Counter())[one.sku_id] += (
            one.quantity
        )
    on_hand: Counter[int] = Counter()
    for one in await mall.rows(StockMovementRow):
        on_hand[one.sku_id] += one.delta
        if one.kind == "SHIP":
            allocated[one.sku_id] -= one.quantity
    for row in await mall.rows(StockRow):
        assert row.on_hand >= row.allocated + row.reserved >= 0
        found = (row.on_hand, row.allocated, row.reserved)
        assert found == (on_hand[row.sku_id], allocated[row.sku_id], held[row.sku_id])


async def check_groups(mall: Mall) -> None:
    """2. paid <= held <= size, counters are the seats, FILLED means full, nobody sits twice.

    An open group has one leader, who has paid and has seat 1.
    """
    members: dict[int, list[Row[Any]]] = defaultdict(list)
    seated: Counter[tuple[int, int]] = Counter()
    for one in await mall.rows(GroupBuyMemberRow):
        members[one.group_id].append(one)
        seated[one.activity_id, one.account_id] += one.status in {"HELD", "JOINED"}
    assert max(seated.values(), default=0) <= 1
    for group in await mall.rows(GroupBuyRow):
        states = Counter(one.status for one in members[group.id])
        seats = [one.seat_no for one in members[group.id] if one.status in SEATED]
        assert len(seats) == len(set(seats))
        assert set(seats) <= set(range(1, group.size + 1))
        assert 0 <= group.paid_count <= group.held_count <= group.size
        assert (group.status == "FILLED") == (group.paid_count == group.size)
        if group.status == "FAILED":
            assert group.held_count == group.paid_count == states["REFUNDED"]
            assert seats == []
        else:
            assert group.held_count == len(seats)
            assert group.paid_count == states["JOINED"] + states["SUCCEEDED"]
        if group.status in {"OPEN", "FILLED"}:
            (leader,) = [
                one
                for one in members[group.id]
                if one.account_id == group.leader_id and one.status in {"JOINED", "SUCCEEDED"}
            ]
            assert leader.seat_no == 1


async def check_money(mall: Mall) -> None:
    """3 and 4. Amounts add up over lines, orders and trades; never more goes back than came."""
    lines: dict[int, list[Row[Any]]] = defaultdict(list)
    for line in await mall.rows(OrderLineRow):
        lines[line.order_id].append(line)
    orders: dict[int, list[Row[Any]]] = defaultdict(list)
    for order in await mall.rows(OrderRow):
        orders[order.trade_id].append(order)
        for column in ("payable_fen", "paid_fen", "refunded_fen", "shipping_fen"):
            total = sum(getattr(line, column) for line in lines[order.id])
            assert getattr(order, column) == total, column
    came: Counter[int] = Counter()
    for payment in await mall.rows(PaymentRow, status="SUCCEEDED"):
        came[payment.trade_id] += payment.amount_fen
    back: Counter[int] = Counter()
    for refund in await mall.rows(RefundRow, status="SUCCEEDED"):
        back[refund.trade_id] += refund.amount_fen
    for trade in await mall.rows(TradeRow):
        for column in ("payable_fen", "paid_fen", "refunded_fen"):
            total = sum(getattr(order, column) for order in orders[trade.id])
            assert getattr(trade, column) == total, column
        assert trade.paid_fen == (trade.payable_fen if trade.status == "PAID" else 0)
        assert trade.refunded_fen <= trade.paid_fen
        assert back[trade.id] <= came[trade.id]
    assert sum(mall.payments.refunded.values()) <= sum(mall.payments.charged.values())


async def check_orders(mall: Mall) -> None:
    """6. Whoever paid has an open group, goods on their way, or exactly one refund of it all."""
    groups = {group.id: group.status for group in await mall.rows(GroupBuyRow)}
    trades = {trade.id: trade.status for trade in await mall.rows(TradeRow)}
    causes: dict[tuple[str, int], list[int]] = defaultdict(list)
    for refund in await mall.rows(RefundRow):
        causes[refund.reason_kind, refund.ref_id].append(refund.amount_fen)
    for order in await mall.rows(OrderRow):
        refunds = causes["GROUP_FAILED", order.id] + causes["LEFT_GROUP", order.id]
        if order.paid_fen == 0:
            state = {"PENDING_PAYMENT": "PENDING_PAYMENT"}.get(order.status, "CANCELLED")
            assert (order.status, trades[order.trade_id]) == (state, state)
            assert refunds == []
        elif order.status == "CANCELLED":
            assert order.cancel_reason == "LEFT_GROUP" or groups[order.group_id] == "FAILED"
            assert refunds == [order.paid_fen]
        elif order.status == "AWAITING_GROUP":
            assert (groups[order.group_id], refunds) == ("OPEN", [])
        else:
            assert order.status in AFTER_GROUP
            assert groups.get(order.group_id, "FILLED") == "FILLED"
            assert refunds == []
    for payment in await mall.rows(PaymentRow, status="SUCCEEDED"):
        is_late = payment.role == "PRIMARY" and trades[payment.trade_id] == "CANCELLED"
        is_double = payment.role == "DUPLICATE"
        assert causes["LATE_PAYMENT", payment.id] == [payment.amount_fen] * is_late
        assert causes["DUPLICATE_PAYMENT", payment.id] == [payment.amount_fen] * is_double


async def check_settled(mall: Mall) -> None:
    """When all refunds are through: what we kept is what orders were paid and not refunded."""
    kept: Counter[int] = Counter()
    for payment in await mall.rows(PaymentRow, status="SUCCEEDED"):
        kept[payment.trade_id] += payment.amount_fen
    for refund in await mall.rows(RefundRow):
        assert refund.status == "SUCCEEDED"
        kept[refund.trade_id] -= refund.amount_fen
    for trade in await mall.rows(TradeRow):
        assert kept[trade.id] == trade.paid_fen - trade.refunded_fen
