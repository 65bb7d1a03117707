"""A model of this process behind the chat API: its files, its tokenizer, its prompts, and the engine that runs it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError

try:
    import torch
    import transformers  # noqa: F401
except ImportError as error:
    raise MnemosError(
        f"a local model needs the packages torch and transformers: {install_command('serve,torch')}."
    ) from error

from mnemos.activation.paged.engine import Busy, Engine
from mnemos.activation.paged.evict import ScoredPages
from mnemos.activation.paged.model import PagedModel
from mnemos.activation.paged.thinking import ThinkTimes
from mnemos.activation.pretrained import NAMED, folder_of, load_decoder, load_tokenizer

MIB = 1 << 20
PAGE = 16  # tokens


class LocalModel:
    """A served model. `close` ends it."""

    def __init__(
        self, model: Any, tokenizer: Any, name: str, *, cache_mib: int = 1024, keep: int | None = None, running: int = 16,
        queue: int = 64,
    ) -> None:  # fmt: skip
        """Reserve `cache_mib` MiB for keys and values, and let a generation keep at most `keep` tokens of them.

        Raises InvalidInput for a model that cannot be served in pages.
        """
        self.name, self.created, self.tokenizer = name, int(time.time()), tokenizer
        self.times = ThinkTimes()
        blocks = cache_mib * MIB // (PAGE * _bytes_of_token(model))
        if blocks < 1:
            raise InvalidInput(f"{cache_mib} MiB hold no page of this model's keys and values: give it more.")
        paged = PagedModel(model, blocks, size=PAGE, lease=self.times.lease)
        policy = None if keep is None else ScoredPages(keep)
        self.engine = Engine(paged, running=running, queue=queue, policy=policy, times=self.times)
        self.room = min(paged.limit, blocks * PAGE)  # tokens of a prompt and its answer
        self.ends = _ends(model, tokenizer)
        self._specials = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
        self._lock = threading.Lock()  # a tokenizer changes while it works

    def forget(self, space: str) -> None:
        """Erase what was computed of a space: something of it is gone, and its keys and values go with it."""
        with suppress(Busy):
            self.engine.call(lambda: self.engine.pool.forget({"space": space}))

    def close(self) -> None:
        """Cancel what is on its way, and let the model go."""
        self.engine.close()

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Return the tokens of a chat by the model's template, up to where the assistant speaks.

        Special tokens in what people say are broken up: only the template opens and ends a message. Raises InvalidInput.
        """
        if not self.tokenizer.chat_template:
            raise InvalidInput("this model has no chat template: use /v1/completions.")
        said = [{**message, "content": self._plain(message["content"])} for message in messages]
        try:
            with self._lock:
                text = self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        except Exception as error:
            raise InvalidInput(f"the model's chat template refuses these messages: {error}.") from error
        return self.tokens(text)

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, without special ones around it."""
        with self._lock:
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        with self._lock:
            return str(
                self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
            )

    def _plain(self, text: str) -> str:
        for special in self._specials:
            if special in text:
                text = text.replace(special, f"{special[0]} {special[1:]}")
        return text


def load(path: str, **options: Any) -> LocalModel:
    """Load a model and its tokenizer from a folder, or "smollm2", in float32 on a CPU. Uses no network and no code of it.

    Raises InvalidInput for a folder without a model, or with one that cannot be served; ModelError where smollm2 was not
    built.
    """
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", 0)) or torch.get_num_threads()))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_decoder(path, torch.float32 if device == "cpu" else "auto")
    name = path if path == NAMED else folder_of(path).name
    return LocalModel(model.to(device), load_tokenizer(path), name, **options)


def _bytes_of_token(model: Any) -> int:
    """Return the bytes that keys and values of a token take, of all layers."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * next(model.parameters()).element_size())


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer."""
    given = [model.generation_config.eos_token_id, tokenizer.eos_token_id]
    return frozenset(int(i) for ids in given for i in (ids if isinstance(ids, list) else [ids]) if i is not None)
