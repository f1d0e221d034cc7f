"""System prompts for models that read plain language: one file per role and language.

A model of our own reads the plan line and none of this.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

from llm.plan import Language, Move, slot

_HERE = Path(__file__).parent
ROLES = ("consumer", "distributor", "supplier")
_HEADS = {
    Language.ZH: ("这次要说的内容", "必须写出", "可以写出", "无", "写法示例"),
    Language.EN: ("What to say", "must", "may", "none", "Examples"),
}


@lru_cache(maxsize=16)
def load(role: str, language: Language) -> str:
    """The rules of a role's writer; roles without a file of their own read the consumer's."""
    name = role.lower() if role.lower() in ROLES else "consumer"
    return (_HERE / f"{name}_{language.lower()}.md").read_text("utf-8").strip()


@lru_cache(maxsize=1)
def version() -> str:
    """Changes whenever any prompt does; stored with every answer."""
    whole = hashlib.sha256()
    for path in sorted(_HERE.glob("*.md")):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:12]


def task(move: Move, exemplars: tuple[str, ...]) -> str:
    """The plan of a move in words, with replies of the same kind as examples."""
    what, must, may, none, shown = _HEADS[move.language]
    subject = " / ".join(part for part in (move.intent, move.record, move.state, move.act) if part)
    lines = [
        f"{what}: {subject} ({move.mood})",
        f"{must}: {' '.join(map(slot, move.fields)) or none}",
        f"{may}: {' '.join(map(slot, move.allowed)) or none}",
        f"{shown}:",
        *(f"- {text}" for text in exemplars),
    ]
    return "\n".join(lines)
