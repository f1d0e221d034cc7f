"""What is sent of a result, whatever carries it."""

from collections.abc import Mapping
from typing import Any

import orjson
from graphql import GraphQLError
from strawberry.types.execution import ExecutionResult, PreExecutionError

from app.edge.negotiation import Media
from app.errors import Locale
from app.graphql import coded
from app.plan import Plan
from app.plan.inputs import BadVariables

Result = ExecutionResult | PreExecutionError
_OURS = {"INTERNAL", "OPERATION_TIMEOUT"}  # no fault of the caller
_REFUSED = {"UNKNOWN_OPERATION", "OPERATION_NAME_REQUIRED"}  # requests, not documents, are wrong
_NO_DATA = b'{"data":null,'


def payload_of(result: Result) -> dict[str, Any]:
    """The response as GraphQL wants it; without `data` when nothing was executed."""
    payload: dict[str, Any] = {} if is_unexecuted(result) else {"data": result.data}
    if result.errors:
        payload["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        payload["extensions"] = result.extensions
    return payload


def is_unexecuted(result: Result) -> bool:
    """Was the request itself wrong: its document, its name or its variables?"""
    if result.data is not None or not result.errors:
        return False
    return all(error.path is None and code_of(error) not in _OURS for error in result.errors)


def code_of(error: GraphQLError) -> str:
    return str((error.extensions or {}).get("code", ""))


def failure(cause: Exception, locale: Locale) -> GraphQLError:
    """The error for a cause without a place, coded and, if it is a bug, masked and logged."""
    error = GraphQLError(str(cause), original_error=cause)
    coded(error, locale)
    return error


def masked(bug: Exception, locale: Locale) -> bytes:
    return orjson.dumps({"data": None, "errors": [failure(bug, locale).formatted]})


def status_of(result: Result, media: Media) -> int:
    """200 for what was executed; for the rest GraphQL over HTTP asks each media type its own."""
    if not is_unexecuted(result):
        return 200
    is_refused = any(code_of(error) in _REFUSED for error in result.errors or ())
    return 400 if media is Media.RESPONSE or is_refused else 200


def unexecuted(
    body: bytes, plan: Plan, variables: Mapping[str, Any], media: Media
) -> tuple[int, bytes]:
    """Status and body of a plan's answer, without `data` if it refused the variables."""
    if not body.startswith(_NO_DATA):
        return 200, body
    try:
        plan.variables.coerced(variables)
    except BadVariables:
        status = 400 if media is Media.RESPONSE else 200
        return status, b"{" + body[len(_NO_DATA) :]
    return 200, body
