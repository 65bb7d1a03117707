"""Decoding with a masked-diffusion model: block by block, a few tokens a step, with or without a cache.

    B batch, T positions of the sequence, f positions put through the model in a step, V tokens

As in LLaDA (arXiv 2502.09992), a sequence is a prompt followed by masks. In each step the model predicts a token for
every mask of the current block, and the most confident predictions replace their masks for good. The reuse policy
(`base`) decides which positions a step puts through the model and which cached entries stand for the others; without
a policy every step reads the whole sequence and nothing is cached. Decoding is greedy: the most probable token, no
sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.activation.diffusion.base import ReusePolicy, Step
from mnemos.activation.diffusion.cache import DiffusionCache
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class DecodingSchedule:
    """What a step decodes: a fixed number of tokens, or all above a threshold of probability and at least one."""

    block: int = 32  # tokens of a block
    tokens: int = 1  # tokens decoded a step, where there is no threshold
    threshold: float | None = None  # probability from which on a token is decoded; None: `tokens` a step
    order: Literal["confidence", "random"] = "confidence"  # the most probable first, or an order drawn in advance
    seed: int = 0  # of the drawn order

    def __post_init__(self) -> None:
        if self.block < 1 or self.tokens < 1:
            raise InvalidInput(f"block is {self.block} and tokens is {self.tokens}: both must be 1 or more.")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InvalidInput(f"threshold is {self.threshold}: give a probability above 0, such as 0.9, or None.")
        if self.order not in ("confidence", "random"):
            raise InvalidInput(f"order is {self.order!r}: choose 'confidence' or 'random'.")
        if self.order == "random" and self.threshold is not None:
            raise InvalidInput("order 'random' is drawn in advance and takes `tokens`, not a threshold.")


@dataclass(frozen=True)
class Decoded:
    """The decoded sequences and what they cost. A sequence that waits for others in the batch costs nothing."""

    ids: Tensor  # (B, T)
    steps: Tensor  # (B,) calls of the model that decoded something in the sequence
    recomputed: Tensor  # (B,) positions put through the model in those calls
    calls: int  # of the model, for the whole batch
    attended: int  # pairs of a query and an entry, over all sequences, layers and calls; 0 without a policy
    nbytes: int  # peak bytes of the cache, measured after each call


def decode(
    model: Any,
    ids: Tensor,
    policy: ReusePolicy | None = None,
    schedule: DecodingSchedule | None = None,
    watch: Callable[[Step, Tensor, Tensor], None] | None = None,
) -> Decoded:
    """Replace the masks in a copy of `ids` (B, T); the first mask of any sequence starts the first block.

    `model` is a `MaskedLM`, or is called like one and has a `mask`. `watch` is called after each step with the step,
    the positions (B, f) that were computed (T pads) and their logits (B, f, V). Raises InvalidInput when nothing is
    masked, and when the policy does not compute what must be decoded.
    """
    schedule = schedule or DecodingSchedule()
    masked = ids == model.mask
    if ids.ndim != 2 or not masked.any():
        raise InvalidInput(f"nothing to decode in ids {tuple(ids.shape)}: give (B, T) with the model's mask in them.")
    ids = ids.clone()
    (batch, length), prompt = ids.shape, int(masked.any(0).int().argmax())
    drawn = torch.rand(ids.shape, generator=torch.Generator().manual_seed(schedule.seed)).to(ids.device)
    cache = None if policy is None else DiffusionCache(policy)
    steps, recomputed = torch.zeros(2, batch, dtype=torch.int64, device=ids.device)
    calls = nbytes = 0
    masked_before = masked
    with torch.no_grad():
        for start in range(prompt, length, schedule.block):
            end, number = min(start + schedule.block, length), 0
            while (waiting := (ids == model.mask)[:, start:end]).any():
                masked = ids == model.mask
                todo = masked_in_block(masked, start, end)
                chosen = best(drawn, todo, schedule.tokens) if schedule.order == "random" else None
                step = Step(ids.clone(), masked, masked_before, chosen, prompt, start, end, number, calls == 0)
                positions = ascending(step.all_positions() if policy is None else policy.recompute(step))
                tokens, confidence, logits = predict(model, step, positions, cache)
                confidence[~todo] = -torch.inf
                now = most_confident(confidence, schedule) if chosen is None else chosen
                busy = waiting.any(1)
                if not (now.any(1) == busy).all() or not torch.isfinite(confidence[now]).all():
                    raise InvalidInput(f"{policy} does not compute positions that step {number} of a block decodes.")
                masked_before, ids = masked, torch.where(now, tokens, ids)
                steps += busy
                recomputed += busy * (positions < length).sum(1)
                calls, number = calls + 1, number + 1
                nbytes = max(nbytes, cache.nbytes if cache else 0)
                if watch:
                    watch(step, positions, logits)
    return Decoded(ids, steps, recomputed, calls, cache.reads if cache else 0, nbytes)


def predict(model: Any, step: Step, positions: Tensor, cache: DiffusionCache | None) -> tuple[Tensor, Tensor, Tensor]:
    """Put the positions (B, f) through the model; return the likeliest tokens (B, T), their probabilities, and logits.

    The probability of a position that was not computed is -inf.
    """
    batch, length = step.ids.shape
    padded = functional.pad(step.ids, (0, 1), value=model.mask)
    if cache is not None:
        cache.start_step(step, positions)
    logits = model(padded.gather(1, positions), positions, cache)
    top, token = logits.softmax(-1).max(-1)
    device = step.ids.device
    tokens = torch.zeros(batch, length + 1, dtype=step.ids.dtype, device=device).scatter_(1, positions, token)
    confidence = torch.full((batch, length + 1), -torch.inf, device=top.device, dtype=top.dtype)
    confidence.scatter_(1, positions, top)
    return tokens[:, :length], confidence[:, :length], logits


def ascending(marks: Tensor) -> Tensor:
    """Return the true positions of each row of (B, T) in ascending order, as (B, f); T pads rows with fewer."""
    length = marks.shape[1]
    each = torch.where(marks, torch.arange(length, device=marks.device), length)
    return each.sort(1).values[:, : int(marks.sum(1).max())]


def masked_in_block(masked: Tensor, start: int, end: int) -> Tensor:
    """Return the masked positions of the block, (B, T) bool."""
    inside = torch.zeros_like(masked)
    inside[:, start:end] = masked[:, start:end]
    return inside


def best(score: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Return the `count` allowed positions of each row with the largest score, (B, T) bool; all if there are fewer."""
    score = torch.where(allowed, score, -torch.inf)
    top = score.topk(min(count, score.shape[1]), 1).indices
    return torch.zeros_like(allowed).scatter_(1, top, True) & allowed


def most_confident(confidence: Tensor, schedule: DecodingSchedule) -> Tensor:
    """Return what a step decodes, (B, T) bool, from the probabilities (B, T); -inf marks what cannot be decoded."""
    allowed = torch.isfinite(confidence)
    if schedule.threshold is None:
        return best(confidence, allowed, schedule.tokens)
    return best(confidence, allowed, 1) | (confidence >= schedule.threshold)
