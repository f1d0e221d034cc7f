"""The guard counts a document as if it were written out, and never writes it out."""

import time
from collections.abc import Iterator

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    get_introspection_query,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from app import graphql
from app.edge.documents import MOST_ERRORS, Documents
from app.edge.guard import LIMITS, MOST_COUNTED, Counts, counted, guarded
from app.errors import MallError
from tests.plan import corpus

SCHEMA = graphql.build()


def refusal(text: str) -> dict[str, object] | None:
    """What the guard says of a text, None for a good one."""
    error = guarded(parse(text))
    if error is None:
        return None
    assert isinstance(error.original_error, MallError)
    return error.original_error.extensions


def too_much(rule: str, limit: int, found: int) -> dict[str, object]:
    return {"code": "DOCUMENT_TOO_LARGE", "rule": rule, "limit": limit, "found": found}


def nested(levels: int) -> str:
    return "{ a " * levels + "}" * levels


def doubling(levels: int) -> str:
    """Each fragment spreads the next one twice; the last has one field."""
    made = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    return f"{{ ...F0 }} {' '.join(made)} fragment F{levels} on Query {{ a }}"


WITHIN = {
    "depth": (nested, 12),
    "fields": (lambda n: "{" + " a" * n + "}", 400),
    "aliases": (lambda n: "{" + "".join(f" a{i}: a" for i in range(n)) + "}", 30),
    "directives": (lambda n: "{ a" + " @skip(if: true)" * n + "}", 20),
    "variables": (lambda n: "query(" + "".join(f"$v{i}: Int " for i in range(n)) + ") { a }", 50),
    "operations": (lambda n: " ".join(f"query Q{i} {{ a }}" for i in range(n)), 10),
    "fragments": (
        lambda n: "{ a } " + " ".join(f"fragment F{i} on Query {{ a }}" for i in range(n)),
        50,
    ),
    "introspection_depth": (
        lambda n: '{ __type(name: "A") ' + "{ ofType " * (n - 1) + "{ name }" + "}" * (n - 1) + "}",
        19,
    ),
}


@pytest.mark.parametrize("rule", WITHIN)
def test_a_limit_may_be_reached_and_not_passed(rule: str) -> None:
    make, most = WITHIN[rule]
    assert refusal(make(most)) is None
    limit = getattr(LIMITS, rule)
    assert refusal(make(most + 1)) == too_much(rule, limit, limit + 1)


def test_the_limits_are_those_that_were_promised() -> None:
    promised = {"depth": 12, "aliases": 30, "fields": 400, "directives": 20, "fragments": 50}
    promised |= {"tokens": 2000, "variables": 50, "operations": 10}
    assert {name: getattr(LIMITS, name) for name in promised} == promised


@pytest.mark.parametrize("levels", [20, 48])
def test_doubling_fragments_are_counted_at_once_and_refused(levels: int) -> None:
    text, began = doubling(levels), time.thread_time()
    ast = parse(text)
    found = min(2**levels, MOST_COUNTED)
    assert counted(ast).fields == found
    assert refusal(text) == too_much("fields", 400, found)
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{ ...A } fragment A on Query { ...A }", "A -> A"),
        ("{ a } fragment A on Query { a { ...B } } fragment B on Q { ...A }", "A -> B -> A"),
        ("{ ...A } fragment A on Q { ...B } fragment B on Q { ... { ...A } }", "A -> B -> A"),
    ],
)
def test_circles_are_found_and_named(text: str, path: str) -> None:
    error = guarded(parse(text))
    assert error is not None
    assert isinstance(error.original_error, MallError)
    assert error.original_error.code == "CIRCULAR_FRAGMENTS"
    assert error.original_error.message("en").endswith(path)
    assert error.original_error.message("zh").endswith(path)


def test_a_fragment_counts_where_it_is_spread() -> None:
    text = """query($n: Int) { x: a { ...F } b { c { ...F } } }
        fragment F on Q @d { y: d { e @skip(if: true) } }"""
    assert counted(parse(text)) == Counts(
        fields=7, aliases=3, directives=4, depth=4, variables=1, whole_depth=4
    )


def test_a_fragment_that_nobody_spreads_counts_as_well() -> None:
    text = "{ a } fragment F on Query " + nested(13)
    assert refusal(text) == too_much("depth", 12, 13)


def test_operations_of_one_document_are_not_added_up() -> None:
    fields = " a" * 300
    assert refusal(f"query A {{{fields}}} query B {{{fields}}}") is None


def test_what_tools_ask_about_the_schema_passes() -> None:
    text = get_introspection_query(
        descriptions=True, directive_is_repeatable=True, input_value_deprecation=True
    )
    assert refusal(text) is None
    documents = Documents(graphql.build(), "sqlite")
    assert documents.look_up(text, "IntrospectionQuery").errors == []


def test_an_introspection_that_multiplies_is_refused() -> None:
    text = "{ __schema { types { " + "fields { type { " * 4 + "name" + "}}" * 4 + "}}}"
    assert refusal(text) is None
    (error,) = Documents(graphql.build(), "sqlite").look_up(text, None).errors
    assert error.extensions == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert error.message == "Maximum introspection depth exceeded"


def test_everything_that_we_show_passes() -> None:
    refused = [one.source for one in corpus.shown(SCHEMA._schema) if guarded(parse(one.text))]
    assert refused == []


@pytest.mark.parametrize(
    ("text", "rule", "found"),
    [
        ("{" + " a" * 2000 + "}", "tokens", 2001),
        ("{" + " " * 100_000 + "a }", "characters", 100_004),
        ("{" + ",\n" * 90_000 + "a }", "characters", 180_004),
    ],
)
def test_a_text_that_is_too_long_is_not_parsed_to_its_end(text: str, rule: str, found: int) -> None:
    document = Documents(graphql.build(), "sqlite").look_up(text, None)
    (error,) = document.errors
    assert isinstance(error.original_error, MallError)
    assert error.original_error.extensions == too_much(rule, getattr(LIMITS, rule), found)


def test_of_many_errors_five_are_told() -> None:
    fields = " ".join(f"nonsense{number}" for number in range(100))
    document = Documents(graphql.build(), "sqlite").look_up(f"{{ {fields} }}", None)
    assert len(document.errors) == MOST_ERRORS == 5


HEAVY = {
    "the same root 200 times": "{" + " viewer { role }" * 200 + "}",
    "the same leaf": "{ viewer {" + " role" * 399 + "} }",
    "the same with arguments": "{"
    + ' products(first: 1, sort: DEFAULT, search: "x") { totalCount }' * 130
    + "}",
    "the same tree": "{" + " products { nodes { skus { id } } }" * 100 + "}",
    "fragments of the same": "{"
    + "".join(f" ...F{n}" for n in range(50))
    + "}"
    + "".join(
        f" fragment F{n} on Query {{ products {{ nodes {{ skus {{ product {{ id }} }} }} }} }}"
        for n in range(50)
    ),
    "a long list": "{ nodes(ids: [" + '"a" ' * 1980 + "]) { id } }",
    "a long text": '{ products(search: "' + "\\n" * 49_000 + '") { totalCount } }',
    "an input of unknown fields": "{ products(filter: {"
    + "".join(f" z{n}: 1" for n in range(600))
    + "}) { totalCount } }",
    "a name of many letters": "{ " + "a" * 99_000 + " }",
    "a number of many digits": "{ products(first: " + "9" * 99_000 + ") { totalCount } }",
}


@pytest.mark.parametrize("name", HEAVY)
def test_no_text_takes_long_to_read_the_first_time(name: str) -> None:
    """495 repeated roots within the token limit once took 2.3 s to validate."""

    def seconds() -> float:
        documents, began = Documents(graphql.build(), "sqlite"), time.thread_time()
        documents.look_up(HEAVY[name], None)
        return time.thread_time() - began

    assert min(seconds() for _ in range(3)) < 0.1


def test_the_dearest_comparison_stops_with_one_error() -> None:
    (error,) = (
        Documents(graphql.build(), "sqlite").look_up(HEAVY["the same root 200 times"], None).errors
    )
    assert error.extensions == {"code": "GRAPHQL_VALIDATION_FAILED"}


_names = st.sampled_from(["a", "b", "c: a", "__typename", "__schema", "d @skip(if: true)"])
_selections = st.recursive(
    _names | st.sampled_from([f"...F{n}" for n in range(5)]),
    lambda inner: st.builds(
        lambda head, body: f"{head} {{ {' '.join(body)} }}",
        st.sampled_from(["a", "x: b", "__schema", "__type", "...", "... on Q @include(if: true)"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
_sets = st.lists(_selections, min_size=1, max_size=3).map(" ".join)


@st.composite
def documents(draw: st.DrawFn) -> DocumentNode:
    """Two operations and five fragments, each of which spreads only later ones."""
    made = [f"query A {{ {draw(_sets)} }}", f"query B($v: Int) {{ {draw(_sets)} }}"]
    for number in range(5):
        body = draw(_sets)
        for earlier in range(number + 1):
            body = body.replace(f"...F{earlier}", "b")
        kind = draw(st.sampled_from(["Query", "__Type", "Q @once"]))
        made.append(f"fragment F{number} on {kind} {{ {body} }}")
    return parse(" ".join(made))


@settings(max_examples=300, deadline=None)
@given(documents())
def test_the_numbers_are_those_of_the_document_written_out(ast: DocumentNode) -> None:
    assert counted(ast) == _written_out(ast)


def _written_out(ast: DocumentNode) -> Counts:
    """The slow way: every spread is walked every time."""
    fragments = {
        one.name.value: one for one in ast.definitions if isinstance(one, FragmentDefinitionNode)
    }
    largest = Counts()
    for one in ast.definitions:
        assert isinstance(one, OperationDefinitionNode | FragmentDefinitionNode)
        begins_below = _is_about_schema(one)
        seen = list(_walked(one, fragments, 0, 1 if begins_below else 0))
        largest |= Counts(
            fields=sum(kind == "field" for kind, _, _ in seen),
            aliases=sum(kind == "alias" for kind, _, _ in seen),
            directives=sum(kind == "directive" for kind, _, _ in seen),
            depth=max(
                (depth for kind, depth, inner in seen if kind == "field" and not inner), default=0
            ),
            introspection_depth=max(
                (inner for kind, _, inner in seen if kind == "field"), default=0
            ),
            variables=len(one.variable_definitions or ()),
            whole_depth=max((depth for kind, depth, _ in seen if kind == "field"), default=0),
        )
    return largest


def _walked(
    node: object, fragments: dict[str, FragmentDefinitionNode], depth: int, inner: int
) -> Iterator[tuple[str, int, int]]:
    """(what, depth, depth below __schema) of all that stands below; `inner` is that of a field."""
    for _ in node.directives or ():  # type: ignore[attr-defined]
        yield "directive", depth, inner
    if node.selection_set is None:  # type: ignore[attr-defined]
        return
    for one in node.selection_set.selections:  # type: ignore[attr-defined]
        if isinstance(one, FieldNode):
            is_first = not inner and one.name.value in {"__schema", "__type"}
            here = 1 if is_first else inner
            yield "field", depth + 1, here
            if one.alias:
                yield "alias", depth + 1, here
            yield from _walked(one, fragments, depth + 1, here + 1 if here else 0)
        elif isinstance(one, InlineFragmentNode):
            yield from _walked(one, fragments, depth, inner)
        elif isinstance(one, FragmentSpreadNode):
            for _ in one.directives or ():
                yield "directive", depth, inner
            fragment = fragments[one.name.value]
            below = inner or (1 if _is_about_schema(fragment) else 0)
            yield from _walked(fragment, fragments, depth, below)


def _is_about_schema(node: object) -> bool:
    return isinstance(node, FragmentDefinitionNode) and node.type_condition.name.value.startswith(
        "__"
    )
