"""One question to a platform over HTTPS: bounded in time and size, and never in a log."""

import logging
from collections.abc import Mapping

import httpx

from app.errors import PlatformUnavailable

LONGEST_BYTES = 64 * 1024
_WAITS = httpx.Timeout(connect=1.5, read=3.0, write=3.0, pool=1.0)
_NOT_ASKED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_log = logging.getLogger(__name__)


def new_client() -> httpx.AsyncClient:
    """The connections of one process to all platforms; whoever opens it closes it."""
    for name in ("httpx", "httpcore"):  # they log addresses, and WeChat's holds our secret
        logging.getLogger(name).setLevel(logging.WARNING)
    # unpacked, a short answer could be a very long one
    plain = {"accept-encoding": "identity"}
    return httpx.AsyncClient(timeout=_WAITS, follow_redirects=False, headers=plain)


class Vendor:
    """Asks one platform; its troubles are PlatformUnavailable, told in the log by kind alone."""

    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self.name, self._client = name, client

    async def get(self, url: str, query: Mapping[str, str]) -> bytes:
        return await self._asked(self._client.build_request("GET", url, params=dict(query)))

    async def post(self, url: str, form: Mapping[str, str]) -> bytes:
        return await self._asked(self._client.build_request("POST", url, data=dict(form)))

    def trouble(self, what: str) -> PlatformUnavailable:
        """The refusal to raise; `what` goes to the log and must hold nothing secret."""
        _log.error("sign-in by %s: %s", self.name, what)
        return PlatformUnavailable(self.name)

    async def _asked(self, request: httpx.Request) -> bytes:
        """The body of an answer. Asked again only where the first question never left.

        A code counts once: after a question whose answer was lost it may be used up.
        """
        try:
            try:
                return await self._once(request)
            except _NOT_ASKED:
                return await self._once(request)
        except httpx.HTTPError as error:
            raise self.trouble(type(error).__name__) from None

    async def _once(self, request: httpx.Request) -> bytes:
        answer = await self._client.send(request, stream=True)
        try:
            if answer.status_code >= 500 or answer.is_redirect:
                raise self.trouble(f"answers {answer.status_code}")
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > LONGEST_BYTES:
                    raise self.trouble("the answer is too long")
            return body
        finally:
            await answer.aclose()
