"""What a language engine is: a request goes in, pieces of text come out, one finish ends them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Speaker = Literal["system", "user", "assistant"]
Reason = Literal["stop", "length", "cancelled", "deadline", "failed"]
State = Literal["starting", "ready", "unavailable"]


class EngineError(Exception):
    """The engine gives no text; the template writer must answer."""


class EngineBusy(EngineError):
    """More requests wait than can be served in time."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the engine is busy, ask again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class EngineUnavailable(EngineError):
    """No model answers here: none named, none found, or it does not run."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One speaker's words; the content is always plain text, never control tokens."""

    role: Speaker
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One reply to write.

    An engine with `speaks_plan` reads `plan` alone; any other reads `messages`.
    """

    id: str
    messages: tuple[Message, ...] = ()
    plan: str = ""
    max_tokens: int = 96
    temperature: float = 0.8
    top_p: float = 0.9
    seed: int = 0
    banned: tuple[str, ...] = ()  # placeholders this record does not have
    no_digits: bool = True
    stop: tuple[str, ...] = ()
    user: str = ""  # requests of one user wait for each other, not for those of others
    deadline_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Piece:
    """The next stretch of text, made of whole characters; `tokens` is what it cost."""

    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of every stream that was not closed by its reader.

    `failed` and `deadline` keep the pieces before them valid; `detail` is for logs.
    """

    reason: Reason
    prompt_tokens: int = 0
    output_tokens: int = 0
    first_ms: float = 0.0
    total_ms: float = 0.0
    detail: str = ""


class Engine(Protocol):
    """Writes text for requests; `start` never raises, a broken engine says so in `state`."""

    @property
    def name(self) -> str:
        """The model as shown to people."""

    @property
    def speaks_plan(self) -> bool:
        """True when the model continues a plan line (GGUF key `jishi.contract`)."""

    @property
    def state(self) -> State: ...

    @property
    def reason(self) -> str:
        """Why the engine is not ready, empty when it is."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def stream(self, request: Request) -> AsyncGenerator[Piece | Finish, None]:
        """Yields pieces in order and one Finish.

        The first step raises EngineBusy or EngineUnavailable. Closing the generator frees the
        place of the request at the next step of the model.
        """

    def metrics(self) -> Mapping[str, float]: ...


Script = Callable[[Request], str] | Sequence[str]


class ScriptedEngine:
    """The deterministic twin: says what the script says, character by character.

    A sequence is said in turn, the last text for ever; a function sees the request. `refusal` is
    raised instead of an answer, and `pause_s` passes before every piece.
    """

    def __init__(
        self,
        script: Script = ("好的。",),
        *,
        speaks_plan: bool = True,
        name: str = "scripted",
        refusal: EngineError | None = None,
        pause_s: float = 0.0,
        piece_chars: int = 4,
    ) -> None:
        self.name, self.speaks_plan = name, speaks_plan
        self.state: State = "ready"
        self.reason = ""
        self.refusal, self.pause_s = refusal, pause_s
        self.requests: list[Request] = []
        self.cancelled: list[str] = []
        self._script, self._piece_chars = script, piece_chars

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def stream(self, request: Request) -> AsyncGenerator[Piece | Finish, None]:
        if self.refusal is not None:
            raise self.refusal
        text = self._text(request)
        self.requests.append(request)
        started, step = time.monotonic(), self._piece_chars
        try:
            for at in range(0, len(text), step):
                await asyncio.sleep(self.pause_s)
                yield Piece(text[at : at + step])
        except GeneratorExit:
            self.cancelled.append(request.id)
            raise
        total_ms = (time.monotonic() - started) * 1000
        yield Finish("stop", output_tokens=-(-len(text) // step), total_ms=total_ms)

    def metrics(self) -> Mapping[str, float]:
        return {"requests": float(len(self.requests)), "cancelled": float(len(self.cancelled))}

    def _text(self, request: Request) -> str:
        if callable(self._script):
            return self._script(request)
        return self._script[min(len(self.requests), len(self._script) - 1)]
