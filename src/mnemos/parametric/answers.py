"""Answers of a model as tokens: how probable an answer is, whether it is said, what is said greedily.

B batch, T tokens, V words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.parametric.base import Example
from mnemos.parametric.tokens import row_of

IGNORED = -100  # label of a token that is not to be predicted
Encoded = tuple[list[int], int]  # the tokens of a text, and how many of them are its prompt


def encode(tokenizer: Any, example: Example) -> Encoded:
    """Return the tokens of a prompt and its answer. Raises InvalidInput for an empty answer."""
    row = row_of(tokenizer, example.prompt, example.answer)
    return list(row.ids), len(row.ids) - row.answer


def padded(batch: Sequence[Encoded], device: Any = None) -> tuple[Tensor, Tensor]:
    """Return tokens (B, T) and labels (B, T), padded on the right, which attention to the past does not see."""
    length = max(len(tokens) for tokens, _ in batch)
    tokens = torch.zeros(len(batch), length, dtype=torch.long, device=device)
    labels = torch.full_like(tokens, IGNORED)
    for row, (text, prompt) in enumerate(batch):
        tokens[row, : len(text)] = torch.tensor(text)
        labels[row, prompt : len(text)] = torch.tensor(text[prompt:])
    return tokens, labels


def token_losses(model: Any, batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Return the loss of each token of the answers (B, T - 1), 0 elsewhere, and which these are."""
    tokens, labels = padded(batch, device_of(model))
    logits = model(input_ids=tokens).logits[:, :-1].float()
    wanted = labels[:, 1:]
    losses = functional.cross_entropy(logits.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none")
    return losses, wanted != IGNORED


def answer_loss(model: Any, batch: Sequence[Encoded]) -> Tensor:
    """Return the loss of each answer (B,), the mean over its tokens."""
    losses, answer = token_losses(model, batch)
    return losses.sum(1) / answer.sum(1).clamp(min=1)


def batches(examples: Sequence[Encoded], size: int) -> Iterator[Sequence[Encoded]]:
    """Yield examples in order, at most `size` at a time."""
    for start in range(0, len(examples), size):
        yield examples[start : start + size]


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def greedy(model: Any, prompts: Sequence[Sequence[int]], count: int, size: int = 64) -> list[list[int]]:
    """Return the `count` tokens that a model says greedily after each prompt; nothing is cached. O(count) calls a batch."""
    said: list[list[int]] = []
    for start in range(0, len(prompts), size):
        texts = [list(prompt) for prompt in prompts[start : start + size]]
        for _ in range(count):
            tokens, _ = padded([(text, 0) for text in texts], device_of(model))
            last = torch.tensor([len(text) - 1 for text in texts], device=tokens.device)
            logits = model(input_ids=tokens).logits[torch.arange(len(texts)), last]
            for text, token in zip(texts, logits.argmax(-1).tolist(), strict=True):
                text.append(token)
        said += [text[-count:] if count else [] for text in texts]
    return said


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def answered(model: Any, tokenizer: Any, examples: Sequence[Example], size: int = 64) -> list[bool]:
    """Return which examples a model answers, word for word, when it speaks greedily after the prompt.

    One call a batch: an answer is said greedily where each of its tokens is the likeliest after those before it.
    """
    return [all(right) for right in said([encode(tokenizer, e) for e in examples], model, size)]


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def said(examples: Sequence[Encoded], model: Any, size: int = 64) -> list[list[bool]]:
    """Return of each token of each answer whether a model would say it after the true ones before it."""
    found: list[list[bool]] = []
    for part in batches(examples, size):
        tokens, labels = padded(part, device_of(model))
        right = model(input_ids=tokens).logits[:, :-1].argmax(-1) == labels[:, 1:]
        wanted = labels[:, 1:] != IGNORED
        found += [row[mask].tolist() for row, mask in zip(right, wanted, strict=True)]
    return found


def device_of(model: Any) -> torch.device:
    """Return the device of a model's weights."""
    return next(model.parameters()).device


@contextmanager
def differentiable(model: Any, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Let only the named weights of a model take gradients in the block, and read it as when it answers (no dropout)."""
    before = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    training = model.training
    chosen = set(names)
    try:
        model.eval()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
        with torch.enable_grad():
            yield {name: parameter for name, parameter in model.named_parameters() if name in chosen}
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(before[name])
        model.train(training)
