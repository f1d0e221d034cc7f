"""Root fields that find anything by its global id, each under its own access rule."""

from typing import Annotated

import strawberry

from app.context import Info
from app.errors import BadUserInput
from resolvers.reads import place_of, root
from schema.fields import Node
from schema.reads import ById, ByIds

MOST = 100


@strawberry.type
class NodeQuery:
    @root("按全局 ID 取对象；无权与不存在相同。One object by its id, or null.", Node | None)
    def node(
        self,
        info: Info,  # noqa: ARG002
        id: Annotated[strawberry.ID, strawberry.argument(description="全局 ID。The global id.")],
    ) -> ById:
        return ById(*(place_of(id) or ("Node", None)))

    @root("按全局 ID 取多个对象，至多 100 个。Many objects by their ids.", list[Node | None])
    def nodes(
        self,
        info: Info,  # noqa: ARG002
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="全局 ID。The global ids.")
        ],
    ) -> ByIds:
        if len(ids) > MOST:
            raise BadUserInput("ids", f"至多 {MOST} 个", f"at most {MOST}")
        return ByIds(tuple(place_of(one) for one in ids))
