"""The comparison sees what it is there to see: every planted difference makes it fail."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Select, false

from app.auth import Viewer
from app.db import Reader
from app.plan import compiler
from app.plan.loads import Asker, KeyLoad
from app.plan.reading import Reading
from schema.products import Product
from tests.plan.conftest import Fair
from tests.plan.executors import Dearer, Different, Executors, Slower, compare

TILES = "{ products(first: 3) { nodes { id title supplier { name } } } }"
PRODUCT = 'query { product(id: "UHJvZHVjdDox") { title } }'
ERROR = {"message": "请先登录", "path": ["orders"], "extensions": {"code": "UNAUTHENTICATED"}}


@pytest.fixture
def fresh(fair: Fair) -> Fair:
    """Plans that nothing has been read with yet."""
    fair.api.executors = Executors(fair.executors.schema)
    return fair


async def test_what_is_alike_passes(fresh: Fair) -> None:
    answer = await fresh.both(TILES)
    assert len(answer["data"]["products"]["nodes"]) == 3


async def test_a_scalar_that_only_the_plan_makes_is_seen(
    fresh: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "ids_of", lambda _kind: "no id of ours {}".format)
    with pytest.raises(Different):
        await fresh.both(TILES)


async def test_an_access_rule_that_only_one_follows_is_seen(
    fresh: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan has made its statement by then; the loaders make a new one every time."""
    await fresh.both(PRODUCT)
    monkeypatch.setattr(Product, "visible_to", staticmethod(_nothing(Product.visible_to)))
    with pytest.raises(Different):
        await fresh.both(PRODUCT)


async def test_an_error_that_only_one_tells_is_seen(
    fresh: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> Any:
        raise RuntimeError("only the plan reads by this")

    monkeypatch.setattr(KeyLoad, "read", fails)
    with pytest.raises(Different):
        await fresh.both(PRODUCT)


async def test_a_statement_more_is_seen(fresh: Fair, monkeypatch: pytest.MonkeyPatch) -> None:
    read = KeyLoad.read

    async def twice(self: KeyLoad, db: Reader, asker: Asker, keys: list[int]) -> Any:
        await read(self, db, asker, keys)
        return await read(self, db, asker, keys)

    monkeypatch.setattr(KeyLoad, "read", twice)
    with pytest.raises(Dearer):
        await fresh.both(PRODUCT)


async def test_a_detour_without_an_error_is_seen(
    fresh: Fair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The careful way answers the same, several times slower: nothing else would tell."""

    def fails(*_: Any) -> Any:
        raise RuntimeError("only the quick way emits")

    monkeypatch.setattr(Reading, "emit", fails)
    with pytest.raises(Slower):
        await fresh.both(TILES)


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"a": 1, "b": 2.0}},
        {"data": {"b": 2, "a": 1}},
        {"data": {"a": 1, "b": "2"}},
        {"data": {"a": 1}},
        {"data": {"a": 1, "b": 2, "c": None}},
        {"data": {"a": True, "b": 2}},
        {"data": None},
        {"data": {"a": 1, "b": 2}, "errors": [ERROR]},
    ],
    ids=str,
)
def test_other_data_is_seen(other: dict[str, Any]) -> None:
    with pytest.raises(Different):
        compare("{ a b }", {}, {"data": {"a": 1, "b": 2}}, other)


@pytest.mark.parametrize(
    "other",
    [
        {"message": "另外的话"},
        {"path": ["orders", 0]},
        {"path": None},
        {"extensions": {"code": "FORBIDDEN"}},
        {"extensions": {"code": "UNAUTHENTICATED", "error_id": "1"}},
        {"locations": [{"line": 1, "column": 2}]},
    ],
    ids=str,
)
def test_another_error_is_seen(other: dict[str, Any]) -> None:
    with pytest.raises(Different):
        compare(
            "{ orders }", {}, {"data": None, "errors": [ERROR]},
            {"data": None, "errors": [ERROR | other]},
        )  # fmt: skip


def test_only_the_order_of_errors_and_their_ids_may_differ() -> None:
    first, second = ({**ERROR, "extensions": {"code": "INTERNAL", "error_id": x}} for x in "ab")
    other = ERROR | {"path": ["cart"]}
    compare("", {}, {"data": 1, "errors": [first, other]}, {"data": 1, "errors": [other, second]})


def _nothing(visible_to: Callable[[Viewer], Select[Any]]) -> Callable[[Viewer], Select[Any]]:
    return lambda viewer: visible_to(viewer).where(false())
