"""The assembly: resources opened in order, routes, middleware."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app import graphql, search
from app.attempts import MemoryAttempts, RatedAttempts
from app.auth import Tokens
from app.bus import Bus, BusDown, MemoryBus
from app.clock import Clock, utc_now
from app.context import Resources
from app.db import Database
from app.edge import gauges, health, playground, uploads
from app.edge.body_limit import BodyLimit
from app.edge.cors import Cors
from app.edge.endpoint import Endpoint
from app.edge.invalidation import Invalidation
from app.edge.persisted import Persisted, read_manifest
from app.edge.response_cache import ResponseCache
from app.edge.server import DRAIN
from app.edge.streams import STOPPING
from app.gateways import vendors
from app.gateways.files import Files
from app.gateways.payments import PaymentGateway, SimulatedPayments
from app.gateways.platforms import platforms
from app.ids import CursorSigner
from app.rates import Rates
from app.redis_bus import RedisBus
from app.redis_rates import SharedRates
from app.settings import BadSetting, Settings
from app.telemetry import RequestLog
from app.workers import background, sessions
from app.workers.answers import Answers
from llm.engine import open_engine
from llm.protocol import Engine

PATH = "/graphql"


async def check_servers(settings: Settings) -> None:
    """Raises BadSetting for a Redis or a database that does not answer, before anything begins."""
    bus: Bus = RedisBus(settings.redis_url) if settings.redis_url else MemoryBus()
    database = Database(settings.database_url, bus=bus)
    try:
        await bus.open()
        async with database.read() as db:
            await db.value(text("SELECT 1"))
    except BusDown:
        raise BadSetting("JISHI_REDIS_URL: no Redis answers there") from None
    except (SQLAlchemyError, OSError):
        raise BadSetting("JISHI_DATABASE_URL: no database answers there") from None
    finally:
        await bus.close()
        await database.close()


@asynccontextmanager
async def open_resources(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    engine: Engine | None = None,
    payments: PaymentGateway | None = None,
) -> AsyncGenerator[Resources]:
    """Opens everything in order and closes it in reverse; tests give their own twins."""
    async with AsyncExitStack() as stack:
        bus: Bus = RedisBus(settings.redis_url) if settings.redis_url else MemoryBus()
        await bus.open()
        stack.push_async_callback(bus.close)
        database = Database(settings.database_url, bus=bus, clock=clock)
        if isinstance(bus, MemoryBus):
            bus.recall = database.newest
        stack.push_async_callback(database.close)
        engine = engine or open_engine(
            settings.model, threads=settings.model_threads, log=Path("var") / "model.log"
        )
        await engine.start()
        stack.push_async_callback(engine.close)
        rates = SharedRates(settings.redis_url) if settings.redis_url else Rates()
        stack.push_async_callback(rates.close)
        answers = Answers(database, engine, bus=bus, clock=clock)
        await answers.start()
        stack.push_async_callback(answers.stop)
        client = await stack.enter_async_context(vendors.new_client())
        yield Resources(
            settings=settings,
            database=database,
            bus=bus,
            clock=clock,
            tokens=Tokens(settings.secret, clock, settings.secrets_old, settings.access_life),
            cursors=CursorSigner(settings.secret, settings.secrets_old),
            payments=payments or SimulatedPayments(),
            platforms=platforms(
                client,
                clock,
                is_dev=settings.is_dev,
                wechat=settings.wechat,
                alipay=settings.alipay,
                baidu=settings.baidu,
            ),
            attempts=RatedAttempts(rates) if settings.redis_url else MemoryAttempts(clock),
            engine=engine,
            answers=answers,
            rates=rates,
        )


class _GraphQL:
    """Hands /graphql to the endpoint that the lifespan has made.

    As the last middleware it spares plain requests the router and what stands before it.
    """

    endpoint: Endpoint | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.endpoint is not None
        await self.endpoint(scope, receive, send)

    async def metrics(self, request: Request) -> Response:
        assert self.endpoint is not None
        return await self.endpoint.gauges.show(request)

    def before(self, router: ASGIApp) -> ASGIApp:
        async def chosen(scope: Scope, receive: Receive, send: Send) -> None:
            is_ours = scope["type"] == "http" and scope["path"] == PATH
            await (self if is_ours else router)(scope, receive, send)

        return chosen


def _keep_true(cache: ResponseCache, resources: Resources) -> list[asyncio.Task[None]]:
    """Lets commits empty the cache, with Redis those of other processes too; tasks to cancel."""
    if resources.settings.redis_url is None:
        resources.database.on_commit(cache.touched)
        return []
    invalidation = Invalidation(cache, resources.bus)
    resources.database.on_commit(invalidation.touched)
    return [
        asyncio.create_task(invalidation.tell(), name="cache-tell"),
        asyncio.create_task(invalidation.follow(), name="cache-follow"),
    ]


def create_app(settings: Settings, **twins: Any) -> Starlette:
    """The ASGI application; `twins` are the keyword arguments of `open_resources`.

    Raises BadSetting for a manifest of documents that cannot be read.
    """
    schema, endpoint, files = graphql.build(), _GraphQL(), Files(settings.uploads)
    schema.deadline.limit_s = settings.operation_s
    manifest = read_manifest(settings.manifest)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, Any]]:
        async with open_resources(settings, **twins) as resources:
            cache = ResponseCache(ttl_s=settings.response_cache_s)
            persisted = Persisted(settings.documents, manifest)
            endpoint.endpoint = Endpoint(schema, resources, cache, persisted)
            stop = asyncio.Event()
            loops = background.start(
                resources.database,
                resources.payments,
                files,
                resources.tokens,
                resources.presence,
                stop,
            )
            loops.append(asyncio.create_task(asyncio.to_thread(search.warm_up), name="warm-up"))
            following = sessions.follow(resources.bus, resources.tokens)
            followers = [
                *_keep_true(cache, resources),
                asyncio.create_task(following, name="sessions-follow"),
            ]
            try:
                yield {
                    "resources": resources,
                    STOPPING: asyncio.Event(),
                    DRAIN: endpoint.endpoint.channels.idle,
                }
            finally:
                stop.set()
                for task in followers:
                    task.cancel()
                await asyncio.wait([*loops, *followers], timeout=5)
                await schema.deadline.close()

    pages = [] if settings.playground is None else playground.routes(settings.playground)
    return Starlette(
        routes=[
            Route(PATH, endpoint),
            WebSocketRoute(PATH, endpoint),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            *([Route(gauges.PATH, endpoint.metrics)] if settings.metrics else []),
            *uploads.Uploads(files).routes(),
            *pages,
        ],
        middleware=[
            Middleware(RequestLog, lines=settings.access_log),
            Middleware(Cors, origins=settings.origins),
            Middleware(BodyLimit, limit=settings.body_limit, exempt=uploads.PATH),
            Middleware(endpoint.before),
        ],
        lifespan=lifespan,
    )
