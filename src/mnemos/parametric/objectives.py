"""What weights are trained for: answers by heart, the words of a reader, and silence everywhere else.

The words of another model are stored as its k likeliest tokens and what is left for all others, k + 1 numbers instead
of a vocabulary's. Of probes the tokens of the learned answers are stored as well: where a model expects nothing in
particular, a memory would otherwise leak its answers into the rest, unseen. All losses are means over the tokens counted.
B rows, m tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

LEAST = 1e-6  # of a probability that is left for the tokens that were not stored


@dataclass(frozen=True, slots=True)
class Expected:
    """What a model expects at some tokens: its likeliest tokens, their log-probabilities, and the rest in one."""

    tokens: Tensor  # (m, k)
    logs: Tensor  # (m, k + 1), of the tokens, then of all others together

    @classmethod
    def of(cls, logits: Tensor, k: int, always: Sequence[int] = ()) -> Expected:
        """Return the k likeliest tokens of logits (m, V), after those that are `always` stored."""
        logs = logits.log_softmax(-1)
        fixed = torch.tensor(list(always), dtype=torch.long, device=logs.device).expand(len(logs), -1)
        others = logs.scatter(-1, fixed, -torch.inf)
        tokens = torch.cat([fixed, others.topk(min(k, logs.shape[-1] - fixed.shape[1]), -1).indices], -1)
        values = logs.gather(-1, tokens)
        return cls(tokens, torch.cat([values, _rest(values)], -1))


def answer_loss(logits: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """Return the cross-entropy of answers (B, m) under logits (B, m, V)."""
    return functional.cross_entropy(logits[counted], targets[counted])


def probabilities(logits: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
    """Return the probability of the least sure token of every answer, (B,)."""
    each = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0].exp()
    return each.masked_fill(~counted, 1.0).amin(-1)


def divergence(expected: Expected, logits: Tensor) -> Tensor:
    """Return KL(expected || logits) at every token (m,), in nats; the tokens that were not stored count as one."""
    chosen = logits.gather(-1, expected.tokens) - logits.logsumexp(-1, keepdim=True)
    logs = torch.cat([chosen, _rest(chosen)], -1)
    return (expected.logs.exp() * (expected.logs - logs)).sum(-1)


def _rest(logs: Tensor) -> Tensor:
    """Return the logarithm of what some log-probabilities leave, (m, 1)."""
    return (1 - logs.exp().sum(-1, keepdim=True)).clamp_min(LEAST).log()
