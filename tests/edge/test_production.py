"""The production profile as the outside sees it."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from app.main import create_app
from app.settings import Settings

LOGIN = """mutation { loginWithCode(input: {platform: DEV, code: "admin-1"}) {
    ... on Problem { code } } }"""


@pytest.fixture
async def client(migrated: Path, tmp_path: Path) -> AsyncGenerator[AsyncClient]:
    shutil.copy(migrated, tmp_path / "mall.db")
    env = {
        "JISHI_PROFILE": "production",
        "JISHI_SECRET": "k3VqZ0w9TfYxR7mB2nLhQ5sUeJ8dGcAoIpWv4yXt",
        "JISHI_ORIGINS": "https://shop.example",
        "JISHI_DATABASE_URL": f"sqlite:///{tmp_path / 'mall.db'}",
        "JISHI_UPLOADS": str(tmp_path / "uploads"),
        "JISHI_MODEL": "none",
    }
    app = create_app(Settings.from_env(env))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="https://shop.example") as one,
    ):
        yield one


async def asked(client: AsyncClient, query: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post("/graphql", json={"query": query})).json()
    return answer


async def test_nobody_signs_in_with_a_code_for_developers(client: AsyncClient) -> None:
    answer = await asked(client, LOGIN)
    assert answer["data"] == {"loginWithCode": {"code": "PLATFORM_UNAVAILABLE"}}


async def test_neither_schema_nor_names_are_told(client: AsyncClient) -> None:
    (closed,) = (await asked(client, "{ __schema { types { name } } }"))["errors"]
    assert closed["extensions"]["code"] == "INTROSPECTION_DISABLED"
    (unknown,) = (await asked(client, "{ viewr { role } }"))["errors"]
    assert unknown["message"] == "Cannot query field 'viewr' on type 'Query'."


@pytest.mark.parametrize("path", ["/", "/playground", "/playground/", "/playground/assets/a.js"])
async def test_there_is_no_playground(client: AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_the_shop_itself_works(client: AsyncClient) -> None:
    answer = await asked(client, "{ viewer { role } products { totalCount } }")
    assert answer == {"data": {"viewer": {"role": "GUEST"}, "products": {"totalCount": 0}}}
