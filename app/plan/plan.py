"""A compiled operation and its runs."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, TypeVar

import orjson
from graphql import DocumentNode, GraphQLError, OperationType, located_error
from graphql.execution.values import VariableValues
from strawberry import Schema

from app.auth import Viewer
from app.context import Context
from app.db import Database, Reader
from app.plan.inputs import BadVariables, Variables
from app.plan.part import ROOT, Outcome, Part, compiled, completed, without_database
from app.plan.roots import Root
from app.plan.selections import NotTaken, Selections, conditions, selections_of
from schema.fields import Pointer

T = TypeVar("T")
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
        return await self._run(variables, context, self.answered, may_keep=may_keep)

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
            return finish(context, await without_database(part, context, coerced, found))

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
                    yield self._outcome(context, await completed(part, context, coerced, [value]))
        except Exception as error:  # noqa: BLE001  told at the field
            # a source of events has no place in the answer, its arguments have
            told = GraphQLError(str(error), original_error=error)
            located = told if has_begun else located_error(error, root.field.nodes, path)
            yield self._outcome(context, Outcome(None, [located], has_begun=has_begun))

    def parts(self, variables: VariableValues) -> list[Part]:
        """What this combination of conditions compiles to. Raises NotTaken."""
        flags = tuple(bool(variables.coerced.get(name)) for name in self.conditions)
        if flags not in self._variants:
            chosen = replace(self.selections, flags=dict(zip(self.conditions, flags, strict=True)))
            self._variants[flags] = compiled(self.schema, chosen, self.dialect, self.kind)
        return self._variants[flags]

    def _asked(self, root: Root, context: Context, variables: VariableValues) -> Any:
        """What the root's function says, or the error that it raises."""
        try:
            function = root.arguments.field.metadata[ROOT]
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
            made = await completed(part, context, variables, found)
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

    def answered(self, context: Context, made: Outcome) -> Answer:
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
