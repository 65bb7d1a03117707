"""S4D: a diagonal state space layer, trained as a convolution and run as a recurrence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.statespace import hippo
from mnemos.neural.statespace.invariant import TimeInvariant, convolve, newest_first
from mnemos.neural.statespace.stable import REPARAMETERISATIONS
from mnemos.registry import Paper, register


@register(
    "s4d",
    papers=(
        Paper(
            "On the Parameterization and Initialization of Diagonal State Space Models", "2206.11893", "state-spaces/s4"
        ),
        Paper("Efficiently Modeling Long Sequences with Structured State Spaces", "2111.00396", "state-spaces/s4"),
        Paper(
            "How to Train Your HiPPO: State Space Models with Generalized Orthogonal Basis Projections", "2206.12037"
        ),
    ),
    task="delay",
    baselines=("lssl",),
)
class S4D(TimeInvariant):
    """Drives N complex states a channel by its tokens, each decaying and turning at a rate of its own (arXiv 2206.11893).

    s_t = a s_{t-1} + b u_t, y_t = 2 Re(C s_t), a and b from lambda and the channel's step dt: by a hold of the input (ZOH),
    a = exp(dt lambda), b = (a - 1) / lambda, or bilinear. A state stands for a conjugate pair. Trained as a convolution
    with K_t = 2 Re(C a^t b): O(T log T) a channel, and O(T N) for the kernel, and for the states before and after.
    Departure: B is 1, as it can be taken into C.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        states: int = 32,  # N, complex states of a channel; each is a conjugate pair of the paper
        init: str = "legs",  # of the eigenvalues: legs, inv, lin (FouT), real, or random
        shortest: float = 10.0,  # tokens of the shortest timescale that a channel begins with
        longest: float = 1000.0,  # tokens of the longest one
        bilinear: bool = False,  # whether the step is bilinear instead of a hold of the input
        decay: str = "exp",  # how the real parts are held: exp, softplus, best or direct; see `stable`
    ) -> None:
        super().__init__(width)
        if states < 1:
            raise InvalidInput(f"states is {states}: give at least 1 complex state a channel.")
        if decay not in REPARAMETERISATIONS:
            raise InvalidInput(f"there is no form {decay!r} of the decay: choose {', '.join(REPARAMETERISATIONS)}.")
        self.states, self.bilinear, self.decay, self.real = states, bilinear, decay, init == "real"
        values = torch.stack([hippo.diagonal(init, states) for _ in range(width)]).to(torch.complex64)
        self.log_step = nn.Parameter(hippo.timescales(width, shortest, longest).log().float())
        self.rate = nn.Parameter(REPARAMETERISATIONS[decay].inverse(-values.real))
        if self.real:
            self.register_buffer("turn", torch.zeros(width, states))
        else:
            self.turn = nn.Parameter(values.imag.clone())
        self.read = nn.Parameter(torch.randn(width, states, 2) * 0.5**0.5)

    def init_state(self, batch: int) -> State:
        """Return zeros (B, D, N, 2): real and imaginary parts."""
        return {"system": self.zeros(batch, self.width, self.states, 2)}

    def system(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Return log a, b and C, each complex (D, N)."""
        decay = REPARAMETERISATIONS[self.decay].rate(self.rate.to(dtype))
        values = torch.complex(-decay, self.turn.to(dtype))
        step = self.log_step.to(dtype).exp()[:, None]
        read = torch.view_as_complex(self.read.to(dtype))
        if self.bilinear:
            below = 1 - step * values / 2
            return ((1 + step * values / 2) / below).log(), step / below, read
        return step * values, torch.expm1(step * values) / values, read

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Convolve, and add what was before."""
        dtype = state["system"].dtype
        before, u = torch.view_as_complex(state["system"]), x.to(dtype)
        log_a, b, read = self.system(dtype)
        powers = _powers(log_a, x.shape[1])
        kernel = 2 * ((read * b)[:, None] @ powers)[:, 0].real
        faded = (log_a.exp() * read * before).transpose(0, 1) @ powers  # (D, B, T)
        y = convolve(u, kernel) + 2 * faded.real.permute(1, 2, 0)
        turned, length = newest_first(u, mask)
        driven = turned.permute(2, 0, 1).to(powers.dtype) @ powers.transpose(1, 2)  # (D, B, N)
        after = (log_a * length[:, None, None]).exp() * before + driven.transpose(0, 1) * b
        return self.answer(y, x), {"system": torch.view_as_real(after)}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Go from state to state."""
        s, out = torch.view_as_complex(state["system"]), []
        log_a, b, read = self.system(s.real.dtype)
        a = log_a.exp()
        for u in x.to(s.real.dtype).unbind(1):
            s = a * s + b * u[..., None]
            out.append(2 * (read * s).sum(-1).real)
        return self.answer(torch.stack(out, 1), x), {"system": torch.view_as_real(s)}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token by the recurrence: O(D N)."""
        y, state = self.naive(x[:, None], state)
        return y[:, 0], state


def _powers(log_a: Tensor, length: int) -> Tensor:
    """Return a^t (D, N, T), from a^i and a^64j: a product costs less than an exponential."""
    few = torch.arange(64, device=log_a.device)
    many = 64 * torch.arange(-(-length // 64), device=log_a.device)
    made = (log_a[..., None] * many).exp()[..., None] * (log_a[..., None] * few).exp()[..., None, :]
    return made.flatten(-2)[..., :length]
