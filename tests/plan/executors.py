"""One operation through both executors, and the comparison that their answers must stand."""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

from app import graphql, plan
from app.context import Context
from app.db import Database
from app.graphql import MallSchema
from app.plan import Plan, Reason
from app.plan.part import Part

Json = dict[str, Any]


class Different(AssertionError):
    """The two executors have answered an operation in two ways."""


class Dearer(AssertionError):
    """The plan has cost more statements than the generic executor."""


class Slower(AssertionError):
    """Nothing was wrong with an answer, and yet the plan did not make it the quick way."""


@dataclass(frozen=True)
class Told:
    """An error as a client gets it."""

    message: str
    path: list[str | int] | None
    extensions: Json


@dataclass(frozen=True)
class Result:
    """An answer as a client gets it; `errors` is None where there are none."""

    data: Any
    errors: list[Told] | None

    @classmethod
    def of(cls, answer: Json) -> "Result":
        errors = [
            Told(one["message"], one.get("path"), one.get("extensions", {}))
            for one in answer.get("errors", ())
        ]
        return cls(answer["data"], errors or None)


@dataclass(repr=False)  # it would be megabytes in every report of a failure
class Executors:
    """Both ways through a schema; plans are compiled once and kept, as a server does."""

    schema: MallSchema
    plans: dict[tuple[str, str | None, str], Plan | Reason] = field(default_factory=dict)

    def document(self, text: str) -> DocumentNode | None:
        """The document, None for one that is not valid: no executor ever gets it."""
        try:
            document = parse(text)
        except GraphQLError:
            return None
        return None if validate(self.schema._schema, document) else document

    def plan(self, text: str, dialect: str, name: str | None = None) -> Plan | Reason:
        """The plan of a valid document's operation, or why it is not taken."""
        place = text, name, dialect
        if place not in self.plans:
            document = parse(text)
            self.plans[place] = plan.compile(document, name, self.schema, dialect)
        return self.plans[place]

    def taken(self, text: str, dialect: str, name: str | None = None) -> Plan:
        """The plan. AssertionError when the operation is not taken."""
        found = self.plan(text, dialect, name)
        assert isinstance(found, Plan), f"{found} in {text}"
        return found

    async def generic(
        self, text: str, context: Context, variables: Mapping[str, Any], name: str | None = None
    ) -> Json:
        """The answer of the generic executor, as JSON has it."""
        result = await self.schema.execute(
            text, variable_values=dict(variables), context_value=context, operation_name=name
        )
        return answer_of(result.data, result.errors)

    async def planned(
        self, text: str, context: Context, variables: Mapping[str, Any], name: str | None = None
    ) -> Json:
        """The answer of the plan."""
        taken = self.taken(text, context.resources.database.dialect, name)
        answer: Json = orjson.loads((await taken.run(variables, context)).body)
        return answer

    async def generic_events(
        self, text: str, context: Context, variables: Mapping[str, Any]
    ) -> AsyncGenerator[Json]:
        """The answers of a subscription by the generic executor."""
        stream: Any = await self.schema.stream(
            text, variable_values=dict(variables), context_value=context
        )
        async with aclosing(stream) as events:
            async for event in events:
                yield answer_of(event.data, event.errors)

    async def planned_events(
        self, text: str, context: Context, variables: Mapping[str, Any]
    ) -> AsyncGenerator[Json]:
        """The answers of a subscription by the plan."""
        taken = self.taken(text, context.resources.database.dialect)
        async with aclosing(taken.stream(variables, context)) as events:
            async for event in events:
                yield answer_of(event.data, event.errors)

    async def compare(
        self,
        text: str,
        context: Callable[[], Context],
        variables: Mapping[str, Any],
        name: str | None = None,
        *,
        spare: int = 0,
    ) -> Json:
        """What both answer, unseen by who counts statements.

        Raises Different, Slower, or Dearer when the plan has cost more statements and all was well
        (after an error the generic executor lets go of the rest). One more is allowed for every
        list of children that is longer than its limit: the plan finds that out by reading; and
        `spare` more for what the caller knows of.
        """
        database = context().resources.database
        with unwatched(database), statements(database) as generic_cost:
            generic = await self.generic(text, context(), variables, name)
        with unwatched(database), statements(database) as planned_cost, detours() as taken:
            planned = await self.planned(text, context(), variables, name)
        compare(text, variables, generic, planned)
        if taken and "errors" not in planned:
            raise Slower(f"{text}\n{dict(variables)}")
        allowed = len(generic_cost) + spare + sum("row_number" in one for one in planned_cost)
        if "errors" not in planned and len(planned_cost) > allowed:
            costs = "\n".join([f"{len(generic_cost)} by the generic executor", *planned_cost])
            raise Dearer(f"{text}\n{dict(variables)}\n{costs}")
        return planned


@cache
def the_executors() -> Executors:
    """Those that all tests share."""
    return Executors(graphql.build())


def answer_of(data: Any, errors: list[GraphQLError] | None) -> Json:
    """Data and errors after their way through JSON."""
    answer = {"data": data}
    if errors:
        answer["errors"] = [error.formatted for error in errors]
    made: Json = orjson.loads(orjson.dumps(answer))
    return made


def kind_of(document: DocumentNode) -> OperationType:
    """Of the document's first operation."""
    return next(
        one.operation for one in document.definitions if isinstance(one, OperationDefinitionNode)
    )


def is_introspection(document: DocumentNode) -> bool:
    """Whether the schema itself is asked for, at the root of any operation."""
    return any(
        isinstance(one, FieldNode) and one.name.value in {"__schema", "__type"}
        for operation in document.definitions
        if isinstance(operation, OperationDefinitionNode)
        for one in operation.selection_set.selections
    )


def compare(text: str, variables: Mapping[str, Any], generic: Json, planned: Json) -> None:
    """Raises Different unless both are the same JSON: keys in the same order, errors by path.

    An error id is drawn at random by whoever tells of a bug; all else of an error is compared.
    """
    first, second = comparable(generic), comparable(planned)
    if first != second:
        asked = f"{text}\n{dict(variables)}"
        raise Different(f"{asked}\ngeneric: {first.decode()}\nplanned: {second.decode()}")


def comparable(answer: Json) -> bytes:
    errors = [_masked(one) for one in answer.get("errors", ())]
    errors.sort(key=lambda one: (str(one.get("path")), one["message"]))
    return orjson.dumps({**answer, "errors": errors} if errors else answer)


def _masked(error: Json) -> Json:
    extensions = error.get("extensions", {})
    if "error_id" in extensions:
        return {**error, "extensions": {**extensions, "error_id": "masked"}}
    return error


@contextmanager
def detours() -> Generator[list[Part]]:
    """Notes the parts of plans that are gone through carefully, for something seemed wrong."""
    seen: list[Part] = []
    careful = Part._carefully

    def noted(self: Part, *given: Any) -> Any:
        seen.append(self)
        return careful(self, *given)

    Part._carefully = noted  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Part._carefully = careful  # type: ignore[method-assign]


@contextmanager
def unwatched(database: Database) -> Generator[None]:
    """Hides the statements of the block from those who are counting."""
    watchers = database._watchers
    kept = watchers[:]
    watchers.clear()
    try:
        yield
    finally:
        watchers[:] = kept


@contextmanager
def statements(database: Database) -> Generator[list[str]]:
    """Every statement of the block but the opening and closing of transactions."""
    seen: list[str] = []

    def note(statement: str) -> None:
        if statement.split(maxsplit=1)[0].upper() not in {"BEGIN", "COMMIT", "ROLLBACK"}:
            seen.append(statement)

    stop = database.watch(note)
    try:
        yield seen
    finally:
        stop()
