"""Pages of lists: arguments checked, cursors signed, connections built."""

from typing import Annotated, Any

import strawberry

from app.errors import BadUserInput
from app.ids import CursorSigner
from app.services.pages import Page
from schema.common import Connection, Edge, PageInfo
from schema.fields import ENTITIES
from schema.reads import PageOf

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


def connection(page_of: PageOf, page: Page, cursors: CursorSigner) -> Connection[Any]:
    """The connection that a read asks for, with the page that it found."""
    nodes = [ENTITIES[page_of.kind].of(row) for row in page.rows]
    signed = [cursors.sign(page_of.scope, page.key_of(row)) for row in page.rows]
    return page_of.connection(
        edges=[Edge(cursor=cursor, node=node) for cursor, node in zip(signed, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page_of.after is not None,
            start_cursor=signed[0] if signed else None,
            end_cursor=signed[-1] if signed else None,
        ),
        page_of=page_of,
    )
