"""Declared read fields: one line says what a field is, two executors can resolve it.

A declaration stays readable on the class (`declared_of`), so that a compiled plan can use it; the
generic resolver built here goes through the batch loaders of the context. No type has an
asynchronous resolver beside these: whatever else a field does, it does with what its object holds.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, ClassVar, Self, TypeVar

import strawberry
from sqlalchemy import Select

from app import ids
from app.auth import Viewer
from app.context import Info
from app.db import Reader
from schema.reads import PageOf

VisibleTo = Callable[[Viewer], Select[Any]]
BatchRead = Callable[[Reader, Viewer, Sequence[Any]], Awaitable[Sequence[Any]]]
TallyRead = Callable[[Reader, Viewer, PageOf], Awaitable[Any]]

ENTITIES: dict[str, type["Entity"]] = {}
_DECLARED = "jishi.declared"
_PRICE = "jishi.price"
E = TypeVar("E", bound="Entity")


@dataclass(frozen=True, eq=False, kw_only=True)
class Declared:
    """What a read field is. `columns` are the columns of its own row that it needs.

    The row of an entity is the table's row, that of a `Value` is the value itself.
    """

    columns: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Column(Declared):
    """The one column as it is."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Computed(Declared):
    """A value made from columns by a pure function of them, in order."""

    by: Callable[..., Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Key(Declared):
    """The global id."""


@dataclass(frozen=True, eq=False, kw_only=True)
class One(Declared):
    """The entity `kind` whose key stands in the one column; null when not visible."""

    kind: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Many(Declared):
    """Entities `kind` whose `foreign_key` is this row's key; the first `limit` in `order`.

    `order` names columns, a leading "-" turns one round. `where` keeps rows with those values.
    """

    kind: str
    foreign_key: str
    order: tuple[str, ...]
    limit: int
    where: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch(Declared):
    """Values for many rows at once by a function of a service; same order as the rows.

    `read` gets rows with at least `columns`, and always `id`; fields of the same rows with the same
    `read` share what it read. `wrap` makes the GraphQL value of each. What is `live` changes from
    one moment to the next, so no answer that holds it is kept.
    """

    read: BatchRead
    wrap: Callable[[Any], Any] = field(default=lambda value: value)
    live: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Tally(Declared):
    """A value counted over the whole list that a page comes from, only when it is selected.

    `read` gets the read that the page was made from, settled or not; `wrap` makes the GraphQL
    value. No columns: the connection holds nothing that a tally needs but that read.
    """

    read: TallyRead
    wrap: Callable[[Any], Any] = field(default=lambda value: value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a field costs beside its objects (see app/edge/costs.py), where that is not the usual.

    `size` is how many objects a list has at most. The units of what `is_chat` count apart.
    """

    units: int | None = None
    size: int | None = None
    is_chat: bool = False

    def metadata(self) -> dict[Any, Any]:
        """What a strawberry field keeps its price in."""
        return {_PRICE: self}


USUAL = Price()
_COUNTING = Price(units=20)  # a tally looks at the whole list, not at its page


@dataclass(frozen=True, slots=True)
class Pointer:
    """Stands for an entity that is not read yet.

    Only the loaders of a compiled plan give it, from `context.load.one`: the plan reads it with
    everything else that the answer needs, and puts null in its place when it is not visible.
    """

    kind: str
    key: int


@strawberry.interface(description="有全局 ID 的对象。Anything with a global id.")
class Node:
    id: strawberry.ID = strawberry.field(description="全局 ID，不透明。An opaque global id.")


class Entity(Node):
    """Base of types made from one table row; `visible_to` is their access rule.

    `cacheable` kinds are the catalogue: what a guest sees of them may be shown to other guests.
    Common kinds, the catalogue among them, look to every shopper as they do to a guest where a
    public stream tells of them.
    """

    row: strawberry.Private[Any]
    visible_to: ClassVar[VisibleTo]
    cacheable: ClassVar[bool]
    is_common: ClassVar[bool]

    @classmethod
    def of(cls, row: Any) -> Self:
        """The GraphQL value of a Core row that holds all columns of the table."""
        return cls(row=row)  # type: ignore[call-arg]

    @classmethod
    def declared(cls) -> dict[str, Declared]:
        """`declared_of` this class."""
        return declared_of(cls)


class Value:
    """Base of plain types with declared fields: such a value is its own row."""

    @property
    def row(self) -> Self:
        return self


def price_in(metadata: Mapping[Any, Any]) -> Price:
    """The price that a strawberry field was given, or the usual one."""
    price: Price = metadata.get(_PRICE, USUAL)
    return price


def declared_in(metadata: Mapping[Any, Any]) -> Declared | None:
    """The declaration that a strawberry field was made from."""
    return metadata.get(_DECLARED)


def declared_of(cls: type) -> dict[str, Declared]:
    """Python field name -> declaration, for the fields of a type that have one."""
    return {
        one.python_name: one.metadata[_DECLARED]
        for one in cls.__strawberry_definition__.fields  # type: ignore[attr-defined]
        if _DECLARED in one.metadata
    }


def entity(
    description: str,
    *,
    visible_to: VisibleTo,
    cacheable: bool = False,
    is_common: bool = False,
) -> Callable[[type[E]], type[E]]:
    """Makes a Node type out of a class of declared fields; `visible_to` is its access rule."""

    def make(cls: type[E]) -> type[E]:
        for name in cls.__annotations__:
            pending = cls.__dict__.get(name)
            if isinstance(pending, _Column):
                setattr(cls, name, pending.field(name))
        private: Any = strawberry.Private  # a generic alias that mypy takes for a class
        cls.__annotations__ = {"row": private[Any], **cls.__annotations__}
        made = strawberry.type(cls, description=description)
        made.visible_to = staticmethod(visible_to)
        made.cacheable = cacheable
        made.is_common = cacheable or is_common
        ENTITIES[made.__name__] = made
        return made

    return make


@dataclass(frozen=True)
class _Column:
    """A column whose name is that of the attribute it is assigned to, known to `entity` only."""

    description: str
    name: str | None

    def field(self, attribute: str) -> Any:
        name = self.name or attribute
        get = attrgetter(f"row.{name}")

        def resolve(root: Any) -> Any:
            return get(root)

        return _field(Column(columns=(name,)), resolve, self.description)


def key() -> Any:
    """The global id of the row."""

    def resolve(root: Any) -> Any:
        return ids.encode(type(root).__name__, root.row.id)

    return _field(Key(columns=("id",)), resolve, "全局 ID，不透明。An opaque global id.")


def column(description: str, *, name: str | None = None) -> Any:
    """The column called `name`, by default like the attribute."""
    return _Column(description, name)


def computed(*columns: str, by: Callable[..., Any], description: str) -> Any:
    get = attrgetter(*(f"row.{one}" for one in columns))
    if len(columns) == 1:

        def resolve(root: Any) -> Any:
            return by(get(root))

    else:

        def resolve(root: Any) -> Any:
            return by(*get(root))

    return _field(Computed(columns=columns, by=by), resolve, description)


def one(foreign_key: str, kind: str, description: str) -> Any:
    get = attrgetter(f"row.{foreign_key}")

    async def resolve(root: Any, info: Info) -> Any:
        value = get(root)
        return None if value is None else await info.context.load.one(kind, value)

    return _field(One(columns=(foreign_key,), kind=kind), resolve, description)


def many(
    kind: str,
    foreign_key: str,
    description: str,
    *,
    order: Sequence[str] = ("id",),
    limit: int = 100,
    where: dict[str, Any] | None = None,
) -> Any:
    declared = Many(
        columns=("id",),
        kind=kind,
        foreign_key=foreign_key,
        order=tuple(order),
        limit=limit,
        where=tuple((where or {}).items()),
    )

    async def resolve(root: Any, info: Info) -> Any:
        return await info.context.load.many(declared, root.row.id)

    return _field(declared, resolve, description)


def batch(
    read: BatchRead,
    description: str,
    *,
    columns: Sequence[str] = ("id",),
    wrap: Callable[[Any], Any] = lambda value: value,
    live: bool = False,
    price: Price = USUAL,
) -> Any:
    declared = Batch(columns=tuple(columns), read=read, wrap=wrap, live=live)

    async def resolve(root: Any, info: Info) -> Any:
        return await info.context.load.batch(declared, type(root).__name__, root.row)

    return _field(declared, resolve, description, price)


def tally(
    read: TallyRead,
    description: str,
    *,
    wrap: Callable[[Any], Any] = lambda value: value,
    price: Price = _COUNTING,
) -> Any:
    """A field of a connection, which keeps the read that it was made from as `page_of`."""
    declared = Tally(columns=(), read=read, wrap=wrap)

    async def resolve(root: Any, info: Info) -> Any:
        context = info.context
        async with context.resources.database.read() as db:
            return declared.wrap(await declared.read(db, context.viewer, root.page_of))

    return _field(declared, resolve, description, price)


def _field(
    declared: Declared,
    resolve: Callable[..., Any],
    description: str,
    price: Price = USUAL,
) -> Any:
    metadata = {_DECLARED: declared, **price.metadata()}
    return strawberry.field(resolver=resolve, description=description, metadata=metadata)
