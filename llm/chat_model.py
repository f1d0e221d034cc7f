"""Any engine as a LangChain chat model, so that either side can be replaced."""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.language_models.chat_models import agenerate_from_stream
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, SkipValidation
from typing_extensions import override

from llm.protocol import Engine, EngineUnavailable, Finish, Message, Piece, Request, Speaker

SPEAKERS: Mapping[type[BaseMessage], Speaker] = {
    SystemMessage: "system",
    HumanMessage: "user",
    AIMessage: "assistant",
}
LETTERS_A_TOKEN = 4  # ASCII; a Chinese character is about one token


class ChatModel(BaseChatModel):
    """Streams replies of an engine that was started by its owner.

    Fields of `Request` may be bound or given with each call: `model.bind(plan=..., banned=...)`.
    A request that brings no text raises EngineBusy or EngineUnavailable, so `with_fallbacks`
    can hand over to another writer; a reply cut short keeps its text and says so in
    `response_metadata["finish_reason"]`.
    """

    engine: SkipValidation[Engine]
    max_tokens: int = 96
    temperature: float = 0.8
    top_p: float = 0.9
    seed: int = 0
    no_digits: bool = True
    timeout: float = 30.0
    stop: list[str] = Field(default_factory=list)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @property
    @override
    def _llm_type(self) -> str:
        return "jishi-engine"

    @property
    @override
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.engine.name, "speaks_plan": self.engine.speaks_plan}

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(
            ls_provider="jishi",
            ls_model_name=str(kwargs.get("model", self.engine.name)),
            ls_model_type="chat",
            ls_temperature=float(kwargs.get("temperature", self.temperature)),
            ls_max_tokens=int(kwargs.get("max_tokens", self.max_tokens)),
            ls_stop=stop or self.stop,
        )

    @override
    def get_num_tokens(self, text: str) -> int:
        """Estimates: the vocabulary lives in the worker process."""
        letters = sum(char.isascii() for char in text)
        return len(text) - letters + math.ceil(letters / LETTERS_A_TOKEN)

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("the engine lives in an event loop: use ainvoke or astream")

    @override
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs)
        has_text = False
        async with aclosing(self.engine.stream(request)) as events:
            async for event in events:
                chunk = self._chunk(event, has_text=has_text)
                has_text = True
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk

    def _request(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]
    ) -> Request:
        """Raises TypeError for a message or an argument that no engine understands."""
        request = Request(
            id=uuid4().hex,
            messages=tuple(_message(message) for message in messages),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            no_digits=self.no_digits,
            stop=tuple(stop or self.stop),
            deadline_s=self.timeout,
        )
        return replace(request, **given)

    def _chunk(self, event: Piece | Finish, *, has_text: bool) -> ChatGenerationChunk:
        if isinstance(event, Piece):
            return ChatGenerationChunk(message=AIMessageChunk(content=event.text))
        if event.reason in {"failed", "deadline"} and not has_text:
            raise EngineUnavailable(f"{event.reason}: {event.detail}")
        usage = UsageMetadata(
            input_tokens=event.prompt_tokens,
            output_tokens=event.output_tokens,
            total_tokens=event.prompt_tokens + event.output_tokens,
        )
        told = {"finish_reason": event.reason, "model_name": self.engine.name}
        message = AIMessageChunk(
            content="", usage_metadata=usage, response_metadata=told, chunk_position="last"
        )
        return ChatGenerationChunk(message=message, generation_info={"finish_reason": event.reason})


def _message(message: BaseMessage) -> Message:
    for kind, speaker in SPEAKERS.items():
        if isinstance(message, kind):
            return Message(speaker, str(message.text))
    raise TypeError(f"an engine does not understand a message of type {message.type}")
