"""The roots of an operation that are read together, and one run of them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import GraphQLError, GraphQLObjectType, OperationType, located_error
from graphql.execution.values import VariableValues
from strawberry import Schema

from app.context import Context
from app.db import Pace, Reader
from app.plan.careful import Careful, unless_raised
from app.plan.compiler import Compiler
from app.plan.emit import Writer
from app.plan.loads import KeyLoad, asker_of
from app.plan.reading import Reading, is_anonymous
from app.plan.roots import Root, ValueRoot, root_of
from app.plan.selections import NotTaken, Selections
from app.plan.shapes import EntityFrame, Field, Items, Made, Sub, reads

DEFINITION = "strawberry-definition"
ROOT = "jishi.root"


@dataclass(slots=True)
class Outcome:
    """Data and errors; `tags` as in `Answer`; before it `has_begun` nothing was executed."""

    data: dict[str, Any] | None
    errors: list[GraphQLError]
    tags: set[str] | None = None
    has_begun: bool = True


@dataclass
class Part:
    """Root fields that are read together: all of a query, one of a mutation."""

    compiler: Compiler
    roots: list[Root] = field(default_factory=list)
    typenames: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    emitting: list[EntityFrame] = field(default_factory=list)  # innermost first
    pace: Pace = field(default_factory=Pace)

    @cached_property
    def needs_reading(self) -> bool:
        return any(not isinstance(root, ValueRoot) or reads(root.field.made) for root in self.roots)

    async def complete(
        self,
        db: Reader,
        context: Context,
        variables: VariableValues,
        found: list[Any],
        *,
        may_keep: bool = False,
    ) -> Outcome:
        """What becomes of what the roots' functions have given or raised."""
        compiler = self.compiler
        may_keep = may_keep and not compiler.is_live and is_anonymous(context.viewer)
        reading = Reading(
            db=db,
            context=context,
            asker=asker_of(context.viewer),
            levels=compiler.levels,
            arguments=_arguments(compiler, variables),
            emitted=[None] * len(compiler.frames),
            tags=set() if may_keep else None,
        )
        states: list[Any] = []
        for root, asked in zip(self.roots, found, strict=True):
            try:
                states.append(await root.begin(reading, unless_raised(asked)))
            except Exception as error:  # noqa: BLE001  told at the field
                reading.is_broken = True
                states.append(error)
        await reading.read()
        if not reading.is_broken:
            try:
                return Outcome(self._quickly(reading, states), [], reading.tags)
            except Exception:  # noqa: BLE001  the careful path finds out where and what
                reading.is_broken = True
        return self._carefully(reading, states)

    def _quickly(self, reading: Reading, states: list[Any]) -> dict[str, Any]:
        reading.emit(self.emitting)
        made: dict[str, Any] = dict.fromkeys(self.keys)
        made.update(self.typenames)
        for root, state in zip(self.roots, states, strict=True):
            made[root.field.key] = root.emit(reading, state)
        return made

    def _carefully(self, reading: Reading, states: list[Any]) -> Outcome:
        careful = Careful(reading)
        made: dict[str, Any] = dict.fromkeys(self.keys)
        made.update(self.typenames)
        for root, state in zip(self.roots, states, strict=True):
            path: list[str | int] = [root.field.key]
            try:
                known = unless_raised(state)
                made[root.field.key] = root.careful(careful, reading, known, path)
            except Exception as error:  # noqa: BLE001  told at the field
                careful.errors.append(located_error(error, root.field.nodes, path))
                if not root.field.is_nullable:  # the first one takes its object with it
                    return Outcome(None, careful.errors)
        return Outcome(made, careful.errors)


async def completed(
    part: Part, context: Context, variables: VariableValues, found: list[Any]
) -> Outcome:
    """The payload; the database is opened only where it leads to entities."""
    if not any(_leads_on(root, one) for root, one in zip(part.roots, found, strict=True)):
        return await without_database(part, context, variables, found)

    async def work(db: Reader) -> Outcome:
        return await part.complete(db, context, variables, found)

    return await context.resources.database.look(work, part.pace)


def _leads_on(root: Root, value: Any) -> bool:
    if isinstance(value, BaseException):
        return False
    return not isinstance(root, ValueRoot) or _is_read(root.field.made, value)


def _is_read(made: Made, value: Any) -> bool:
    if isinstance(made, Sub) and type(value) in made.values:
        return made.values[type(value)].needs_reading
    if isinstance(made, Items):
        return any(_is_read(made.each, one) for one in value or ())
    return reads(made)


class _NoDatabase(Reader):
    """For answers that need none."""

    def __init__(self, dialect: str) -> None:
        self.dialect, self.kept = dialect, {}


async def without_database(
    part: Part, context: Context, variables: VariableValues, found: list[Any]
) -> Outcome:
    database = context.resources.database
    return await part.complete(_NoDatabase(database.dialect), context, variables, found)


def _arguments(compiler: Compiler, variables: VariableValues) -> list[dict[str, Any]]:
    return [one.coerced(variables) for one in compiler.arguments]


def compiled(
    schema: Schema, selections: Selections, dialect: str, kind: OperationType
) -> list[Part]:
    root = selections.schema.get_root_type(kind)
    assert isinstance(root, GraphQLObjectType)
    picked = selections.root(root)
    if kind is OperationType.QUERY:
        return [_part(schema, selections, dialect, root, picked)]
    return [_part(schema, selections, dialect, root, [one]) for one in picked]


def _part(
    schema: Schema,
    selections: Selections,
    dialect: str,
    kind: GraphQLObjectType,
    picked: list[Any],
) -> Part:
    compiler = Compiler(schema, selections, dialect)
    writer = Writer(compiler.names)
    part = Part(compiler)
    for one in picked:
        part.keys.append(one.key)
        if one.name == "__typename":
            part.typenames[one.key] = kind.name
            continue
        if one.name not in kind.fields:
            raise NotTaken("introspection", one.name)
        definition = kind.fields[one.name].extensions[DEFINITION]
        read = definition.metadata.get(ROOT)
        if selections.operation.operation is OperationType.QUERY and read is None:
            raise NotTaken("root", one.name)
        part.roots.append(root_of(compiler, writer, kind, one, read))
    part.emitting = _written(writer, compiler.frames)
    for root in part.roots:
        _picks_below(writer, root.fields())
    for load in compiler.loads:
        if isinstance(load, KeyLoad):
            load.borrow(compiler.loads)
    for level in compiler.levels:
        level.sort(key=lambda frame: isinstance(frame.load, KeyLoad))  # lenders first
    return part


def _written(writer: Writer, frames: list[EntityFrame]) -> list[EntityFrame]:
    """Gives all frames what reads and emits their rows; those that are emitted, in turn."""
    for frame in frames:
        frame.below = [one for one in frame.fields if reads(one.made) and not one.is_carried]
    for frame in frames:
        _write(writer, frame)
    return [frame for frame in reversed(frames) if not frame.is_inline]


def _write(writer: Writer, frame: EntityFrame) -> None:
    """Gives the frame what reads and emits its rows."""
    made_once = [one for one in frame.below if one.batch is not None]
    for place, one in enumerate(made_once, len(frame.batches)):
        one.kept = place
    if not frame.is_inline:
        writer.entity(frame)
    writer.picks(frame.fields)
    _picks_below(writer, frame.fields)


def _picks_below(writer: Writer, fields: list[Field]) -> None:
    """Gives picks to the fields of all values that lie below these."""
    for one in fields:
        made = one.made
        while isinstance(made, Items):
            made = made.each
        if isinstance(made, Sub):
            for frame in made.values.values():
                writer.picks(frame.fields)
                frame.below = [one for one in frame.fields if reads(one.made)]
                _picks_below(writer, frame.fields)
