"""/graphql over HTTP, SSE and websocket: strawberry's view with our viewers, JSON and refusals."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
from cross_web import HTTPException
from graphql import GraphQLError
from graphql import OperationType as OperationKind
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from app.auth import Role, Viewer
from app.context import Context, Resources
from app.edge.documents import Documents
from app.edge.gate import Gate, address_of
from app.edge.operations import asked, heads, posted, read_body, replayed
from app.edge.response_cache import ResponseCache
from app.errors import InvalidToken, Locale, RateLimited, RequestError
from app.graphql import MallSchema, coded
from app.plan import Pointers
from resolvers.loaders import Loaders

STREAMS_PER_SOCKET = 50
INIT_WAIT = timedelta(seconds=10)
_REASONS = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    415: "UNSUPPORTED_TYPE",
}
_ALLOWED = {"GET": {OperationKind.QUERY}, "POST": {OperationKind.QUERY, OperationKind.MUTATION}}
Headers = tuple[tuple[bytes, bytes], ...]
_PRIVATE: Headers = ((b"cache-control", b"no-store"),)
_VARY = b"Accept-Language, Authorization, X-Guest-Token"
_STREAMS = (
    "a subscription needs a stream: the websocket protocol graphql-transport-ws, or "
    "Accept: text/event-stream"
)


class TextAdapter(ASGIWebSocketAdapter):
    """Sends text frames, which is what the protocol asks for, in orjson's encoding."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        try:
            await self.ws.send_text(orjson.dumps(message).decode())
        except WebSocketDisconnect as gone:
            raise WebSocketDisconnected from gone


class TransportHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """graphql-transport-ws, closing with 4400 on frames that are no messages."""

    async def handle_message(self, message: Any) -> None:
        if not _is_message(message):
            await self.handle_invalid_message("Failed to parse message")
            return
        await super().handle_message(message)

    @staticmethod
    def _get_pre_execution_close_reason(_error: object) -> str | None:
        return None  # a failed operation answers `error` and leaves the socket to the others


class Endpoint(GraphQL[Context, None]):
    """One endpoint for queries, mutations and subscriptions."""

    websocket_adapter_class = TextAdapter
    graphql_transport_ws_handler_class = TransportHandler

    def __init__(self, schema: MallSchema, resources: Resources, cache: ResponseCache) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            connection_init_wait_timeout=INIT_WAIT,
            max_subscriptions_per_connection=STREAMS_PER_SOCKET,
        )
        self.documents = Documents(schema, resources.database.dialect)
        self.gate = Gate(self.documents, resources.rates, share=resources.settings.rate_share)
        schema.admit = self.gate.errors
        self._deadline = schema.deadline
        self._resources, self._cache = resources, cache
        age = f"public, max-age={int(cache.ttl_s)}".encode()
        self._public: Headers = ((b"cache-control", age), (b"vary", _VARY))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        given = heads(scope)
        try:
            _check_form(scope["method"], given)
            if _is_plain(scope["method"], given):
                is_get = scope["method"] == "GET"
                raw = scope["query_string"] if is_get else await read_body(receive)
                if (answer := await self._straight(scope, given, raw)) is not None:
                    await _send(send, *answer)
                    return
                request = Request(scope, receive if is_get else replayed(raw, receive))
            else:
                request = Request(scope, receive)
            response = await self.run(request)
        except ClientDisconnect:
            return
        except HTTPException as refused:
            code = _REASONS.get(refused.status_code, "BAD_REQUEST")
            response = refusal(refused.status_code, code, refused.reason)
            if refused.status_code == 405:
                response.headers["allow"] = "GET, POST" if scope["method"] != "GET" else "POST"
        except RequestError as refused:
            response = told(refused, _locale_of(given))
        response.headers.setdefault("cache-control", "no-store")
        await response(scope, receive, send)

    async def _straight(
        self, scope: Scope, given: Mapping[bytes, bytes], raw: bytes
    ) -> tuple[bytes, Headers] | None:
        """The answer and what caches are told, kept or by a plan; None for Strawberry's view."""
        method, locale = scope["method"], _locale_of(given)
        authorization = given.get(b"authorization", b"").decode("latin-1")
        guest = given.get(b"x-guest-token", b"").decode("latin-1")
        is_anonymous = not authorization and not guest
        key, caching = (method, raw, locale), self._public if method == "GET" else _PRIVATE
        shows_cost, address = given.get(b"x-jishi-cost") == b"1", address_of(scope)
        is_common = is_anonymous and not shows_cost
        if is_common and (known := self._cache.get(key)) is not None:
            self.gate.answer_kept(address)
            return known, caching
        viewer = self._viewer(authorization, guest, locale)
        operation = asked(raw) if method == "GET" else posted(raw)
        if operation is None:
            return None
        mark = self._cache.mark()
        load = Pointers(self._resources.database, viewer)
        context = Context(viewer, self._resources, load, scope.get("request_id", ""), address)
        may_keep = is_common and self._cache.ttl_s > 0
        try:
            document = self.gate.document(operation.query, operation.name, context)
            if document.plan is None:
                await asyncio.sleep(0)  # reading and planning take up to 100 ms: let others between
            plan = self.documents.planned(document, operation.name)
            if plan is None or plan.kind not in _ALLOWED[method]:
                return None
            self.gate.admit(document, operation.variables, context)
            is_deed = plan.kind is OperationKind.MUTATION
            work = plan.run(operation.variables, context, may_keep=may_keep)
            answer = await self._deadline.within(work, is_deed=is_deed)
        except RateLimited:
            raise
        except Exception as bug:  # noqa: BLE001  masked and logged like that of a field
            return _masked(bug, locale), _PRIVATE
        body, tags = answer.body, answer.tags
        if shows_cost:
            cost = self.gate.shown(document, operation.variables, context)
            body = body[:-1] + b',"extensions":' + orjson.dumps({"cost": cost}) + b"}"
        # without tags it is personal or live, with none of them it says nothing worth keeping
        if tags and self._cache.put(key, body, tags, mark):
            return body, caching
        return body, _PRIVATE

    async def get_context(self, request: HTTPConnection, response: object) -> Context:  # noqa: ARG002
        """Raises InvalidToken; a websocket tells of it per operation, like a token of its init."""
        headers, refused = request.headers, None
        locale = _locale(headers.get("accept-language", ""))
        try:
            viewer = self._viewer(
                headers.get("authorization"), headers.get("x-guest-token"), locale
            )
        except InvalidToken as invalid:
            if request.scope["type"] != "websocket":
                raise
            viewer, refused = Viewer(locale=locale), invalid
        context = self._context(viewer, request.scope)
        context.refusal = refused
        return context

    async def on_ws_connect(self, context: Context) -> dict[str, object] | None:
        """Reads the token of connection_init; a bad one is told per operation, not by a close."""
        params = {str(name).lower(): value for name, value in context.connection_params.items()}
        language = params.get("accept-language")
        locale = _locale(language) if isinstance(language, str) else context.viewer.locale
        try:
            viewer = self._viewer(params.get("authorization"), params.get("x-guest-token"), locale)
        except InvalidToken as refused:
            context.refusal = refused
        else:
            if viewer.role is not Role.GUEST or viewer.guest_key:
                context.viewer, context.refusal = viewer, None
        return {"heartbeat_s": 20}

    async def execute_single(
        self, request: Request, request_adapter: Any, *args: Any, **options: Any
    ) -> ExecutionResult:
        """One operation and its one result; the wrong kinds of operation are told what to use."""
        try:
            return await super().execute_single(request, request_adapter, *args, **options)
        except HTTPException as refused:
            wrong = refused.__cause__
            if isinstance(wrong, InvalidOperationTypeError):
                if wrong.operation_type is OperationType.MUTATION:
                    raise HTTPException(405, "mutations are sent by POST") from wrong
                raise HTTPException(400, _STREAMS) from wrong
            raise

    def parse_json(self, data: str | bytes) -> Any:
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise HTTPException(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise HTTPException(400, "the body must be one JSON object")
        return body

    def decode_json(self, data: str | bytes) -> object:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as bad:
            raise json.JSONDecodeError(bad.msg, "", 0) from None

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()

    def _context(self, viewer: Viewer, scope: Scope) -> Context:
        return Context(
            viewer=viewer,
            resources=self._resources,
            load=Loaders(self._resources.database, viewer),
            request_id=scope.get("request_id", ""),
            address=address_of(scope),
        )

    def _viewer(self, authorization: object, guest: object, locale: Locale) -> Viewer:
        """Raises InvalidToken for a header that holds no live token of ours."""
        tokens = self._resources.tokens
        if isinstance(authorization, str) and authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise InvalidToken
            return tokens.read(token.strip(), locale)
        if isinstance(guest, str) and guest:
            viewer = tokens.read(guest, locale)
            if viewer.role is not Role.GUEST:
                raise InvalidToken
            return viewer
        return Viewer(locale=locale)


def _check_form(method: str, given: Mapping[bytes, bytes]) -> None:
    """A POST is exactly application/json, so that no page can send one without a preflight."""
    media_type = given.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if method == "POST" and media_type != b"application/json":
        raise HTTPException(415, "the content type must be application/json")


def _is_plain(method: str, given: Mapping[bytes, bytes]) -> bool:
    """Is one JSON answer asked for, and by a method that may?"""
    accept = given.get(b"accept", b"").lower()
    is_stream = b"text/event-stream" in accept or b"multipart/" in accept
    return method in {"GET", "POST"} and not is_stream


def _masked(bug: Exception, locale: Locale) -> bytes:
    error = GraphQLError("", original_error=bug)
    coded(error, locale)
    return orjson.dumps({"data": None, "errors": [error.formatted]})


async def _send(send: Send, body: bytes, caching: Headers) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-length", length), (b"content-type", b"application/json"), *caching]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def refusal(
    status: int, code: str, message: str, extensions: Mapping[str, Any] | None = None
) -> Response:
    """A refused request as GraphQL over HTTP wants it: errors with a code, no data."""
    body = {"errors": [{"message": message, "extensions": {**(extensions or {}), "code": code}}]}
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def told(refused: RequestError, locale: Locale) -> Response:
    """The answer to a request that is refused whole."""
    is_limited = isinstance(refused, RateLimited)
    response = refusal(
        429 if is_limited else 401, refused.code, refused.message(locale), refused.extensions
    )
    if is_limited:
        response.headers["retry-after"] = str(refused.data["retry_after_s"])
    return response


def _locale_of(given: Mapping[bytes, bytes]) -> Locale:
    return _locale(given.get(b"accept-language", b"").decode("latin-1"))


def _locale(languages: str) -> Locale:
    """Chinese unless English is asked for first."""
    return "en" if languages.strip().lower().startswith("en") else "zh"


def _is_message(message: object) -> bool:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    if not isinstance(message.get("id", ""), str):
        return False
    if message["type"] != "subscribe":
        return True
    payload = message.get("payload")
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables") or {}, dict)
        and isinstance(payload.get("operationName") or "", str)
    )
