"""The rules by which a matrix memory is written and read, chunk by chunk and token by token.

    B sequences   H heads   T tokens   K channels of a key   V channels of a value   C tokens of a chunk
    q, k (B, H, T, K)   v (B, H, T, V)   S (B, H, K, V) the memory: keys to values
    decay (B, H, T, 1) or (B, H, T, K): the logarithm, at most 0, of what a token leaves of the memory before it
    beta (B, H, T, 1): how far a token writes, 0 to 1 (to 2 for negative eigenvalues)

Additive:  S_t = exp(decay_t) S_{t-1} + k_t v_t'                                        y_t = S_t' q_t
Delta:     S_t = exp(decay_t) S_{t-1} + k_t u_t',  u_t = beta_t (v_t - (exp(decay_t) S_{t-1})' k_t)   y_t = S_t' q_t

The chunked forms cost O(T C (K + V) + T K V) a head, and are loops of T / C steps over matrices; with a decay for each key
channel the additive one costs O(T C K) more. A padded token has k = 0, beta = 0 and decay = 0, so it leaves S alone.
Sources: the chunked additive form arXiv 2312.06635 (GLA) and 2401.04658 (Lightning Attention); the delta rule's arXiv
2406.06484, with decay 2412.06464. Within a chunk the u of the delta rule solve a triangular system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

Additive = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # of q, k, v, decay, S
CHUNK, FINE = 64, 16  # tokens of a chunk; of one where every key channel has a decay of its own
BLOCK = 64  # chunks whose memories are computed together


def additive_naive(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """Return reads (B, H, T, V) and the memory after the last token, by the formula."""
    out = []
    for t in range(q.shape[2]):
        S = decay[:, :, t, :, None].exp() * S + k[:, :, t, :, None] * v[:, :, t, None]
        out.append((q[:, :, t, None] @ S).squeeze(2))
    return torch.stack(out, 2), S


def delta_naive(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """Return reads (B, H, T, V) and the memory after the last token, by the formula."""
    out = []
    for t in range(q.shape[2]):
        S = decay[:, :, t, :, None].exp() * S
        u = beta[:, :, t] * (v[:, :, t] - (k[:, :, t, None] @ S).squeeze(2))
        S = S + k[:, :, t, :, None] * u[:, :, None]
        out.append((q[:, :, t, None] @ S).squeeze(2))
    return torch.stack(out, 2), S


def additive(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, S: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return reads (B, H, T, V) and the memory after the last token, chunk by chunk."""
    by_channel = decay.shape[-1] > 1
    length, (q, k, v, decay) = q.shape[2], chunks(chunk or (FINE if by_channel else CHUNK), q, k, v, decay)
    total = decay.cumsum(3)  # (B, H, N, C, 1 or K)
    if by_channel:
        gap = total[..., :, None, :] - total[..., None, :, :]  # (B, H, N, C, C, K)
        inside = (q[..., :, None, :] * k[..., None, :, :] * causal(gap).exp()).sum(-1)
    else:
        inside = (q @ k.transpose(-1, -2)) * causal(total - total.transpose(-1, -2)).exp()
    written = (k * (total[..., -1:, :] - total).exp()).transpose(-1, -2) @ v  # (B, H, N, K, V) by each chunk
    local, asked, reads = inside @ v, q * total.exp(), []
    for first in range(0, q.shape[2], BLOCK):
        some = slice(first, first + BLOCK)
        before, S = _memories(written[:, :, some], total[:, :, some, -1], S)
        reads.append(local[:, :, some] + asked[:, :, some] @ before)
    return torch.cat(reads, 2).flatten(2, 3)[:, :, :length], S


def _memories(written: Tensor, decay: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """Return the memory before each chunk (B, H, N, K, V) and after the last: a fading sum of what chunks wrote."""
    ends = F.pad(decay.cumsum(2), (0, 0, 1, 0))  # (B, H, N + 1, 1 or K), that of the beginning too
    by_channel = ends.transpose(-1, -2)
    gap = by_channel[..., :, None] - by_channel[..., None, 1:]  # (B, H, 1 or K, N + 1, N)
    later = torch.ones(gap.shape[-2:], dtype=torch.bool, device=gap.device).triu()
    rows = written.unflatten(3, (decay.shape[-1], -1)).transpose(2, 3).flatten(4)  # (B, H, 1 or K, N, K V or V)
    faded = gap.masked_fill(later, float("-inf")).exp() @ rows
    found = (
        faded.transpose(2, 3).unflatten(4, (-1, written.shape[-1])).flatten(3, 4)
        + ends.exp()[..., None] * S[:, :, None]
    )
    return found[:, :, :-1], found[:, :, -1]


def delta(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor, beta: Tensor, S: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return reads (B, H, T, V) and the memory after the last token, chunk by chunk; decay (B, H, T, 1)."""
    length, (q, k, v, decay, beta) = q.shape[2], chunks(chunk or CHUNK, q, k, v, decay, beta)
    total = decay.cumsum(3)  # (B, H, N, C, 1)
    fading = causal(total - total.transpose(-1, -2)).exp()
    met = (beta * k) @ k.transpose(-1, -2) * fading
    wanted = torch.cat([beta * v, beta * total.exp() * k], -1)
    solved = torch.linalg.solve_triangular(met.tril(-1), wanted, upper=False, unitriangular=True)
    fresh, known = solved.split([v.shape[-1], k.shape[-1]], -1)  # u = fresh - known S
    inside, end = q @ k.transpose(-1, -2) * fading, total[..., -1:, :]
    asked, kept = q * total.exp(), (k * (end - total).exp()).transpose(-1, -2)

    def one(S: Tensor, n: int) -> tuple[Tensor, Tensor]:
        u = fresh[:, :, n] - known[:, :, n] @ S
        return asked[:, :, n] @ S + inside[:, :, n] @ u, end[:, :, n].exp() * S + kept[:, :, n] @ u

    return run(one, S, q.shape[2], length)


def chunks(size: int, *tensors: Tensor) -> Iterator[Tensor]:
    """Cut (B, H, T, D) into (B, H, N, C, D); zeros are added behind, which change nothing."""
    length = tensors[0].shape[2]
    size = min(size, length)
    for tensor in tensors:
        padded = F.pad(tensor, (0, 0, 0, -length % size))
        yield padded.unflatten(2, (-1, size))


def causal(gap: Tensor) -> Tensor:
    """Return logarithms (B, H, N, C, C, ...) with -inf where a token would see a later one."""
    size = gap.shape[3]
    later = torch.ones(size, size, dtype=torch.bool, device=gap.device).triu(1)
    return gap.masked_fill(later.view(size, size, *(1,) * (gap.dim() - 5)), float("-inf"))


def run(
    one: Callable[[Tensor, int], tuple[Tensor, Tensor]], S: Tensor, count: int, length: int
) -> tuple[Tensor, Tensor]:
    """Go through `count` chunks; `one` returns the reads of a chunk and the memory after it."""
    out = []
    for n in range(count):
        y, S = one(S, n)
        out.append(y)
    return torch.cat(out, 2)[:, :, :length], S
