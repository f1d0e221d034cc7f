"""Units of a SKU: what is free to sell, and what a supplier's count does to it."""

from typing import NamedTuple

from app.errors import InvalidInput, LimitExceeded

MOST_UNITS = 999  # of one SKU in one cart line or order line


class Units(NamedTuple):
    """`on_hand` never falls below `allocated + reserved`; what a supplier lacks is `shortfall`."""

    on_hand: int
    allocated: int
    reserved: int
    shortfall: int = 0

    @property
    def promised(self) -> int:
        return self.allocated + self.reserved

    @property
    def available(self) -> int:
        """Units free to sell; none while the supplier owes some (DOMAIN 3.3)."""
        return 0 if self.shortfall else max(0, self.on_hand - self.promised)


def count(units: Units, counted: int) -> Units:
    """The numbers after a supplier counted `counted` units on its shelf.

    Promised units stay promised: what the shelf cannot cover becomes the shortfall.
    """
    if counted < 0:
        raise ValueError("a shelf holds no less than nothing")
    on_hand = max(counted, units.promised)
    return Units(on_hand, units.allocated, units.reserved, shortfall=on_hand - counted)


def absorbed(shortfall: int, released: int) -> int:
    """How many released units a shortfall swallows: they were never on the shelf."""
    return min(shortfall, released)


def check_quantity(quantity: int) -> None:
    """Raises InvalidInput for less than one unit, LimitExceeded for more than a line may hold."""
    if quantity < 1:
        raise InvalidInput("quantity", "数量至少为 1", "must be at least 1")
    if quantity > MOST_UNITS:
        raise LimitExceeded(MOST_UNITS)


def is_on_sale(sku_status: str, product_status: str, supplier_status: str) -> bool:
    """A SKU can be bought when it, its product and its supplier all say so; presale counts."""
    return (
        sku_status == "ON_SALE"
        and product_status in {"ON_SALE", "PRE_SALE"}
        and supplier_status == "APPROVED"
    )
