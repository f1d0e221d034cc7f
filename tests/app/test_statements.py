"""What a prepared statement is for the driver, and what its rows become."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import literal, select

from app.statements import Prepared, bind
from app.tables.carts import CartLineRow, CartRow
from app.tables.columns import table
from app.tables.products import ProductRow
from tests.factories import Mall

CARTS, LINES, PRODUCTS = table(CartRow), table(CartLineRow), table(ProductRow)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_fixed_values_stand_in_the_text_and_others_have_places(dialect: str) -> None:
    among = PRODUCTS.c.status.in_(["ON_SALE", "PRE_SALE"])
    where = CARTS.c.status == "ACTIVE", CARTS.c.account_id == bind("me"), CARTS.c.version > 3
    made = Prepared(select(CARTS.c.id).where(*where).where(among)).on(dialect)
    for fixed in ("status = 'ACTIVE'", "version > 3", "IN ('ON_SALE', 'PRE_SALE')"):
        assert fixed in made.sql
    assert [name for name, _, _ in made.places] == ["me"]


async def test_a_partial_index_serves_a_fixed_text(mall: Mall) -> None:
    where = CARTS.c.status == "ACTIVE", CARTS.c.account_id == bind("me")
    made = Prepared(select(CARTS.c.id).where(*where)).on("sqlite")
    with closing(sqlite3.connect(mall.database.url.database or "")) as raw:
        ((*_, plan),) = raw.execute(f"EXPLAIN QUERY PLAN {made.sql}", (1,))
    assert "uq_carts_active_account" in plan


async def test_a_fixed_text_is_quoted(any_mall: Mall) -> None:
    text = "O'Brien; -- %s :x ? \\ %(y)s"
    told = Prepared(select(literal(text).label("text")).where(literal("it's") == bind("word")))
    value = await any_mall.database.look(lambda db: db.value(told, {"word": "it's"}))
    assert value == text


async def test_rows_have_names_and_python_values(any_mall: Mall) -> None:
    shopper, product = await any_mall.consumer(), await any_mall.product()
    await any_mall.add(shopper, product.sku_id, quantity=2)
    columns = LINES.c.sku_id, LINES.c.is_selected, LINES.c.quantity, LINES.c.added_at
    (row,) = await any_mall.database.look(lambda db: db.all(Prepared(select(*columns))))
    assert row == (product.sku_id, True, 2, row.added_at)
    assert row.is_selected is True
    assert row.added_at.tzinfo is not None
