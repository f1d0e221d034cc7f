"""/healthz: the process lives. /readyz: what it needs answers."""

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.context import Resources


async def healthz(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """503 while the database or the bus does not answer; the chat works without its model."""
    resources: Resources = request.state.resources
    database, bus = await _database(resources), await resources.bus.is_healthy()
    body = {
        "status": "ok" if database and bus else "unavailable",
        "database": database,
        "bus": bus,
        "model": getattr(resources.engine, "state", "ready"),
    }
    return JSONResponse(body, 200 if database and bus else 503)


async def _database(resources: Resources) -> bool:
    try:
        async with resources.database.read() as db:
            return bool(await db.value(text("SELECT 1")))
    except (SQLAlchemyError, OSError):
        return False
