"""Linear recurrences whose coefficients change from token to token: fast on a CPU, with gradients by the adjoint.

    T tokens   B sequences   E channels   N states of a channel

A processor is fastest where what it works on stays in its cache. So the tokens are read in blocks of about `BLOCK` numbers:
a block's factors are computed at once, its states one after the other by one fused operation each, and its outputs at once.
Only the state before each block is kept for the way back, which computes the block again; so training needs memory for
T (E + N) numbers and not for T E N, as Mamba's kernel does on a GPU (arXiv 2312.00752, section 3.3.2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 1 << 17  # numbers of a block's states
SMALL = 1 << 10  # numbers of a token's state below which a step costs more than its arithmetic


def selective(
    x: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return y (T, B, E) and the last state of h_t = exp(A step_t) h_{t-1} + B_t (step_t x_t)', y_t = C_t' h_t.

    x and step (T, B, E), A (N, E) at most 0, B and C (T, B, N), h (B, N, E) the state before.
    """
    y, last = _Selective.apply(x.contiguous(), step.contiguous(), A, B.contiguous(), C.contiguous(), h)
    return y, last


def linear(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Return all states (T, ...) of h_t = a_t h_{t-1} + b_t; a and b (T, ...) real or complex, h (...) the state before."""
    states: Tensor = _Linear.apply(a, b, h)
    return states


class _Selective(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        size, begins, out = max(1, BLOCK // h.numel()), [], []
        for t in range(0, len(x), size):
            begins.append(h)
            states = _states(x[t : t + size], step[t : t + size], A, B[t : t + size], h)[1]
            out.append((C[t : t + size, :, None] @ states).squeeze(2))
            h = states[-1].clone()
        ctx.size = size
        ctx.save_for_backward(x, step, A, B, C, torch.stack(begins))
        return torch.cat(out), h

    @staticmethod
    def backward(ctx: Any, dy: Tensor, dh: Tensor) -> tuple[Tensor, ...]:
        x, step, A, B, C, begins = ctx.saved_tensors
        dx, dstep, dA, dB, dC = (torch.zeros_like(t) for t in (x, step, A, B, C))
        for place in reversed(range(len(begins))):
            part = slice(place * ctx.size, (place + 1) * ctx.size)
            u, d, b, dy_ = x[part], step[part], B[part], dy[part]
            a, states = _states(u, d, A, b, begins[place])
            back = C[part, :, :, None] * dy_[:, :, None]  # becomes the gradient of each state
            _adjoint(a, back, dh)
            dh = a[0] * back[0]
            dC[part] = (states @ dy_[..., None]).squeeze(-1)
            before = torch.cat([begins[place][None], states[:-1]])
            faded = before.mul_(a).mul_(back)  # of A step_t
            written = (b[:, :, None] @ back).squeeze(2)
            dstep[part] = (faded * A).sum(2) + u * written
            dx[part] = d * written
            dB[part] = (back @ (d * u)[..., None]).squeeze(-1)
            dA += faded.mul_(d[:, :, None]).sum((0, 1))
        return dx, dstep, dA, dB, dC, dh


def _states(x: Tensor, step: Tensor, A: Tensor, B: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors and the states (T, B, N, E) of a block."""
    a = (step[:, :, None] * A).exp_()
    states = B[..., None] * (step * x)[:, :, None]
    for factor, state in zip(a.unbind(0), states.unbind(0), strict=True):
        state.addcmul_(factor, h)
        h = state
    return a, states


class _Linear(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h: Tensor) -> Tensor:
        states = b.clone()
        states[0].addcmul_(a[0], h)
        states = _recurrence(a, states)
        ctx.save_for_backward(a, states, h)
        return states

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, states, h = ctx.saved_tensors
        later = torch.cat([a[1:], torch.zeros_like(a[:1])]).conj()
        back = _recurrence(later.flip(0), dy.flip(0)).flip(0)
        return back * torch.cat([h[None], states[:-1]]).conj(), back, a[0].conj() * back[0]


def _recurrence(a: Tensor, b: Tensor) -> Tensor:
    """Return h_t = a_t h_{t-1} + b_t in the place of b, h_0 = b_0: token by token, or by doubling where tokens are small."""
    if a[0].numel() >= SMALL:
        rows = b.unbind(0)
        for factor, before, row in zip(a.unbind(0)[1:], rows, rows[1:], strict=False):
            row.addcmul_(factor, before)
        return b
    reach = 1
    while reach < len(b):
        b = torch.cat([b[:reach], b[reach:] + a[reach:] * b[:-reach]])
        a = torch.cat([a[:reach], a[reach:] * a[:-reach]])
        reach *= 2
    return b


def _adjoint(a: Tensor, back: Tensor, last: Tensor) -> None:
    """Add to the gradient of each state, in place, what the later ones send back."""
    rows, factors = back.unbind(0), a.unbind(0)
    rows[-1].add_(last)
    for t in range(len(rows) - 2, -1, -1):
        rows[t].addcmul_(factors[t + 1], rows[t + 1])
