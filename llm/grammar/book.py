"""The shape of one language's wordings, filled by hand in the modules beside this one."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm.plan import Act, Intent, Mood, Record

Patterns = tuple[str, ...]
StateKey = tuple[Act, Record, str]


@dataclass(frozen=True, slots=True)
class Book:
    """Patterns of one language.

    `cores` say what the move is about and hold its required placeholders. `details` say one more
    value each. `angles` answer what an intent asks at a stage of an order. `topics` and `deeds`
    are the words for an intent, `reasons` the words for the state of an order.
    """

    macros: Mapping[str, str]
    openers: Mapping[Mood, Patterns]
    closers: Mapping[Mood, Patterns]
    cores: Mapping[StateKey, Patterns]
    intent_cores: Mapping[tuple[Act, Intent], Patterns]
    details: Mapping[str, Patterns]
    angles: Mapping[tuple[Intent, str], Patterns]
    topics: Mapping[Intent, str]
    deeds: Mapping[Intent, str]
    reasons: Mapping[str, str]
    space: str
