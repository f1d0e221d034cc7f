"""What the parts of the seed share: its size, its clock and dice, and who and what is there yet."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.auth import Viewer
from app.db import Unit
from app.rules.orders import Address
from app.seed.shelves import Maker

Progress = Callable[[str, int, int], None]
SEED = 20261123


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything; days are those the orders lie back."""

    series: int
    products: int
    consumers: int
    buyers: int
    leaders: int
    distributors: int
    listings: int
    trades: int
    days: int
    activities: int
    groups: int
    rooms: int
    messages: int


SMALL = Scale(
    series=1,
    products=65,
    consumers=260,
    buyers=40,
    leaders=2,
    distributors=6,
    listings=10,
    trades=100,
    days=60,
    activities=8,
    groups=20,
    rooms=4,
    messages=120,
)
FULL = Scale(
    series=5,
    products=300,
    consumers=400,
    buyers=400,
    leaders=5,
    distributors=30,
    listings=40,
    trades=3000,
    days=120,
    activities=20,
    groups=300,
    rooms=6,
    messages=5000,
)


class Hands:
    """A clock that the seed sets: what is bought yesterday is written yesterday."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> datetime:
        """Lets time pass; takes what timedelta takes."""
        self.now += timedelta(**time)
        return self.now


@dataclass(frozen=True, slots=True)
class Shopper:
    viewer: Viewer
    address: Address


@dataclass(frozen=True, slots=True)
class Supplier:
    id: int
    maker: Maker
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class Item:
    """A SKU that can be bought; `supplier` is its place in `World.suppliers`."""

    sku_id: int
    product_id: int
    supplier: int
    price_fen: int
    distributor_price_fen: int


@dataclass(frozen=True, slots=True)
class Good:
    """A product with its SKUs, in order."""

    product_id: int
    noun: str
    items: tuple[Item, ...]


@dataclass
class World:
    """Grows while the seed runs. `now` is the end of the invented past."""

    unit: Unit
    clock: Hands
    now: datetime
    scale: Scale
    progress: Progress
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    suppliers: list[Supplier] = field(default_factory=list)
    categories: dict[str, int] = field(default_factory=dict)
    goods: list[Good] = field(default_factory=list)
    shoppers: list[Shopper] = field(default_factory=list)
    hosts: list[Viewer] = field(default_factory=list)

    def ago(self, **time: float) -> datetime:
        """A moment before now; takes what timedelta takes."""
        return self.now - timedelta(**time)

    def good(self, noun: str) -> Good:
        """The first product of that kind."""
        return next(one for one in self.goods if one.noun == noun)
