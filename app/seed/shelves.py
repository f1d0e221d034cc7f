"""What the invented suppliers sell: suppliers, the category tree, and templates of goods."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).parent / "shelves.toml"


@dataclass(frozen=True, slots=True)
class Maker:
    """A supplier; fees in fen, rates in basis points, `series` begin the titles of its goods."""

    name: str
    status: str
    category: str
    ship_from: str
    return_address: str
    settle_cycle: str
    rate_bp: int
    rating_bp: int
    shipping_fen: int
    remote_fen: int
    carriers: list[str]
    series: list[str]
    free_from_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a product; `steps` are the extra fen of each choice."""

    name: str
    choices: list[str]
    steps: list[int]


@dataclass(frozen=True, slots=True)
class Ware:
    """A template: one product per series of its maker can be made from it."""

    maker: str
    leaf: str
    noun: str
    line: str
    price_fen: int
    weight_g: int
    options: list[Option]
    limit: int | None = None
    months: int = 0
    return_days: int = 7


@dataclass(frozen=True, slots=True)
class Shelves:
    """`tree`: top category -> second -> third."""

    makers: list[Maker]
    tree: dict[str, dict[str, list[str]]]
    wares: list[Ware]


def read() -> Shelves:
    found = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return Shelves(
        makers=[Maker(**one) for one in found["makers"]],
        tree=found["tree"],
        wares=[
            Ware(**{**one, "options": [Option(**option) for option in one["options"]]})
            for one in found["wares"]
        ],
    )
