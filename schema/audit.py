"""The audit log as admins see it."""

from datetime import datetime

import strawberry

from app import ids
from app.auth import Role
from app.rules.audit import Action, Outcome
from app.services import audit
from schema.fields import Entity, column, computed, entity, key, one
from schema.refs import AccountRef

strawberry.enum(Action, name="AuditAction", description="审计动作。What was done with a right.")
strawberry.enum(Outcome, name="AuditOutcome", description="结果。How it ended.")


def _role(known: str | None) -> Role | None:
    return None if known is None else Role(known)


def _global_id(kind: str | None, target: int | None) -> strawberry.ID | None:
    return None if kind is None or target is None else strawberry.ID(ids.encode(kind, target))


@entity(
    "审计记录，仅管理员可见。A line of the audit log; admins only.", visible_to=audit.visible_to
)
class AuditEntry(Entity):
    id: strawberry.ID = key()
    created_at: datetime = column("时间。When.")
    action: Action = computed("action", by=Action, description="做了什么。What was done.")
    outcome: Outcome = computed("outcome", by=Outcome, description="结果。How it ended.")
    account: AccountRef | None = one(
        "account_id", "Account", "谁，未知或系统为空。Who; null for nobody known or the system."
    )
    role: Role | None = computed(
        "role", by=_role, description="以何角色，系统为空。In which role; null for the system."
    )
    target_id: strawberry.ID | None = computed(
        "target_kind", "target_id", by=_global_id, description="对象的全局 ID。What it was done to."
    )
    detail: str = column("补充说明，不含密钥。More about it; never a secret.")
    request_id: str = column("请求编号，与日志一致。The request, as the log names it.")
