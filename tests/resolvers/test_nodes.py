"""Anything by its global id, each under its own access rule."""

from app.auth import Role, Viewer
from app.tables.orders import OrderRow
from schema.fields import ENTITIES
from tests.factories import Mall
from tests.resolvers.conftest import BAD_IDS, Api, gid

NODE = "query($id: ID!) { node(id: $id) { __typename id } }"
NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
PERSONAL = (
    "Account", "Address", "Cart", "CartLine", "Conversation", "ChatMessage", "Order", "OrderLine",
    "OrderEvent", "Trade", "Payment", "Refund", "Shipment", "ShipmentLine", "TraceEvent",
)  # fmt: skip


async def test_an_id_that_is_none_is_null_and_leaves_the_others(api: Api, mall: Mall) -> None:
    product = gid("Product", (await mall.product()).id)
    found = await api.ask(NODES, ids=[*BAD_IDS, product, gid("Product", 999), product])
    shown = {"__typename": "Product", "id": product}
    assert found == [None] * len(BAD_IDS) + [shown, None, shown]


async def test_a_hundred_ids_are_enough(api: Api) -> None:
    assert await api.code(NODES, ids=["x"] * 101) == "BAD_USER_INPUT"


async def test_nodes_of_one_kind_cost_one_statement(api: Api, mall: Mall) -> None:
    ids = [gid("Product", (await mall.product()).id) for _ in range(5)]
    with mall.selects() as selects:
        await api.ask(NODES, ids=ids)
    assert len(selects) == 1


async def test_types_that_are_no_nodes_cannot_be_asked_for(api: Api) -> None:
    for kind in ("Query", "Money", "PageInfo", "object", "__class__", "Node"):
        assert await api.ask(NODE, id=gid(kind, 1)) is None


async def test_nothing_personal_is_shown_to_strangers(api: Api, mall: Mall) -> None:
    """Every node type that belongs to somebody, for each role that it does not belong to."""
    owner, product = await mall.consumer(), await mall.product(stock=50)
    await mall.bought(owner, product.sku_id)
    await mall.add(owner, product.sku_id)
    (order,) = await mall.rows(OrderRow)
    await mall.change(OrderRow, order.id, status="SHIPPED")
    strangers = [
        Viewer(),
        Viewer(guest_key="g"),
        await mall.consumer(),
        await mall.account(Role.DISTRIBUTOR, subject_id=99),
        await mall.supplier_viewer(99),
    ]
    for viewer in strangers:
        own = {gid("Account", viewer.id), gid("Address", viewer.id)} if viewer.id else set()
        ids = [gid(kind, key) for kind in PERSONAL for key in range(1, 5)]
        wanted = [one for one in ids if one not in own]
        assert await api.ask(NODES, viewer, ids=wanted) == [None] * len(wanted), viewer.role
    seen = await api.ask(NODES, owner, ids=[gid("Order", order.id), gid("Trade", order.trade_id)])
    assert [one["__typename"] for one in seen] == ["Order", "Trade"]


async def test_every_node_type_can_be_asked_for_by_every_role(api: Api, mall: Mall) -> None:
    """No access rule breaks, whoever asks; 404 is told by null."""
    viewers = [Viewer(), await mall.consumer(), await mall.staff()]
    viewers += [
        await mall.account(role, subject_id=1) for role in (Role.SUPPLIER, Role.DISTRIBUTOR)
    ]
    assert len(ENTITIES) >= len(PERSONAL)
    for viewer in viewers:
        for kind in ENTITIES:
            assert await api.ask(NODE, viewer, id=gid(kind, 10**9)) is None, (viewer.role, kind)


def test_every_node_reads_all_columns_of_one_table() -> None:
    for kind, entity in ENTITIES.items():
        columns = entity.visible_to(Viewer()).selected_columns
        needed = {name for one in entity.declared().values() for name in one.columns}
        assert needed <= set(columns.keys()), kind
