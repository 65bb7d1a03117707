"""Fast and forgetful memory: traces that fade and swing at rates of their own, in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mnemos.neural.base import Mixer, State
from mnemos.registry import Paper, register

CHUNK = 64


@register(
    "fast-and-forgetful-memory",
    papers=(Paper("Reinforcement Learning with Fast and Forgetful Memory", "2310.04128", "proroklab/ffm"),),
    task="linear-layers",
    baselines=("gru",),
)
class FastAndForgetfulMemory(Mixer):
    """Adds each trace to a complex sum that fades at one of m rates and swings at one of c (arXiv 2310.04128).

    S_t = gamma * S_{t-1} + x~_t 1', gamma_jk = exp(-|alpha_j| + i omega_k), x~ = W x * sigmoid(W' x), S (m, c); y = LN(W [Re S,
    Im S]) * sigmoid(W'' x) + skip * (1 - sigmoid(W'' x)). The closed form costs O(T C m c) by chunks of C tokens: within one,
    angles are taken out by turning inputs back and sums forward, which is exact at any length, so that only the m real decays
    are left.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        memory: int | None = None,  # m, traces; the width if nothing is said
        context: int = 4,  # c, periods at which each trace swings
        longest: int = 1024,  # tokens after which the slowest trace is at 1 % at the beginning
        forget: bool = True,  # whether traces fade; without, an ablation
        oscillate: bool = True,  # whether they swing; without, an ablation
    ) -> None:
        super().__init__(width)
        self.memory, self.context, self.forget, self.oscillate = memory or width, context, forget, oscillate
        self.enter = nn.Linear(width, 2 * self.memory)
        self.leave, self.gate = nn.Linear(2 * self.memory * context, width), nn.Linear(width, width)
        self.skip, self.norm = nn.Linear(width, width), nn.LayerNorm(width, elementwise_affine=False)
        ages = torch.linspace(math.log(2.0), math.log(longest), self.memory).exp()  # at which 1 % is left
        self.alpha = nn.Parameter(-math.log(0.01) / ages)
        self.omega = nn.Parameter(2 * math.pi / torch.linspace(math.log(2.0), math.log(longest), context).exp())

    def init_state(self, batch: int) -> State:
        """Return no traces, (B, m, c, 2): the real and the imaginary part."""
        return {"traces": self.zeros(batch, self.memory, self.context, 2)}

    def rates(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return how fast traces fade (m) and swing (c) at a token."""
        alpha, omega = self.alpha.abs().to(like.dtype), self.omega.to(like.dtype)
        return alpha if self.forget else 0 * alpha, omega if self.oscillate else 0 * omega

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Sum chunk by chunk."""
        S = state["traces"]
        value, (alpha, omega) = self.written(x, S, mask), self.rates(S)
        length, size = x.shape[1], min(CHUNK, x.shape[1])
        ages = torch.arange(size, device=x.device)
        gap = (ages[:, None] - ages).clamp_min(0)
        fades = (-alpha[:, None, None] * gap).exp() * (ages[:, None] >= ages)  # (m, C, C)
        turns = torch.polar(torch.ones_like(omega), omega * ages[:, None].to(omega.dtype))  # (C, c)
        since = torch.complex(
            -alpha[:, None].expand(-1, self.context), omega.expand(self.memory, -1)
        )  # log gamma, (m, c)
        carried = (since * (ages + 1).view(-1, 1, 1)).exp()  # (C, m, c)
        out, sums = [], torch.view_as_complex(S)
        for first in range(0, length, size):
            part = value[:, first : first + size]  # (B, n, m)
            n = part.shape[1]
            turned = torch.view_as_real(part.transpose(1, 2)[..., None] * turns[:n].conj()).flatten(3)  # (B, m, n, 2 c)
            summed = (fades[:, :n, :n] @ turned).unflatten(3, (self.context, 2))
            local = torch.view_as_complex(summed.contiguous()) * turns[:n]  # (B, m, n, c)
            out.append(local.transpose(1, 2) + carried[:n] * sums[:, None])
            sums = out[-1][:, -1]
        every = torch.cat(out, 1)  # (B, T, m, c)
        last = every[:, -1]
        if mask is not None:  # the state is that of the last token; before the first one, what was given
            read = mask.sum(1)
            seen = every.gather(1, (read - 1).clamp_min(0).view(-1, 1, 1, 1).expand(-1, 1, self.memory, self.context))
            last = torch.where(read.view(-1, 1, 1) > 0, seen[:, 0], torch.view_as_complex(S))
        return self.answer(torch.view_as_real(every), x), {"traces": torch.view_as_real(last)}

    def written(self, x: Tensor, S: Tensor, mask: Tensor | None) -> Tensor:
        """Return the gated inputs (B, T, m)."""
        value, gate = self.enter(x).chunk(2, -1)
        value = (value * gate.sigmoid()).to(S.dtype)
        return value if mask is None else value * mask[..., None]

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Fade, swing and add token by token."""
        alpha, omega = self.rates(state["traces"])
        gamma = torch.polar((-alpha[:, None]).exp().expand(-1, self.context).contiguous(), omega.repeat(self.memory, 1))
        S, out = torch.view_as_complex(state["traces"]), []
        for value in self.written(x, state["traces"], None).unbind(1):
            S = gamma * S + value[..., None]
            out.append(S)
        return self.answer(torch.view_as_real(torch.stack(out, 1)), x), {"traces": torch.view_as_real(S)}

    def answer(self, traces: Tensor, x: Tensor) -> Tensor:
        """Return (B, T, D) for traces (B, T, m, c, 2)."""
        gate = self.gate(x).sigmoid()
        return self.norm(self.leave(traces.flatten(2).to(x.dtype))) * gate + self.skip(x) * (1 - gate)
