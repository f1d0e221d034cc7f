"""Everything one turn may speak of: the viewer's own records and the rules that cover them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from app.auth import Viewer
from app.db import Reader
from app.rules import offers
from app.rules.offers import Offer
from app.services import carts, chat_orders, chat_rules, group_buys, orders, products
from app.services.chat_orders import Meant, OrderFacts
from app.services.chat_rules import Rules, Standing
from app.services.chat_words import amount, moment
from app.tables.accounts import AccountRow
from app.tables.columns import table
from app.tables.group_buys import GroupBuyMemberRow, GroupBuyRow
from app.tables.orders import OrderRow
from app.tables.products import ProductRow
from llm import topics
from llm.intent import Source, Understanding
from llm.plan import Intent, Language, Record
from llm.policy import Evidence
from llm.topics import Needs

ACCOUNTS = table(AccountRow)
GROUPS = table(GroupBuyRow)
MEMBERS = table(GroupBuyMemberRow)
ORDERS = table(OrderRow)
PRODUCTS = table(ProductRow)
_GROUP_STATE = {"PENDING": "OPEN", "OPEN": "OPEN", "FILLED": "FILLED", "FAILED": "FAILED"}
_SHORT = 4  # characters: a shorter message is no question to search with


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found for one message; every row in it is one the viewer may see."""

    user_name: str
    meant: Meant = field(default_factory=Meant)
    order: OrderFacts | None = None
    group: Evidence | None = None
    group_id: int | None = None
    product: Evidence | None = None
    product_id: int | None = None
    cart: Evidence | None = None
    rules: Rules = field(default_factory=Rules)
    offer: Offer | None = None


async def gather(
    db: Reader,
    viewer: Viewer,
    asked: Understanding,
    text: str,
    slots: Mapping[str, Any],
    *,
    now: datetime,
) -> Facts:
    """Looks up what the understanding needs, for this viewer alone.

    `slots` are the conversation's: order_id, product_id, group_id, listed (order keys last
    offered for choice), offered (offer kinds already made).
    """
    needs = topics.needs(asked)
    meant = Meant()
    if needs.order or asked.codes:
        meant = await chat_orders.meant(
            db,
            viewer,
            asked,
            text,
            slot=slots.get("order_id"),
            listed=slots.get("listed", ()),
            now=now,
        )
    order, standing = await _order(db, viewer, meant, asked, now=now)
    group_id, group = await _group(db, viewer, asked, needs, slots)
    product_row = await _product(db, viewer, needs, slots, order)
    goods = order.goods if order else (product_row,) if product_row is not None else ()
    case = chat_rules.case_of(asked, goods, order)
    rules = await chat_rules.covering(db, viewer, needs.topics, case, now=now, facets=asked.facets)
    if asked.source is Source.NONE and not asked.is_elsewhere and len(text) >= _SHORT:
        rules = await chat_rules.nearest(db, viewer, text, case, now=now)
    return Facts(
        user_name=await _nickname(db, viewer),
        meant=meant,
        order=order,
        group=group,
        group_id=group_id,
        product=await _product_evidence(db, viewer, product_row, asked.language),
        product_id=None if product_row is None else product_row.id,
        cart=await _cart(db, viewer, needs, asked.language),
        rules=rules,
        offer=_offer(asked, order, standing, rules, slots, now=now),
    )


def choices(found: Facts, language: Language) -> str:
    """The orders to choose from as one value, empty when there is nothing to choose."""
    if found.order is not None or not found.meant.choices:
        return ""
    return chat_orders.choices_text(found.meant.choices, language)


async def _order(
    db: Reader, viewer: Viewer, meant: Meant, asked: Understanding, *, now: datetime
) -> tuple[OrderFacts | None, Standing]:
    """The order with what the shop promises about its shipping."""
    if meant.order is None:
        return None, Standing()
    found = await chat_orders.facts(db, viewer, meant.order, language=asked.language)
    case = chat_rules.case_of(asked, found.goods, found)
    standing = await chat_rules.standing(db, viewer, case, now=now)
    return chat_orders.promised(found, standing.ship_within, asked.language), standing


def _offer(
    asked: Understanding,
    order: OrderFacts | None,
    standing: Standing,
    rules: Rules,
    slots: Mapping[str, Any],
    *,
    now: datetime,
) -> Offer | None:
    case = None
    if order is not None:
        case = offers.Case(
            status=order.own.row.status,
            paid_fen=order.own.row.paid_fen,
            ship_by=order.ship_by,
            traced_at=order.traced_at,
            is_returnable=rules.is_returnable,
            compensation=standing.compensation,
            stale_after=standing.stale_after,
        )
    return offers.propose(case, intent=asked.intent, now=now, made=slots.get("offered", ()))


async def _group(
    db: Reader,
    viewer: Viewer,
    asked: Understanding,
    needs: Needs,
    slots: Mapping[str, Any],
) -> tuple[int | None, Evidence | None]:
    """The viewer's group that fits the question: a failed one for its money, else the newest."""
    if not needs.group:
        return None, None
    seats = await db.all(
        select(MEMBERS.c.group_id, MEMBERS.c.order_id)
        .where(MEMBERS.c.account_id == viewer.account_id, MEMBERS.c.status != "RELEASED")
        .order_by(MEMBERS.c.id.desc())
        .limit(chat_orders.RECENT)
    )
    order_of = {seat.group_id: seat.order_id for seat in seats}
    wanted = [*order_of, *([slots["group_id"]] if slots.get("group_id") else [])]
    rows = await db.all(
        group_buys.visible_to(viewer).where(GROUPS.c.id.in_(wanted)).order_by(GROUPS.c.id.desc())
    )
    if not rows:
        return None, None
    row = _fitting(rows, asked, slots.get("group_id"))
    values = await _group_values(db, viewer, row, order_of.get(row.id), asked.language)
    return row.id, Evidence(Record.GROUP, _GROUP_STATE[row.status], values)


def _fitting(rows: Sequence[Row[Any]], asked: Understanding, slot: int | None) -> Row[Any]:
    wanted = ("FAILED",) if asked.intent is Intent.GROUP_REFUND else ("OPEN", "PENDING")
    for row in rows:
        if row.id == slot:
            return row
    return next((row for row in rows if row.status in wanted), rows[0])


async def _group_values(
    db: Reader, viewer: Viewer, row: Row[Any], order_id: int | None, language: Language
) -> dict[str, str]:
    title = await db.value(select(PRODUCTS.c.title).where(PRODUCTS.c.id == row.product_id))
    values = {
        "group.title": str(title),
        "group.joined": str(row.paid_count),
        "group.size": str(row.size),
        "group.remaining": str(row.size - row.paid_count),
        "group.expires_at": moment(row.expires_at, language),
    }
    if order_id is not None:
        own = await db.first(orders.visible_to(viewer).where(ORDERS.c.id == order_id))
        if own is not None:
            values["order.no"] = own.no
            values["group.price"] = amount(own.goods_fen, language)
            values |= await chat_orders.refund_values(db, viewer, own.id, language)
    return values


async def _product(
    db: Reader,
    viewer: Viewer,
    needs: Needs,
    slots: Mapping[str, Any],
    order: OrderFacts | None,
) -> Row[Any] | None:
    """The product the chat was opened from; a rule may depend on it too."""
    key = slots.get("product_id")
    if key is None or (order is not None and not needs.product):
        return None
    return await db.first(products.visible_to(viewer).where(PRODUCTS.c.id == key))


async def _product_evidence(
    db: Reader, viewer: Viewer, row: Row[Any] | None, language: Language
) -> Evidence | None:
    if row is None:
        return None
    (left,) = await products.available(db, viewer, [row])
    state = "ON_SALE" if left else "SOLD_OUT"
    if row.status == "DELISTED":
        state = "DELISTED"
    values = {
        "product.title": row.title,
        "product.price": amount(row.min_price_fen, language),
        "product.stock": str(left),
    }
    return Evidence(Record.PRODUCT, state, values)


async def _cart(db: Reader, viewer: Viewer, needs: Needs, language: Language) -> Evidence | None:
    if not needs.cart:
        return None
    row = await carts.current(db, viewer)
    priced = await carts.priced(db, viewer, row.id) if row is not None else None
    if priced is None or not priced.lines:
        return Evidence(Record.CART, "EMPTY", {})
    values = {
        "cart.count": str(sum(line.quantity for line in priced.lines)),
        "cart.amount": amount(priced.payable_fen, language),
    }
    return Evidence(Record.CART, "FILLED", values)


async def _nickname(db: Reader, viewer: Viewer) -> str:
    name = await db.value(select(ACCOUNTS.c.nickname).where(ACCOUNTS.c.id == viewer.account_id))
    return str(name or "")
