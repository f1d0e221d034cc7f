"""Every table, imported once so that the metadata is whole."""

from app.tables import (
    accounts,
    assets,
    carts,
    chat,
    distributors,
    group_buys,
    live_lotteries,
    live_rooms,
    orders,
    outbox,
    payments,
    policies,
    products,
    sessions,
    shipments,
    suppliers,
)

__all__ = [
    "accounts",
    "assets",
    "carts",
    "chat",
    "distributors",
    "group_buys",
    "live_lotteries",
    "live_rooms",
    "orders",
    "outbox",
    "payments",
    "policies",
    "products",
    "sessions",
    "shipments",
    "suppliers",
]
