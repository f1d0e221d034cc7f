"""Root fields as data: what they read, who carries it out, and what a statement is built from."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Integer, Select, String, bindparam
from sqlalchemy.dialects import sqlite

from app.auth import Role, Viewer
from app.errors import BadUserInput, Unauthenticated
from app.graphql import MallSchema
from app.rules.live_rooms import RoomStatus
from app.rules.orders import OrderStatus
from app.services import carts, chat, group_buys, live_rooms, orders, products
from app.services.pages import Listing
from app.services.products import FtsMatch, ProductFilter, ProductSort, VectorMatch
from resolvers.reads import ROOT
from schema.common import Connection
from schema.fields import ENTITIES, One, Tally, Value, declared_of
from schema.products import ProductConnection
from schema.reads import ById, ByIds, FirstOf, PageOf, Rows
from tests.factories import Mall
from tests.resolvers.conftest import Api, gid

FILTER = ProductFilter(
    category_id=1, supplier_id=2, price_min_fen=3, price_max_fen=4, in_stock=True
)
LISTINGS: dict[str, Callable[[Viewer, Any], Listing]] = {
    "cart": lambda viewer, _: carts.mine(viewer),
    "conversations": lambda viewer, _: chat.recent(viewer),
    "categories": lambda viewer, _: products.top_categories(viewer),
    "activities": lambda viewer, _: group_buys.running_activities(viewer),
    "groups": lambda viewer, given: group_buys.listing(viewer, product_id=given(1)),
    "orders": lambda viewer, _: orders.listing(viewer, status=OrderStatus.SHIPPED),
    "rooms": lambda viewer, _: live_rooms.listing(viewer, status=RoomStatus.LIVE),
    "products": lambda viewer, given: products.listing(
        viewer, filter=_bound(FILTER, given), sort=ProductSort.SALES, match=None
    ),
    "found on SQLite": lambda viewer, given: products.listing(
        viewer, filter=ProductFilter(), sort=ProductSort.DEFAULT, match=FtsMatch(given("a"))
    ),
    "found on PostgreSQL": lambda viewer, given: products.listing(
        viewer, filter=ProductFilter(), sort=ProductSort.DEFAULT, match=VectorMatch(given("a"))
    ),
}


def root(schema: MallSchema, name: str) -> Callable[..., Any]:
    """The function of a query root, under its Python name."""
    (found,) = (one for one in _fields(schema, "Query") if one.python_name == name)
    function: Callable[..., Any] = found.metadata[ROOT]
    return function


class As:
    """What a root function looks at of its info."""

    def __init__(self, api: Api, viewer: Viewer) -> None:
        self.context = api.context(viewer)


async def test_a_root_says_what_it_reads_and_reads_nothing(
    api: Api, mall: Mall, schema: MallSchema
) -> None:
    shopper = await mall.consumer()
    info = As(api, shopper)
    product = gid("Product", 7)
    with mall.selects() as selects:
        read = {
            "product": root(schema, "product")(None, info, id=product),
            "order": root(schema, "order")(None, info, id=product),
            "node": root(schema, "node")(None, info, id=product),
            "nodes": root(schema, "nodes")(None, info, ids=[product, "nonsense"]),
            "cart": root(schema, "cart")(None, info),
            "conversations": root(schema, "conversations")(None, info),
            "orders": root(schema, "orders")(None, info, first=3, after="x", status=None),
        }
    assert read == {
        "product": ById("Product", 7),
        "order": ById("Order", None),
        "node": ById("Product", 7),
        "nodes": ByIds((("Product", 7), None)),
        "cart": FirstOf("Cart", carts.mine),
        "conversations": Rows("Conversation", chat.recent, limit=50),
        "orders": PageOf(
            "Order",
            Connection,
            orders.listing,
            {"status": None},
            first=3,
            after="x",
            scope=f"orders:CONSUMER:{shopper.id}:None",
        ),
    }
    assert selects == []


async def test_a_root_refuses_before_anything_is_read(api: Api, schema: MallSchema) -> None:
    guest = As(api, Viewer())
    with pytest.raises(Unauthenticated):
        root(schema, "orders")(None, guest, first=20)
    with pytest.raises(BadUserInput):
        root(schema, "products")(None, guest, first=101)
    with pytest.raises(BadUserInput):
        root(schema, "products")(None, guest, search="米" * 101)


async def test_a_search_is_looked_up_once_for_page_count_and_facets(api: Api, mall: Mall) -> None:
    await mall.product(title="五常大米")
    costs = {}
    for shown in ("nodes { id }", "totalCount", "facets { prices { count } }"):
        with mall.selects() as selects:
            await api.ask(f'{{ products(search: "五常大米") {{ {shown} }} }}')
        costs[shown] = len(selects)
    assert costs == {"nodes { id }": 2, "totalCount": 3, "facets { prices { count } }": 5}


def test_every_query_root_is_data(schema: MallSchema) -> None:
    missing = [one.python_name for one in _fields(schema, "Query") if ROOT not in one.metadata]
    assert missing == []


def test_only_declared_fields_wait_for_anything(schema: MallSchema) -> None:
    names = set(schema._schema.type_map) - {"Query", "Mutation", "Subscription"}
    waiting = {
        f"{name}.{one.python_name}"
        for name in names
        for one in _fields(schema, name)
        if one.is_async and one.metadata == {}
    }
    assert waiting == set()


def test_values_and_connections_are_declared_like_entities() -> None:
    (facet,) = (one for one in Value.__subclasses__() if one.__name__ == "CategoryFacet")
    ((name, declared),) = declared_of(facet).items()
    assert (name, type(declared), declared.columns) == ("category", One, ("category_id",))
    tallies = {name: type(one) for name, one in declared_of(ProductConnection).items()}
    assert tallies == {"total_count": Tally, "facets": Tally}


def test_the_catalogue_may_be_cached_but_for_what_changes_by_the_moment() -> None:
    assert {name for name, one in ENTITIES.items() if one.cacheable} == {
        "Category",
        "Product",
        "ProductOption",
        "Sku",
        "Supplier",
    }
    live = [
        f"{kind}.{name}"
        for kind, entity in ENTITIES.items()
        for name, one in entity.declared().items()
        if getattr(one, "live", False)
    ]
    assert live == ["LiveRoom.figures", "Sku.available"]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", sorted(ENTITIES))
def test_what_a_viewer_may_see_is_one_statement_for_all_of_a_role(kind: str, role: Role) -> None:
    entity = ENTITIES[kind]
    bound, plain = _viewers(role)
    assert _text(entity.visible_to(bound)) == _text(entity.visible_to(plain))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("name", LISTINGS)
def test_a_list_is_one_statement_for_all_values(name: str, role: Role) -> None:
    bound, plain = _viewers(role)
    made = LISTINGS[name](bound, _bind)
    assert _text(made.top(20)) == _text(LISTINGS[name](plain, lambda value: value).top(20))


def _fields(schema: MallSchema, type_name: str) -> Iterator[Any]:
    found: Any = schema.get_type_by_name(type_name)
    return iter(getattr(found, "fields", ()))


def _viewers(role: Role) -> tuple[Viewer, Viewer]:
    """The same viewer with bound parameters and with values."""
    plain = Viewer(role=role, id=1, subject_id=2, guest_key="k")
    if role is Role.GUEST:
        plain = replace(plain, id=None, subject_id=None)
    return _bound(plain, _bind), plain


def _bound(given: Any, bind: Callable[[Any], Any]) -> Any:
    """A dataclass with every number and text bound; what is None, a bool or an enum stays."""
    values = {name: getattr(given, name) for name in given.__slots__}
    return replace(
        given, **{name: bind(one) for name, one in values.items() if type(one) in {int, str}}
    )


def _bind(value: int | str) -> Any:
    return bindparam(None, type_=Integer() if isinstance(value, int) else String())


def _text(statement: Select[Any]) -> str:
    """The SQL, with all places that have no name of their own called alike."""
    made = str(statement.compile(dialect=sqlite.dialect()))  # type: ignore[no-untyped-call]
    return re.sub(r"param_\d+", "param", made)
