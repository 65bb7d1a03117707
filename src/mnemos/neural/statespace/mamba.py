"""Mamba: a state space layer whose step, input and output are chosen by the token."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.convolution import ShortConvolution
from mnemos.neural.statespace import scan
from mnemos.registry import Paper, register

AT_ONCE = -1e30  # a rate at which a state is gone after any step but one of 0


@register(
    "mamba",
    papers=(
        Paper("Mamba: Linear-Time Sequence Modeling with Selective State Spaces", "2312.00752", "state-spaces/mamba"),
        Paper(
            "Understanding and Mitigating Bottlenecks of State Space Models through the Lens of Recency and Over-smoothing",
            "2501.00658",
            "VITA-Group/SSM-Bottleneck",
        ),
    ),
    task="selective-copying",
    baselines=("s4d",),
)
class Mamba(Mixer):
    """Lets each token choose how far the system steps, what it writes and what it reads: S6 (arXiv 2312.00752).

    u = SiLU(conv(W x)), h_t = exp(A dt_t) h_{t-1} + B_t (dt_t u_t)', y_t = C_t' h_t + D u_t, out = W_o (y SiLU(z)), with
    dt = softplus(W_dt W_r u + b), B and C linear in u. Costs O(T E N); see `scan`. A token with dt = 0 leaves the state alone.

    `polarised` fixes the first state of each channel to stay (factor 1) and the second to be gone at once (factor 0), so that
    nothing is too old to be remembered and no depth makes tokens alike (arXiv 2501.00658).
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        states: int = 16,  # N, of each inner channel
        expand: float = 2,  # E / D, inner channels
        kernel: int = 4,  # of the short convolution
        rank: int | None = None,  # of the projection to the step; D / 16 if nothing is said
        polarised: bool = False,  # whether one state always stays and one is always gone
    ) -> None:
        super().__init__(width)
        if states < 1 + 2 * polarised:
            raise InvalidInput(f"states is {states}: give at least {1 + 2 * polarised}.")
        self.inner, self.states, self.polarised = int(expand * width), states, polarised
        self.rank = rank or math.ceil(width / 16)
        self.enter = nn.Linear(width, 2 * self.inner, bias=False)
        self.convolve = ShortConvolution(self.inner, kernel)
        self.to_parts = nn.Linear(self.inner, self.rank + 2 * states, bias=False)
        self.to_step = nn.Linear(self.rank, self.inner)
        learned = states - 2 * polarised
        self.log_rate = nn.Parameter(torch.arange(1.0, learned + 1).log().repeat(self.inner, 1))
        self.skip = nn.Parameter(torch.ones(self.inner))
        self.out = nn.Linear(self.inner, width, bias=False)
        nn.init.uniform_(self.to_step.weight, -(self.rank**-0.5), self.rank**-0.5)
        with torch.no_grad():  # softplus(bias) is a step between .001 and .1
            step = torch.empty(self.inner).uniform_(math.log(0.001), math.log(0.1)).exp()
            self.to_step.bias.copy_(step + (-torch.expm1(-step)).log())

    def init_state(self, batch: int) -> State:
        """Return zeros: the system (B, N, E), and the last tokens of the convolution."""
        return {"system": self.zeros(batch, self.states, self.inner), **self.convolve.init_state(batch)}

    def rates(self, dtype: torch.dtype) -> Tensor:
        """Return A (N, E), at most 0."""
        A = -self.log_rate.to(dtype).exp().T
        if self.polarised:
            stays, gone = A.new_zeros(1, self.inner), A.new_full((1, self.inner), AT_ONCE)
            A = torch.cat([stays, gone, A])
        return A

    def parts(self, u: Tensor, dtype: torch.dtype, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return step (B, T, E), B and C (B, T, N) of convolved tokens u (B, T, E); padding has a step of 0."""
        low, B, C = self.to_parts(u).to(dtype).split([self.rank, self.states, self.states], -1)
        step = F.softplus(F.linear(low, self.to_step.weight.to(dtype), self.to_step.bias.to(dtype)))
        if mask is not None:
            step = step * mask[..., None]
        return step, B, C

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Scan over the tokens in blocks."""
        u, gate = self.enter(x).chunk(2, -1)
        u, last = self.convolve.mix(u, {"last": state["last"]}, mask)
        u, h = F.silu(u), state["system"]
        step, B, C = self.parts(u, h.dtype, mask)
        v, dt, b, c = (t.transpose(0, 1) for t in (u.to(h.dtype), step, B, C))  # tokens first
        y, h = scan.selective(v, dt, self.rates(h.dtype), b, c, h)
        return self.answer(y.transpose(0, 1), u, gate), {"system": h, **last}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Go from state to state."""
        u, gate = self.enter(x).chunk(2, -1)
        u, last = self.convolve.naive(u, {"last": state["last"]})
        u, h, out = F.silu(u), state["system"], []
        A = self.rates(h.dtype)
        for u_t, step, B, C in zip(u.unbind(1), *(p.unbind(1) for p in self.parts(u, h.dtype, None)), strict=True):
            h = (step[:, None] * A).exp() * h + B[..., None] * (step * u_t)[:, None]
            out.append((C[..., None] * h).sum(1))
        return self.answer(torch.stack(out, 1), u, gate), {"system": h, **last}

    def answer(self, y: Tensor, u: Tensor, gate: Tensor) -> Tensor:
        """Return the output (B, T, D) for what was read, the inner tokens and the gate, (B, T, E) each."""
        return self.out((y.to(u.dtype) + self.skip * u) * F.silu(gate))
