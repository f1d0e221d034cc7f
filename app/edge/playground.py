"""/playground: the built GraphiQL, or a page that says how to build it."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PAGE_CACHE = "no-cache"
ASSET_CACHE = "public, max-age=31536000, immutable"  # their names carry a hash of the content
HEADERS = {
    "Cache-Control": PAGE_CACHE,
    # 'unsafe-inline' is for Monaco, which writes its styles at run time
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NOT_BUILT = """\
<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><title>集市 Jishi</title></head>
<body style="font-family: sans-serif; max-width: 40em; margin: 4em auto; line-height: 1.6">
<h1>调试台还没有构建</h1>
<p>需要 Node.js 20.19 以上和 npm。在仓库根目录运行：</p>
<pre>make playground</pre>
<p>然后刷新本页，不用重启服务。接口 <code>/graphql</code> 现在就可以使用。</p>
<h2 lang="en">The playground is not built yet</h2>
<p lang="en">It takes Node.js 20.19 or newer with npm. Run <code>make playground</code> in the root
of the repository, then load this page again; the server need not be restarted.
The endpoint <code>/graphql</code> works without it.</p>
</body>
</html>
"""


class _Assets(StaticFiles):
    """Files under `directory` only; it may appear while the server runs."""

    async def check_config(self) -> None:
        """A folder that is not there answers 404 like a file that is not there."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = ASSET_CACHE
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def routes(dist: Path) -> list[BaseRoute]:
    """The routes that serve what `make playground` has put into `dist`."""
    index = dist / "index.html"

    async def page(_request: Request) -> Response:
        if index.is_file():
            return FileResponse(index, headers=HEADERS)
        return HTMLResponse(NOT_BUILT, headers=HEADERS)

    return [
        Route("/", RedirectResponse("/playground")),
        Route("/playground", page),
        Route("/playground/", page),
        Mount("/playground/assets", _Assets(directory=dist / "assets", check_dir=False)),
    ]
