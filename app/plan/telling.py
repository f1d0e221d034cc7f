"""A planned subscription with its variables: what it follows, and the JSON of its events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import GraphQLError, OperationType, VariableNode
from graphql.execution.values import VariableValues
from graphql.language import Visitor, visit

from app.context import Context
from app.plan.inputs import BadVariables
from app.plan.part import Outcome, Part, completed
from app.plan.plan import Asking, Plan

_AFTER = "after"


@dataclass(frozen=True)
class Telling:
    """One subscription as many may follow it: nothing here is of one caller."""

    plan: Plan
    part: Part
    variables: VariableValues

    @property
    def is_common(self) -> bool:
        """Whether its events look to every shopper as they do to a guest."""
        return self.part.compiler.is_common

    @cached_property
    def _given(self) -> dict[str, Any]:
        (root,) = self.part.roots
        return root.given(self.variables)

    @property
    def after(self) -> str | None:
        """The cursor that its argument says to go on from."""
        after: str | None = self._given.get(_AFTER)
        return after

    def asked(self, key: str, context: Context) -> Any:
        """What the function says that the field's metadata keep as `key`; None without one.

        Raises what the function raises.
        """
        (root,) = self.part.roots
        function: Callable[..., Any] | None = root.arguments.field.metadata.get(key)
        return None if function is None else function(None, Asking(context), **self._given)

    async def body(self, context: Context, value: Any) -> bytes:
        """The response that tells of one event."""
        made = await completed(self.part, context, self.variables, [value])
        return self.plan.answered(context, made).body

    def failed(self, context: Context, error: Exception) -> bytes:
        """The response for an event that could not be told."""
        located = GraphQLError(str(error), original_error=error)
        return self.plan.answered(context, Outcome(None, [located])).body


def telling_of(plan: Plan, variables: Mapping[str, Any] | None) -> Telling | None:
    """None for what is no subscription, and for variables that are not right."""
    if plan.kind is not OperationType.SUBSCRIPTION:
        return None
    try:
        coerced = plan.variables.coerced(variables or {})
    except BadVariables:
        return None
    (part,) = plan.parts(coerced)
    return Telling(plan, part, coerced)


def resuming(plan: Plan) -> str | None:
    """The variable that says where to go on from, if it says nothing else."""
    (root,) = plan.parts(VariableValues({}, {}))[0].roots
    names = _Names()
    visit(plan.selections.operation, names)
    for one in plan.selections.fragments.values():
        visit(one, names)
    for node in root.field.nodes:
        for argument in node.arguments or ():
            if argument.name.value == _AFTER and isinstance(argument.value, VariableNode):
                name = argument.value.name.value
                uses = names.found.count(name)
                return name if uses == 2 else None  # where it is declared, and here
    return None


class _Names(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found.append(node.name.value)
