"""The process that runs the model: one context, every running reply moves one token a step.

It is started as `python -m llm.worker`, reads commands from its standard input and writes events
to its standard output (llm.wire), and ends when that input closes.
"""

import ctypes
import logging
import os
import queue
import re
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

import llama_cpp.llama_cpp as llama
import numpy as np
from numpy.typing import NDArray

from llm.batching import Batching, Row
from llm.protocol import Request
from llm.sampling import Logits, Vocabulary
from llm.templates import ChatTemplate, Prompt, TemplateBroken
from llm.wire import Boot, Broken, Cancel, Ready, Submit, ToWorker, pack, unpack_command

PLAN_CONTRACT = "plan-line-1"
SMALL_PARAMETERS = 200_000_000
# below this the threads wait for each other longer than they compute: 6.9 M parameters on 2 cores,
# 16 replies: 6 ms a step with 1 thread, 14 with 2; beside a busy core 9 and 10 to 84
ONE_THREAD_PARAMETERS = 50_000_000
PROMPT_BUDGET_SMALL, PROMPT_BUDGET = 512, 128  # tokens a step: a big chunk stops every other reply
LARGE_MODEL_SEQUENCES = 8
SELF_TEST_TOKENS = 64  # a batch: builds that lose the AMX tile setting pass with one token
BARE = False  # tokens without an added beginning, pieces without control tokens
DATA_TOO = True
FLASH_HEAD = 32  # block of the 8-bit cache
META_BYTES = 1 << 20
SILENT = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN
SILENT |= llama.LLAMA_TOKEN_ATTR_UNUSED
MARKUP = re.compile(r"[<\[|].+[>\]|]", re.DOTALL)
PLACEHOLDER = re.compile(r"\{[a-z_]+\.[a-z_]+\}")


class ModelBroken(Exception):
    """This file cannot be served, however often it is tried."""


class Batch:
    """The arrays behind a llama_batch, allocated once for `size` tokens."""

    def __init__(self, size: int) -> None:
        self._tokens, self._positions = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._counts, self._sequences = np.ones(size, np.int32), np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        start = self._sequences.ctypes.data
        self._pointers = (ctypes.POINTER(ctypes.c_int32) * size)(
            *(ctypes.cast(start + 4 * at, ctypes.POINTER(ctypes.c_int32)) for at in range(size))
        )

    def filled(self, rows: Sequence[Row]) -> llama.llama_batch:
        count = len(rows)
        self._tokens[:count] = [row.token for row in rows]
        self._positions[:count] = [row.position for row in rows]
        self._sequences[:count] = [row.sequence for row in rows]
        self._wanted[:count] = [row.is_last for row in rows]
        return llama.llama_batch(
            n_tokens=count,
            token=_pointer(self._tokens, ctypes.c_int32),
            embd=None,
            pos=_pointer(self._positions, ctypes.c_int32),
            n_seq_id=_pointer(self._counts, ctypes.c_int32),
            seq_id=ctypes.cast(self._pointers, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
            logits=_pointer(self._wanted, ctypes.c_int8),
        )


class Model:
    """A loaded GGUF with one context; raises ModelBroken when it cannot be loaded."""

    def __init__(self, boot: Boot) -> None:
        params = llama.llama_model_default_params()
        params.use_extra_bufts = boot.extra_buffers
        model = llama.llama_model_load_from_file(boot.model.encode(), params)
        if not model:
            raise ModelBroken(f"llama.cpp cannot load {os.path.basename(boot.model)}")  # noqa: PTH119
        self._model = model
        self._vocab = llama.llama_model_get_vocab(model)
        self.parameters = int(llama.llama_model_n_params(model))
        is_small = self.parameters < SMALL_PARAMETERS
        self.prompt_budget = PROMPT_BUDGET_SMALL if is_small else PROMPT_BUDGET
        self.sequences = boot.sequences if is_small else min(boot.sequences, LARGE_MODEL_SEQUENCES)
        self.name = self.meta("general.name") or "gguf"
        self.speaks_plan = self.meta("jishi.contract") == PLAN_CONTRACT
        self.vocabulary = self._read_vocabulary()
        self._tags = self._read_tags()
        self._begin = self._begin_token()
        self.template = self._read_template()
        self._open_context(boot)
        self._batch = Batch(self.prompt_budget + self.sequences)

    def meta(self, key: str) -> str:
        room = ctypes.create_string_buffer(META_BYTES)
        length = llama.llama_model_meta_val_str(self._model, key.encode(), room, META_BYTES)
        return room.value.decode("utf-8", "replace") if length > 0 else ""

    def tokenize(self, text: str, has_control: bool) -> list[int]:
        if has_control or self._tags is None:
            return self._tokenize(text, has_control=has_control)
        # llama.cpp reads added tokens even in plain text: cut them so that they stay characters
        parts, start = [], 0
        for tag in self._tags.finditer(text):
            parts.append(text[start : tag.start() + 1])
            start = tag.start() + 1
        parts.append(text[start:])
        return [token for part in parts for token in self._tokenize(part, has_control=False)]

    def prompt(self, request: Request) -> Prompt:
        """Raises TemplateBroken when there is nothing to say or the chat template refuses it."""
        if not (request.plan if self.speaks_plan else request.messages):
            raise TemplateBroken(
                f"{self.name} needs {'a plan' if self.speaks_plan else 'messages'}"
            )
        if self.speaks_plan:
            prompt = Prompt(tuple(self.tokenize(request.plan, has_control=True)))
        else:
            prompt = self.template.prompt(request.messages, self.tokenize)
        if self._begin is None or prompt.tokens[:1] == (self._begin,):
            return prompt
        return Prompt((self._begin, *prompt.tokens), prompt.shared and prompt.shared + 1)

    def decode(self, rows: Sequence[Row]) -> Logits:
        """Runs one batch; returns [rows with is_last, n_vocab], valid until the next call."""
        status = llama.llama_decode(self._context, self._batch.filled(rows))
        if status:
            raise RuntimeError(f"llama_decode returned {status} for {len(rows)} tokens")
        wanted = sum(row.is_last for row in rows)
        logits = llama.llama_get_logits(self._context)
        return np.ctypeslib.as_array(logits, (wanted, len(self.vocabulary.pieces)))

    def forget(self, sequence: int) -> None:
        llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def copy(self, source: int, target: int) -> None:
        """Copies a whole sequence: a part of one between streams would abort the process."""
        self.forget(target)
        llama.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def self_test(self) -> None:
        """Dies here, not under a shopper, when the build is broken for this machine."""
        tokens = range(min(SELF_TEST_TOKENS, self.context_tokens))
        self.decode([Row(0, at, at % len(self.vocabulary.pieces), at == 0) for at in tokens])
        self.decode([Row(at, len(tokens) if at == 0 else 0, 0, is_last=True) for at in (0, 1)])
        llama.llama_memory_clear(self._memory, DATA_TOO)

    def _tokenize(self, text: str, *, has_control: bool) -> list[int]:
        raw = text.encode()
        room = (ctypes.c_int32 * (len(raw) + 8))()
        count = llama.llama_tokenize(self._vocab, raw, len(raw), room, len(room), BARE, has_control)
        return list(room[:count])

    def _read_vocabulary(self) -> Vocabulary:
        size = range(llama.llama_vocab_n_tokens(self._vocab))
        attrs = np.array([llama.llama_vocab_get_attr(self._vocab, token) for token in size])
        ends = np.array([llama.llama_vocab_is_eog(self._vocab, token) for token in size])
        pieces = [self._piece(token) for token in size]
        added = np.flatnonzero(attrs & llama.LLAMA_TOKEN_ATTR_USER_DEFINED)
        texts = {pieces[token].decode("utf-8", "ignore"): int(token) for token in added}
        placeholders = {text: at for text, at in texts.items() if PLACEHOLDER.fullmatch(text)}
        silent = (attrs & SILENT) > 0
        return Vocabulary.of(pieces, ends=ends, silent=silent, placeholders=placeholders)

    def _read_tags(self) -> re.Pattern[str] | None:
        """Matches added tokens that look like markup, such as <tool_call>."""
        size = range(llama.llama_vocab_n_tokens(self._vocab))
        texts = [
            self.vocabulary.pieces[token].decode("utf-8", "ignore")
            for token in size
            if llama.llama_vocab_get_attr(self._vocab, token) & llama.LLAMA_TOKEN_ATTR_USER_DEFINED
        ]
        tags = sorted((text for text in texts if MARKUP.fullmatch(text)), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, tags))) if tags else None

    def _piece(self, token: int) -> bytes:
        room = ctypes.create_string_buffer(256)
        length = llama.llama_token_to_piece(self._vocab, token, room, len(room), 0, BARE)
        return room.raw[: max(length, 0)]

    def _begin_token(self) -> int | None:
        wants = llama.llama_vocab_get_add_bos(self._vocab)
        return int(llama.llama_vocab_bos(self._vocab)) if wants else None

    def _read_template(self) -> ChatTemplate:
        begin, end = (
            (llama.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")
            if token >= 0
            else ""
            for token in (
                llama.llama_vocab_bos(self._vocab),
                llama.llama_vocab_eos(self._vocab),
            )
        )
        try:
            return ChatTemplate(self.meta("tokenizer.chat_template"), begin=begin, end=end)
        except TemplateBroken as error:
            raise ModelBroken(str(error)) from error

    def _open_context(self, boot: Boot) -> None:
        trained = int(llama.llama_model_n_ctx_train(self._model))
        self.context_tokens = min(boot.context_tokens, trained)
        params = llama.llama_context_default_params()
        params.n_seq_max = self.sequences + 1  # one more holds the shared prefix
        params.n_ctx = self.context_tokens * params.n_seq_max
        params.n_batch = params.n_ubatch = self.prompt_budget + self.sequences
        params.n_outputs_max, params.n_outputs_max_per_seq = params.n_seq_max, 1
        threads = 1 if self.parameters < ONE_THREAD_PARAMETERS else boot.threads
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = False
        self.is_flash = self._head_size() % FLASH_HEAD == 0
        if self.is_flash:
            params.type_k = params.type_v = llama.GGML_TYPE_Q8_0
            params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED
        context = llama.llama_init_from_model(self._model, params)
        if not context and self.is_flash:
            self.is_flash = False
            params.type_k = params.type_v = llama.GGML_TYPE_F16
            params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_AUTO
            context = llama.llama_init_from_model(self._model, params)
        if not context:
            raise ModelBroken("llama.cpp cannot open a context: too little memory?")
        self._context, self._memory = context, llama.llama_get_memory(context)

    def _head_size(self) -> int:
        told = self.meta(f"{self.meta('general.architecture')}.attention.key_length")
        even = llama.llama_model_n_embd(self._model) // llama.llama_model_n_head(self._model)
        return int(told or even)


def _pointer(array: NDArray[Any], kind: type[ctypes.c_int32 | ctypes.c_int8]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))


def _listen(lines: BinaryIO, commands: queue.SimpleQueue[ToWorker]) -> None:
    """Passes commands on; the end of the pipe ends the process, even in the middle of a step."""
    for line in lines:
        commands.put(unpack_command(line))
    os._exit(0)


def _serve(batching: Batching, commands: queue.SimpleQueue[ToWorker], events: BinaryIO) -> None:
    while True:
        if batching.is_idle:
            _obey(batching, commands.get())
        while not commands.empty():
            _obey(batching, commands.get())
        events.write(pack(batching.step()))
        events.flush()


def _obey(batching: Batching, command: ToWorker) -> None:
    match command:
        case Submit():
            batching.submit(command.request)
        case Cancel():
            batching.cancel(command.id)
        case Boot():
            raise RuntimeError("a worker loads one model")


def _load(boot: Boot) -> tuple[Model, Ready]:
    model = Model(boot)
    model.self_test()
    return model, Ready(
        model.name,
        model.speaks_plan,
        model.sequences,
        model.context_tokens,
        model.parameters,
        model.is_flash,
    )


def main() -> None:
    """Serves until the command pipe closes."""
    logging.getLogger("llama-cpp-python").setLevel(logging.WARNING)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine decides when a worker ends
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may write between events
    commands = sys.stdin.buffer
    boot = unpack_command(commands.readline())
    if not isinstance(boot, Boot):
        raise TypeError("the first command loads a model")
    os.nice(boot.nice)
    inbox: queue.SimpleQueue[ToWorker] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands, inbox), daemon=True).start()
    try:
        model, ready = _load(boot)
    except ModelBroken as error:
        events.write(pack(Broken(str(error))))
        events.flush()
        os._exit(1)  # the listening thread holds the standard input
    events.write(pack(ready))
    events.flush()
    _serve(Batching(model), inbox, events)


if __name__ == "__main__":
    main()
