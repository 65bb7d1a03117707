"""What a model knows, and what a memory in its weights breaks: each measure a number and what it was counted on.

All of them ask a model as it is when called, with whatever is attached to it: call them before, and inside of
`with learned.attach(model):`. An answer counts where a greedy model says exactly its tokens.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example
from mnemos.parametric.probes import windows
from mnemos.parametric.tokens import Row, logits_of, pad_of, padded, row_of

BATCH = 16  # rows that are asked at once


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean and how many it is of."""

    value: float
    n: int


def recall(model: Any, tokenizer: Any, examples: Sequence[Example]) -> Measure:
    """Return the share of examples whose answer a greedy model says after their prompt alone.

    With examples of other prompts than those trained, it is what paraphrases answer; with examples that were known
    before, what is left of old facts.
    """
    return _share(said(model, tokenizer, [row_of(tokenizer, e.prompt, e.answer) for e in examples]))


def in_context(model: Any, tokenizer: Any, examples: Sequence[Example]) -> Measure:
    """Return the share of examples whose answer a greedy model says where it may read their context."""
    return recall(model, tokenizer, [replace(e, prompt=e.context + e.prompt) for e in _with_context(examples)])


def newer_context_wins(model: Any, tokenizer: Any, examples: Sequence[Example], seed: int = 0) -> Measure:
    """Return the share of examples whose context gives the answer of another one, and wins over what is known.

    Examples without a context, or with one that does not have their answer, are left out.
    """
    return in_context(model, tokenizer, conflicting(examples, seed))


def general_loss(model: Any, tokenizer: Any, texts: Sequence[str], length: int = 256) -> Measure:
    """Return the mean cross-entropy of texts in nats a token, in windows of `length` tokens; n counts tokens."""
    total, n = 0.0, 0
    rows = windows(tokenizer, texts, length)
    for row in rows:  # one at a time: its logits are large enough
        batch = padded([row], pad_of(tokenizer))
        with torch.no_grad():
            logits = logits_of(model, batch)
        counted = batch.counted.to(logits.device)
        losses = functional.cross_entropy(logits[counted], batch.targets.to(logits.device)[counted], reduction="none")
        total, n = total + float(losses.double().sum()), n + len(losses)
    if not n:
        raise InvalidInput("there is no text to measure the loss on.")
    return Measure(total / n, n)


def perplexity(loss: Measure) -> float:
    """Return the perplexity of a mean cross-entropy."""
    return math.exp(loss.value)


def conflicting(examples: Sequence[Example], seed: int = 0) -> list[Example]:
    """Return examples with the answer of another in the place of their own, in context and answer."""
    rng = random.Random(seed)
    answers = sorted({e.answer for e in examples})
    found = []
    for e in examples:
        others = [a for a in answers if a != e.answer]
        if others and e.answer.strip() and e.answer.strip() in e.context:
            other = rng.choice(others)
            found.append(replace(e, answer=other, context=e.context.replace(e.answer.strip(), other.strip())))
    return found


@torch.no_grad()  # type: ignore[untyped-decorator]
def said(model: Any, tokenizer: Any, rows: Sequence[Row]) -> list[bool]:
    """Return for every row whether a greedy model says its answer token by token.

    One call suffices: where every token of the answer is the likeliest after those before it, greedy decoding says it.
    """
    found: list[bool] = []
    for at in range(0, len(rows), BATCH):
        batch = padded(rows[at : at + BATCH], pad_of(tokenizer))
        right = logits_of(model, batch).argmax(-1).cpu() == batch.targets
        found += (right | ~batch.counted).all(-1).tolist()
    return found


def _share(right: Sequence[bool]) -> Measure:
    if not right:
        raise InvalidInput("there are no examples to measure.")
    return Measure(sum(right) / len(right), len(right))


def _with_context(examples: Sequence[Example]) -> list[Example]:
    found = [e for e in examples if e.context]
    if not found:
        raise InvalidInput("none of the examples has a context to read.")
    return found
