"""Where a row holds what it should not, both executors tell the same at the same path."""

from dataclasses import dataclass

import pytest
from sqlalchemy import text

from tests.plan.conftest import Fair


@dataclass(frozen=True)
class Spoilt:
    """A statement that spoils rows, and a query that meets them."""

    statement: str
    query: str
    who: str = "guest"


OPTIONS = "{ products(first: 9) { nodes { title options { name choices } } } }"
SKUS = "{ products(first: 9) { nodes { title skus { code options { name value } } } } }"
SUPPLIERS = "{ nodes { title supplier { name shipping { amountMinor formatted } } } }"
GROUPS = """query { nodes(ids: ["R3JvdXBCdXk6Mg", "R3JvdXBCdXk6MQ"]) { ... on GroupBuy {
  size members { seatNo status nickname } activity { title } } } }"""
ONE_GROUP = """query { groupBuy(id: "R3JvdXBCdXk6Mg") { size status members { seatNo } }
  viewer { role } }"""
THREE_PRODUCTS = """query {
  nodes(ids: ["UHJvZHVjdDox", "UHJvZHVjdDoy", "nonsense", "UHJvZHVjdDoz"]) {
    id ... on Product { status title } } }"""
LATE_ORDERS = "UPDATE orders SET status = 'MYSTERY' WHERE id > 5"

ANYWHERE = {
    "an enum of a list's item": Spoilt(
        LATE_ORDERS,
        "{ orders(first: 3) { totalCount nodes { no status } } viewer { role } }",
        "consumer",
    ),
    "an enum in edges": Spoilt(
        LATE_ORDERS, "{ orders(first: 3) { edges { cursor node { no status } } } }", "consumer"
    ),
    "an enum under a nullable root": Spoilt(
        "UPDATE group_buy_groups SET status = 'MYSTERY' WHERE id = 2", ONE_GROUP
    ),
    "an enum among nullable nodes": Spoilt(
        "UPDATE products SET status = 'MYSTERY' WHERE id = 2", THREE_PRODUCTS, "admin"
    ),
    "an enum of a child": Spoilt(
        "UPDATE group_buy_members SET status = 'MYSTERY' WHERE id = 2", GROUPS
    ),
    "an enum behind a nullable edge": Spoilt(
        "UPDATE group_buy_activities SET status = 'MYSTERY'",
        "{ groupBuys(first: 3) { nodes { size activity { title status } product { id } } } }",
        "admin",
    ),
    "a nullable enum": Spoilt(
        "UPDATE chat_messages SET writer = 'MYSTERY' WHERE id IN (2, 4)",
        "{ conversations { state messages { text writer } } }",
        "consumer",
    ),
    "a role that is none": Spoilt(
        "UPDATE account_roles SET role = 'MYSTERY'",
        "{ viewer { role account { nickname roles addresses { city } } } }",
        "consumer",
    ),
    "an amount that is no Int": Spoilt(
        "UPDATE suppliers SET shipping_fen = 1099511627776 WHERE id = 1",
        f"{{ products(first: 9) {SUPPLIERS} }}",
    ),
    "an amount that is no Int, in two lists": Spoilt(
        "UPDATE suppliers SET shipping_fen = 1099511627776",
        f"{{ a: products(first: 3) {SUPPLIERS} b: products(first: 2, sort: NEWEST) {SUPPLIERS} }}",
    ),
    "an amount that is no Int, in a nullable value": Spoilt(
        "UPDATE suppliers SET free_shipping_from_fen = 1099511627776 WHERE id = 1",
        """{ products(first: 9) { nodes { title supplier { name
             freeShippingFrom { formatted amountMinor currency } } } } }""",
    ),
    "a list that is null": Spoilt(
        "UPDATE product_options SET choices = 'null' WHERE id = 1",
        'query { node(id: "UHJvZHVjdDox") { id ... on Product { options { name choices } } } }',
    ),
    "a list that is null, in a list": Spoilt(
        "UPDATE product_options SET choices = 'null' WHERE id = 1", OPTIONS
    ),
    "a list with a null": Spoilt(
        """UPDATE product_options SET choices = '["a", null]' WHERE id = 1""", OPTIONS
    ),
    "a list with numbers and a truth": Spoilt(
        "UPDATE product_options SET choices = '[1, 1.5, true]' WHERE id = 1", OPTIONS
    ),
    "a list with an object": Spoilt(
        """UPDATE product_options SET choices = '["a", {"b": 1}]' WHERE id = 1""", OPTIONS
    ),
    "a text for a list": Spoilt(
        """UPDATE product_options SET choices = '"abc"' WHERE id = 1""", OPTIONS
    ),
    "an object for a list": Spoilt(
        """UPDATE product_options SET choices = '{"a": 1}' WHERE id = 1""", OPTIONS
    ),
    "a number for a list": Spoilt("UPDATE product_options SET choices = '5' WHERE id = 1", OPTIONS),
    "options that are none": Spoilt("UPDATE skus SET options = 'null' WHERE id IN (1, 4)", SKUS),
    "options without values": Spoilt(
        """UPDATE skus SET options = '{"产地": null}' WHERE id = 1""", SKUS
    ),
    "a receiver that lacks a part": Spoilt(
        """UPDATE orders SET receiver = '{"name": "林"}'""",
        "{ orders(first: 3) { nodes { no receiver { name phone } lines { title } } } }",
        "admin",
    ),
}
ON_SQLITE = {
    "an instant without a fraction": Spoilt(
        "UPDATE orders SET created_at = '2026-03-02 04:00:01', paid_at = '2026-03-02 04:00:02'",
        "{ orders { nodes { createdAt paidAt } pageInfo { endCursor } } }",
        "consumer",
    ),
    "a text in an Int": Spoilt(
        "UPDATE products SET rating_bp = 'good' WHERE id = 1",
        "{ products(first: 9) { nodes { title ratingBp } } viewer { role } }",
    ),
    "a fraction in an Int": Spoilt(
        "UPDATE products SET rating_bp = 1.5, sold_count = 2.0",
        'query { product(id: "UHJvZHVjdDox") { title ratingBp soldCount } viewer { role } }',
    ),
    "a text in a nullable Int": Spoilt(
        "UPDATE products SET customer_limit = 'few'",
        "{ products(first: 3) { nodes { title customerLimit } } viewer { role } }",
    ),
    "a number too wide in a nullable Int": Spoilt(
        "UPDATE products SET customer_limit = 1099511627776",
        "{ products(first: 3) { nodes { title customerLimit } } viewer { role } }",
    ),
    "bytes in a String": Spoilt(
        "UPDATE products SET title = x'00ff' WHERE id = 1",
        'query { product(id: "UHJvZHVjdDox") { id title } }',
    ),
    "another number for a Boolean": Spoilt(
        "UPDATE products SET is_fresh = 7", "{ products(first: 3) { nodes { title isFresh } } }"
    ),
}


async def check(fair: Fair, spoilt: Spoilt) -> None:
    """The answer is as good as it was made, then another one, and both times the same of both."""
    before = await fair.both(spoilt.query, spoilt.who)
    assert "errors" not in before
    async with fair.mall.unit() as unit:
        await unit.connection.execute(text(spoilt.statement.replace(":", "\\:")))
    assert await fair.both(spoilt.query, spoilt.who) != before


@pytest.mark.parametrize("name", ANYWHERE)
async def test_a_value_that_is_wrong_has_one_answer(own_fair: Fair, name: str) -> None:
    await check(own_fair, ANYWHERE[name])


@pytest.mark.parametrize("name", ON_SQLITE)
@pytest.mark.parametrize("made", ["sqlite"], indirect=True)
async def test_a_value_of_another_type_has_one_answer(own_fair: Fair, name: str) -> None:
    """SQLite keeps what it is given; PostgreSQL would refuse it."""
    await check(own_fair, ON_SQLITE[name])
