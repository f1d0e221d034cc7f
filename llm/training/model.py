"""The writer's network: the LLaMA shape, so that llama.cpp runs it as it is."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network."""

    vocabulary: int = 6144
    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 1
    hidden: int = 768
    context: int = 1024
    rope_base: float = 1e6
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        return self.width // self.heads


class Attention(nn.Module):
    """Causal attention with rotary positions and shared keys and values."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        narrow = shape.kv_heads * shape.head
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, narrow, bias=False)
        self.value = nn.Linear(shape.width, narrow, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, turns: Tensor, mask: Tensor) -> Tensor:
        batch, length, width = x.shape
        q = self.query(x).view(batch, length, self.shape.heads, self.shape.head)
        k = self.key(x).view(batch, length, self.shape.kv_heads, self.shape.head)
        v = self.value(x).view(batch, length, self.shape.kv_heads, self.shape.head)
        q, k = rotate(q, turns).transpose(1, 2), rotate(k, turns).transpose(1, 2)
        times = self.shape.heads // self.shape.kv_heads
        k = k.repeat_interleave(times, dim=1)
        v = v.transpose(1, 2).repeat_interleave(times, dim=1)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(seen.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """One layer: attention, then a gated feed-forward."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.attention = Attention(shape)
        self.feed_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor, turns: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), turns, mask)
        y = self.feed_norm(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class Writer(nn.Module):
    """The whole network; the embedding is also the output layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        turns = rope_turns(shape)
        self.register_buffer("turns", turns, persistent=False)
        self._start()

    def _start(self) -> None:
        depth = (2 * self.shape.layers) ** 0.5
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                spread = 0.02 / (depth if name.endswith(("out.weight", "down.weight")) else 1.0)
                nn.init.normal_(weight, std=spread)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Hidden states [batch, length, width]; `mask` [batch, 1, length, length]: what is seen."""
        x = self.embedding(tokens)
        turns = self.turns[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, turns, mask)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.embedding.weight)


def rope_turns(shape: Shape) -> Tensor:
    """Cosines and sines [context, head / 2, 2] of the rotary positions."""
    steps = torch.arange(0, shape.head, 2, dtype=torch.float32) / shape.head
    angles = torch.arange(shape.context)[:, None] / shape.rope_base**steps
    return torch.stack((angles.cos(), angles.sin()), dim=-1)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turns neighbouring pairs, the order llama.cpp uses for this architecture."""
    pairs = x.float().unflatten(-1, (-1, 2))
    cos, sin = turns[None, :, None, :, 0], turns[None, :, None, :, 1]
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)
