"""The contract of turning cubes into a prefix that a transformer has already read.

`activate` never changes a cube and never stores text. What it keeps in RAM or on disk is derived from the cubes: it is
deleted when they are erased, not used after they change, and never used for another model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from mnemos.activation import MemoryCache, attached
from mnemos.cube import MemCube

Mode = Literal["exact", "block"]
Render = Callable[[MemCube], str]
RECOMPUTE = 0.15  # of the tokens of joined cubes: CacheBlend's share (arXiv 2405.16444)


@dataclass
class Activated:
    """Cubes that a model has already read, in front of a question."""

    model: Any
    tokenizer: Any
    cubes: tuple[str, ...]  # ids, in the order of the prompt
    ids: Tensor  # (1, T) tokens of the cubes
    cache: MemoryCache  # keys and values of these tokens
    sources: dict[str, int]  # number of cubes by where their keys and values came from: ram, disk or prefill
    seconds: float  # what `activate` took

    def generate(self, question: str | Tensor, **options: Any) -> Tensor:
        """Return what the model generates after the cubes and a question, (1, new tokens).

        `options` are those of the model's `generate`. In mode "exact" the tokens are the same as with the text of the
        cubes in the prompt. The cache is copied, so this may be called again.
        """
        if isinstance(question, str):
            question = torch.tensor([tokenize(self.tokenizer, question)], dtype=torch.long)
        prompt = torch.cat((self.ids, question.to(self.ids.device)), 1)
        mask = torch.ones_like(prompt)
        with attached(self.model):
            tokens: Tensor = self.model.generate(
                prompt, attention_mask=mask, past_key_values=self.cache.copy(), **options
            )
        return tokens[:, prompt.shape[1] :]

    def answer(self, question: str, **options: Any) -> str:
        """Return what the model generates after the cubes and a question, as text."""
        return str(self.tokenizer.decode(self.generate(question, **options)[0], skip_special_tokens=True))


@runtime_checkable
class Activator(Protocol):
    """Turns cubes into a prefix for a model."""

    def activate(
        self, cubes: Sequence[MemCube], model: Any, tokenizer: Any, *, mode: Mode = "exact", render: Render,
        recompute: float = RECOMPUTE, question: str | None = None,
    ) -> Activated:  # fmt: skip
        """Return the cubes as a prefix, in the given order.

        In mode "exact" each cube is read after those before it. In mode "block" each is read alone, the cubes are
        joined with their positions moved, and a share of their tokens, chosen for `question` where there is one, is
        computed again. Raises InvalidInput without
        cubes, and for a model that cannot hold them.
        """
        ...


def tokenize(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of a text, without special tokens."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


KINDS = {"activator": Activator}
