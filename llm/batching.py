"""Continuous batching: which tokens go into the next step of the model, and what comes out."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm.protocol import Reason, Request
from llm.sampling import Logits, Sampler, Tail, Vocabulary
from llm.templates import Prompt, TemplateBroken
from llm.wire import Ended, Said, Step

SHARE_FROM_TOKENS = 32  # a shorter prefix is read faster than copied


@dataclass(frozen=True, slots=True)
class Row:
    """One token of a batch."""

    sequence: int
    position: int
    token: int
    is_last: bool  # the model's opinion about the next token is wanted


class Decoder(Protocol):
    """What batching needs from a loaded model with one context."""

    sequences: int  # places for replies; one more, the last, keeps the shared prefix
    context_tokens: int
    prompt_budget: int
    speaks_plan: bool
    vocabulary: Vocabulary

    def prompt(self, request: Request) -> Prompt: ...

    def decode(self, rows: Sequence[Row]) -> Logits:
        """Runs rows sorted by sequence; returns [rows with is_last, n_vocab]."""

    def forget(self, sequence: int) -> None: ...

    def copy(self, source: int, target: int) -> None: ...


@dataclass(slots=True, eq=False)
class Run:
    """One reply in the making."""

    request: Request
    prompt: Prompt
    sampler: Sampler
    limit: int  # output tokens that still fit the context
    sequence: int = -1
    cached: int = 0  # tokens the model has read, prompt and reply
    said: list[int] = field(default_factory=list)
    unsent: int = 0  # drawn tokens whose text is held back
    tail: Tail = field(init=False)

    def __post_init__(self) -> None:
        self.tail = Tail(self.request.stop)

    @property
    def is_reading(self) -> bool:
        return self.cached < len(self.prompt.tokens)

    def ended(self, reason: Reason, detail: str = "") -> Ended:
        return Ended(self.request.id, reason, len(self.prompt.tokens), len(self.said), detail)


class Batching:
    """All replies of one worker, advanced together by `step`."""

    def __init__(self, model: Decoder) -> None:
        self._model = model
        self._waiting: deque[Run] = deque()
        self._runs: list[Run] = []  # in the order they were admitted
        self._said: list[Said] = []
        self._ended: list[Ended] = []
        self._prefix: tuple[int, ...] = ()
        self._shared_tokens = 0

    @property
    def is_idle(self) -> bool:
        return not (self._runs or self._waiting or self._ended)

    def submit(self, request: Request) -> None:
        """Takes a request; one that cannot be served ends in the next step as failed."""
        try:
            prompt = self._model.prompt(request)
        except TemplateBroken as error:
            self._ended.append(Ended(request.id, "failed", 0, 0, str(error)))
            return
        room = self._model.context_tokens - len(prompt.tokens)
        if room < 1 or not prompt.tokens:
            detail = f"{len(prompt.tokens)} prompt tokens, room for {self._model.context_tokens}"
            self._ended.append(Ended(request.id, "failed", len(prompt.tokens), 0, detail))
            return
        vocabulary, speaks_plan = self._model.vocabulary, self._model.speaks_plan
        sampler = Sampler(request, vocabulary, speaks_plan=speaks_plan)
        limit = min(request.max_tokens, room)
        self._waiting.append(Run(request, prompt, sampler, limit))

    def cancel(self, id: str) -> None:
        """Ends a reply before the next step; an unknown id has ended already."""
        for run in [*self._runs, *self._waiting]:
            if run.request.id == id:
                self._end(run, "cancelled")

    def step(self) -> Step:
        """Moves every running reply by one token and reads prompts within the budget."""
        self._admit()
        rows = self._rows()
        if rows:
            self._draw(rows, self._model.decode(rows))
        self._close_gaps()
        step = Step(tuple(self._said), tuple(self._ended), self._shared_tokens)
        self._said, self._ended = [], []
        return step

    def _admit(self) -> None:
        """Gives waiting replies the lowest free sequences.

        The model splits a batch where sequence numbers have a gap, and a gap costs a whole pass.
        """
        taken = {run.sequence for run in self._runs}
        free = (number for number in range(self._model.sequences) if number not in taken)
        for number in free:
            if not self._waiting:
                return
            run = self._waiting.popleft()
            run.sequence = number
            self._model.forget(number)
            self._runs.append(run)
            self._share(run)

    def _share(self, run: Run) -> None:
        """Takes the prefix from the store when it is the same."""
        prefix = run.prompt.tokens[: run.prompt.shared]
        if len(prefix) >= SHARE_FROM_TOKENS and prefix == self._prefix:
            self._model.copy(self._model.sequences, run.sequence)
            run.cached = len(prefix)
            self._shared_tokens += len(prefix)

    def _rows(self) -> list[Row]:
        """One token of every speaking run, then prompt chunks, oldest run first."""
        budget = self._model.prompt_budget
        rows: list[Row] = []
        for run in self._runs:
            if not run.is_reading:
                rows.append(Row(run.sequence, run.cached, run.said[-1], is_last=True))
                run.cached += 1
            elif budget:
                chunk = self._chunk(run, budget)
                rows += chunk
                budget -= len(chunk)
        # stable: positions of one sequence stay in order
        return sorted(rows, key=lambda row: row.sequence)

    def _chunk(self, run: Run, budget: int) -> list[Row]:
        """The next prompt tokens; stops once at the end of the prefix so that it can be kept."""
        end, shared = len(run.prompt.tokens), run.prompt.shared
        stop = min(end, run.cached + budget)
        if run.cached < shared < stop and shared >= SHARE_FROM_TOKENS:
            stop = shared
        chunk = [
            Row(run.sequence, at, run.prompt.tokens[at], is_last=at == end - 1)
            for at in range(run.cached, stop)
        ]
        run.cached = stop
        return chunk

    def _draw(self, rows: Sequence[Row], logits: Logits) -> None:
        by_sequence = {run.sequence: run for run in self._runs}
        speaking = [by_sequence[row.sequence] for row in rows if row.is_last]
        for run, opinion in zip(speaking, logits, strict=True):
            self._say(run, run.sampler.draw(opinion, run.tail.pending))
        for run in self._runs:
            self._keep_prefix(run)

    def _say(self, run: Run, token: int) -> None:
        vocabulary = self._model.vocabulary
        if token < 0 or vocabulary.is_end[token]:
            self._end(run, "stop")
            return
        run.said.append(token)
        run.unsent += 1
        text = run.tail.add(vocabulary.pieces[token])
        if text:
            self._said.append(Said(run.request.id, text, run.unsent))
            run.unsent = 0
        if run.tail.is_stopped:
            self._end(run, "stop")
        elif len(run.said) >= run.limit:
            self._end(run, "length")

    def _keep_prefix(self, run: Run) -> None:
        """Stores a prefix that was just read; the next conversation of its kind copies it."""
        shared = run.prompt.shared
        prefix = run.prompt.tokens[:shared]
        if run.cached == shared >= SHARE_FROM_TOKENS and prefix != self._prefix:
            self._model.copy(run.sequence, self._model.sequences)
            self._prefix = prefix

    def _end(self, run: Run, reason: Reason) -> None:
        text = "" if reason == "cancelled" else run.tail.end()
        if text:
            self._said.append(Said(run.request.id, text, run.unsent))
        self._ended.append(run.ended(reason))
        if run in self._waiting:
            self._waiting.remove(run)
        else:
            self._runs.remove(run)
            self._model.forget(run.sequence)

    def _close_gaps(self) -> None:
        """Moves the highest sequences into gaps that no waiting reply will take."""
        if self._waiting:
            return
        taken = {run.sequence: run for run in self._runs}
        for gap in range(len(taken)):
            if gap in taken:
                continue
            highest = max(taken)
            run = taken.pop(highest)
            self._model.copy(highest, gap)
            self._model.forget(highest)
            run.sequence = gap
            taken[gap] = run
