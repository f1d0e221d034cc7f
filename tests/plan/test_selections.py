"""What is selected of an object: fragments merged, conditions decided."""

from collections.abc import Mapping

import pytest
from graphql import GraphQLObjectType, build_schema, parse

from app.plan.selections import NotTaken, Picked, Selections, conditions, selections_of

SCHEMA = build_schema(
    """
    interface Node { id: ID! }
    type Cup implements Node { id: ID! size: Int pot: Pot }
    type Pot implements Node { id: ID! cups(first: Int): [Cup!]! lid: String }
    union Thing = Cup | Pot
    type Query { pot: Pot node: Node thing: Thing }
    """
)


def selected(query: str, flags: Mapping[str, bool] | None = None) -> dict[str, Picked]:
    """What the query selects of the pot at its root."""
    found = selections_of(parse(query), None, SCHEMA)
    found = Selections(SCHEMA, found.operation, found.fragments, flags or {})
    query_type, pot = SCHEMA.type_map["Query"], SCHEMA.type_map["Pot"]
    assert isinstance(query_type, GraphQLObjectType)
    assert isinstance(pot, GraphQLObjectType)
    (root,) = found.root(query_type)
    return {one.key: one for one in found.below(pot, root)}


def test_fields_come_in_the_order_in_which_they_are_first_named() -> None:
    assert list(selected("{ pot { lid id ... on Pot { cups { id } id } lid } }")) == [
        "lid",
        "id",
        "cups",
    ]


def test_what_stands_under_one_key_is_merged() -> None:
    found = selected("{ pot { all: cups { id } } ...More } fragment More on Query { pot {"
                     " all: cups { size } lid } }")  # fmt: skip
    assert list(found) == ["all", "lid"]
    assert (found["all"].name, len(found["all"].nodes)) == ("cups", 2)


def test_below_a_merged_key_all_selections_count() -> None:
    found = selections_of(parse("{ pot { cups { id } cups { size id } } }"), None, SCHEMA)
    pot, cup = SCHEMA.type_map["Pot"], SCHEMA.type_map["Cup"]
    (root,) = found.root(SCHEMA.query_type)  # type: ignore[arg-type]
    (cups,) = found.below(pot, root)  # type: ignore[arg-type]
    assert [one.key for one in found.below(cup, cups)] == ["id", "size"]  # type: ignore[arg-type]


def test_two_aliases_of_one_list_stay_two() -> None:
    found = selected("{ pot { few: cups(first: 1) { id } many: cups(first: 9) { id } } }")
    assert [(one.key, one.name) for one in found.values()] == [("few", "cups"), ("many", "cups")]


@pytest.mark.parametrize("condition", ["Pot", "Node", "Thing"])
def test_fragments_on_the_type_and_on_what_it_belongs_to_count(condition: str) -> None:
    inside = "{ ... on Pot { id lid } }"
    assert list(selected(f"{{ pot {{ ... on {condition} {inside} }} }}")) == ["id", "lid"]
    named = f"{{ pot {{ ...F }} }} fragment F on {condition} {inside}"
    assert list(selected(named)) == ["id", "lid"]


def test_fragments_on_other_types_do_not_count() -> None:
    query = "{ pot { ... on Node { ... on Cup { size } ...F id } } } fragment F on Cup { size }"
    assert list(selected(query)) == ["id"]


def test_a_fragment_that_is_spread_twice_counts_once() -> None:
    found = selected("{ pot { ...F ...F } } fragment F on Pot { lid }")
    assert len(found["lid"].nodes) == 1


def test_a_fragment_that_was_left_out_once_still_counts() -> None:
    query = "{ pot { ...F @skip(if: true) ...F } } fragment F on Pot { lid }"
    assert list(selected(query)) == ["lid"]


@pytest.mark.parametrize(
    ("condition", "is_there"),
    [
        ("@include(if: true)", True),
        ("@include(if: false)", False),
        ("@skip(if: true)", False),
        ("@skip(if: false)", True),
        ("@include(if: $yes)", True),
        ("@include(if: $no)", False),
        ("@skip(if: $yes)", False),
        ("@skip(if: $no)", True),
        ("@include(if: $yes) @skip(if: $yes)", False),
        ("@include(if: true) @skip(if: $no)", True),
    ],
)
@pytest.mark.parametrize(
    "shape", ["lid {}", "... {} {{ lid }}", "... on Node {} {{ ... on Pot {{ lid }} }}", "...F {}"]
)
def test_conditions_are_decided_wherever_they_stand(
    shape: str, condition: str, is_there: bool
) -> None:
    fragment = " fragment F on Pot { lid }" if "...F" in shape else ""
    query = f"query($yes: Boolean!, $no: Boolean!) {{ pot {{ id {shape.format(condition)} }} }}"
    found = selected(query + fragment, {"yes": True, "no": False})
    assert ("lid" in found) is is_there


def test_the_variables_of_conditions_are_found_in_fragments_too() -> None:
    query = """query($a: Boolean!, $b: Boolean!, $n: Int) { pot @skip(if: $a) { cups(first: $n) {
      ...F } } } fragment F on Cup { pot { lid @include(if: $b) id @include(if: $a) } }"""
    assert set(conditions(selections_of(parse(query), None, SCHEMA), most=2)) == {"a", "b"}
    with pytest.raises(NotTaken) as refusal:
        conditions(selections_of(parse(query), None, SCHEMA), most=1)
    assert refusal.value.code == "conditions"


def test_a_condition_that_may_be_null_is_not_taken() -> None:
    query = "query($a: Boolean = true) { pot @skip(if: $a) { id } }"
    with pytest.raises(NotTaken) as refusal:
        conditions(selections_of(parse(query), None, SCHEMA), most=6)
    assert refusal.value.code == "conditions"


def test_another_directive_is_not_taken() -> None:
    with pytest.raises(NotTaken) as refusal:
        selected("{ pot { lid @uppercase } }")
    assert (refusal.value.code, refusal.value.text) == ("directive", "uppercase")


def test_one_of_several_operations_is_chosen_by_its_name() -> None:
    document = parse("query A { pot { id } } query B { node { id } }")
    found = selections_of(document, "B", SCHEMA).root(SCHEMA.query_type)  # type: ignore[arg-type]
    assert [one.name for one in found] == ["node"]


@pytest.mark.parametrize("name", [None, "C"])
def test_an_operation_that_is_not_told_apart_is_not_taken(name: str | None) -> None:
    with pytest.raises(NotTaken) as refusal:
        selections_of(parse("query A { pot { id } } query B { pot { id } }"), name, SCHEMA)
    assert refusal.value.code == "operation"
