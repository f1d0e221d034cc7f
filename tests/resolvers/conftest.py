"""The schema as clients use it, without a socket: real context, real services, own database.

Every test runs with both executors. What the plan answers to a query is compared with the generic
executor's answer besides, and never costs more statements.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import OperationType

from app import ids
from app.attempts import MemoryAttempts
from app.auth import Role, Tokens, Viewer
from app.context import Context, Resources
from app.gateways.platforms import DEV, DevPlatform, Platforms
from app.graphql import MallSchema
from app.ids import CursorSigner
from app.rates import Rates
from app.settings import Settings
from app.tables.sessions import AuditRow
from app.workers.answers import Answers
from llm.protocol import ScriptedEngine
from resolvers.loaders import Loaders
from tests.factories import Mall
from tests.plan.executors import Executors, Json, Result, is_introspection, kind_of, the_executors

SETTINGS = Settings(is_dev=True, model="none")


EXECUTORS = ("generic", "planned")


@dataclass
class Api:
    """Asks the schema as somebody; ids are global ones."""

    mall: Mall
    executors: Executors
    resources: Resources
    engine: ScriptedEngine
    executor: str

    @property
    def schema(self) -> MallSchema:
        return self.executors.schema

    def context(self, viewer: Viewer) -> Context:
        loaders = Loaders(self.resources.database, viewer)
        return Context(viewer=viewer, resources=self.resources, load=loaders)

    async def answer(self, query: str, viewer: Viewer = Viewer(), **variables: Any) -> Any:  # noqa: B008
        """Data and errors of an operation; the generic executor answers what no plan is made of."""
        document = self.executors.document(query)
        if self.executor == "generic" or document is None or is_introspection(document):
            return await self.schema.execute(
                query, variable_values=variables, context_value=self.context(viewer)
            )
        if kind_of(document) is OperationType.QUERY:
            await self.executors.compare(query, lambda: self.context(viewer), variables)
        return Result.of(await self.executors.planned(query, self.context(viewer), variables))

    async def ask(self, query: str, viewer: Viewer = Viewer(), **variables: Any) -> Any:  # noqa: B008
        """The value of the one root field of an operation without errors."""
        answer = await self.answer(query, viewer, **variables)
        assert answer.errors is None, answer.errors
        (value,) = answer.data.values()
        return value

    async def code(self, query: str, viewer: Viewer = Viewer(), **variables: Any) -> str:  # noqa: B008
        """The code of the one error of an operation that changes nothing."""
        async with self.mall.unchanged():
            answer = await self.answer(query, viewer, **variables)
        (error,) = answer.errors
        code: str = error.extensions["code"]
        return code

    async def problem(self, query: str, viewer: Viewer = Viewer(), **variables: Any) -> Any:  # noqa: B008
        """The `Problem` that a mutation answers, having changed nothing."""
        async with self.mall.unchanged():
            value = await self.ask(query, viewer, **variables)
        assert "code" in value, value
        return value

    async def noted(self, query: str, viewer: Viewer = Viewer(), **variables: Any) -> Any:  # noqa: B008
        """The `Problem` of a refusal that left one line in the audit log and nothing else."""
        before = await self.mall.rows(AuditRow)
        async with self.mall.unchanged("audit_log"):
            value = await self.ask(query, viewer, **variables)
        assert "code" in value, value
        (line,) = (await self.mall.rows(AuditRow))[len(before) :]
        assert line.outcome == "REFUSED"
        return value

    @asynccontextmanager
    async def stream(
        self,
        query: str,
        viewer: Viewer = Viewer(),  # noqa: B008
        **variables: Any,
    ) -> AsyncGenerator["Stream"]:
        """A running subscription; it is closed at the end of the block."""
        made = getattr(self.executors, f"{self.executor}_events")
        results = _told(made(query, self.context(viewer), variables))
        try:
            yield Stream(results)
        finally:
            await results.aclose()


@dataclass
class Stream:
    results: Any

    async def next(self) -> Any:
        """The value of the next event."""
        result = await anext(self.results)
        assert result.errors is None, result.errors
        (value,) = result.data.values()
        return value

    async def code(self) -> str:
        """The code of the error that comes next."""
        result = await anext(self.results)
        (error,) = result.errors
        code: str = error.extensions["code"]
        return code

    async def rest(self) -> list[Any]:
        """What comes until the stream ends."""
        values = []
        async for result in self.results:
            assert result.errors is None, result.errors
            values.extend(result.data.values())
        return values


async def _told(answers: AsyncGenerator[Json]) -> AsyncGenerator[Result]:
    async with aclosing(answers):
        async for one in answers:
            yield Result.of(one)


@pytest.fixture(scope="session")
def executors() -> Executors:
    return the_executors()


@pytest.fixture(scope="session")
def schema(executors: Executors) -> MallSchema:
    return executors.schema


@pytest.fixture(params=EXECUTORS)
async def api(
    request: pytest.FixtureRequest, mall: Mall, executors: Executors
) -> AsyncGenerator[Api]:
    async with asked(mall, executors, executor=request.param) as one:
        yield one


@asynccontextmanager
async def asked(mall: Mall, executors: Executors, *, executor: str) -> AsyncGenerator[Api]:
    """The schema over a mall, with an engine that says what it is told to."""
    engine = ScriptedEngine()
    answers = Answers(mall.database, engine, bus=mall.bus, clock=mall.clock)
    resources = Resources(
        settings=SETTINGS,
        database=mall.database,
        bus=mall.bus,
        clock=mall.clock,
        tokens=Tokens(SETTINGS.secret, mall.clock),
        cursors=CursorSigner(SETTINGS.secret),
        payments=mall.payments,
        platforms=Platforms({DEV: DevPlatform()}),
        attempts=MemoryAttempts(mall.clock),
        engine=engine,
        answers=answers,
        rates=Rates(),
    )
    yield Api(mall, executors, resources, engine, executor)
    await answers.stop()


def gid(kind: str, key: int) -> str:
    return ids.encode(kind, key)


BAD_IDS = ["", "nonsense", "%%%", gid("Account", 1), gid("Sku", 10**17), "U2t1Oi0x", "U2t1OjFf"]
SUPPLIER_ONLY = (Role.CONSUMER, Role.DISTRIBUTOR, Role.AGENT)


def mutation(name: str, shown: str, *, given: str = "") -> str:
    """The text of a mutation with its one `$input`, of type `given` or named after it."""
    kind = given or f"{name[0].upper()}{name[1:]}Input"
    return f"mutation($input: {kind}!) {{ {name}(input: $input) {{ {shown} }} }}"
