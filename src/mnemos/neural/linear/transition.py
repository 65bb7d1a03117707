"""The generalised delta rule: each key channel fades by itself, and one direction of the memory is moved to another.

    shapes as in `rules`; a, b (B, H, T, K): what is looked up before a token, and where the answer is added
    S_t = diag(exp(decay_t)) S_{t-1} + b_t (S_{t-1}' a_t)' + k_t v_t'      y_t = S_t' q_t

With a = -k, b = beta k and no decay it is the delta rule. The chunked form costs O(T C (K + V) + T K V) a head. It divides
by what the channels lost within a chunk of 16 tokens, so `decay` has to be above -4 or so (RWKV-7's is above -.61).
Source: arXiv 2503.14456 (RWKV-7).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.neural.linear.rules import FINE, chunks, run


def transition_naive(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, a: Tensor, b: Tensor, S: Tensor
) -> tuple[Tensor, Tensor]:
    """Return reads (B, H, T, V) and the memory after the last token, by the formula."""
    out = []
    for t in range(q.shape[2]):
        u = (a[:, :, t, None] @ S).squeeze(2)
        S = (
            decay[:, :, t, :, None].exp() * S
            + b[:, :, t, :, None] * u[:, :, None]
            + k[:, :, t, :, None] * v[:, :, t, None]
        )
        out.append((q[:, :, t, None] @ S).squeeze(2))
    return torch.stack(out, 2), S


def transition(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, a: Tensor, b: Tensor, S: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return reads (B, H, T, V) and the memory after the last token, chunk by chunk; u solves a triangular system."""
    length, (q, k, v, decay, a, b) = q.shape[2], chunks(chunk or FINE, q, k, v, decay, a, b)
    total = decay.cumsum(3)  # (B, H, N, C, K)
    before, end, middle = total - decay, total[..., -1:, :], total[..., -1:, :] / 2
    looks, asks = a * (before - middle).exp(), q * (total - middle).exp()
    moved, written = ((t * (middle - total).exp()).transpose(-1, -2) for t in (b, k))
    wanted = torch.cat([(looks @ written).tril(-1) @ v, a * before.exp()], -1)
    solved = torch.linalg.solve_triangular(-(looks @ moved).tril(-1), wanted, upper=False, unitriangular=True)
    fresh, known = solved.split([v.shape[-1], k.shape[-1]], -1)  # u = fresh + known S
    by_u, local = (asks @ moved).tril(), (asks @ written).tril() @ v
    asked = q * total.exp()
    kept_u, kept = (b * (end - total).exp()).transpose(-1, -2), (k * (end - total).exp()).transpose(-1, -2) @ v

    def one(S: Tensor, n: int) -> tuple[Tensor, Tensor]:
        u = fresh[:, :, n] + known[:, :, n] @ S
        y = asked[:, :, n] @ S + local[:, :, n] + by_u[:, :, n] @ u
        return y, end[:, :, n].exp().transpose(-1, -2) * S + kept_u[:, :, n] @ u + kept[:, :, n]

    return run(one, S, q.shape[2], length)
