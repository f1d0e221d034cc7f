"""The schema as clients use it, without a socket: real context, real services, own database."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from app import graphql, ids
from app.auth import Role, Tokens, Viewer
from app.context import Context, Resources
from app.gateways.platforms import DEV, DevPlatform, Platforms
from app.graphql import MallSchema
from app.ids import CursorSigner
from app.settings import Settings
from app.workers.answers import Answers
from llm.protocol import ScriptedEngine
from resolvers.loaders import Loaders
from tests.factories import Mall

SETTINGS = Settings(is_dev=True, model="none")


@dataclass
class Api:
    """Asks the schema as somebody; ids are global ones."""

    mall: Mall
    schema: MallSchema
    resources: Resources
    engine: ScriptedEngine = field(default_factory=ScriptedEngine)

    def context(self, viewer: Viewer) -> Context:
        loaders = Loaders(self.resources.database, viewer)
        return Context(viewer=viewer, resources=self.resources, load=loaders)

    async def answer(self, query: str, viewer: Viewer = Viewer(), **variables: Any) -> Any:  # noqa: B008
        """Data and errors of an operation."""
        return await self.schema.execute(
            query, variable_values=variables, context_value=self.context(viewer)
        )

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

    @asynccontextmanager
    async def stream(
        self,
        query: str,
        viewer: Viewer = Viewer(),  # noqa: B008
        **variables: Any,
    ) -> AsyncGenerator["Stream"]:
        """A running subscription; it is closed at the end of the block."""
        results = await self.schema.stream(
            query, variable_values=variables, context_value=self.context(viewer)
        )
        try:
            yield Stream(results)
        finally:
            await results.aclose()  # type: ignore[union-attr]


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


@pytest.fixture(scope="session")
def schema() -> MallSchema:
    return graphql.build()


@pytest.fixture
async def api(mall: Mall, schema: MallSchema) -> AsyncGenerator[Api]:
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
        engine=engine,
        answers=answers,
    )
    yield Api(mall, schema, resources, engine)
    await answers.stop()


def gid(kind: str, key: int) -> str:
    return ids.encode(kind, key)


BAD_IDS = ["", "nonsense", "%%%", gid("Account", 1), gid("Sku", 10**17), "U2t1Oi0x", "U2t1OjFf"]
SUPPLIER_ONLY = (Role.CONSUMER, Role.DISTRIBUTOR, Role.AGENT)


def mutation(name: str, shown: str, *, given: str = "") -> str:
    """The text of a mutation with its one `$input`, of type `given` or named after it."""
    kind = given or f"{name[0].upper()}{name[1:]}Input"
    return f"mutation($input: {kind}!) {{ {name}(input: $input) {{ {shown} }} }}"
