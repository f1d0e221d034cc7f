"""Every Node type and every root field, for every role; "not yours" looks like "not there"."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from app import ids
from app.auth import Viewer
from resolvers.nodes import MOST
from schema.fields import ENTITIES
from tests.access.conftest import CELLS
from tests.access.facts import KINDS, World
from tests.access.matrix import ASKS, NOBODY, NODES, ROLES, ROOTS, table
from tests.plan.conftest import Fair

NODE = "query($id: ID!) { node(id: $id) { __typename id } }"
ONES = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
A_FEW = 3
SHORT = {"UNAUTHENTICATED": "401", "FORBIDDEN": "403", "NOT_FOUND": "404"}


def roots_of(schema: Any) -> set[str]:
    kinds = (schema.query_type, schema.mutation_type, schema.subscription_type)
    return {f"{kind.name}.{field}" for kind in kinds for field in kind.fields}


async def answer(fair: Fair, role: str, text: str, **variables: Any) -> bytes:
    """What a role is told, as the bytes that a plan makes of it."""
    plan = fair.executors.taken(text, fair.mall.database.dialect)
    if text.startswith("subscription"):
        stream = plan.stream(variables, fair.context(role))
        async with aclosing(stream) as outcomes:
            outcome = await anext(outcomes)
        errors = [one.formatted for one in outcome.errors or ()]
        return orjson.dumps({"data": outcome.data, "errors": errors})
    return (await plan.run(variables, fair.context(role))).body


def word(answered: bytes) -> str:
    """The cell that an answer stands for."""
    told = orjson.loads(answered)
    if told.get("errors"):
        code = told["errors"][0]["extensions"]["code"]
    else:
        (value,) = told["data"].values()
        code = value.get("code", "ok") if isinstance(value, dict) else "ok"
        code = "null" if value is None else code
    return SHORT.get(code, code)


def keys_unseen(world: World, kind: str, viewer: Viewer, cell: str) -> Sequence[int]:
    return [key for key, one in world.facts(kind).items() if not one.meets(cell, viewer)]


def test_no_node_type_and_no_root_field_is_without_a_row(fair: Fair) -> None:
    assert set(table(NODES)) == set(KINDS) == set(ENTITIES)
    assert set(table(ROOTS)) == set(ASKS) == roots_of(fair.executors.schema._schema)


@pytest.mark.parametrize("kind", sorted(table(NODES)))
async def test_a_role_sees_the_rows_that_the_matrix_gives_it(fair: Fair, kind: str) -> None:
    world, tried = await World.of(fair.mall), 0
    facts = world.facts(kind)
    assert facts, "a kind without rows shows nothing"
    for role, cell in table(NODES)[kind].items():
        viewer = fair.bazaar.viewers[role]
        for start in range(0, len(facts), MOST):
            keys = list(facts)[start : start + MOST]
            wanted = [
                {"__typename": kind, "id": ids.encode(kind, key)}
                if facts[key].meets(cell, viewer)
                else None
                for key in keys
            ]
            asked = {"ids": [ids.encode(kind, key) for key in keys]}
            told = await fair.both(ONES, role, **asked)
            assert told == {"data": {"nodes": wanted}}, role
            tried += len(keys)
    CELLS[fair.mall.database.dialect, "rows x roles"] += tried


@pytest.mark.parametrize("kind", sorted(table(NODES)))
async def test_what_is_not_yours_is_not_there_to_the_byte(fair: Fair, kind: str) -> None:
    world = await World.of(fair.mall)
    for role, cell in table(NODES)[kind].items():
        nothing = await answer(fair, role, NODE, id=ids.encode(kind, NOBODY))
        assert word(nothing) == "null"
        for key in keys_unseen(world, kind, fair.bazaar.viewers[role], cell)[:A_FEW]:
            assert await answer(fair, role, NODE, id=ids.encode(kind, key)) == nothing, role


async def test_every_root_field_answers_or_refuses_as_the_matrix_says(fair: Fair) -> None:
    """Asked for what is not there, and for what is somebody else's: in the same bytes."""
    fair.mall.clock.advance(hours=2)  # what was too often is over
    world, tried, wrong = await World.of(fair.mall), 0, []
    nodes = table(NODES)
    sku = ids.encode("Sku", next(iter(world["skus"])))
    async with fair.mall.unchanged("audit_log"):
        for root, cells in table(ROOTS).items():
            kind, text = ASKS[root]
            for role, cell in cells.items():
                asked = text.replace("$sku", sku)
                missing = asked.replace("$id", ids.encode(kind, NOBODY))
                nothing = await answer(fair, role, missing)
                if word(nothing) != cell:
                    wrong.append(f"{root} as {role}: {word(nothing)}, not {cell}")
                tried += 1
                unseen = (
                    keys_unseen(world, kind, fair.bazaar.viewers[role], nodes[kind][role])
                    if kind
                    else []
                )
                for key in unseen[:A_FEW]:
                    other = await answer(fair, role, asked.replace("$id", ids.encode(kind, key)))
                    if other != nothing:
                        wrong.append(f"{root} as {role} tells of {kind} {key}: {other!r}")
                    tried += 1
        assert not wrong, "\n".join(wrong)
    CELLS[fair.mall.database.dialect, "root fields x roles"] += tried


def test_the_roles_of_the_matrix_are_people_of_the_mall(fair: Fair) -> None:
    assert tuple(fair.bazaar.viewers) == ROLES
