"""Logs: one JSON object a line, with the request it belongs to."""

import logging
import sys

import orjson
import pytest

from app.telemetry import JsonLines, request_id
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


@pytest.mark.asyncio(loop_scope="module")
async def test_every_request_is_logged_with_its_id_and_status(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "jishi.access"):
        answer = await server.client.get("/healthz", headers={"x-request-id": "abc"})
    assert answer.headers["x-request-id"] == "abc"
    (told,) = [one.fields for one in caplog.records if one.name == "jishi.access"]  # type: ignore[attr-defined]
    assert told.pop("ms") >= 0
    assert told == {"method": "GET", "path": "/healthz", "status": 200}
