"""Trains the writer: packed rows of fixed shape, loss on replies only, Muon and AdamW."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from llm.training.generate import examples
from llm.training.model import Shape, Writer
from llm.training.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast to learn; a step is `rows * length` tokens."""

    steps: int = 12_000
    rows: int = 24
    length: int = 128
    matrix_rate: float = 0.02
    other_rate: float = 3e-3
    warmup: int = 60
    minutes: float = 45.0
    save_every_s: float = 180.0
    seed: int = 7
    threads: int = 2
    resume: bool = False  # goes on from the checkpoint; the optimizers start anew
    half: bool = False  # bf16 was slower than f32 on the machine it was trained on


@dataclass(frozen=True, slots=True)
class Rows:
    """One step's packed examples: all [rows, length]; `target` is -100 where nothing is learnt."""

    tokens: Tensor
    target: Tensor
    document: Tensor


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal by five Newton-Schulz iterations, for matrices."""

    def __init__(self, weights: list[nn.Parameter], rate: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                memory = self.state[weight].setdefault("memory", torch.zeros_like(weight))
                memory.lerp_(weight.grad, 1 - group["momentum"])
                step = orthogonal(weight.grad.lerp(memory, group["momentum"]))
                tall = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * 0.01).add_(step, alpha=-group["lr"] * tall)


def orthogonal(gradient: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly (singular values between 0.7 and 1.2)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = gradient.T if gradient.shape[0] > gradient.shape[1] else gradient
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if gradient.shape[0] > gradient.shape[1] else x


def packed(tokenizer: Tokenizer, recipe: Recipe, seed: int) -> Iterator[Rows]:
    """Fills rows with whole examples; the rest of a row is padding that is not learnt."""
    stream = examples(seed)
    waiting: tuple[list[int], int] | None = None
    shape = (recipe.rows, recipe.length + 1)
    while True:
        tokens = np.zeros(shape, dtype=np.int64)
        learnt = np.zeros(shape, dtype=bool)
        document = np.full(shape, -1, dtype=np.int64)
        for row in range(recipe.rows):
            at, number = 0, 0
            while True:
                ids, plan = waiting or tokenizer.example(next(stream))
                waiting = (ids, plan)
                if at + len(ids) > recipe.length + 1:
                    break
                tokens[row, at : at + len(ids)] = ids
                learnt[row, at + plan : at + len(ids)] = True
                document[row, at : at + len(ids)] = number
                at, number, waiting = at + len(ids), number + 1, None
        target = np.where(learnt, tokens, -100)[:, 1:]
        yield Rows(
            torch.from_numpy(tokens[:, :-1].copy()),
            torch.from_numpy(target.copy()),
            torch.from_numpy(document[:, :-1].copy()),
        )


def seen(document: Tensor) -> Tensor:
    """Who sees whom [rows, 1, length, length]: earlier tokens of the same example."""
    same = document[:, :, None] == document[:, None, :]
    return same.tril()[:, None]


def loss_of(model: Writer, rows: Rows, *, half: bool) -> Tensor:
    """Mean loss over the learnt tokens; only their logits are computed."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        hidden = model(rows.tokens, seen(rows.document))
        learnt = rows.target >= 0
        logits = model.logits(hidden[learnt])
    return functional.cross_entropy(logits.float(), rows.target[learnt])


def rate_at(step: int, share: float, recipe: Recipe) -> float:
    """Share of the full rate: warm-up, level, then down to a twentieth over the last half."""
    start = min(1.0, (step + 1) / recipe.warmup)
    return start * min(1.0, max(0.05, (1.0 - share) / 0.5))


class Log:
    """The loss over the tokens seen, for the chart and for whoever watches."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.tokens, self.smooth, self.step = 0, 0.0, 0
        if resume and path.exists():
            last = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
            self.tokens, self.smooth, self.step = last["tokens"], last["loss"], last["step"]
        self._file = path.open("a" if resume else "w", encoding="utf-8")
        self._began, self._before = time.monotonic(), self.tokens

    def add(self, loss: float, tokens: int, share: float) -> None:
        self.tokens += tokens
        self.smooth = 0.95 * self.smooth + 0.05 * loss if self.smooth else loss
        if self.step % 20 == 0:
            speed = (self.tokens - self._before) / (time.monotonic() - self._began)
            row = {"step": self.step, "tokens": self.tokens, "loss": round(self.smooth, 4)}
            print(f"{row} {speed:.0f} tokens/s {share:.0%}", flush=True)
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        self.step += 1


def train(home: Path, recipe: Recipe) -> Path:
    """Trains for `minutes` or `steps`, whichever ends first; returns the checkpoint's path."""
    torch.set_num_threads(recipe.threads)
    log = Log(home / "loss.jsonl", resume=recipe.resume)
    seed = recipe.seed + log.step  # a resumed run must not see the same examples again
    torch.manual_seed(seed)
    tokenizer = Tokenizer(home / "tokenizer.model")
    if recipe.resume:
        model = load(home / "checkpoint.pt").train()
    else:
        model = Writer(Shape(vocabulary=tokenizer.pieces.vocab_size()))
    optimizers = _optimizers(model, recipe)
    began = saved = time.monotonic()
    for step, rows in enumerate(packed(tokenizer, recipe, seed)):
        now = time.monotonic()
        share = max(step / recipe.steps, (now - began) / (60 * recipe.minutes))
        if share >= 1.0:
            break
        loss = loss_of(model, rows, half=recipe.half)
        loss.backward()
        for optimizer in optimizers:
            group = optimizer.param_groups[0]
            group["lr"] = group["full"] * rate_at(step, share, recipe)
            nn.utils.clip_grad_norm_(group["params"], 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        log.add(loss.item(), int((rows.document >= 0).sum()), share)
        if now - saved > recipe.save_every_s:
            save(model, home / "checkpoint.pt")
            saved = now
    return save(model, home / "checkpoint.pt")


def _optimizers(model: Writer, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    inner, outer = [], []
    for name, weight in model.named_parameters():
        (inner if weight.ndim == 2 and "embedding" not in name else outer).append(weight)
    matrices = Muon(inner, recipe.matrix_rate)
    others = torch.optim.AdamW(outer, recipe.other_rate, betas=(0.9, 0.95), weight_decay=0.0)
    for optimizer in (matrices, others):
        optimizer.param_groups[0]["full"] = optimizer.param_groups[0]["lr"]
    return [matrices, others]


def save(model: Writer, path: Path) -> Path:
    """Writes the weights in one move, so that an export never reads half a file."""
    draft = path.with_suffix(".part")
    torch.save({"shape": asdict(model.shape), "weights": model.state_dict()}, draft)
    draft.replace(path)
    return path


def load(path: Path) -> Writer:
    stored = torch.load(path, weights_only=True)
    model = Writer(Shape(**stored["shape"]))
    model.load_state_dict(stored["weights"])
    return model.eval()
