"""Documents by their text: parsed, guarded, validated, priced and planned once."""

import logging
import sys
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import OverlappingFieldsCanBeMergedRule, ValidationContext
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType
from strawberry.utils.operation import get_operation_type

from app import plan
from app.edge.costs import Cost, priced
from app.edge.guard import LIMITS, guarded, too_large
from app.edge.introspection import asks_for_schema, refusal, refuses
from app.graphql import MallSchema
from app.plan import Plan, Reason
from app.profiles import Introspection

ENTRIES = 1000
BYTES = 128 * 1024 * 1024  # of texts, their syntax trees and their plans
TOKEN_BYTES = 560  # of syntax tree per token, measured: 4 KB of text can take 1.1 MB
ERROR_BYTES = 1000
SHARE_OF_INVALID = 8  # an eighth, so that a flood of nonsense leaves the good ones alone
MOST_ERRORS = 5  # of one document that are told
COMPARISONS = 10_000  # 30 ms of looking for fields that clash; what we send needs 600 at most
INVALID = Reason("invalid", "the document has errors")
INTROSPECTION = Reason("introspection", "the document asks for the schema")
_log = logging.getLogger("jishi.documents")
_Key = tuple[str, str | None]


@dataclass(slots=True)
class Document:
    """What is known of a text under one operation name.

    `ast` is None when the text cannot be read, `operation` when it has none of that name, `plan`
    until it is first asked for; `asks_for_schema` is what an introspection policy looks at.
    `errors` are shared by all who send the text: see `told`.
    """

    ast: DocumentNode | None
    errors: list[GraphQLError]
    operation: OperationType | None
    weight: int
    plan: Plan | Reason | None = None
    asks_for_schema: bool = False
    cost: Cost = field(default_factory=Cost)

    def told(self) -> list[GraphQLError]:
        """The errors for one caller, in whose language they will be."""
        return [
            GraphQLError(
                one.message,
                one.nodes,
                one.source,
                one.positions,
                original_error=one.original_error,
                extensions=dict(one.extensions or {}),
            )
            for one in self.errors
        ]


class Documents:
    """The documents used last. Strawberry takes its syntax trees and validation from here too.

    The key is the text itself: Python hashes it once in less time than a digest takes, and equal
    texts are told apart from others for certain.
    """

    def __init__(
        self,
        schema: MallSchema,
        dialect: str,
        *,
        entries: int = ENTRIES,
        most_bytes: int = BYTES,
        introspection: Introspection = Introspection.OPEN,
    ) -> None:
        self._schema, self._dialect, self._introspection = schema, dialect, introspection
        self._valid = _Kept(entries, most_bytes)
        self._invalid = _Kept(entries // SHARE_OF_INVALID, most_bytes // SHARE_OF_INVALID)
        self._counts: Counter[str] = Counter()
        schema.prepare = self.prepare
        schema.planned = self.plan
        schema.hides_suggestions = introspection is not Introspection.OPEN

    def __len__(self) -> int:
        return len(self._valid) + len(self._invalid)

    @property
    def bytes(self) -> int:
        return self._valid.bytes + self._invalid.bytes

    def counts(self) -> dict[str, int]:
        """How many requests a plan has taken, and how many not, by the code of the reason."""
        return dict(self._counts)

    def known(self, text: str, operation_name: str | None) -> Document | None:
        """A document that was read before."""
        key = text, operation_name
        return self._valid.get(key) or self._invalid.get(key)

    def look_up(self, text: str, operation_name: str | None) -> Document:
        known = self.known(text, operation_name)
        if known is None:
            known = self._read(text, operation_name)
            is_valid = known.operation is not None and not known.errors
            kept = self._valid if is_valid else self._invalid
            kept.keep((text, operation_name), known)
        return known

    def plan(self, text: str, operation_name: str | None) -> Plan | None:
        """The plan of a document; None, counted by its reason, for what is left to Strawberry."""
        return self.planned(self.look_up(text, operation_name), operation_name)

    def planned(self, document: Document, operation_name: str | None) -> Plan | None:
        """`plan` of a document that was looked up."""
        if document.plan is None:
            document.plan = self._planned(document, operation_name)
            if isinstance(document.plan, Plan):
                self._valid.grow(document, document.plan.weight)
        if isinstance(document.plan, Reason):
            self._counts[document.plan.code] += 1
            return None
        self._counts["taken"] += 1
        return document.plan

    def prepare(self, execution: ExecutionContext) -> None:
        """Spares Strawberry what is known; a text that cannot be read does not come so far."""
        if not execution.query:
            return
        document = self.look_up(execution.query, execution.operation_name)
        execution.graphql_document = document.ast
        errors = document.told()
        if document.asks_for_schema and refuses(self._introspection, execution.context):
            errors = [refusal()]
        execution.validation_rules = ()
        execution.pre_execution_errors = errors or None

    def _read(self, text: str, operation_name: str | None) -> Document:
        size = sys.getsizeof(text)
        ast, error = _parsed(text)
        if ast is None or (error := guarded(ast)) is not None:
            assert error is not None
            return Document(None, [error], None, size + ERROR_BYTES)
        graph: GraphQLSchema = self._schema._schema  # noqa: SLF001
        errors = [  # a value that cannot be read is what is wrong, and no bug of ours
            GraphQLError(one.message, one.nodes, extensions={"code": "GRAPHQL_VALIDATION_FAILED"})
            for one in validate(graph, ast, _RULES, max_errors=MOST_ERRORS)[:MOST_ERRORS]
        ]
        try:
            operation = get_operation_type(ast, operation_name)
        except RuntimeError:
            operation = None
        if operation_name is None and _operations_in(ast) > 1:
            errors, operation = [*errors, _nameless()], None
        size += ast.token_count * TOKEN_BYTES + len(errors) * ERROR_BYTES
        document = Document(ast, errors, operation, size, asks_for_schema=asks_for_schema(ast))
        if operation is not None and not errors:
            document.cost = priced(graph, ast, operation_name)
        return document

    def _planned(self, document: Document, operation_name: str | None) -> Plan | Reason:
        if document.ast is None or document.errors or document.operation is None:
            return INVALID
        if document.asks_for_schema:
            return INTROSPECTION
        made = plan.compile(document.ast, operation_name, self._schema, self._dialect)
        if isinstance(made, Reason):
            _log.debug("no plan: %s, %s", made.code, made.text)
        return made


def _operations_in(ast: DocumentNode) -> int:
    return sum(isinstance(one, OperationDefinitionNode) for one in ast.definitions)


def _nameless() -> GraphQLError:
    """GraphQL runs no operation of several that is not named."""
    message = "operationName must say which operation of the document to run"
    return GraphQLError(message, extensions={"code": "OPERATION_NAME_REQUIRED"})


class _Kept:
    """Documents in the order of their last use, as many as two bounds allow."""

    def __init__(self, entries: int, most_bytes: int) -> None:
        self.bytes = 0
        self._entries, self._most_bytes = entries, most_bytes
        self._kept: OrderedDict[_Key, Document] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: _Key) -> Document | None:
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
        return known

    def grow(self, document: Document, more: int) -> None:
        """Counts what a document that is kept here has become."""
        document.weight += more
        self.bytes += more
        self._shrink()

    def keep(self, key: _Key, document: Document) -> None:
        self._kept[key] = document
        self.bytes += document.weight
        self._shrink()

    def _shrink(self) -> None:
        while len(self._kept) > self._entries or self.bytes > self._most_bytes:
            self.bytes -= self._kept.popitem(last=False)[1].weight


class _FewComparisons(OverlappingFieldsCanBeMergedRule):
    """The one rule whose work grows with the square of a document, stopped in time."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = COMPARISONS


_RULES = (
    *(
        _FewComparisons if one is OverlappingFieldsCanBeMergedRule else one
        for one in specified_rules
    ),
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)


def _parsed(text: str) -> tuple[DocumentNode | None, GraphQLError | None]:
    """The syntax tree, or the error without the traceback that would keep the parser alive."""
    if len(text) > LIMITS.characters:
        return None, too_large("characters", LIMITS.characters, len(text))
    try:
        return parse(text, max_tokens=LIMITS.tokens), None
    except GraphQLError as error:
        if error.message.startswith("Syntax Error: Document contains more than"):
            return None, too_large("tokens", LIMITS.tokens, LIMITS.tokens + 1)
        error.__context__ = None
        error.extensions = {"code": "GRAPHQL_PARSE_FAILED"}
        return None, error.with_traceback(None)
