"""Every GraphQL operation that this repository shows, sends or tests, read from where it stands."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

HERE = Path(__file__).parents[2]
EXAMPLES = "clients/playground/src/examples"
TESTED = ("tests/resolvers", "tests/flows", "tests/app")
WRITTEN = ("bench", "tests/load")
_FENCED = re.compile(r"```graphql\n(.*?)```", re.DOTALL)
_QUOTED = re.compile(r"`([^`]*)`", re.DOTALL)
_BEGINNING = re.compile(r"\s*(#.*\s+)*(\{|query|mutation|subscription|fragment)")


@dataclass(frozen=True)
class Shown:
    """A document with one operation; `source` is the file that shows it."""

    source: str
    text: str
    kind: OperationType
    is_introspection: bool

    @property
    def shelf(self) -> str:
        """Which part of the repository it belongs to."""
        return "README and docs" if self.source.endswith(".md") else self.source.split("/")[0]


@cache
def shown(schema: GraphQLSchema) -> tuple[Shown, ...]:
    """All valid operations, each text once, documents and clients before tests."""
    found: dict[str, Shown] = {}
    for source, text in (*_documents(), *_clients(), *_programs(), *_tests()):
        if text in found or not _BEGINNING.match(text):
            continue
        document = _valid(text, schema)
        if document is None:
            continue
        (operation,) = _operations(document)
        is_introspection = "__schema" in text or "__type(" in text
        found[text] = Shown(source, text, operation.operation, is_introspection)
    return tuple(found.values())


def _documents() -> Iterator[tuple[str, str]]:
    for file in sorted([*HERE.glob("*.md"), *HERE.glob("docs/**/*.md")]):
        for text in _FENCED.findall(file.read_text(encoding="utf-8")):
            yield _name(file), text


def _clients() -> Iterator[tuple[str, str]]:
    for file in sorted(HERE.glob(f"{EXAMPLES}/*.graphql")):
        yield _name(file), file.read_text(encoding="utf-8")
    for file in sorted(HERE.glob("clients/*/src/**/*.ts*")):
        for text in _QUOTED.findall(file.read_text(encoding="utf-8")):
            yield _name(file), text


def _programs() -> Iterator[tuple[str, str]]:
    """What stands in programs that are not to be imported."""
    for folder in WRITTEN:
        for file in sorted((HERE / folder).glob("*.py")):
            for text in _written(file):
                yield _name(file), text


def _tests() -> Iterator[tuple[str, str]]:
    """The texts of test modules, also those that are put together from parts."""
    for folder in TESTED:
        for file in sorted((HERE / folder).glob("test_*.py")):
            module = importlib.import_module(_name(file).removesuffix(".py").replace("/", "."))
            made = [one for one in vars(module).values() if isinstance(one, str)]
            for text in (*made, *_written(file)):
                yield _name(file), text


def _written(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _valid(text: str, schema: GraphQLSchema) -> DocumentNode | None:
    """The document of one operation, if the text is one that a server would execute."""
    try:
        document = parse(text)
    except GraphQLError:
        return None
    is_one = len(list(_operations(document))) == 1
    return document if is_one and not validate(schema, document) else None


def _operations(document: DocumentNode) -> Iterator[OperationDefinitionNode]:
    return (one for one in document.definitions if isinstance(one, OperationDefinitionNode))


def _name(file: Path) -> str:
    return file.relative_to(HERE).as_posix()
