"""What a compiled operation is made of: frames of objects, and how a value becomes JSON.

Every field keeps its raw value as Python source over one variable: the object's row `r`, or the
value itself. The fast path writes these sources into one expression for a whole selection set
(emit.py); the careful path evaluates them one by one where something went wrong (careful.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode, GraphQLLeafType, GraphQLOutputType

from schema.fields import Batch, Entity

Source = Callable[[str], str]
"""Python source of a raw value, given the name of the variable that holds the object."""


class Names:
    """The objects that generated sources speak of, under names of one letter and a number."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}

    def name(self, letter: str, value: Any) -> str:
        made = f"{letter}{len(self.known)}"
        self.known[made] = value
        return made


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar or enum; `quick` is its JSON value where the raw one is as expected."""

    kind: GraphQLLeafType
    quick: Source


@dataclass(frozen=True, slots=True)
class Items:
    """A list of what `each` makes."""

    each: "Made"
    is_nullable: bool  # of one item


@dataclass(slots=True)
class Sub:
    """Values by their Python class, entities by their kind (as pointers)."""

    values: dict[type, "ValueFrame"] = field(default_factory=dict)
    kinds: dict[str, "EntityFrame"] = field(default_factory=dict)

    @property
    def needs_reading(self) -> bool:
        return bool(self.kinds) or any(one.needs_reading for one in self.values.values())


@dataclass(frozen=True, slots=True)
class Edge:
    """The entity whose key the raw value is; null when it was not found."""

    frame: "EntityFrame"


@dataclass(frozen=True, slots=True)
class Children:
    """The entities whose foreign key is the raw value."""

    frame: "EntityFrame"


Made = Leaf | Items | Sub | Edge | Children


@dataclass(slots=True)
class Field:
    """One response key of a frame."""

    key: str
    nodes: list[FieldNode]
    kind: GraphQLOutputType
    raw: Source
    made: Made
    where: str  # Type.field, for messages
    is_nullable: bool
    place: int | None = None  # of the column that the raw value is
    batch: int | None = None  # which of the frame's batches the raw value is made from
    kept: int | None = None  # which of them is the raw value itself, where it leads to entities
    short: Source | None = None  # of the JSON value, where there is a shorter way than over `raw`
    pure: "Pure | None" = None  # a JSON value that hangs on nothing but columns
    pick: Callable[[Any, Any, "Arguments"], Any] | None = None  # the raw value, by itself

    @property
    def is_carried(self) -> bool:
        """Whether the entity that it leads to came along with the rows."""
        return isinstance(self.made, Edge) and self.made.frame.above is not None


@dataclass(frozen=True, slots=True)
class Pure:
    """Columns as the driver gives them, and the raw value made of these alone."""

    places: tuple[int, ...]
    raw: Source  # over a variable that holds just the columns, as one value or a tuple


Arguments = list[dict[str, Any]]
"""Coerced arguments of methods, one place for each that depends on variables."""


@dataclass(slots=True)
class ValueFrame:
    """A selection set on a plain type."""

    name: str
    fields: list[Field] = field(default_factory=list)
    below: list[Field] = field(default_factory=list)  # fields that lead to entities

    @property
    def needs_reading(self) -> bool:
        return any(reads(one.made) for one in self.fields)


@dataclass(slots=True)
class BatchUse:
    """One function over the rows of a frame; several fields may wrap what it reads."""

    declared: Batch
    of: tuple[Any, ...]  # frames with the same share what was read
    named: Callable[[Any], Any]  # a named row of the columns that it needs
    is_alone: bool = True


@dataclass(slots=True)
class EntityFrame:
    """A selection set on the rows of an entity; `number` is its place among all frames."""

    number: int
    entity: type[Entity]
    load: Any  # where its rows come from: see loads.py
    above: "EntityFrame | None" = None  # whose rows a rider's are
    key: int = 0  # place of the key: its own, a parent's where rows are children
    fields: list[Field] = field(default_factory=list)
    batches: list[BatchUse] = field(default_factory=list)
    emit: Callable[..., list[dict[str, Any]]] | None = None
    below: list[Field] = field(default_factory=list)  # fields that lead to entities

    @property
    def name(self) -> str:
        return self.entity.__name__

    @property
    def is_inline(self) -> bool:
        """Whether its objects are made from the rows above, with those."""
        return self.above is not None and not self.batches and not self.below


def reads(made: Made) -> bool:
    """Whether the value leads to entities that are to be read."""
    match made:
        case Leaf():
            return False
        case Items(each, _):
            return reads(each)
        case Sub():
            return made.needs_reading
    return True
