"""Compiled operations: read breadth-first, one statement per level, emitted without an executor.

`compile(document, operation_name, schema, dialect)` gives a Plan, or the Reason why the generic
executor keeps the operation. See docs/decisions/0013-compiled-plans.md.
"""

from app.plan.part import Outcome
from app.plan.plan import Answer, Plan, Pointers, Reason, compile  # noqa: A004  the word for it

__all__ = ["Answer", "Outcome", "Plan", "Pointers", "Reason", "compile"]
