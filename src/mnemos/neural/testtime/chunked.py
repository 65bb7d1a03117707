"""The chunked form of learning while reading: all gradients of a chunk are taken where the chunk began.

    B sequences   H heads   T tokens   C tokens of a chunk   c tokens of the window
    begin + M_t is the memory
    M_t = (1 - alpha_t) M_{t-1} + S_t    S_t = eta_t S_{t-1} - theta_t sum_{t-c < i <= t} gamma_i grad(begin + M_chunk; k_i, v_i)

With the gradients of a chunk known, both recurrences are linear, so M_t is the memory at the beginning of the chunk and
a sum of outer products, with coefficients that are products of two triangular matrices; a read costs O(C (I + O)) a
token and weight, and M_t is written out for no token but the last. Where the rule is not linear in them (Muon, lq, kl)
it is written out for each, O(C I O). Chunks lie on a grid that begins with the text: the position in it, and the weights
where the chunk began, are parts of the state, so that a text in pieces is a text.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.neural.testtime.rule import Factors, Rule, Weights, answer, gelu, orthogonal

NAMES = ("q", "k", "v", "theta", "gamma", "limit", "log_keep", "log_eta", "real")


@dataclass(frozen=True, slots=True)
class Told:
    """What tokens say to the memory, (B, H, T, .) each."""

    q: Tensor
    k: Tensor
    v: Tensor
    theta: Tensor  # step
    gamma: Tensor  # weight of the token in the losses of later ones; 0 for padding
    limit: Tensor  # of the huber loss
    log_keep: Tensor  # log (1 - alpha)
    log_eta: Tensor  # logarithm of what is kept of the momentum
    real: Tensor  # 1 for a token that makes a step, 0 for padding and for what was held


def aligned(told: Told, shift: Tensor, length: int) -> Told:
    """Return tokens moved to the right by `shift` (B, 1), with nothing around them up to `length`."""
    T = told.q.shape[2]
    place = torch.arange(length, device=shift.device) - shift  # (B, length)
    there = ((place >= 0) & (place < T))[:, None, :, None]
    take = place.clamp(0, T - 1)[:, None, :, None]

    def move(x: Tensor) -> Tensor:
        return x.gather(2, take.expand(-1, x.shape[1], -1, x.shape[3])) * there

    return Told(*(move(getattr(told, name)) for name in NAMES))


def fading(log: Tensor) -> Tensor:
    """Return (B, H, C, C): what a factor leaves at t of what was there at s <= t; 0 for s > t."""
    total, size = log.cumsum(2), log.shape[2]
    later = torch.ones(size, size, dtype=torch.bool, device=log.device).triu(1)
    return (total - total.transpose(-1, -2)).masked_fill(later, float("-inf")).exp()


@dataclass(frozen=True, slots=True)
class Mix:
    """How the memory of each token of a chunk is made up, (B, H, C, .)."""

    of_memory: Tensor  # of the memory before the chunk
    of_momentum: Tensor  # of the momentum before it, in the memory
    of_gradients: Tensor  # (C, c - 1 + C), in the memory
    momentum: Tensor  # of the momentum before it, in the momentum
    gradients: Tensor  # (C, c - 1 + C), in the momentum
    steps: Tensor  # (C, C): of the orthogonalised momenta, in the memory


def mixed(rule: Rule, told: Told, before: int) -> Mix:
    """Return the coefficients of one chunk."""
    theta, real, log_keep, log_eta = (t[:, :, before:] for t in (told.theta, told.real, told.log_keep, told.log_eta))
    keeps = fading(log_keep)
    looks = window(told, before)
    if rule.optimiser == "gradient":
        zero = torch.zeros_like(theta)
        step = keeps @ (theta * looks)
        return Mix(log_keep.cumsum(2).exp(), zero, step, zero, looks, keeps)
    swing, since = fading(log_eta), log_eta.cumsum(2).exp()
    by_step = looks if rule.optimiser == "muon" else theta * looks
    gradients = swing @ by_step
    onto = keeps * (theta if rule.optimiser == "muon" else real).transpose(-1, -2)
    return Mix(log_keep.cumsum(2).exp(), onto @ since, onto @ gradients, since, gradients, onto)


def window(told: Told, before: int) -> Tensor:
    """Return (B, H, C, c - 1 + C): the weight of each token's loss in each step; padding makes and gets none."""
    gamma, real = told.gamma, told.real
    size = gamma.shape[2] - before
    at, of = torch.arange(size, device=gamma.device)[:, None] + before, torch.arange(size + before, device=gamma.device)
    own, older = (at == of).to(gamma.dtype), ((of < at) & (at - of <= before)).to(gamma.dtype)
    return (own * real.transpose(-1, -2) + older * gamma.transpose(-1, -2)) * real[:, :, before:]


def read_sums(mix: Mix, begin: Weights, weights: Weights, momenta: Weights, factors: Factors, q: Tensor) -> Tensor:
    """Return the answers of every token's memory to its own query, without writing the memories out."""
    parts = zip(begin, weights, momenta, factors, strict=True)
    for layer, (start, weight, momentum, (left, right)) in enumerate(parts):
        q = q if layer == 0 else gelu(q)
        met = (q @ left.transpose(-1, -2)) * mix.of_gradients
        q = q @ start + mix.of_memory * (q @ weight) + mix.of_momentum * (q @ momentum) - met @ right
    return q


def last_sums(mix: Mix, weights: Weights, momenta: Weights, factors: Factors) -> tuple[Weights, Weights]:
    """Return memory and momentum after the chunk."""
    of, at = [t[:, :, -1:] for t in (mix.of_memory, mix.of_momentum, mix.momentum)], (mix.of_gradients, mix.gradients)
    by_memory, by_momentum = (t[:, :, -1, :, None] for t in at)
    after, moving = [], []
    for weight, momentum, (left, right) in zip(weights, momenta, factors, strict=True):
        turned = left.transpose(-1, -2)
        after.append(of[0] * weight + of[1] * momentum - turned @ (by_memory * right))
        moving.append(of[2] * momentum - turned @ (by_momentum * right))
    return after, moving


def written_out(
    rule: Rule, mix: Mix, weights: Weights, momenta: Weights, factors: Factors
) -> tuple[list[Tensor], list[Tensor]]:
    """Return memories and momenta (B, H, C, I, O) of every token."""
    every, moving = [], []
    for weight, momentum, (left, right) in zip(weights, momenta, factors, strict=True):
        made = torch.einsum("bhts,bhsi,bhso->bhtio", mix.gradients, left, right)
        moved = mix.momentum[..., None] * momentum[:, :, None] - made
        if rule.optimiser == "muon":
            added = torch.einsum("bhts,bhsio->bhtio", mix.steps, orthogonal(moved))
        else:
            added = mix.of_momentum[..., None] * momentum[:, :, None]
            added = added - torch.einsum("bhts,bhsi,bhso->bhtio", mix.of_gradients, left, right)
        every.append(mix.of_memory[..., None] * weight[:, :, None] + added)
        moving.append(moved)
    return every, moving


def chunk_step(
    rule: Rule, told: Told, before: int, begin: Weights, anchor: Weights, weights: Weights, momenta: Weights
) -> tuple[Tensor, Weights, Weights]:
    """Return the reads of a chunk (B, H, C, V), and memory and momentum after it."""
    factors = rule.factors(rule.held(anchor, begin), told.k, told.v, told.limit, told.log_keep.exp())
    mix, q = mixed(rule, told, before), told.q[:, :, before:]
    if not rule.whole:
        return read_sums(mix, begin, weights, momenta, factors, q), *last_sums(mix, weights, momenta, factors)
    every, moving = written_out(rule, mix, weights, momenta, factors)
    read = answer(rule.held(every, [b[:, None] for b in begin]), q[..., None, :]).squeeze(-2)
    return read, [w[:, :, -1] for w in every], [m[:, :, -1] for m in moving]
