"""Turns refusals into members of a mutation's result union."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from app.errors import MallError, RequestError
from schema.problems import PROBLEMS

Resolver = Callable[..., Awaitable[Any]]


def returns_problems(resolve: Resolver) -> Resolver:
    """A MallError becomes its Problem; a RequestError stays an error of the request.

    That the union of the field holds the Problem is checked by a test over the schema.
    """

    @wraps(resolve)
    async def wrapped(self: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        info.context.look_again()  # an earlier mutation of the document may have changed things
        try:
            return await resolve(self, info, *args, **kwargs)
        except RequestError:
            raise
        except MallError as error:
            return PROBLEMS[type(error)].of(error, info.context.viewer.locale)

    return wrapped
