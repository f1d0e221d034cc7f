"""Logs as one JSON object a line, each with the id of the request it belongs to."""

import logging
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

request_id: ContextVar[str] = ContextVar("request_id", default="")
_log = logging.getLogger("jishi.access")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.get():
            line["request_id"] = current
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def start_logging(level: str) -> None:
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("httpx").setLevel(logging.WARNING)


class RequestLog:
    """Gives every request an id (or keeps the caller's), answers with it, logs one line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        own = given if given.isascii() and given.isalnum() and len(given) <= 64 else ""
        scope["request_id"] = own or secrets.token_hex(8)
        token, began, status = request_id.set(scope["request_id"]), time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", scope["request_id"].encode()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            fields = {
                "method": scope.get("method", "WS"),
                "path": scope["path"],
                "status": status,
                "ms": round((time.perf_counter() - began) * 1000, 1),
            }
            _log.info("request", extra={"fields": fields})
            request_id.reset(token)
