"""A compiled operation and its runs."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, TypeVar

import orjson
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLObjectType,
    OperationType,
    located_error,
)
from graphql.execution.values import VariableValues
from strawberry import Schema

from app.auth import Viewer
from app.context import Context
from app.db import Database, Pace, Reader
from app.plan.careful import Careful, unless_raised
from app.plan.compiler import Compiler
from app.plan.emit import Writer
from app.plan.inputs import BadVariables, Variables
from app.plan.loads import asker_of
from app.plan.reading import Reading, is_anonymous
from app.plan.roots import Root, ValueRoot, root_of
from app.plan.selections import NotTaken, Selections, conditions, selections_of
from app.plan.shapes import Arguments, Field, Items, Made, Sub, reads
from schema.fields import Pointer

T = TypeVar("T")
_DEFINITION = "strawberry-definition"
_ROOT = "jishi.root"
_PART_BYTES, _FRAME_BYTES = 20_000, 45_000
_CONDITIONS = 6  # variables of @skip and @include: each doubles what may have to be compiled


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an operation is left to the generic executor: a stable code and what it met."""

    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON of a response; `tags` name what it was read from, None where it may not be kept."""

    body: bytes
    tags: frozenset[str] | None = None


@dataclass(slots=True)
class Outcome:
    """Data and errors; `tags` as in `Answer`; before it `has_begun` nothing was executed."""

    data: dict[str, Any] | None
    errors: list[GraphQLError]
    tags: set[str] | None = None
    has_begun: bool = True


class Pointers:
    """Stands where the loaders do: an entity is a pointer until the plan reads it."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self._database, self._viewer = database, viewer

    async def one(self, kind: str, key: int) -> Pointer:
        return Pointer(kind, key)

    async def many(self, declared: Any, key: int) -> Any:
        raise NotImplementedError("children are read by the plan")

    async def batch(self, declared: Any, kind: str, row: Any) -> Any:
        raise NotImplementedError("batches are read by the plan")


@dataclass(frozen=True, slots=True)
class Asking:
    """What resolvers see of `info`."""

    context: Context


@dataclass
class Part:
    """Root fields that are read together: all of a query, one of a mutation."""

    compiler: Compiler
    roots: list[Root] = field(default_factory=list)
    typenames: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)

    @property
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
        reading.emit(self.compiler.frames)
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


@dataclass
class Plan:
    """One operation, compiled once for each combination of its conditions."""

    schema: Schema
    selections: Selections
    dialect: str
    kind: OperationType
    variables: Variables
    conditions: tuple[str, ...]
    _variants: dict[tuple[bool, ...], list[Part]] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Bytes that it takes once it has run, roughly: measured 34 to 57 KB for a frame."""
        parts = [part for variant in self._variants.values() for part in variant]
        return sum(_PART_BYTES + _FRAME_BYTES * len(part.compiler.frames) for part in parts)

    async def run(
        self, variables: Mapping[str, Any] | None, context: Context, *, may_keep: bool = True
    ) -> Answer:
        """The answer of a query or a mutation as bytes, errors and all; tagged if `may_keep`."""
        return await self._run(variables, context, self._answer, may_keep=may_keep)

    async def executed(self, variables: Mapping[str, Any] | None, context: Context) -> Outcome:
        """Data and errors of a query or a mutation."""
        return await self._run(variables, context, self._outcome)

    async def _run(
        self,
        variables: Mapping[str, Any] | None,
        context: Context,
        finish: Callable[[Context, Outcome], T],
        *,
        may_keep: bool = False,
    ) -> T:
        if not isinstance(context.load, Pointers):
            context = replace(context, load=Pointers(context.resources.database, context.viewer))
        try:
            coerced = self.variables.coerced(variables or {})
        except BadVariables as bad:
            return finish(context, Outcome(None, bad.errors, has_begun=False))
        parts = self.parts(coerced)
        if self.kind is not OperationType.QUERY:
            return finish(context, await self._changed(parts, context, coerced))
        (part,) = parts
        found = [self._asked(root, context, coerced) for root in part.roots]
        if not part.needs_reading:
            return finish(context, await _without_database(part, context, coerced, found))

        async def work(db: Reader) -> T:
            made = await part.complete(db, context, coerced, found, may_keep=may_keep)
            return finish(context, made)

        return await context.resources.database.look(work, part.pace)

    async def stream(
        self, variables: Mapping[str, Any] | None, context: Context
    ) -> AsyncGenerator[Outcome]:
        """What becomes of every event of a subscription.

        Events come with the loaders of the context, so that a resolver sees what is not visible.
        """
        try:
            coerced = self.variables.coerced(variables or {})
        except BadVariables as bad:
            yield self._outcome(context, Outcome(None, bad.errors, has_begun=False))
            return
        (part,) = self.parts(coerced)
        (root,) = part.roots
        path: list[str | int] = [root.field.key]
        has_begun = False
        try:
            given = root.given(coerced)
            has_begun = True
            async with aclosing(_resolver(root)(None, Asking(context), **given)) as events:
                async for value in events:
                    yield self._outcome(context, await _completed(part, context, coerced, [value]))
        except Exception as error:  # noqa: BLE001  told at the field
            located = located_error(error, root.field.nodes, path)
            yield self._outcome(context, Outcome(None, [located], has_begun=has_begun))

    def parts(self, variables: VariableValues) -> list[Part]:
        """What this combination of conditions compiles to. Raises NotTaken."""
        flags = tuple(bool(variables.coerced.get(name)) for name in self.conditions)
        if flags not in self._variants:
            chosen = replace(self.selections, flags=dict(zip(self.conditions, flags, strict=True)))
            self._variants[flags] = _compiled(self.schema, chosen, self.dialect, self.kind)
        return self._variants[flags]

    def _asked(self, root: Root, context: Context, variables: VariableValues) -> Any:
        """What the root's function says, or the error that it raises."""
        try:
            function = root.arguments.field.metadata[_ROOT]
            return function(None, Asking(context), **root.given(variables))
        except Exception as error:  # noqa: BLE001  told at the field
            return error

    async def _changed(
        self, parts: list[Part], context: Context, variables: VariableValues
    ) -> Outcome:
        """One field after the other, each with its whole payload before the next begins."""
        data: dict[str, Any] = {}
        errors: list[GraphQLError] = []
        for part in parts:
            found = [await self._resolved(root, context, variables) for root in part.roots]
            made = await _completed(part, context, variables, found)
            errors += made.errors
            if made.data is None:
                return Outcome(None, errors)
            data |= made.data
        return Outcome(data, errors)

    async def _resolved(self, root: Root, context: Context, variables: VariableValues) -> Any:
        try:
            return await _resolver(root)(None, Asking(context), **root.given(variables))
        except Exception as error:  # noqa: BLE001  told at the field
            return error

    def _outcome(self, context: Context, made: Outcome) -> Outcome:
        if made.errors:
            told = SimpleNamespace(context=context)
            self.schema.process_errors(made.errors, told)  # type: ignore[arg-type]
        return made

    def _answer(self, context: Context, made: Outcome) -> Answer:
        if not made.errors:
            tags = None if made.tags is None else frozenset(made.tags)
            return Answer(orjson.dumps({"data": made.data}), tags)
        self._outcome(context, made)
        errors = [error.formatted for error in made.errors]
        return Answer(orjson.dumps({"data": made.data, "errors": errors}))


def compile(  # noqa: A001  the word for it
    document: DocumentNode, operation_name: str | None, schema: Schema, dialect: str
) -> Plan | Reason:
    """The plan of a valid document's operation, or why there is none."""
    graph = schema._schema  # noqa: SLF001  strawberry keeps graphql-core's schema there
    try:
        selections = selections_of(document, operation_name, graph)
        names = conditions(selections, most=_CONDITIONS)
        plan = Plan(
            schema=schema,
            selections=selections,
            dialect=dialect,
            kind=selections.operation.operation,
            variables=Variables(graph, selections.operation),
            conditions=names,
        )
        plan.parts(VariableValues({}, {}))
        plan.parts(VariableValues({}, dict.fromkeys(names, True)))
    except NotTaken as why:
        return Reason(why.code, why.text)
    return plan


def _resolver(root: Root) -> Any:
    resolver = root.arguments.field.base_resolver
    assert resolver is not None
    return resolver.wrapped_func


async def _completed(
    part: Part, context: Context, variables: VariableValues, found: list[Any]
) -> Outcome:
    """The payload; the database is opened only where it leads to entities."""
    if not any(_leads_on(root, one) for root, one in zip(part.roots, found, strict=True)):
        return await _without_database(part, context, variables, found)

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


async def _without_database(
    part: Part, context: Context, variables: VariableValues, found: list[Any]
) -> Outcome:
    database = context.resources.database
    return await part.complete(_NoDatabase(database.dialect), context, variables, found)


def _arguments(compiler: Compiler, variables: VariableValues) -> Arguments:
    return [one.coerced(variables) for one in compiler.arguments]


def _compiled(
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
        definition = kind.fields[one.name].extensions[_DEFINITION]
        read = definition.metadata.get(_ROOT)
        if selections.operation.operation is OperationType.QUERY and read is None:
            raise NotTaken("root", one.name)
        part.roots.append(root_of(compiler, writer, kind, one, read))
    for frame in compiler.frames:
        frame.below = [one for one in frame.fields if reads(one.made)]
        writer.entity(frame)
        writer.picks(frame.fields)
        _picks_below(writer, frame.fields)
    for root in part.roots:
        _picks_below(writer, root.fields())
    return part


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
