"""A conversation becomes the tokens a model was trained on; a shopper's text stays plain text.

Contents are replaced by sentinels while the chat template is rendered. Afterwards only the text
that the template itself wrote is tokenised with control tokens allowed.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm.protocol import Message

# used by models that bring no template of their own
PLAIN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SENTINEL = re.compile("\ue0f0(\\d+)\ue0f1")

Tokenize = Callable[[str, bool], Sequence[int]]
"""(text, whether control tokens are read in it) -> tokens."""


class TemplateBroken(Exception):
    """The model's chat template cannot be used."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a prompt: `is_markup` was written by the template, the rest by people."""

    text: str
    is_markup: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tokens of a prompt; the first `shared` of them are the same for every such conversation."""

    tokens: tuple[int, ...]
    shared: int = 0


class ChatTemplate:
    """One model's chat template; raises TemplateBroken when it is not valid jinja2."""

    def __init__(self, source: str, *, begin: str = "", end: str = "") -> None:
        rooms = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            extensions=[loopcontrols],
        )
        rooms.filters["tojson"] = _tojson
        rooms.globals["raise_exception"] = _raise
        rooms.globals["strftime_now"] = _strftime_now
        try:
            self._template = rooms.from_string(source or PLAIN_TEMPLATE)
        except TemplateError as error:
            raise TemplateBroken(f"chat template: {error}") from error
        self._begin, self._end = begin, end

    def stretches(self, messages: Sequence[Message]) -> list[Stretch]:
        """Renders the conversation with the opening of the assistant's turn at its end."""
        try:
            return self._render(messages)
        except TemplateError:
            folded = _fold_system(messages)
            if folded == list(messages):
                raise
            return self._render(folded)

    def prompt(self, messages: Sequence[Message], tokenize: Tokenize) -> Prompt:
        """Tokenises the conversation; raises TemplateBroken when the template refuses it.

        `shared` counts the tokens up to the end of a leading system message.
        """
        try:
            stretches = self.stretches(messages)
        except (TemplateError, TypeError, ValueError) as error:
            raise TemplateBroken(f"chat template: {error}") from error
        tokens: list[int] = []
        shared = 0
        leads = bool(messages) and messages[0].role == "system"
        for stretch in stretches:
            tokens += tokenize(stretch.text, stretch.is_markup)
            if leads and not stretch.is_markup and not shared:
                shared = len(tokens) if stretch.text == messages[0].content else 0
                leads = False
        return Prompt(tuple(tokens), shared)

    def _render(self, messages: Sequence[Message]) -> list[Stretch]:
        contents = [message.content for message in messages]
        masked = [
            {"role": message.role, "content": f"\ue0f0{at}\ue0f1"}
            for at, message in enumerate(messages)
        ]
        text = self._template.render(
            messages=masked,
            add_generation_prompt=True,
            enable_thinking=False,
            bos_token=self._begin,
            eos_token=self._end,
        )
        return list(_split(text, contents))


def _split(text: str, contents: Sequence[str]) -> list[Stretch]:
    parts = _SENTINEL.split(text)
    stretches = [
        Stretch(contents[int(part)], is_markup=False) if at % 2 else Stretch(part, is_markup=True)
        for at, part in enumerate(parts)
    ]
    return [stretch for stretch in stretches if stretch.text]


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """Some templates refuse a system role: its words then open the first message after it."""
    if len(messages) < 2 or messages[0].role != "system":
        return list(messages)
    rules, first, *rest = messages
    return [Message(first.role, f"{rules.content}\n\n{first.content}"), *rest]


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _strftime_now(pattern: str) -> str:
    return datetime.now(UTC).strftime(pattern)
