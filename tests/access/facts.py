"""Who has to do with which row, told by plain Python from the rows themselves.

It says the same as the services' `visible_to`, in another way, so that a slip in one is seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlmodel import SQLModel

from app.auth import Role, Viewer
from tests.factories import Mall

Shop = tuple[Role, int]


@dataclass(frozen=True)
class Facts:
    """`owners` are accounts and guest keys; `shops` suppliers and distributors."""

    public: bool = False
    owners: frozenset[int | str] = frozenset()
    shops: frozenset[Shop] = frozenset()
    handed: bool = False

    def meets(self, cell: str, viewer: Viewer) -> bool:
        """Whether any ground of a cell holds."""
        grounds = {
            "all": True,
            "public": self.public,
            "own": bool({viewer.id, viewer.guest_key} & self.owners),
            "shop": (viewer.role, viewer.subject_id) in self.shops,
            "handed": self.handed,
            "-": False,
        }
        return any(grounds[one] for one in cell.split("+"))


def owned(*owners: int | str | None) -> Facts:
    return Facts(owners=frozenset(one for one in owners if one is not None))


@dataclass
class World:
    """Every row of every table by its key."""

    tables: dict[str, dict[int, Any]] = field(default_factory=dict)

    @classmethod
    async def of(cls, mall: Mall) -> "World":
        async with mall.database.read() as db:
            return cls(
                {
                    one.name: {row.id: row for row in await db.all(select(*one.c))}
                    for one in SQLModel.metadata.sorted_tables
                }
            )

    def facts(self, kind: str) -> dict[int, Facts]:
        """Key -> facts, of every row of a Node type."""
        name, of = KINDS[kind]
        return {key: of(self, row) for key, row in self.tables[name].items()}

    def __getitem__(self, name: str) -> dict[int, Any]:
        return self.tables[name]


def _supplier(world: World, row: Any) -> Facts:
    is_approved = row.status == "APPROVED"
    return Facts(public=is_approved, shops=frozenset({(Role.SUPPLIER, row.id)}))


def _product(world: World, row: Any) -> Facts:
    seller = world["suppliers"][row.supplier_id]
    is_shown = row.status in {"ON_SALE", "PRE_SALE"} and seller.status == "APPROVED"
    return Facts(public=is_shown, shops=frozenset({(Role.SUPPLIER, row.supplier_id)}))


def _sku(world: World, row: Any) -> Facts:
    product = _product(world, world["products"][row.product_id])
    return replace(product, public=product.public and row.status == "ON_SALE")


def _cart(world: World, row: Any) -> Facts:
    return owned(row.account_id, row.guest_key) if row.status == "ACTIVE" else Facts()


def _conversation(world: World, row: Any) -> Facts:
    return replace(owned(row.account_id), handed=row.state != "BOT")


def _activity(world: World, row: Any) -> Facts:
    seller = world["products"][row.product_id].supplier_id
    return Facts(public=row.status != "DRAFT", shops=frozenset({(Role.SUPPLIER, seller)}))


def _group(world: World, row: Any) -> Facts:
    return replace(owned(row.leader_id), public=row.status != "PENDING" and row.paid_count > 0)


def _member(world: World, row: Any) -> Facts:
    """One who has paid is seen with the group, an unpaid seat by its holder."""
    if row.status not in {"JOINED", "SUCCEEDED", "REFUNDED"}:
        return owned(row.account_id)
    group = world["group_buy_groups"][row.group_id]
    return replace(owned(row.account_id, group.leader_id), public=_group(world, group).public)


def _room(world: World, row: Any) -> Facts:
    is_public = row.status not in {"CANCELLED", "EXPIRED", "BANNED"}
    return replace(owned(row.host_id), public=is_public)


def _live_message(world: World, row: Any) -> Facts:
    """One that was held back is seen by its author and the host."""
    room = world["live_rooms"][row.room_id]
    is_public = _room(world, room).public
    authors = (row.account_id,) if is_public else ()
    return replace(owned(room.host_id, *authors), public=is_public and not row.is_hidden)


def _room_event(world: World, row: Any) -> Facts:
    """What the audience was not told is for the host and staff."""
    room = _room(world, world["live_rooms"][row.room_id])
    return replace(room, public=room.public and not row.is_host_only)


def _mute(world: World, row: Any) -> Facts:
    """Not even the person who is muted reads it here."""
    return owned(world["live_rooms"][row.room_id].host_id)


def _order(world: World, row: Any) -> Facts:
    """A supplier learns of an order when it is to be shipped, and not of one that never was."""
    shops: set[Shop] = set()
    if row.status not in {"PENDING_PAYMENT", "AWAITING_GROUP", "CANCELLED"}:
        shops.add((Role.SUPPLIER, row.supplier_id))
    if row.distributor_id is not None:
        shops.add((Role.DISTRIBUTOR, row.distributor_id))
    return replace(owned(row.buyer_id), shops=frozenset(shops))


def _refund(world: World, row: Any) -> Facts:
    order = world["orders"].get(row.order_id)
    sold = set() if order is None or order.status == "CANCELLED" else {order.supplier_id}
    trade = owned(world["trades"][row.trade_id].buyer_id)
    return replace(trade, shops=frozenset((Role.SUPPLIER, one) for one in sold))


def _like(
    column: str, name: str, of: Callable[[World, Any], Facts]
) -> Callable[[World, Any], Facts]:
    """The facts of the row that a column names."""
    return lambda world, row: of(world, world[name][getattr(row, column)])


_lottery = _like("room_id", "live_rooms", _room)
_with_order = _like("order_id", "orders", _order)
_with_shipment = _like("shipment_id", "shipments", _with_order)

KINDS: dict[str, tuple[str, Callable[[World, Any], Facts]]] = {
    "Account": ("accounts", lambda _, row: owned(row.id)),
    "Address": ("addresses", lambda _, row: owned(row.account_id)),
    "Asset": ("assets", lambda _, row: owned(row.owner_id)),
    "AuditEntry": ("audit_log", lambda _, __: Facts()),
    "Cart": ("carts", _cart),
    "CartLine": ("cart_lines", _like("cart_id", "carts", _cart)),
    "Category": ("categories", lambda _, __: Facts(public=True)),
    "ChatMessage": ("chat_messages", _like("conversation_id", "conversations", _conversation)),
    "Conversation": ("conversations", _conversation),
    "Distributor": (
        "distributors",
        lambda _, row: Facts(
            public=row.status == "ACTIVE", shops=frozenset({(Role.DISTRIBUTOR, row.id)})
        ),
    ),
    "GroupBuy": ("group_buy_groups", _group),
    "GroupBuyActivity": ("group_buy_activities", _activity),
    "GroupBuyActivitySku": (
        "group_buy_activity_skus",
        _like("activity_id", "group_buy_activities", _activity),
    ),
    "GroupBuyMember": ("group_buy_members", _member),
    "LiveLottery": ("live_lotteries", _lottery),
    "LiveLotteryEntry": (
        "live_lottery_entries",
        _like("lottery_id", "live_lotteries", _lottery),
    ),
    "LiveMessage": ("live_messages", _live_message),
    "LiveMute": ("live_mutes", _mute),
    "LiveProduct": ("live_products", _like("room_id", "live_rooms", _room)),
    "LiveRoom": ("live_rooms", _room),
    "Notification": ("notifications", lambda _, row: owned(row.account_id)),
    "LiveRoomEvent": ("live_room_events", _room_event),
    "Order": ("orders", _order),
    "OrderEvent": ("order_events", _with_order),
    "OrderLine": ("order_lines", _with_order),
    "Payment": ("payments", _like("trade_id", "trades", lambda _, row: owned(row.buyer_id))),
    "Product": ("products", _product),
    "ProductOption": ("product_options", _like("product_id", "products", _product)),
    "Refund": ("refunds", _refund),
    "Shipment": ("shipments", _with_order),
    "ShipmentLine": ("shipment_lines", _with_shipment),
    "Sku": ("skus", _sku),
    "Supplier": ("suppliers", _supplier),
    "TraceEvent": ("trace_events", _with_shipment),
    "Trade": ("trades", lambda _, row: owned(row.buyer_id)),
}
"""Node type -> its table, and the facts of a row."""
