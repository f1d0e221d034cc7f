"""Who may read the schema through the endpoint, and which documents ask for it."""

from graphql import DocumentNode, FieldNode, GraphQLError

from app.context import Context
from app.errors import IntrospectionDisabled
from app.profiles import Introspection

_SCHEMA = {"__schema", "__type"}


def asks_for_schema(document: DocumentNode) -> bool:
    """Whether `__schema` or `__type` stands anywhere, in any operation or fragment.

    `__typename` tells nothing that an answer does not.
    """
    waiting = [getattr(one, "selection_set", None) for one in document.definitions]
    while waiting:
        selected = waiting.pop()
        for one in () if selected is None else selected.selections:
            if isinstance(one, FieldNode) and one.name.value in _SCHEMA:
                return True
            waiting.append(getattr(one, "selection_set", None))
    return False


def refuses(policy: Introspection, context: object) -> bool:
    """Whether this caller is kept from the schema."""
    if policy is Introspection.AUTHENTICATED:
        return not isinstance(context, Context) or context.viewer.id is None
    return policy is Introspection.CLOSED


def refusal() -> GraphQLError:
    return GraphQLError("", original_error=IntrospectionDisabled())
