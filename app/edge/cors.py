"""What pages of other origins may read: Starlette's CORS with our list of origins."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.origins import Origins

HEADERS = (
    "apollo-require-preflight",
    "authorization",
    "graphql-require-preflight",
    "last-event-id",
    "x-guest-token",
    "x-request-id",
)
EXPOSED = ("etag", "retry-after", "x-request-id")
PREFLIGHT_S = 7200  # as long as browsers keep one at most


class Cors(CORSMiddleware):
    """A request without `Origin`, like those of mini-programs and servers, passes as it is."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        super().__init__(
            app,
            allow_methods=("GET", "POST"),
            allow_headers=HEADERS,
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_S,
        )
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for name, _ in scope.get("headers", ()):
            if name == b"origin":
                await super().__call__(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        return self._origins.allows(origin)
