"""Builds GGUF models of the LLaMA shape with random weights: nonsense, but real files."""

from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

PLACEHOLDERS = ("{order.no}", "{order.carrier}", "{order.eta}", "{order.trace}")
PLAN_CONTROLS = (
    "<|plan|>",
    "<|act:TELL|>",
    "<|intent:LOGISTICS|>",
    "<|record:ORDER|>",
    "<|state:SHIPPED|>",
    "<|lang:ZH|>",
    "<|must|>",
    "<|may|>",
    "<|reply|>",
)
CHAT_CONTROLS = ("<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAN = (
    "<|plan|><|act:TELL|><|intent:LOGISTICS|><|record:ORDER|><|state:SHIPPED|><|lang:ZH|>"
    "<|must|>{order.no}{order.carrier}<|may|>{order.trace}<|reply|>"
)
LETTERS = tuple(
    "您的订单已由承运请耐心等待预计到达感谢支持我们会尽快处理好呢哦。，！？"
    " abcdefghijklmnopqrstuvwxyz0123456789０１２{}:|<>_\n"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the random network; `sharpness` is the spread of its logits."""

    width: int = 64
    heads: int = 2
    layers: int = 2
    hidden: int = 128
    context: int = 512
    sharpness: float = 6.0
    seed: int = 7


@dataclass(slots=True)
class Tokens:
    texts: list[bytes] = field(default_factory=list)
    types: list[int] = field(default_factory=list)

    def add(self, texts: tuple[str, ...], kind: gguf.TokenType) -> None:
        self.texts += [text.encode() for text in texts]
        self.types += [int(kind)] * len(texts)


def plan_model(path: Path, shape: Shape | None = None) -> Path:
    """Writes a model that continues plan lines."""
    tokens = _tokens(PLAN_CONTROLS)
    tokens.add(PLACEHOLDERS, gguf.TokenType.USER_DEFINED)
    return _write(path, shape or Shape(), tokens, contract="plan-line-1")


def chat_model(path: Path, shape: Shape | None = None) -> Path:
    """Writes a model with a chat template and no plan contract."""
    tokens = _tokens(CHAT_CONTROLS)
    tokens.add(("<tool_call>",), gguf.TokenType.USER_DEFINED)
    return _write(path, shape or Shape(), tokens, template=CHAT_TEMPLATE)


def _tokens(controls: tuple[str, ...]) -> Tokens:
    tokens = Tokens()
    tokens.add(("<unk>",), gguf.TokenType.UNKNOWN)
    tokens.add(("<s>", "</s>"), gguf.TokenType.CONTROL)
    tokens.add(tuple(f"<0x{byte:02X}>" for byte in range(256)), gguf.TokenType.BYTE)
    tokens.add(controls, gguf.TokenType.CONTROL)
    tokens.add(
        tuple(char.replace(" ", "\u2581") for char in dict.fromkeys(LETTERS)), gguf.TokenType.NORMAL
    )
    return tokens


def _write(
    path: Path, shape: Shape, tokens: Tokens, *, contract: str = "", template: str = ""
) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(path.stem)
    if contract:
        writer.add_string("jishi.contract", contract)
    if template:
        writer.add_chat_template(template)
    _describe(writer, shape, tokens)
    for name, weights in _weights(shape, len(tokens.texts)).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: gguf.GGUFWriter, shape: Shape, tokens: Tokens) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens.texts)
    writer.add_token_scores([-float(at) for at in range(len(tokens.texts))])
    writer.add_token_types(tokens.types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(value=True)
    writer.add_add_space_prefix(value=False)


def _weights(shape: Shape, vocabulary: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(shape.seed)
    head = shape.width // shape.heads

    def draw(rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
        spread = scale / np.sqrt(columns)
        return (random.standard_normal((rows, columns)) * spread).astype(np.float32)

    ones = np.ones(shape.width, dtype=np.float32)
    weights = {
        "token_embd.weight": draw(vocabulary, shape.width, 8.0),
        "output_norm.weight": ones,
        "output.weight": draw(vocabulary, shape.width, shape.sharpness),
    }
    weights["output.weight"][2] = 0.0  # the end of a reply is rare
    for layer in range(shape.layers):
        weights |= {
            f"blk.{layer}.attn_norm.weight": ones,
            f"blk.{layer}.attn_q.weight": draw(shape.width, shape.width, 2.0),
            f"blk.{layer}.attn_k.weight": draw(head, shape.width, 2.0),
            f"blk.{layer}.attn_v.weight": draw(head, shape.width),
            f"blk.{layer}.attn_output.weight": draw(shape.width, shape.width),
            f"blk.{layer}.ffn_norm.weight": ones,
            f"blk.{layer}.ffn_gate.weight": draw(shape.hidden, shape.width),
            f"blk.{layer}.ffn_up.weight": draw(shape.hidden, shape.width),
            f"blk.{layer}.ffn_down.weight": draw(shape.width, shape.hidden),
        }
    return weights
