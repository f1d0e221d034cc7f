"""Writes the Python of a plan: one list comprehension for each selection set on rows.

The sources hold no text of the document but response keys, which are written with `repr`.
"""

from collections.abc import Callable
from typing import Any

from graphql.pyutils import is_iterable

from app.plan.compiler import Broken
from app.plan.shapes import (
    Children,
    Edge,
    EntityFrame,
    Field,
    Items,
    Leaf,
    Made,
    Names,
    Pure,
    Sub,
)
from schema.fields import Entity, Pointer

_EMPTY: list[Any] = []


class Kept(dict[Any, Any]):
    """Values of a pure function by its argument; forgets all of them when there are too many."""

    MOST = 10_000

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: Any) -> Any:
        if len(self) >= self.MOST:
            self.clear()
        made = self[key] = self._function(key)
        return made


class Writer:
    """Turns frames into functions over rows `r`, batches `b`, emitted frames `x`, arguments `a`."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._count = 0
        names.known |= {
            "null": _null,
            "listed": _listed,
            "none": _EMPTY,
            "key_of": key_of,
            "kind_of": kind_of,
        }

    def entity(self, frame: EntityFrame) -> None:
        """Gives the frame its `emit(rows, batches, x, a)`, a list of objects as the rows are."""
        body = self._object(frame.fields, "r")
        loop = "for r, b in zip(rows, batches)" if frame.batches else "for r in rows"
        source = f"lambda rows, batches, x, a: [{body} {loop}]"
        frame.emit = self._made(source)

    def value(self, made: Made, *, is_nullable: bool) -> Callable[[Any, Any, Any], Any]:
        """A function (value, x, a) of the JSON value."""
        made_by: Callable[[Any, Any, Any], Any] = self._made(
            f"lambda v, x, a: {self._json(made, 'v', is_nullable=is_nullable)}"
        )
        return made_by

    def later(self, made: Made, *, is_nullable: bool) -> Callable[[Any, Any, Any], Any]:
        """`value`, written when it is first needed: its frames may still be growing."""
        known: list[Callable[[Any, Any, Any], Any]] = []

        def json(value: Any, x: Any, a: Any) -> Any:
            if not known:
                known.append(self.value(made, is_nullable=is_nullable))
            return known[0](value, x, a)

        return json

    def picks(self, fields: list[Field]) -> None:
        """Gives every field its `pick(object, batches, a)`, the raw value alone."""
        for one in fields:
            one.pick = self._made(f"lambda r, b, a: {one.raw('r')}")

    def _made(self, source: str) -> Any:
        return eval(source, self._names.known)  # noqa: S307  written above, from names alone

    def _object(self, fields: list[Field], row: str) -> str:
        inside = ", ".join(f"{one.key!r}: {self._of(one, row)}" for one in fields)
        return f"{{{inside}}}"

    def _of(self, field: Field, row: str) -> str:
        if isinstance(field.made, Edge) and field.made.frame.is_inline:
            return self._inline(field.made.frame, row, is_nullable=field.is_nullable)
        if field.short is not None:
            return field.short(row) if field.is_nullable else f"({field.short(row)} or null())"
        if field.pure is not None:
            return self._kept(field, field.pure, row)
        raw = field.raw(row) if field.kept is None else f"b[{field.kept}]"
        return self._json(field.made, raw, is_nullable=field.is_nullable)

    def _inline(self, frame: EntityFrame, row: str, *, is_nullable: bool) -> str:
        missing = "None" if is_nullable else "null()"
        return (
            f"({self._object(frame.fields, row)} if {row}[{frame.key}] is not None else {missing})"
        )

    def _kept(self, field: Field, pure: Pure, row: str) -> str:
        """A look at what was made of the same columns before."""
        json = self._json(field.made, pure.raw("k"), is_nullable=field.is_nullable)
        kept = self._names.name("n", Kept(self._made(f"lambda k: {json}")))
        return f"{kept}[{', '.join(f'{row}[{place}]' for place in pure.places)}]"

    def _json(self, made: Made, raw: str, *, is_nullable: bool) -> str:
        if is_nullable and isinstance(made, Leaf | Items):
            value = self._variable()
            present = self._json(made, value, is_nullable=False)
            return f"(None if ({value} := {raw}) is None else {present})"
        match made:
            case Leaf(_, quick):
                return quick(raw)
            case Items(each, is_item_nullable):
                item = self._variable()
                one = self._json(each, item, is_nullable=is_item_nullable)
                return f"[{one} for {item} in listed({raw})]"
            case Edge(frame):
                return self._found(frame.number, raw, is_nullable=is_nullable)
            case Children(frame):
                return f"x[{frame.number}].get({raw}, none)"
            case Sub():
                return self._sub(made, raw, is_nullable=is_nullable)

    def _sub(self, made: Sub, raw: str, *, is_nullable: bool) -> str:
        missing = "None" if is_nullable else "null()"
        value = self._variable()
        if not made.kinds and len(made.values) == 1:
            (frame,) = made.values.values()
            inside = self._object(frame.fields, value)
            return f"({inside} if ({value} := {raw}) is not None else {missing})"
        if not made.values and len(made.kinds) == 1:
            (only,) = made.kinds.values()
            return self._found(only.number, f"key_of({raw})", is_nullable=is_nullable)
        functions: dict[Any, Any] = {
            kind: self._made(f"lambda v, x, a: {self._object(frame.fields, 'v')}")
            for kind, frame in made.values.items()
        }
        for kind, entity in made.kinds.items():
            found = self._found(entity.number, "key_of(v)", is_nullable=is_nullable)
            functions[kind] = self._made(f"lambda v, x, a: {found}")
        table = self._names.name("f", functions)
        return (
            f"({table}[kind_of({value})]({value}, x, a)"
            f" if ({value} := {raw}) is not None else {missing})"
        )

    def _found(self, frame: int, key: str, *, is_nullable: bool) -> str:
        found = f"x[{frame}].get({key})"
        return found if is_nullable else f"({found} or null())"

    def _variable(self) -> str:
        self._count += 1
        return f"u{self._count}"


def key_of(value: Any) -> int | None:
    """The key of a pointer or of an entity that was read already."""
    if value is None:
        return None
    key: int = value.key if isinstance(value, Pointer) else value.row.id
    return key


def kind_of(value: Any) -> Any:
    """What a table of frames calls a value: its class, or the kind of an entity."""
    if isinstance(value, Pointer):
        return value.kind
    return type(value).__name__ if isinstance(value, Entity) else type(value)


def _null() -> Any:
    raise Broken


def _listed(value: Any) -> Any:
    if value.__class__ is list or is_iterable(value):
        return value
    raise Broken
