"""From an operation's selections to frames: walked once, with the declarations of the schema."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
    is_leaf_type,
)
from sqlalchemy import JSON
from strawberry import Schema

from app.plan.inputs import FieldArguments
from app.plan.loads import KeyLoad, ListLoad, Load, ManyLoad, Rider
from app.plan.selections import NotTaken, Picked, Selections
from app.plan.shapes import (
    BatchUse,
    Children,
    Edge,
    EntityFrame,
    Field,
    Items,
    Leaf,
    Made,
    Names,
    Pure,
    Source,
    Sub,
    ValueFrame,
    reads,
)
from app.plan.sources import attribute, called, ids_of, instant, item, named_columns, quick
from app.tables.columns import Utc
from schema.fields import (
    ENTITIES,
    Batch,
    Column,
    Computed,
    Declared,
    Entity,
    Key,
    Many,
    One,
    declared_of,
)

L = TypeVar("L", bound=Load)
_DEFINITION = "strawberry-definition"


class Broken(Exception):
    """A value is not what the schema promises: the careful path says where."""


@dataclass
class Compiler:
    """Makes the frames of one operation; raises NotTaken for what it does not know."""

    schema: Schema
    selections: Selections
    dialect: str
    names: Names = field(default_factory=Names)
    frames: list[EntityFrame] = field(default_factory=list)
    levels: list[list[EntityFrame]] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    arguments: list[FieldArguments] = field(default_factory=list)
    is_live: bool = False
    is_common: bool = True

    # where rows come from

    def key_load(self, kind: str) -> KeyLoad:
        """One for each kind: what a level has read, a deeper one knows already."""
        for one in self.loads:
            if isinstance(one, KeyLoad) and one.entity is ENTITIES[kind]:
                return one
        return self._add(KeyLoad(ENTITIES[kind], self.dialect))

    def many_load(self, declared: Many) -> ManyLoad:
        for one in self.loads:
            if isinstance(one, ManyLoad) and one.declared is declared:
                return one
        return self._add(ManyLoad(ENTITIES[declared.kind], self.dialect, declared=declared))

    def list_load(self, kind: str) -> ListLoad:
        return self._add(ListLoad(ENTITIES[kind], self.dialect))

    def _add(self, load: L) -> L:
        self.loads.append(load)
        return load

    # objects

    def entity_frame(
        self,
        load: Load,
        kind: GraphQLObjectType,
        picked: list[Picked],
        depth: int,
        above: EntityFrame | None = None,
    ) -> EntityFrame:
        """A frame of that entity's rows, whose level is `depth`; what lies below is deeper.

        The rows of a rider are those of the frame `above` it.
        """
        key = load.column("id") if isinstance(load, Rider) else 0
        frame = EntityFrame(len(self.frames), load.entity, load, above, key)
        self.frames.append(frame)
        load.frames.append(frame)
        while len(self.levels) <= depth:
            self.levels.append([])
        self.levels[depth].append(frame)
        self.is_live = self.is_live or not load.entity.cacheable
        self.is_common = self.is_common and load.entity.is_common
        declared = declared_of(load.entity)
        for one in picked:
            if one.name == "__typename":
                frame.fields.append(self.typename(kind, one))
                continue
            known = kind.fields[one.name]
            python_name = known.extensions[_DEFINITION].python_name
            if python_name not in declared:
                raise NotTaken("field", f"{kind.name}.{one.name}")
            frame.fields.append(
                self._entity_field(frame, kind, known, one, declared[python_name], depth + 1)
            )
        return frame

    def value_frame(self, kind: GraphQLObjectType, picked: list[Picked], depth: int) -> ValueFrame:
        """A frame of a plain type; entities that it leads to are read at `depth`."""
        frame = ValueFrame(kind.name)
        origin = kind.extensions[_DEFINITION].origin
        declared = declared_of(origin)
        for one in picked:
            if one.name == "__typename":
                frame.fields.append(self.typename(kind, one))
                continue
            known = kind.fields[one.name]
            python_name = known.extensions[_DEFINITION].python_name
            if python_name in declared:
                frame.fields.append(
                    self._value_edge(kind, known, one, declared[python_name], depth)
                )
            else:
                raw = self._attribute_or_method(kind, known, one)
                made = self.made(known.type, one, depth=depth)
                frame.fields.append(_field(kind, known, one, raw, made))
        return frame

    def made(self, kind: GraphQLOutputType, picked: Picked, *, depth: int) -> Made:
        """How values of that type become JSON, with what is selected of them."""
        kind = _nullable(kind)
        if isinstance(kind, GraphQLList):
            each = kind.of_type
            inner = self.made(each, picked, depth=depth)
            return Items(inner, is_nullable=not isinstance(each, GraphQLNonNull))
        if is_leaf_type(kind):
            return Leaf(kind, quick(self.names, kind))
        made = Sub()
        for one in self._possible(kind):
            below = self.selections.below(one, picked)
            origin = one.extensions[_DEFINITION].origin
            if issubclass(origin, Entity):
                load = self.key_load(one.name)
                made.kinds[one.name] = self.entity_frame(load, one, below, depth)
            else:
                made.values[origin] = self.value_frame(one, below, depth)
        return made

    def _possible(self, kind: Any) -> list[GraphQLObjectType]:
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            return list(self.selections.schema.get_possible_types(kind))
        return [kind]

    # fields

    def _entity_field(
        self,
        frame: EntityFrame,
        kind: GraphQLObjectType,
        known: GraphQLField,
        picked: Picked,
        declared: Declared,
        depth: int,
    ) -> Field:
        load: Load = frame.load
        short: Source | None = None
        pure: Pure | None = None
        match declared:
            case Key():
                encode = self.names.name("k", ids_of(frame.name))
                raw = called(encode, [item(load.column("id"))])
                made: Made = self.made(known.type, picked, depth=depth)
            case Column():
                (name,) = declared.columns
                raw, made, short = self._column(load, name, known, picked)
                if isinstance(made, Items):
                    pure = self._pure(load, [name], lambda value: value)
            case Computed():
                depending = len(self.arguments)
                raw, made, short = self._computed(load, declared, known, picked, depth)
                is_fixed = depending == len(self.arguments) and not reads(made)
                if isinstance(made, Sub | Items) and is_fixed:
                    pure = self._pure(load, declared.columns, declared.by)
            case One():
                raw = item(load.column(declared.columns[0]))
                made = Edge(self._one(declared, known, picked, depth, frame))
            case Many():
                raw = item(load.column("id"))
                made = Children(self._many(declared, known, picked, depth))
            case Batch():
                self.is_live = self.is_live or declared.live
                place = self._batch(frame, declared)
                wrap = self.names.name("w", declared.wrap)
                raw = called(wrap, [lambda _row: f"b[{place}]"])
                made = self.made(known.type, picked, depth=depth)
                batched = _field(kind, known, picked, raw, made)
                batched.batch = place
                return batched
            case _:
                raise NotTaken("field", f"{kind.name}.{picked.name}")
        field = _field(kind, known, picked, raw, made, short)
        field.pure = pure
        if isinstance(declared, One | Many):
            field.place = load.column(declared.columns[0])
        return field

    def _value_edge(
        self,
        kind: GraphQLObjectType,
        known: GraphQLField,
        picked: Picked,
        declared: Declared,
        depth: int,
    ) -> Field:
        if not isinstance(declared, One):
            raise NotTaken("field", f"{kind.name}.{picked.name}")
        (name,) = declared.columns
        made = Edge(self._one(declared, known, picked, depth))
        return _field(kind, known, picked, attribute(name), made)

    def _one(
        self,
        declared: One,
        known: GraphQLField,
        picked: Picked,
        depth: int,
        above: EntityFrame | None = None,
    ) -> EntityFrame:
        """The entity of a foreign key, in the statement of the rows `above` if they are rows."""
        kind = object_of(known.type)
        below = self.selections.below(kind, picked)
        if above is not None:
            (foreign_key,) = declared.columns
            rider = above.load.rider(ENTITIES[declared.kind], foreign_key)
            if rider is not None:
                return self.entity_frame(rider, kind, below, depth, above)
        return self.entity_frame(self.key_load(declared.kind), kind, below, depth)

    def _many(self, declared: Many, known: GraphQLField, picked: Picked, depth: int) -> EntityFrame:
        kind = object_of(known.type)
        load = self.many_load(declared)
        return self.entity_frame(load, kind, self.selections.below(kind, picked), depth)

    def _column(
        self, load: Load, name: str, known: GraphQLField, picked: Picked
    ) -> tuple[Source, Made, Source | None]:
        place = item(load.column(name))
        process = load.processor(name)
        made = self.made(known.type, picked, depth=0)
        if process is None:
            return place, made, None
        raw = called(self.names.name("p", process), [place])
        is_text = self.dialect == "sqlite" and isinstance(load.kind_of(name).type, Utc)
        if is_text and getattr(_nullable(known.type), "name", "") == "DateTime":
            return raw, made, called(self.names.name("t", instant), [place])
        return raw, made, None

    def _pure(self, load: Load, columns: Sequence[str], by: Callable[..., Any]) -> Pure | None:
        """For a JSON value that can be kept: its key are the columns, so they must be hashable."""
        if self.dialect != "sqlite" and any(
            isinstance(load.kind_of(name).type, JSON) for name in columns
        ):
            return None
        parts = []
        for number, name in enumerate(columns):
            place = (lambda key: key) if len(columns) == 1 else item(number)
            process = load.processor(name)
            made = place if process is None else called(self.names.name("p", process), [place])
            parts.append(made)
        places = tuple(load.column(name) for name in columns)
        return Pure(places, called(self.names.name("c", by), parts))

    def _computed(
        self, load: Load, declared: Computed, known: GraphQLField, picked: Picked, depth: int
    ) -> tuple[Source, Made, Source | None]:
        places = [self._processed(load, name) for name in declared.columns]
        raw = called(self.names.name("c", declared.by), places)
        made = self.made(known.type, picked, depth=depth)
        by: Any = declared.by
        if isinstance(made, Leaf) and isinstance(by, type) and issubclass(by, Enum):
            names = self.names.name("e", {one.value: made.kind.serialize(one) for one in by})
            return raw, made, lambda row: f"{names}[{places[0](row)}]"
        return raw, made, None

    def _processed(self, load: Load, name: str) -> Source:
        place, process = item(load.column(name)), load.processor(name)
        return place if process is None else called(self.names.name("p", process), [place])

    def _batch(self, frame: EntityFrame, declared: Batch) -> int:
        for place, one in enumerate(frame.batches):
            if one.declared.read is declared.read:
                if set(declared.columns) - set(one.declared.columns):
                    break
                return place
        load: Load = frame.load
        names = list(dict.fromkeys(("id", *declared.columns)))
        columns = tuple((load.column(name), load.processor(name)) for name in names)
        use = BatchUse(
            declared, (load.entity, declared.read, *names), named_columns(names, columns)
        )
        for one in (one for other in self.frames for one in other.batches if one.of == use.of):
            use.is_alone = one.is_alone = False
        frame.batches.append(use)
        return len(frame.batches) - 1

    def _attribute_or_method(
        self, kind: GraphQLObjectType, known: GraphQLField, picked: Picked
    ) -> Source:
        definition = known.extensions[_DEFINITION]
        resolver = definition.base_resolver
        if resolver is None:
            return attribute(definition.python_name)
        function = resolver.wrapped_func
        is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        if is_async or resolver.info_parameter is not None:
            raise NotTaken("resolver", f"{kind.name}.{picked.name}")
        method = self.names.name("m", function)
        arguments = FieldArguments(self.schema, known, definition, picked.nodes[0])
        if arguments.depend_on_variables:
            place = len(self.arguments)
            self.arguments.append(arguments)
            return lambda row: f"{method}({row}, **a[{place}])"
        given = self.names.name("g", arguments.coerced(None))
        return lambda row: f"{method}({row}, **{given})"

    def typename(self, kind: GraphQLObjectType, picked: Picked) -> Field:
        text = repr(kind.name)
        leaf = Leaf(self.selections.schema.type_map["String"], lambda _raw: text)  # type: ignore[arg-type]
        return Field(
            key=picked.key,
            nodes=picked.nodes,
            kind=GraphQLNonNull(leaf.kind),
            raw=lambda _row: text,
            made=leaf,
            where=f"{kind.name}.__typename",
            is_nullable=False,
        )


def _field(
    kind: GraphQLObjectType,
    known: GraphQLField,
    picked: Picked,
    raw: Source,
    made: Made,
    short: Source | None = None,
) -> Field:
    return Field(
        key=picked.key,
        nodes=picked.nodes,
        kind=known.type,
        raw=raw,
        made=made,
        where=f"{kind.name}.{picked.name}",
        is_nullable=not isinstance(known.type, GraphQLNonNull),
        short=short,
    )


def object_of(kind: Any) -> GraphQLObjectType:
    """The object type inside lists and non-nulls."""
    while isinstance(kind, GraphQLList | GraphQLNonNull):
        kind = kind.of_type
    assert isinstance(kind, GraphQLObjectType)
    return kind


def _nullable(kind: Any) -> Any:
    return kind.of_type if isinstance(kind, GraphQLNonNull) else kind
