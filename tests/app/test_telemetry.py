"""Logs: one JSON object a line, with the request it belongs to."""

import io
import logging
import sys
from typing import Any

import orjson
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app import telemetry
from app.telemetry import AccessLog, JsonLines, RequestLog, request_id
from tests.serving import Server


def line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonLines().format(record)
    assert "\n" not in text
    parsed: dict[str, object] = orjson.loads(text)
    return parsed


def record(message: str = "hello", **more: object) -> logging.LogRecord:
    made = logging.LogRecord("jishi.test", logging.INFO, "file", 1, message, None, None)
    made.__dict__.update(more)
    return made


def test_a_line_is_one_json_object() -> None:
    told = line(record("第一行\n第二行"))
    assert told.pop("at")
    assert told == {"level": "INFO", "logger": "jishi.test", "message": "第一行\n第二行"}


def test_a_line_carries_its_fields_and_its_request() -> None:
    token = request_id.set("r-1")
    try:
        told = line(record(fields={"status": 200}))
    finally:
        request_id.reset(token)
    assert (told["status"], told["request_id"]) == (200, "r-1")


def test_an_error_carries_its_traceback_in_the_same_line() -> None:
    try:
        int("broken")
    except ValueError:
        told = line(record(exc_info=sys.exc_info()))
    assert "ValueError: invalid literal" in str(told["traceback"])


def answering(*messages: dict[str, Any]) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def access_lines(
    app: ASGIApp, caplog: pytest.LogCaptureFixture, lines: AccessLog, kind: str = "http"
) -> list[dict[str, Any]]:
    """What is logged of one request to `app`, without its duration."""

    async def nowhere(_message: Any) -> None:
        return None

    scope = {"type": kind, "method": "GET", "path": "/x", "headers": []}
    if kind == "websocket":
        del scope["method"]
    with caplog.at_level(logging.INFO, "jishi.access"):
        await RequestLog(app, lines)(scope, nowhere, nowhere)  # type: ignore[arg-type]
    told = [one.fields for one in caplog.records if one.name == "jishi.access"]  # type: ignore[attr-defined]
    assert all(fields.pop("ms") >= 0 for fields in told)
    return told


START = "http.response.start"


@pytest.mark.parametrize(
    ("lines", "status", "is_told"),
    [
        ("all", 200, True),
        ("all", 500, True),
        ("errors", 200, False),
        ("errors", 304, False),
        ("errors", 400, True),
        ("errors", 503, True),
        ("off", 503, False),
    ],
)
async def test_the_setting_says_which_requests_get_a_line(
    caplog: pytest.LogCaptureFixture, lines: AccessLog, status: int, is_told: bool
) -> None:
    app = answering({"type": START, "status": status, "headers": []})
    told = await access_lines(app, caplog, lines)
    assert told == [{"method": "GET", "path": "/x", "status": status}] * is_told


async def test_an_answer_that_begins_late_gets_a_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "SLOW_S", 0.0)
    app = answering({"type": START, "status": 200, "headers": []})
    assert len(await access_lines(app, caplog, "errors")) == 1


async def test_a_request_without_an_answer_gets_a_line(caplog: pytest.LogCaptureFixture) -> None:
    assert await access_lines(answering(), caplog, "errors") == [
        {"method": "GET", "path": "/x", "status": 0}
    ]


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"type": "websocket.close", "code": 1008}, 403),
        ({"type": "websocket.http.response.start", "status": 404}, 404),
    ],
)
async def test_a_refused_websocket_gets_a_line(
    caplog: pytest.LogCaptureFixture, message: dict[str, Any], status: int
) -> None:
    told = await access_lines(answering(message), caplog, "errors", "websocket")
    assert told == [{"method": "WS", "path": "/x", "status": status}]


async def test_an_accepted_websocket_is_fine(caplog: pytest.LogCaptureFixture) -> None:
    app = answering({"type": "websocket.accept"}, {"type": "websocket.close", "code": 1000})
    assert await access_lines(app, caplog, "errors", "websocket") == []
    (told,) = await access_lines(app, caplog, "all", "websocket")
    assert told["status"] == 101


@pytest.mark.asyncio(loop_scope="module")
async def test_a_line_has_the_id_that_the_caller_is_told(server: Server) -> None:
    output = logging.StreamHandler(stream := io.StringIO())
    output.setFormatter(JsonLines())
    access = logging.getLogger("jishi.access")
    access.addHandler(output)
    access.setLevel(logging.INFO)
    try:
        answer = await server.client.put("/graphql", headers={"x-request-id": "abc"})
    finally:
        access.removeHandler(output)
        access.setLevel(logging.NOTSET)
    told = orjson.loads(stream.getvalue())
    assert (told["request_id"], told["status"]) == ("abc", 405)
    assert answer.headers["x-request-id"] == "abc"
