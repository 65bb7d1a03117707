"""Running softmaxes: averages whose weights are exponentials, kept by their mean and the logarithm of their sum.

    B sequences   H heads   T tokens   K channels with weights of their own   V channels of a value   C tokens of a chunk
    k (B, H, T, K) logarithms of weights   q (B, H, T, K)   v (B, H, T, V)
    S (B, H, K, V) the means   z (B, H, K) the logarithms of the sums of weights, EMPTY before the first token

z_t = log(exp z_{t-1} + exp k_t)    S_t = exp(z_{t-1} - z_t) S_{t-1} + exp(k_t - z_t) v_t'    y_t = S_t' q_t

Nothing overflows, whatever the weights. The chunked form costs O(T C K + T C V + T K V) a head. Two memories of parts make
that of the whole, as the sum does not know an order.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.neural.linear.rules import chunks, run

EMPTY = -1e30  # of z: nothing was weighed
CHUNK = 16


def running_naive(q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return reads (B, H, T, V), the means and the logarithms after the last token, by the formula."""
    out = []
    for t in range(q.shape[2]):
        before, z = z, torch.logaddexp(z, k[:, :, t])
        S = (before - z).exp()[..., None] * S + (k[:, :, t] - z).exp()[..., None] * v[:, :, t, None]
        out.append((q[:, :, t, None] @ S).squeeze(2))
    return torch.stack(out, 2), S, z


def running(
    q: Tensor, k: Tensor, v: Tensor, S: Tensor, z: Tensor, chunk: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return reads (B, H, T, V), the means and the logarithms after the last token, chunk by chunk."""
    size = chunk or CHUNK
    all_z = torch.logaddexp(z[:, :, None], k.logcumsumexp(2))  # (B, H, T, K)
    before = torch.cat([z[:, :, None], all_z[:, :, size - 1 : -1 : size]], 2)  # at the beginning of each chunk
    last, length = all_z[:, :, -1], q.shape[2]
    (k,) = chunks(size, F.pad(k, (0, 0, 0, -length % min(size, length)), value=EMPTY))
    q, v, all_z = chunks(size, q, v, all_z)
    size = q.shape[3]
    weights = k[..., None, :, :] - all_z[..., :, None, :]  # (B, H, N, C, C, K)
    later = torch.ones(size, size, dtype=torch.bool, device=q.device).triu(1)[..., None]
    local = (q[..., :, None, :] * weights.masked_fill(later, EMPTY).exp()).sum(-1) @ v
    asked = q * (before[..., None, :] - all_z).clamp_max(0).exp()
    end = torch.cat([before[:, :, 1:], last[:, :, None]], 2)  # (B, H, N, K)
    kept, written = (before - end).exp(), (k - end[..., None, :]).clamp_max(0).exp().transpose(-1, -2) @ v

    def one(S: Tensor, n: int) -> tuple[Tensor, Tensor]:
        return local[:, :, n] + asked[:, :, n] @ S, kept[:, :, n, :, None] * S + written[:, :, n]

    y, S = run(one, S, q.shape[2], length)
    return y, S, last


def joined(S: Tensor, z: Tensor, S_later: Tensor, z_later: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means and logarithms of both texts together."""
    both = torch.logaddexp(z, z_later)
    return (z - both).exp()[..., None] * S + (z_later - both).exp()[..., None] * S_later, both
