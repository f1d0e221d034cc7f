"""Writes the trained writer as a Q8_0 GGUF that llama.cpp reads without a conversion."""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from numpy.typing import NDArray

from llm.training.model import Writer
from llm.training.tokenizer import BOS, EOS
from llm.training.train import load

CONTRACT = "plan-line-1"
_NAMES = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.out": "attn_output",
    "feed_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def export(checkpoint: Path, tokenizer: Path, target: Path) -> None:
    """Writes `target`; matrices become Q8_0, norms stay f32."""
    model = load(checkpoint)
    writer = gguf.GGUFWriter(str(target), "llama")
    _describe(writer, model)
    _add_tokens(writer, sentencepiece.SentencePieceProcessor(model_file=str(tokenizer)))
    for name, weight in _tensors(model):
        if weight.ndim == 1:
            writer.add_tensor(name, weight)
            continue
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, model: Writer) -> None:
    shape = model.shape
    writer.add_name("jishi-writer")
    writer.add_description("Writes one customer-service reply from a plan line, values left open.")
    writer.add_string("jishi.contract", CONTRACT)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def _add_tokens(writer: gguf.GGUFWriter, pieces: sentencepiece.SentencePieceProcessor) -> None:
    ids = range(pieces.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([pieces.id_to_piece(at).encode() for at in ids])
    writer.add_token_scores([pieces.get_score(at) for at in ids])
    writer.add_token_types([int(_kind(pieces, at)) for at in ids])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_add_bos_token(value=True)
    writer.add_add_eos_token(value=False)
    writer.add_add_space_prefix(value=False)
    writer.add_remove_extra_whitespaces(value=False)


def _kind(pieces: sentencepiece.SentencePieceProcessor, at: int) -> gguf.TokenType:
    if pieces.is_unknown(at):
        return gguf.TokenType.UNKNOWN
    if pieces.is_control(at):
        return gguf.TokenType.CONTROL
    if pieces.is_byte(at):
        return gguf.TokenType.BYTE
    text = pieces.id_to_piece(at)
    if text.startswith("{") and text.endswith("}") and len(text) > 2:
        return gguf.TokenType.USER_DEFINED
    return gguf.TokenType.NORMAL


def _tensors(model: Writer) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for name, weight in model.state_dict().items():
        array = weight.float().numpy()
        if name.startswith("blocks."):
            _, layer, rest = name.split(".", 2)
            yield f"blk.{layer}.{_NAMES[rest.removesuffix('.weight')]}.weight", array
        else:
            known = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
            yield known[name], array
