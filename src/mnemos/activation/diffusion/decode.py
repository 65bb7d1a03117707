"""Decoding with a masked-diffusion model: block by block, a few tokens a step, with or without a cache.

    B batch, T positions of the sequence, f of them put through the model in a step, V tokens

As in LLaDA (arXiv 2502.09992), a sequence begins with a prompt and goes on in masks. In each step the model says what may stand
behind each mask of the current block; the tokens it is surest of replace their masks and stay. Which positions a step puts
through the model, and which keys and values the others are seen by, is the policy's (`cache`); without one every step reads
everything and nothing is held. Decoding is greedy: the likeliest token, no sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.activation.diffusion.cache import Policy, Step, Store
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class Schedule:
    """What a step decodes: `tokens` of the block or, with a threshold, all that are as probable, and one at least.

    `order` "confidence" takes the likeliest first, "random" those that were drawn beforehand.
    """

    block: int = 32
    tokens: int = 1
    threshold: float | None = None
    order: Literal["confidence", "random"] = "confidence"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.block < 1 or self.tokens < 1:
            raise InvalidInput(f"block {self.block} and tokens {self.tokens} must be 1 or more.")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InvalidInput(f"threshold is {self.threshold}: give a probability above 0, such as 0.9, or None.")
        if self.order not in ("confidence", "random"):
            raise InvalidInput(f"order is {self.order!r}: choose confidence or random.")
        if self.order == "random" and self.threshold is not None:
            raise InvalidInput("an order that is drawn beforehand takes a number of tokens a step, not a threshold.")


@dataclass(frozen=True)
class Decoded:
    """The sequences, and what it took. Counts are of a row's own: rows that wait for others are not counted."""

    ids: Tensor  # (B, T)
    steps: Tensor  # (B,) calls of the model that decoded something in the row
    recomputed: Tensor  # (B,) positions put through the model in them
    calls: int  # of the model, for all rows together
    attended: int  # pairs of a query and an entry, over rows and layers and all calls; 0 without a policy
    nbytes: int  # most that the cache held after a call


def decode(
    model: Any, ids: Tensor, policy: Policy | None = None, schedule: Schedule | None = None,
    watch: Callable[[Step, Tensor, Tensor], None] | None = None,
) -> Decoded:  # fmt: skip
    """Replace the masks in ids (B, T), of which the first of any row begins the first block; the input stays.

    `model` is a `MaskedLM` or works like one. `watch` is called in each step with the step, the slots (B, f) that were
    computed (T pads) and their logits (B, f, V). Raises InvalidInput when nothing is masked, and when a policy does not
    compute what must be decoded.
    """
    schedule = schedule or Schedule()
    masked = ids == model.mask
    if ids.ndim != 2 or not masked.any():
        raise InvalidInput("there is nothing to decode: give ids (B, T) with the model's mask in them.")
    ids = ids.clone()
    (rows, length), prompt = ids.shape, int(masked.any(0).int().argmax())
    drawn = torch.rand(ids.shape, generator=torch.Generator().manual_seed(schedule.seed)).to(ids.device)
    store = None if policy is None else Store(policy)
    steps, recomputed = torch.zeros(2, rows, dtype=torch.int64, device=ids.device)
    calls = nbytes = 0
    before = masked
    with torch.no_grad():
        for start in range(prompt, length, schedule.block):
            end, number = min(start + schedule.block, length), 0
            while (waiting := (ids == model.mask)[:, start:end]).any():
                masked = ids == model.mask
                todo = within(masked, start, end)
                chosen = first(drawn, todo, schedule.tokens) if schedule.order == "random" else None
                step = Step(ids.clone(), masked, before, chosen, prompt, start, end, number, calls == 0)
                places = slots(step.everything() if policy is None else policy.fresh(step))
                tokens, sure, logits = read(model, step, places, store)
                sure[~todo] = -torch.inf
                now = surest(sure, schedule) if chosen is None else chosen
                busy = waiting.any(1)
                if not (now.any(1) == busy).all() or not torch.isfinite(sure[now]).all():
                    raise InvalidInput(f"{policy} does not compute positions that step {number} of a block decodes.")
                before, ids = masked, torch.where(now, tokens, ids)
                steps += busy
                recomputed += busy * (places < length).sum(1)
                calls, number = calls + 1, number + 1
                nbytes = max(nbytes, store.nbytes if store else 0)
                if watch:
                    watch(step, places, logits)
    return Decoded(ids, steps, recomputed, calls, store.reads if store else 0, nbytes)


def read(model: Any, step: Step, places: Tensor, store: Store | None) -> tuple[Tensor, Tensor, Tensor]:
    """Put the slots through the model; return the likeliest token of each slot and its probability, (B, T), and logits.

    The probability of a slot that was not computed is -inf.
    """
    rows, length = step.ids.shape
    padded = functional.pad(step.ids, (0, 1), value=model.mask)
    if store is not None:
        store.begin(step, places)
    logits = model(padded.gather(1, places), places, store)
    best, token = logits.softmax(-1).max(-1)
    tokens = torch.zeros(rows, length + 1, dtype=step.ids.dtype, device=step.ids.device).scatter_(1, places, token)
    sure = torch.full((rows, length + 1), -torch.inf, device=best.device, dtype=best.dtype).scatter_(1, places, best)
    return tokens[:, :length], sure[:, :length], logits


def slots(fresh: Tensor) -> Tensor:
    """Return the true slots of each row of (B, T), ascending, as (B, f); a row that has fewer ends in T."""
    length = fresh.shape[1]
    each = torch.where(fresh, torch.arange(length, device=fresh.device), length)
    return each.sort(1).values[:, : int(fresh.sum(1).max())]


def within(masked: Tensor, start: int, end: int) -> Tensor:
    """Return the masked slots of the block, (B, T) bool."""
    here = torch.zeros_like(masked)
    here[:, start:end] = masked[:, start:end]
    return here


def first(score: Tensor, allowed: Tensor, count: int) -> Tensor:
    """Return the `count` slots of each row with the largest score of those allowed, (B, T) bool; fewer if there are."""
    score = torch.where(allowed, score, -torch.inf)
    best = score.topk(min(count, score.shape[1]), 1).indices
    return torch.zeros_like(allowed).scatter_(1, best, True) & allowed


def surest(sure: Tensor, schedule: Schedule) -> Tensor:
    """Return what a step decodes, by probability (B, T), -inf where there is nothing to decode."""
    allowed = torch.isfinite(sure)
    if schedule.threshold is None:
        return first(sure, allowed, schedule.tokens)
    return first(sure, allowed, 1) | (sure >= schedule.threshold)
