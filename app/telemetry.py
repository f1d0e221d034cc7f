"""Logs as one JSON object a line, each with the id of the request it belongs to."""

import itertools
import logging
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

AccessLog = Literal["all", "errors", "off"]
SLOW_S = 1.0
request_id: ContextVar[str] = ContextVar("request_id", default="")
_log = logging.getLogger("jishi.access")
_PROCESS, _numbers = secrets.token_hex(5), itertools.count(1)  # ids tell requests apart, no more


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
    """Gives every request an id (or keeps the caller's), answers with it, logs a line.

    A line costs as much as a small answer (70 us), so by default only refusals, failures and
    answers that began late get one. A websocket counts as answered when it is accepted.
    """

    def __init__(self, app: ASGIApp, lines: AccessLog = "errors") -> None:
        self._app, self._lines = app, lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        own = scope["request_id"] = _id_of(scope)
        began, answered, status = time.perf_counter(), 0.0, 0
        token = request_id.set(own)

        async def answer(message: Message) -> None:
            nonlocal answered, status
            if not status:
                answered, status = time.perf_counter(), _status(message)
                if message["type"] == "http.response.start":
                    headers = message.get("headers", ())
                    message["headers"] = [*headers, (b"x-request-id", own.encode())]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            is_fine = 0 < status < 400 and answered - began < SLOW_S
            if self._lines == "all" or (self._lines == "errors" and not is_fine):
                ms = round((time.perf_counter() - began) * 1000, 1)
                method = scope.get("method", "WS")
                fields = {"method": method, "path": scope["path"], "status": status, "ms": ms}
                _log.info("request", extra={"fields": fields})
            request_id.reset(token)


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            if given.isascii() and given.isalnum() and len(given) <= 64:
                return str(given)
            break
    return f"{_PROCESS}{next(_numbers) & 0xFFFFFF:06x}"


def _status(message: Message) -> int:
    """What the first message of an answer says; a websocket's says it as HTTP would."""
    if message["type"] in {"http.response.start", "websocket.http.response.start"}:
        return int(message["status"])
    return 101 if message["type"] == "websocket.accept" else 403
