"""The writer's vocabulary: BPE in which plan pieces and placeholders are one token each."""

import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import sentencepiece

from llm.plan import PLACEHOLDERS, control_pieces, slot
from llm.training.generate import Example, examples

SIZE = 6144
BOS, EOS = 1, 2
_REPLIES = 60_000  # enough for every phrase of the grammar to show up
_PIECES = re.compile(r"<\|[^|]*\|>|\{[a-z_.]+\}")


def level_one() -> str:
    """The 3,755 common characters: rows 16-55 of GB 2312."""
    cells = (bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    return "".join(cell.decode("gb2312", "ignore") for cell in cells)


def train(path: Path, *, seed: int) -> None:
    """Trains the tokenizer on replies of the grammar and writes the sentencepiece model."""
    store = io.BytesIO()
    ascii_marks = "".join(map(chr, range(33, 127)))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_sentences(seed),
        model_writer=store,
        vocab_size=SIZE,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        add_dummy_prefix=False,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        required_chars=level_one() + ascii_marks + "，。！？：；、“”‘’「」《》（）～…—·",
        character_coverage=1.0,
        max_sentencepiece_length=6,
        control_symbols=list(control_pieces()),
        user_defined_symbols=[slot(name) for name in PLACEHOLDERS],
        minloglevel=2,
    )
    path.write_bytes(store.getvalue())


def _sentences(seed: int) -> Iterator[str]:
    return (example.reply for example in islice(examples(seed), _REPLIES))


class Tokenizer:
    """Turns examples into token ids."""

    def __init__(self, path: Path) -> None:
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def plan(self, line: str) -> list[int]:
        """Ids of a plan line, after the beginning token."""
        return [BOS, *map(self.pieces.piece_to_id, _PIECES.findall(line))]

    def reply(self, text: str) -> list[int]:
        """Ids of a reply, with the end token."""
        return [*self.pieces.encode(text), EOS]

    def example(self, example: Example) -> tuple[list[int], int]:
        """Ids of a whole example and the length of its plan, which is given and not learnt."""
        plan = self.plan(example.move.line())
        return plan + self.reply(example.reply), len(plan)
