"""The root fields of a plan: what each reads, and how its part of the answer is made."""

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLNonNull, GraphQLObjectType
from graphql.execution.values import VariableValues

from app.plan.careful import Careful, Path
from app.plan.compiler import Compiler, object_of
from app.plan.emit import Writer
from app.plan.inputs import FieldArguments
from app.plan.loads import Found, ListLoad
from app.plan.reading import Noting, Reading
from app.plan.selections import NotTaken, Picked
from app.plan.shapes import EntityFrame, Field, Leaf, Made, Sub
from schema.common import PageInfo
from schema.fields import Declared, Pointer, Tally, declared_of
from schema.reads import ById, ByIds, FirstOf, PageOf, Rows

_DEFINITION = "strawberry-definition"


@dataclass
class Root:
    """A root field; `field` says how its value becomes JSON, once it is known."""

    field: Field
    arguments: FieldArguments

    def __post_init__(self) -> None:
        self.given: Callable[[VariableValues], dict[str, Any]] = self.arguments.simply()

    def fields(self) -> list[Field]:
        """The fields whose values this root completes itself."""
        return [self.field]

    async def begin(self, reading: Reading, found: Any) -> Any:
        """Reads or wants what the resolver has asked for; what `emit` and `careful` work on."""
        raise NotImplementedError

    def emit(self, reading: Reading, state: Any) -> Any:
        """The JSON of this field. Raises where anything is wrong."""
        raise NotImplementedError

    def careful(self, careful: Careful, reading: Reading, state: Any, path: Path) -> Any:
        """The JSON of this field with errors noted. Raises where null is not allowed."""
        raise NotImplementedError


@dataclass
class ValueRoot(Root):
    """A value, an entity by its key, or a list of these."""

    json: Callable[[Any, Any, Any], Any]

    async def begin(self, reading: Reading, found: Any) -> Any:
        match found:
            case ById(kind, key):
                value: Any = None if key is None else Pointer(kind, key)
            case ByIds(places):
                value = [None if place is None else Pointer(*place) for place in places]
            case _:
                value = found
        reading.want(self.field.made, value)
        return value

    def emit(self, reading: Reading, state: Any) -> Any:
        return self.json(state, reading.emitted, reading.arguments)

    def careful(self, careful: Careful, reading: Reading, state: Any, path: Path) -> Any:  # noqa: ARG002
        return careful.field(self.field, state, path)


@dataclass
class ListRoot(Root):
    """Entities of a list without pages, or the first of them."""

    load: ListLoad
    frame: EntityFrame

    async def begin(self, reading: Reading, found: Any) -> Any:
        limit = found.limit if isinstance(found, Rows) else 1
        read = await self.load.top(reading.db, reading.asker, found.listing, found.narrowed, limit)
        reading.listed(self.load, read.rows)
        return isinstance(found, FirstOf)

    def emit(self, reading: Reading, state: Any) -> Any:
        objects = reading.emitted[self.frame.number]
        if not state:
            return objects
        return objects[0] if objects else None

    def careful(self, careful: Careful, reading: Reading, state: Any, path: Path) -> Any:
        count = len(reading.rows_of(self.frame))
        if state:
            return careful.entity(self.frame, 0, path) if count else None
        return [careful.entity(self.frame, place, [*path, place]) for place in range(count)]


@dataclass(slots=True)
class _Page:
    """A page that was read, with what was counted and signed for it."""

    found: Found
    info: PageInfo
    cursors: list[str]
    tallies: dict[str, Any]

    @property
    def every_cursor(self) -> list[str]:
        """One for each row, empty where none is asked for."""
        return self.cursors or [""] * len(self.found.rows)


@dataclass
class PageRoot(Root):
    """A connection: its nodes and edges are frames over the same rows."""

    load: ListLoad
    picked: list["_Part"]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.signed = {part for one in self.picked for part in one.edge.values()}
        for one in self.picked:
            if isinstance(one.field.made, Sub):
                info = one.field.made.values.get(PageInfo)
                self.signed |= {part.raw("")[1:] for part in info.fields} if info else set()

    def fields(self) -> list[Field]:
        return [one.field for one in self.picked]

    async def begin(self, reading: Reading, found: PageOf) -> Any:
        signer = reading.context.resources.cursors
        after = None if found.after is None else signer.read(found.scope, found.after)
        db = reading.db if reading.tags is None else Noting(reading.db, reading.tags)
        settled = await found.settled(db)
        page = await self.load.page(reading.db, reading.asker, settled, after)
        reading.listed(self.load, page.rows)

        def sign(row: Any) -> str:
            return signer.sign(found.scope, page.key_of(row))

        rows = page.rows
        info = PageInfo(
            has_next_page=page.has_next,
            has_previous_page=found.after is not None,
            start_cursor=sign(rows[0]) if rows and "start_cursor" in self.signed else None,
            end_cursor=sign(rows[-1]) if rows and "end_cursor" in self.signed else None,
        )
        cursors = [sign(row) for row in rows] if "cursor" in self.signed else []
        made = _Page(page, info, cursors, {})
        for one in self.picked:
            if one.tally is not None:
                made.tallies[one.field.key] = await self._counted(one, reading, db, settled)
        return made

    async def _counted(self, one: "_Part", reading: Reading, db: Any, settled: PageOf) -> Any:
        assert one.tally is not None
        try:
            value = one.tally.wrap(await one.tally.read(db, reading.viewer, settled))
            reading.want(one.field.made, value)
        except Exception as error:  # noqa: BLE001  told at the field
            reading.is_broken = True
            return error
        return value

    def emit(self, reading: Reading, state: _Page) -> Any:
        made = {}
        for one in self.picked:
            made[one.field.key] = self._part(one, reading, state)
        return made

    def _part(self, one: "_Part", reading: Reading, state: _Page) -> Any:
        match one.name:
            case "nodes":
                assert one.frame is not None
                return reading.emitted[one.frame.number]
            case "edges":
                objects = {key: reading.emitted[of.number] for key, of in one.nodes.items()}
                return [
                    one.edge_of(cursor, {key: made[place] for key, made in objects.items()})
                    for place, cursor in enumerate(state.every_cursor)
                ]
            case "page_info":
                assert one.json is not None
                return one.json(state.info, reading.emitted, reading.arguments)
            case "__typename":
                return one.field.raw("")[1:-1]
        assert one.json is not None
        return one.json(state.tallies[one.field.key], reading.emitted, reading.arguments)

    def careful(self, careful: Careful, reading: Reading, state: _Page, path: Path) -> Any:
        made = {}
        for one in self.picked:
            here = [*path, one.field.key]
            made[one.field.key] = self._careful_part(one, careful, reading, state, here)
        return made

    def _careful_part(
        self, one: "_Part", careful: Careful, reading: Reading, state: _Page, path: Path
    ) -> Any:
        places = range(len(state.found.rows))
        if one.name == "nodes":
            assert one.frame is not None
            return [careful.entity(one.frame, place, [*path, place]) for place in places]
        if one.name == "edges":
            return [
                one.edge_of(
                    cursor,
                    {
                        key: careful.entity(of, place, [*path, place, key])
                        for key, of in one.nodes.items()
                    },
                )
                for place, cursor in enumerate(state.every_cursor)
            ]
        if one.tally is not None:
            return careful.field(one.field, state.tallies[one.field.key], path)
        return self._part(one, reading, state)


@dataclass
class _Part:
    """One selected field of a connection."""

    name: str
    field: Field
    frame: EntityFrame | None
    edge: dict[str, str]  # response key -> cursor, node or __typename
    typename: str
    tally: Tally | None
    json: Callable[[Any, Any, Any], Any] | None
    nodes: dict[str, EntityFrame]  # of edges, by response key

    def edge_of(self, cursor: str, nodes: dict[str, Any]) -> dict[str, Any]:
        made = {"cursor": cursor, "__typename": self.typename}
        return {
            key: nodes[key] if part == "node" else made[part] for key, part in self.edge.items()
        }


def root_of(
    compiler: Compiler, writer: Writer, kind: GraphQLObjectType, picked: Picked, read: Any
) -> Root:
    """The root for a field of the root type; `read` is the function that says what it reads."""
    known = kind.fields[picked.name]
    definition = known.extensions[_DEFINITION]
    arguments = FieldArguments(compiler.schema, known, definition, picked.nodes[0])
    asked = None if read is None else typing.get_type_hints(read).get("return")
    if asked in {Rows, FirstOf}:
        return _list_root(compiler, kind, known, picked, arguments)
    if asked is PageOf:
        return _page_root(compiler, writer, kind, known, picked, arguments)
    made = compiler.made(known.type, picked, depth=0)
    field = _field(kind, known, picked, made)
    json = writer.later(made, is_nullable=field.is_nullable)
    return ValueRoot(field, arguments, json)


def _list_root(
    compiler: Compiler,
    kind: GraphQLObjectType,
    known: GraphQLField,
    picked: Picked,
    arguments: FieldArguments,
) -> ListRoot:
    entity = object_of(known.type)
    load = compiler.list_load(entity.name)
    below = compiler.selections.below(entity, picked)
    frame = compiler.entity_frame(load, entity, below, 0)
    return ListRoot(_field(kind, known, picked, _NOTHING), arguments, load, frame)


def _page_root(
    compiler: Compiler,
    writer: Writer,
    kind: GraphQLObjectType,
    known: GraphQLField,
    picked: Picked,
    arguments: FieldArguments,
) -> PageRoot:
    connection = object_of(known.type)
    entity = object_of(connection.fields["nodes"].type)
    load = compiler.list_load(entity.name)
    declared = declared_of(connection.extensions[_DEFINITION].origin)
    parts = [
        _part(compiler, writer, connection, one, load, declared)
        for one in compiler.selections.below(connection, picked)
    ]
    return PageRoot(_field(kind, known, picked, _NOTHING), arguments, load, parts)


def _part(
    compiler: Compiler,
    writer: Writer,
    connection: GraphQLObjectType,
    picked: Picked,
    load: ListLoad,
    declared: dict[str, Declared],
) -> _Part:
    if picked.name == "__typename":
        field = compiler.typename(connection, picked)
        return _Part("__typename", field, None, {}, "", None, None, {})
    known = connection.fields[picked.name]
    name: str = known.extensions[_DEFINITION].python_name
    item = object_of(known.type) if name in {"nodes", "edges"} else None
    made_of = _field(connection, known, picked, _NOTHING)
    if name == "nodes" and item is not None:
        below = compiler.selections.below(item, picked)
        rows = compiler.entity_frame(load, item, below, 0)
        return _Part(name, made_of, rows, {}, "", None, None, {})
    if name == "edges" and item is not None:
        below = compiler.selections.below(item, picked)
        inner = object_of(item.fields["node"].type)
        nodes = {
            one.key: compiler.entity_frame(load, inner, compiler.selections.below(inner, one), 0)
            for one in below
            if one.name == "node"
        }
        edge = {one.key: one.name for one in below}
        return _Part(name, made_of, None, edge, item.name, None, None, nodes)
    tally = declared.get(name)
    if name != "page_info" and not isinstance(tally, Tally):
        raise NotTaken("field", f"{connection.name}.{picked.name}")
    made = compiler.made(known.type, picked, depth=0)
    field = _field(connection, known, picked, made)
    json = writer.later(made, is_nullable=field.is_nullable)
    counted = tally if isinstance(tally, Tally) else None
    return _Part(name, field, None, {}, "", counted, json, {})


class _Nothing:
    def serialize(self, value: Any) -> Any:
        return value


_NOTHING = Leaf(_Nothing(), lambda raw: raw)  # type: ignore[arg-type]  # lists are made by frames


def _field(kind: GraphQLObjectType, known: GraphQLField, picked: Picked, made: Made) -> Field:
    return Field(
        key=picked.key,
        nodes=picked.nodes,
        kind=known.type,
        raw=lambda row: row,
        made=made,
        where=f"{kind.name}.{picked.name}",
        is_nullable=not isinstance(known.type, GraphQLNonNull),
    )
