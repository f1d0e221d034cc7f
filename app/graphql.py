"""The one schema: every word's root fields merged, errors coded and masked."""

import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import strawberry
from graphql import (
    GraphQLError,
    GraphQLSyntaxError,
    VariableDefinitionNode,
    lexicographic_sort_schema,
    print_schema,
)
from graphql import OperationType as OperationKind
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.schema.schema import StreamResult
from strawberry.tools import merge_types
from strawberry.types import ExecutionContext
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

import schema.assets  # noqa: F401  no root field leads there, `node` does
from app.bus import Lagging
from app.context import Context
from app.db import READS, Reads
from app.deadlines import Deadline
from app.errors import Locale, MallError, OperationTimeout, RateLimited
from app.plan import Outcome, Plan
from resolvers.accounts import AccountMutation, AccountQuery
from resolvers.audit import AuditQuery
from resolvers.carts import CartMutation, CartQuery
from resolvers.chat import ChatMutation, ChatQuery, ChatSubscription
from resolvers.group_buys import GroupBuyMutation, GroupBuyQuery, GroupBuySubscription
from resolvers.live_events import LiveEventSubscription
from resolvers.live_lotteries import LiveLotteryMutation, LiveLotteryQuery
from resolvers.live_rooms import LiveRoomMutation, LiveRoomQuery
from resolvers.live_talk import LiveTalkMutation
from resolvers.nodes import NodeQuery
from resolvers.notifications import (
    NotificationMutation,
    NotificationQuery,
    NotificationSubscription,
)
from resolvers.orders import OrderMutation, OrderQuery, OrderSubscription
from resolvers.products import ProductQuery, ProductSubscription
from resolvers.roles import RoleMutation
from resolvers.shipments import ShipmentMutation
from schema.fields import ENTITIES

Admit = Callable[[str, str | None, Mapping[str, Any] | None, Context], list[GraphQLError]]
_UNSTORABLE = "22021"  # SQLSTATE: PostgreSQL keeps no U+0000, and only a caller can send one
_SUGGESTION = " Did you mean "  # as graphql-core ends a message with one
_log = logging.getLogger("jishi.graphql")
_QUERIES = (
    AccountQuery,
    AuditQuery,
    CartQuery,
    ChatQuery,
    GroupBuyQuery,
    LiveLotteryQuery,
    LiveRoomQuery,
    NodeQuery,
    NotificationQuery,
    OrderQuery,
    ProductQuery,
)
_MUTATIONS = (
    AccountMutation,
    CartMutation,
    ChatMutation,
    GroupBuyMutation,
    LiveLotteryMutation,
    LiveRoomMutation,
    NotificationMutation,
    LiveTalkMutation,
    OrderMutation,
    RoleMutation,
    ShipmentMutation,
)
_SUBSCRIPTIONS = (
    ChatSubscription,
    GroupBuySubscription,
    LiveEventSubscription,
    NotificationSubscription,
    OrderSubscription,
    ProductSubscription,
)
_DESCRIPTIONS = {
    "Query": "读取。What can be read.",
    "Mutation": "改变。What can be changed; refusals are members of the result.",
    "Subscription": "实时，用 after 续订（chat 用 chatEvents）。What can be followed and resumed.",
}


class MallSchema(strawberry.Schema):
    """Logs what is a bug, stays silent about what is a refusal; `execute` runs no stream.

    `admit` says what keeps an operation out, `prepare` sees every other one before it is parsed,
    `planned` finds the plan of one: through these the edge puts in what it knows already.
    """

    def __init__(self, query: type, **options: Any) -> None:
        super().__init__(query, extensions=[_Preparation], **options)
        self.admit: Admit = _all
        self.prepare: Callable[[ExecutionContext], None] = _nothing
        self.planned: Callable[[str, str | None], Plan | None] = _never
        self.hides_suggestions = False  # "Did you mean" tells names of what nobody may list
        self.deadline = Deadline()

    async def execute(  # type: ignore[override]  # the endpoint names every argument
        self, query: str | None, **options: Any
    ) -> ExecutionResult:
        READS.set(Reads())  # every operation has a task of its own: nothing to put back
        context = options["context_value"] = options["context_value"].for_operation()
        if errors := self._kept_out(query, options):
            if isinstance(errors[0].original_error, RateLimited):
                raise errors[0].original_error
            return self._refusal(errors, context)
        allowed = set(options.get("allowed_operation_types") or OperationType)
        options["allowed_operation_types"] = allowed - {OperationType.SUBSCRIPTION}
        work = super().execute(query, **options)
        try:
            return await self.deadline.within(work, is_deed="mutation" in (query or ""))
        except OperationTimeout as late:
            return self._refusal([GraphQLError("", original_error=late)], context)

    async def stream(  # type: ignore[override]  # as above
        self, query: str | None, **options: Any
    ) -> StreamResult:
        READS.set(Reads())
        context: Context = options["context_value"].for_operation()
        options["context_value"] = context
        if context.refusal is not None:
            errors = [GraphQLError("", original_error=context.refusal)]
        else:
            errors = self._kept_out(query, options)
        if errors:
            return _once(self._refusal(errors, context))
        plan = self.planned(query, options.get("operation_name")) if query else None
        if plan is None or plan.kind not in _names(options.get("allowed_operation_types")):
            results = await super().stream(query, **options)
            if "subscription" in (query or ""):
                return results
            return self._in_time(_first(results), context, is_deed="mutation" in (query or ""))
        variables = options.get("variable_values")
        if plan.kind is OperationKind.SUBSCRIPTION:
            return Followed(plan, variables, context)
        is_deed = plan.kind is OperationKind.MUTATION
        return self._in_time(_only(plan, variables, context), context, is_deed=is_deed)

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        context = None if execution_context is None else execution_context.context
        locale = context.viewer.locale if isinstance(context, Context) else "zh"
        self._tell(errors, locale)

    def _kept_out(self, query: str | None, options: dict[str, Any]) -> list[GraphQLError]:
        name, variables = options.get("operation_name"), options.get("variable_values")
        return self.admit(query, name, variables, options["context_value"]) if query else []

    def _refusal(self, errors: list[GraphQLError], context: Context) -> PreExecutionError:
        self._tell(errors, context.viewer.locale)
        return PreExecutionError(data=None, errors=errors)

    def _tell(self, errors: list[GraphQLError], locale: Locale) -> None:
        for error in errors:
            coded(error, locale)
            if self.hides_suggestions:
                error.message = error.message.partition(_SUGGESTION)[0]

    async def _in_time(
        self, work: Coroutine[Any, Any, Any], context: Context, *, is_deed: bool
    ) -> AsyncGenerator[Any]:
        """The one result of an operation that is no stream."""
        try:
            yield await self.deadline.within(work, is_deed=is_deed)
        except OperationTimeout as late:
            yield self._refusal([GraphQLError("", original_error=late)], context)


class Followed(AsyncGenerator[ExecutionResult | PreExecutionError]):
    """A planned subscription: its own run as results, begun when the first one is asked for.

    A transport may let a shared run tell it instead, and close this one.
    """

    def __init__(self, plan: Plan, given: dict[str, Any] | None, context: Context) -> None:
        self.plan, self.given, self.context = plan, given, context
        self._results = self._run()

    def asend(self, value: None) -> Coroutine[Any, Any, ExecutionResult | PreExecutionError]:
        return self._results.asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, ExecutionResult | PreExecutionError]:
        return self._results.athrow(*error)

    async def aclose(self) -> None:
        await self._results.aclose()

    async def _run(self) -> AsyncGenerator[ExecutionResult | PreExecutionError]:
        async with aclosing(self.plan.stream(self.given, self.context)) as outcomes:
            async for outcome in outcomes:
                yield _result(outcome)


class _Preparation(SchemaExtension):
    """Works before parsing, outside of it: an error there would end a stream without an answer."""

    def on_operation(self) -> Iterator[None]:
        schema = self.execution_context.schema
        assert isinstance(schema, MallSchema)
        schema.prepare(self.execution_context)
        yield


def _all(*_: object) -> list[GraphQLError]:
    return []


def _nothing(_execution: ExecutionContext) -> None:
    return None


def _never(_query: str, _operation_name: str | None) -> None:
    return None


def _names(allowed: Iterable[OperationType] | None) -> set[OperationKind]:
    return {OperationKind(one.value) for one in allowed or OperationType}


async def _only(
    plan: Plan, variables: dict[str, Any] | None, context: Context
) -> ExecutionResult | PreExecutionError:
    return _result(await plan.executed(variables, context))


async def _first(results: Any) -> Any:
    async with aclosing(results):
        return await anext(results)


async def _once(result: PreExecutionError) -> AsyncGenerator[PreExecutionError]:
    yield result


def _result(outcome: Outcome) -> ExecutionResult | PreExecutionError:
    if outcome.has_begun:
        return ExecutionResult(outcome.data, outcome.errors or None)
    return PreExecutionError(data=None, errors=outcome.errors)


def coded(error: GraphQLError, locale: Locale) -> None:
    """Gives an error its code and words; an unexpected one is masked, with an id for the log."""
    cause = error.original_error
    extensions: dict[str, Any] = dict(error.extensions or {})
    if isinstance(cause, MallError):
        error.message = cause.message(locale)
        extensions |= cause.extensions
    elif isinstance(cause, Lagging):
        error.message = (
            "接收太慢，请用 after 续订" if locale == "zh" else "too slow: resume with after"
        )
        extensions["code"] = "LAGGING"
    elif isinstance(cause, CannotGetOperationTypeError):
        error.message = cause.as_http_error_reason()
        extensions["code"] = "UNKNOWN_OPERATION"
    elif isinstance(cause, InvalidOperationTypeError):
        error.message = cause.as_http_error_reason("GET")
        extensions["code"] = "METHOD_NOT_ALLOWED"
    elif isinstance(cause, MissingQueryError):
        error.message = str(cause)
        extensions["code"] = "BAD_REQUEST"
    elif cause is None or isinstance(cause, GraphQLError):
        extensions.setdefault("code", _code_of(error))
    elif _sqlstate(cause) == _UNSTORABLE:
        error.message = "文本含有空字符" if locale == "zh" else "a text holds the character U+0000"
        extensions["code"] = "BAD_USER_INPUT"
    elif "error_id" not in extensions:
        extensions |= {"code": "INTERNAL", "error_id": secrets.token_hex(6)}
        _log.error("masked error %s at %s", extensions["error_id"], error.path, exc_info=cause)
        error.message = "服务器内部错误" if locale == "zh" else "internal error"
    error.extensions = extensions


def _sqlstate(cause: Exception) -> str | None:
    """PostgreSQL's code of an error, from SQLAlchemy or straight from the driver."""
    state: str | None = getattr(getattr(cause, "orig", cause), "sqlstate", None)
    return state


def _code_of(error: GraphQLError) -> str:
    """The code of an error of GraphQL itself; documents give theirs to errors of validation."""
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    is_of_input = error.path is not None or not error.nodes or _is_of_variables(error)
    return "BAD_USER_INPUT" if is_of_input else "GRAPHQL_VALIDATION_FAILED"


def _is_of_variables(error: GraphQLError) -> bool:
    return isinstance(next(iter(error.nodes or ()), None), VariableDefinitionNode)


def _merged(name: str, parts: tuple[type, ...]) -> type:
    made = merge_types(name, parts)
    made.__strawberry_definition__.description = _DESCRIPTIONS[name]  # type: ignore[attr-defined]
    return made


def build() -> MallSchema:
    """The schema; one per application, which the edge tells what it knows."""
    return MallSchema(
        query=_merged("Query", _QUERIES),
        mutation=_merged("Mutation", _MUTATIONS),
        subscription=_merged("Subscription", _SUBSCRIPTIONS),
        types=list(ENTITIES.values()),
        config=StrawberryConfig(auto_camel_case=True),
    )


def printed(schema: MallSchema) -> str:
    """The contract as SDL, types in order of their names."""
    return print_schema(lexicographic_sort_schema(schema._schema)) + "\n"  # noqa: SLF001
