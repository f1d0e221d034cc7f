"""The contract: printed, described, and with a Problem for every refusal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
)

from app import errors, graphql
from app.errors import MallError, RequestError
from schema.common import ProblemCode
from schema.problems import PROBLEMS

SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"
SCHEMA: Any = graphql.build()._schema
OURS = {name: one for name, one in SCHEMA.type_map.items() if not name.startswith("__")}
BUILT_IN = {"String", "Int", "Float", "Boolean", "ID"}
REFUSALS = [
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, MallError) and "code" in vars(one)
]
NOT_MONEY = {"retryAfterS", "cardMs", "firstTextMs", "totalMs"}


def fields() -> Iterator[tuple[str, str, Any]]:
    """(type, field, definition) of every field and input field."""
    for name, one in OURS.items():
        if isinstance(one, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field, definition in one.fields.items():
                yield name, field, definition


def test_the_committed_contract_is_current() -> None:
    assert SDL.read_text(encoding="utf-8") == graphql.printed(graphql.build()), "run make schema"


def test_everything_has_a_description() -> None:
    silent = [name for name, one in OURS.items() if name not in BUILT_IN and not one.description]
    for name, field, definition in fields():
        if not definition.description:
            silent.append(f"{name}.{field}")
        for argument, given in getattr(definition, "args", {}).items():
            if not given.description:
                silent.append(f"{name}.{field}({argument})")
    assert silent == []


def test_descriptions_are_chinese_first_and_then_english() -> None:
    wrong = []
    for name, field, definition in fields():
        text = definition.description
        if not any("\u4e00" <= sign <= "\u9fff" for sign in text) or not any(
            "a" <= sign <= "z" for sign in text
        ):
            wrong.append(f"{name}.{field}: {text}")
    assert wrong == []


@pytest.mark.parametrize("name", sorted(SCHEMA.mutation_type.fields))
def test_a_mutation_takes_one_input_and_answers_with_a_union_that_can_refuse(name: str) -> None:
    field = SCHEMA.mutation_type.fields[name]
    assert list(field.args) == ["input"]
    answer = get_named_type(field.type)
    assert isinstance(answer, GraphQLUnionType)
    refusing = [one.name for one in answer.types if OURS["Problem"] in one.interfaces]
    assert len(refusing) >= 1
    assert len(refusing) < len(answer.types)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.__name__)
def test_a_refusal_has_a_problem_and_a_code_unless_it_refuses_the_request(
    refusal: type[MallError],
) -> None:
    is_data = not issubclass(refusal, RequestError)
    assert (refusal in PROBLEMS) is is_data
    assert (refusal.code in set(ProblemCode)) is is_data


def test_codes_are_unique_and_all_codes_are_used() -> None:
    codes = [one.code for one in REFUSALS]
    assert len(codes) == len(set(codes))
    assert set(ProblemCode) <= set(codes)


def test_every_problem_can_be_the_answer_of_a_mutation() -> None:
    unions = [one for one in OURS.values() if isinstance(one, GraphQLUnionType)]
    used = {member.name for union in unions for member in union.types}
    problems = {one.__name__ for one in PROBLEMS.values()}
    assert problems - used == set()


def test_money_is_never_a_float() -> None:
    floats = {field for _, field, one in fields() if get_named_type(one.type).name == "Float"}
    assert floats == NOT_MONEY


def test_every_argument_of_a_list_is_bounded() -> None:
    """A connection has `first`; a plain list of the roots says its bound in its description."""
    for name, field in SCHEMA.query_type.fields.items():
        if get_named_type(field.type).name.endswith("Connection"):
            assert {"first", "after"} <= set(field.args), name


def test_every_subscription_with_a_history_can_be_resumed() -> None:
    streams = SCHEMA.subscription_type.fields
    resumed = {name for name, field in streams.items() if "after" in field.args}
    assert set(streams) - resumed == {"chat"}


def test_states_are_enums() -> None:
    texts = [
        f"{name}.{field}"
        for name, field, one in fields()
        if field in {"status", "role"} and not isinstance(get_named_type(one.type), GraphQLEnumType)
    ]
    assert texts == []
