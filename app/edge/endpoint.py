"""/graphql: who asks, for what, and by which of the transports the answer leaves."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta

import orjson
from graphql import OperationType as OperationKind
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from app.auth import Role, Viewer
from app.bus import Lagging
from app.context import Context, Place, Resources
from app.edge.channels import Channels
from app.edge.documents import Documents
from app.edge.gate import Gate, address_of
from app.edge.gauges import Gauges
from app.edge.leases import STREAMS_PER_USER, Bounds
from app.edge.multipart import MultipartSubscription
from app.edge.negotiation import Accepted, Media, accepted
from app.edge.operations import Operation, asked, heads, posted, read_body
from app.edge.persisted import Persisted
from app.edge.refusals import (
    MutationByGet,
    StreamRequired,
    locale_for,
    locale_of,
    refusal,
)
from app.edge.response_cache import ResponseCache
from app.edge.results import Result, failure, masked, payload_of, status_of, unexecuted
from app.edge.sockets import SocketHandler, TextAdapter
from app.edge.sse import ServerSentEvents
from app.edge.streams import Wire, alone, follow, together
from app.errors import InvalidToken, Locale, RateLimited, RequestError
from app.graphql import Followed, MallSchema
from app.plan import Pointers
from resolvers.loaders import Loaders

INIT_WAIT = timedelta(seconds=10)
_ALLOWED = {"GET": {OperationKind.QUERY}, "POST": {OperationKind.QUERY, OperationKind.MUTATION}}
_WIRES: dict[Media, Wire] = {
    Media.SSE: ServerSentEvents(),
    Media.MULTIPART: MultipartSubscription(),
}
Headers = tuple[tuple[bytes, bytes], ...]
_PRIVATE: Headers = ((b"cache-control", b"no-store"),)
_VARY = b"Accept, Accept-Language, Authorization, X-Guest-Token, Origin"
_TYPES = {one: one.value.encode() for one in (Media.JSON, Media.RESPONSE)}


class Endpoint(GraphQL[Context, None]):
    """One endpoint for queries, mutations and subscriptions; strawberry opens its websockets."""

    websocket_adapter_class = TextAdapter
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(
        self,
        schema: MallSchema,
        resources: Resources,
        cache: ResponseCache,
        persisted: Persisted,
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_WAIT,
        )
        self.documents = Documents(
            schema,
            resources.database.dialect,
            introspection=resources.settings.introspection,
        )
        self.gate = Gate(self.documents, resources.rates, share=resources.settings.rate_share)
        schema.admit = self.gate.errors
        self._deadline = schema.deadline
        self.persisted = persisted
        self.bounds = Bounds()
        self.gauges = Gauges()
        self.channels = Channels(resources, self.gauges)
        self._resources, self._cache = resources, cache
        age = f"public, max-age={int(cache.ttl_s)}".encode()
        self._public: Headers = ((b"cache-control", age), (b"vary", _VARY))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        given = heads(scope)
        try:
            media = accepted(scope["method"], given)
            is_get = scope["method"] == "GET"
            raw = scope["query_string"] if is_get else await read_body(receive)
            if media.single is not None:
                answer = await self._straight(scope, given, raw, media.single)
                if answer is not None:
                    await _send(send, media.single, *answer)
                    return
            operation = asked(raw) if is_get else posted(raw)
            await self._by_executor(scope, given, operation, media, receive, send)
        except ClientDisconnect:
            pass
        except RequestError as refused:
            await refusal(refused, locale_of(given))(scope, receive, send)

    async def _straight(
        self, scope: Scope, given: Mapping[bytes, bytes], raw: bytes, media: Media
    ) -> tuple[int, bytes, Headers] | None:
        """Status, answer and what caches are told, kept or by a plan; None for the executor."""
        method, locale = scope["method"], locale_of(given)
        authorization = given.get(b"authorization", b"").decode("latin-1")
        guest = given.get(b"x-guest-token", b"").decode("latin-1")
        is_anonymous = not authorization and not guest
        key, caching = (method, raw, locale), self._public if method == "GET" else _PRIVATE
        shows_cost, address = given.get(b"x-jishi-cost") == b"1", address_of(scope)
        is_common = is_anonymous and not shows_cost
        if is_common and (known := self._cache.get(key)) is not None:
            self.gate.answer_kept(address)
            return 200, known, caching
        viewer = self._viewer(authorization, guest, locale)
        operation = asked(raw) if method == "GET" else posted(raw)
        text = self.persisted.text(operation)
        mark = self._cache.mark()
        load = Pointers(self._resources.database, viewer)
        context = Context(viewer, self._resources, load, scope.get("request_id", ""), address)
        may_keep = is_common and self._cache.ttl_s > 0
        try:
            document = self.gate.document(text, operation.name, context)
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
            return 200, masked(bug, locale), _PRIVATE
        body, tags = answer.body, answer.tags
        if shows_cost:
            cost = self.gate.shown(document, operation.variables, context)
            body = body[:-1] + b',"extensions":' + orjson.dumps({"cost": cost}) + b"}"
        # without tags it is personal or live, with none of them it says nothing worth keeping
        if tags and self._cache.put(key, body, tags, mark):
            return 200, body, caching
        status, body = unexecuted(body, plan, operation.variables, media)
        return status, body, _PRIVATE

    async def _by_executor(
        self,
        scope: Scope,
        given: Mapping[bytes, bytes],
        operation: Operation,
        media: Accepted,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answers what no plan has taken: at once, or by a stream."""
        locale = locale_of(given)
        authorization = given.get(b"authorization", b"").decode("latin-1")
        guest = given.get(b"x-guest-token", b"").decode("latin-1")
        viewer = self._viewer(authorization, guest, locale)
        context = self._context(viewer, scope)
        text = self.persisted.text(operation)
        kind = self.gate.document(text, operation.name, context).operation
        is_stream = kind is OperationType.SUBSCRIPTION
        if kind is OperationType.MUTATION and scope["method"] == "GET":
            raise MutationByGet
        if media.single is not None and not (is_stream and media.stream):
            if is_stream:
                raise StreamRequired
            result = await self._executed(text, operation, context)
            status = status_of(result, media.single)
            await _send(send, media.single, status, orjson.dumps(payload_of(result)), _PRIVATE)
            return
        assert media.stream is not None
        context.place = Place(after=given.get(b"last-event-id", b"").decode("latin-1") or None)
        with self.bounds.hold("streams", context, STREAMS_PER_USER):
            results = await self.schema.stream(
                text,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.name,
            )
            if isinstance(results, Followed):
                parts = together(results, self.channels, lambda: masked(Lagging(), locale))
            else:
                parts = alone(results, context)
            with self.gauges.streams.track_inprogress():
                await follow(parts, _WIRES[media.stream], context, scope, receive, send)

    async def _executed(self, text: str, operation: Operation, context: Context) -> Result:
        try:
            return await self.schema.execute(
                text,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.name,
            )
        except CannotGetOperationTypeError as unknown:
            error = failure(unknown, context.viewer.locale)
            return PreExecutionError(data=None, errors=[error])

    async def get_context(self, request: HTTPConnection, response: object) -> Context:  # noqa: ARG002
        """That of a websocket; a wrong token is told per operation, like one of its init."""
        headers, refused = request.headers, None
        locale = locale_for(headers.get("accept-language", ""))
        try:
            viewer = self._viewer(
                headers.get("authorization"), headers.get("x-guest-token"), locale
            )
        except InvalidToken as invalid:
            viewer, refused = Viewer(locale=locale), invalid
        context = self._context(viewer, request.scope)
        context.refusal = refused
        return context

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:  # noqa: ARG002
        """Asked for pages of other sites only: those of this one, and whoever is no page, may."""
        return self._resources.settings.origins.allows(origin)

    async def on_ws_connect(self, context: Context) -> dict[str, object] | None:
        """Reads the token of connection_init; a bad one is told per operation, not by a close."""
        params = {str(name).lower(): value for name, value in context.connection_params.items()}
        language = params.get("accept-language")
        locale = locale_for(language) if isinstance(language, str) else context.viewer.locale
        try:
            viewer = self._viewer(params.get("authorization"), params.get("x-guest-token"), locale)
        except InvalidToken as refused:
            context.refusal = refused
        else:
            if viewer.role is not Role.GUEST or viewer.guest_key:
                context.viewer, context.refusal = viewer, None
        return {"heartbeat_s": 20}

    def decode_json(self, data: str | bytes) -> object:
        """A frame, read by orjson: it neither recurses nor computes numbers of any length."""
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as bad:
            raise json.JSONDecodeError(bad.msg, "", 0) from None

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


async def _send(send: Send, media: Media, status: int, body: bytes, caching: Headers) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-length", length), (b"content-type", _TYPES[media]), *caching]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
