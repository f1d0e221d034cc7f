"""Root query fields: their functions say what to read, and the generic executor reads it here."""

import asyncio
from collections.abc import Callable
from functools import wraps
from typing import Any, assert_never

import strawberry

from app import ids
from app.context import Context, Info
from app.errors import NotFound
from app.services.pages import keyset
from resolvers.pages import connection
from schema.fields import ENTITIES, USUAL, Price, Value
from schema.reads import ById, ByIds, FirstOf, PageOf, Read, Rows

ROOT = "jishi.root"
"""Where the metadata of a root's strawberry field keeps its function, for the compiled plan."""


def root(
    description: str, answer: Any, *, price: Price = USUAL
) -> Callable[[Callable[..., Read | Value]], Any]:
    """A root query field of GraphQL type `answer` whose function does no input or output.

    The function gets self, info and the arguments by name. It looks at `info.context` only: at the
    viewer and at what signs cursors. A MallError that it raises is the error of the field. A value
    is answered as it is, its declared edges are read like any other.
    """

    def make(function: Callable[..., Read | Value]) -> Any:
        @wraps(function)
        async def resolve(self: Any, info: Info, **arguments: Any) -> Any:
            found = function(self, info, **arguments)
            return found if isinstance(found, Value) else await carry_out(found, info.context)

        return strawberry.field(
            resolver=resolve,
            description=description,
            graphql_type=answer,
            metadata={ROOT: function, **price.metadata()},
        )

    return make


def place_of(global_id: str) -> tuple[str, int] | None:
    """(kind, key) of an entity; None for an id that is none of ours or names nothing to read."""
    try:
        kind, key = ids.decode(global_id)
    except NotFound:
        return None
    return (kind, key) if kind in ENTITIES else None


def by_id(kind: str, global_id: str) -> ById:
    """The entity of that kind; an id of anything else is one that is not there."""
    place = place_of(global_id)
    return ById(kind, place[1] if place is not None and place[0] == kind else None)


async def carry_out(read: Read, context: Context) -> Any:
    """The value of a read, through the loaders of the context or with a look of its own."""
    match read:
        case ById(kind, key):
            return None if key is None else await context.load.one(kind, key)
        case ByIds(places):
            ones = (carry_out(ById(*(place or ("", None))), context) for place in places)
            return await asyncio.gather(*ones)
        case Rows(kind, listing, limit, narrowed):
            statement = listing(context.viewer, **narrowed).top(limit)
            async with context.resources.database.read() as db:
                rows = await db.all(statement)
            return [ENTITIES[kind].of(row) for row in rows]
        case FirstOf(kind, listing, narrowed):
            statement = listing(context.viewer, **narrowed).top(1)
            async with context.resources.database.read() as db:
                row = await db.first(statement)
            return None if row is None else ENTITIES[kind].of(row)
        case PageOf():
            return await _page(read, context)
    assert_never(read)


async def _page(page_of: PageOf, context: Context) -> Any:
    cursors, after = context.resources.cursors, page_of.after
    place = None if after is None else cursors.read(page_of.scope, after)
    async with context.resources.database.read() as db:
        settled = await page_of.settled(db)
        page = await keyset(db, settled.listed(context.viewer), page_of.first, place)
    return connection(settled, page, cursors)
