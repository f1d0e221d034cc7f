"""Pages of lists: arguments checked, cursors signed, connections built."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol, TypeVar

import strawberry

from app import ids
from app.context import Context
from app.errors import BadUserInput, NotFound
from app.services.pages import Page
from schema.common import Connection, Edge, PageInfo
from schema.fields import Entity

E = TypeVar("E", bound=Entity)
C = TypeVar("C", bound=Connection[Any])
MOST = 100
First = Annotated[int, strawberry.argument(description="取几条，1-100。How many, 1 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="从此游标之后。Go on after this cursor.")
]


def checked_first(first: int) -> int:
    """Raises BadUserInput unless 1 <= first <= 100."""
    if not 1 <= first <= MOST:
        raise BadUserInput("first", f"须在 1 到 {MOST} 之间", f"must be from 1 to {MOST}")
    return first


def after_values(context: Context, scope: str, after: str | None) -> list[Any] | None:
    """The keyset values that an `after` cursor of this very list carries. Raises BadCursor."""
    return None if after is None else context.resources.cursors.read(scope, after)


def connection(
    context: Context,
    kind: type[C],
    entity: type[E],
    page: Page,
    *,
    scope: str,
    after: str | None,
    count: Callable[[], Awaitable[int]],
    **more: Any,
) -> C:
    """A connection of `entity` values; `scope` names the list that its cursors are good for."""
    sign = context.resources.cursors.sign
    nodes = [entity.of(row) for row in page.rows]
    cursors = [sign(scope, page.key_of(row)) for row in page.rows]
    return kind(
        edges=[Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=after is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=count,
        **more,
    )


class Lists(Protocol):
    """A service module whose word is listed: a page, and how many there are in all."""

    @property
    def page(self) -> Callable[..., Awaitable[Page]]: ...

    @property
    def count(self) -> Callable[..., Awaitable[int]]: ...


async def listed(
    context: Context,
    entity: type[E],
    service: Lists,
    *,
    scope: str,
    first: int,
    after: str | None,
    **narrowed: Any,
) -> Connection[E]:
    """A page of `service`'s list, narrowed by its own arguments; counted only when asked for."""
    database, viewer = context.resources.database, context.viewer
    place = after_values(context, scope, after)
    async with database.read() as db:
        page = await service.page(db, viewer, first=checked_first(first), after=place, **narrowed)

    async def count() -> int:
        async with database.read() as db:
            return await service.count(db, viewer, **narrowed)

    kind: type[Connection[E]] = Connection
    return connection(context, kind, entity, page, scope=scope, after=after, count=count)


async def one(context: Context, kind: str, global_id: str) -> Any:
    """The entity behind an id, None for one that is not there, not visible or of another kind."""
    try:
        return await context.load.one(kind, ids.key_of(kind, global_id))
    except NotFound:
        return None
