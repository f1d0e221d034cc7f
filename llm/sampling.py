"""How the next token is drawn and how tokens become text; pure, knows no model."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm.protocol import Request

Logits = NDArray[np.float32]
Mask = NDArray[np.bool_]

TRIES = 256  # draws that would tear a character or complete a digit before the reply ends
TAIL_BYTE, LEAD_BYTE = 0x80, 0xC0  # UTF-8: bytes between them only continue a character


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a model can say, as arrays over its tokens ([n_vocab])."""

    pieces: tuple[bytes, ...]
    is_end: Mask  # ends a reply
    is_silent: Mask  # control, unknown and unused tokens and control characters: never said
    is_whole: Mask  # whole characters only
    is_tail: Mask  # starts in the middle of a character
    has_digit: Mask
    has_brace: Mask  # a brace outside a placeholder
    placeholders: dict[str, int]

    @classmethod
    def of(
        cls,
        pieces: Sequence[bytes],
        *,
        ends: Mask,
        silent: Mask,
        placeholders: dict[str, int],
    ) -> "Vocabulary":
        texts = [piece.decode("utf-8", "ignore") for piece in pieces]
        brace = np.array([b"{" in piece or b"}" in piece for piece in pieces])
        brace[list(placeholders.values())] = False
        silent = silent | np.array([any(_is_control(char) for char in text) for text in texts])
        return cls(
            pieces=tuple(pieces),
            is_end=ends,
            is_silent=silent & ~ends,
            is_whole=np.array(
                [text.encode() == piece for text, piece in zip(texts, pieces, strict=True)]
            ),
            is_tail=np.array([TAIL_BYTE <= (piece or b"\0")[0] < LEAD_BYTE for piece in pieces]),
            has_digit=np.array([has_digit(text) for text in texts]),
            has_brace=brace,
            placeholders=placeholders,
        )

    def forbidden(self, request: Request, *, speaks_plan: bool) -> Mask:
        """Which tokens this request may never get.

        A model with placeholders in its vocabulary says them as one token or not at all, so
        loose braces are forbidden too and no banned placeholder can be spelt out.
        """
        mask = self.is_silent.copy()
        if request.no_digits:
            mask |= self.has_digit
        if speaks_plan:
            mask |= self.has_brace
        mask[[self.placeholders[text] for text in request.banned if text in self.placeholders]] = 1
        return mask


def has_digit(text: str) -> bool:
    return any(char.isdigit() for char in text)


def _is_control(char: str) -> bool:
    return (char < " " and char not in "\n\t") or char == "\x7f"


class Sampler:
    """Draws the tokens of one reply; the same seed and logits give the same reply."""

    def __init__(self, request: Request, vocabulary: Vocabulary, *, speaks_plan: bool) -> None:
        self._vocabulary = vocabulary
        self._allowed = np.flatnonzero(~vocabulary.forbidden(request, speaks_plan=speaks_plan))
        self._temperature, self._top_p = request.temperature, request.top_p
        self._no_digits = request.no_digits
        self._random = np.random.default_rng(request.seed & 0xFFFF_FFFF_FFFF_FFFF)

    def draw(self, logits: Logits, pending: bytes) -> int:
        """Returns a token for `logits` [n_vocab]; `pending` are bytes of an unfinished character.

        Characters put together from several tokens are looked at as they grow: none is torn, and
        none becomes a digit. Returns -1 when nothing may follow.
        """
        vocabulary = self._vocabulary
        chances = self._chances(logits[self._allowed])
        unfit = vocabulary.is_whole if pending else vocabulary.is_tail
        chances[unfit[self._allowed]] = 0.0
        for _ in range(TRIES):
            total = float(chances.sum())
            if not total > 0.0:
                return -1
            at = self._pick(chances, total)
            token = int(self._allowed[at])
            if vocabulary.is_whole[token] or self._fits(token, pending):
                return token
            chances[at] = 0.0
        return -1

    def _fits(self, token: int, pending: bytes) -> bool:
        """Tells whether a token with half a character makes good text after `pending`."""
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        try:
            text = decoder.decode(pending + self._vocabulary.pieces[token])
        except UnicodeDecodeError:
            return False
        return not (self._no_digits and has_digit(text))

    def _chances(self, logits: Logits) -> NDArray[np.float64]:
        """Unnormalised probabilities; greedy keeps the order and one draw takes the best."""
        scale = max(self._temperature, 1e-6)
        scaled = (logits.astype(np.float64) - float(logits.max())) / scale
        chances: NDArray[np.float64] = np.exp(np.maximum(scaled, -700.0))
        return chances

    def _pick(self, chances: NDArray[np.float64], total: float) -> int:
        if self._temperature <= 0.0:
            return int(chances.argmax())
        # tokens below this floor weigh less than 1 - top_p together: no need to sort them
        floor = max(total * (1.0 - self._top_p) / len(chances), 1e-300)
        few = np.flatnonzero(chances >= floor)
        few = few[np.argsort(-chances[few], kind="stable")]
        heap = np.cumsum(chances[few])
        cut = int(np.searchsorted(heap, self._top_p * total)) + 1
        heap = heap[:cut]
        at = int(np.searchsorted(heap, self._random.random() * heap[-1], side="right"))
        return int(few[min(at, len(heap) - 1)])


class Tail:
    """Turns token bytes into whole characters and holds back what may become a stop string."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self._has_begun = False
        self.is_stopped = False

    @property
    def pending(self) -> bytes:
        """Bytes of a character that is not complete yet."""
        return self._decoder.getstate()[0]

    def add(self, piece: bytes) -> str:
        """Returns the text that is certain now; sets `is_stopped` at a stop string."""
        return self._release(self._decoder.decode(piece))

    def end(self) -> str:
        """Returns what was held back; a torn character is dropped."""
        if self.is_stopped:
            return ""
        text = self._release(self._decoder.decode(b"", final=True))
        held, self._held = self._held, ""
        return text if self.is_stopped else text + held

    def _release(self, new: str) -> str:
        text = self._held + new
        if not self._has_begun:  # a reply never starts with blanks
            text = text.lstrip()
            self._has_begun = bool(text)
        ends = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if ends:
            self.is_stopped, self._held = True, ""
            return text[: min(ends)]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """The longest end of `text` that is a beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
