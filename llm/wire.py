"""What the engine and its worker process say to each other: one JSON object a line."""

from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from llm.protocol import Message, Reason, Request


@dataclass(frozen=True, slots=True)
class Boot:
    """The first line to a worker: what to load and how much of the machine to use."""

    kind: ClassVar[str] = "boot"
    model: str
    threads: int = 2
    sequences: int = 16
    context_tokens: int = 2048  # of one sequence, never more than the model was trained for
    nice: int = 10
    extra_buffers: bool = True  # repacked weights: faster, but some builds crash on them


@dataclass(frozen=True, slots=True)
class Submit:
    kind: ClassVar[str] = "submit"
    request: Request


@dataclass(frozen=True, slots=True)
class Cancel:
    kind: ClassVar[str] = "cancel"
    id: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker passed its self-test."""

    kind: ClassVar[str] = "ready"
    name: str
    speaks_plan: bool
    sequences: int
    context_tokens: int
    parameters: int
    flash: bool  # flash attention with an 8-bit cache, otherwise 16-bit without


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot serve this model, and trying again would not help."""

    kind: ClassVar[str] = "broken"
    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    id: str
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Ended:
    id: str
    reason: Reason
    prompt_tokens: int
    output_tokens: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What one pass of the model brought; also sent with nothing inside while a prompt is read."""

    kind: ClassVar[str] = "step"
    said: tuple[Said, ...] = ()
    ended: tuple[Ended, ...] = ()
    shared_tokens: int = 0  # prompt tokens taken from the shared prefix since the worker started


ToWorker = Boot | Submit | Cancel
FromWorker = Ready | Broken | Step


def pack(message: ToWorker | FromWorker) -> bytes:
    return orjson.dumps([message.kind, message]) + b"\n"


def unpack_command(line: bytes) -> ToWorker:
    """Raises KeyError, TypeError or ValueError for a line no engine writes."""
    kind, body = orjson.loads(line)
    if kind == Submit.kind:
        return Submit(_request(body["request"]))
    kinds: dict[str, type[Boot | Cancel]] = {Boot.kind: Boot, Cancel.kind: Cancel}
    return kinds[kind](**body)


def unpack_event(line: bytes) -> FromWorker:
    """Raises KeyError, TypeError or ValueError for a line no worker writes."""
    kind, body = orjson.loads(line)
    if kind == Step.kind:
        said = tuple(Said(**one) for one in body.pop("said"))
        ended = tuple(Ended(**one) for one in body.pop("ended"))
        return Step(said, ended, **body)
    kinds: dict[str, type[Ready | Broken]] = {Ready.kind: Ready, Broken.kind: Broken}
    return kinds[kind](**body)


def _request(body: dict[str, Any]) -> Request:
    body["messages"] = tuple(Message(**one) for one in body["messages"])
    body["banned"], body["stop"] = tuple(body["banned"]), tuple(body["stop"])
    return Request(**body)
