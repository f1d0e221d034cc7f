"""Root fields that find anything by its global id, each under its own access rule."""

import asyncio
from typing import Annotated

import strawberry

from app import ids
from app.context import Context, Info
from app.errors import BadUserInput, NotFound
from schema.fields import Node

MOST = 100


@strawberry.type
class NodeQuery:
    @strawberry.field(
        description="按全局 ID 取对象；无权与不存在相同。One object by its id, or null."
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="全局 ID。The global id.")],
    ) -> Node | None:
        return await _load(info.context, id)

    @strawberry.field(description="按全局 ID 取多个对象，至多 100 个。Many objects by their ids.")
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="全局 ID。The global ids.")
        ],
    ) -> list[Node | None]:
        if len(ids) > MOST:
            raise BadUserInput("ids", f"至多 {MOST} 个", f"at most {MOST}")
        return await asyncio.gather(*(_load(info.context, one) for one in ids))


async def _load(context: Context, global_id: str) -> Node | None:
    try:
        found: Node | None = await context.load.one(*ids.decode(global_id))
    except NotFound:
        return None
    return found
