"""LSSL: a state space layer with a whole matrix, the reference of the family."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.statespace import hippo
from mnemos.neural.statespace.invariant import TimeInvariant, convolve, newest_first
from mnemos.registry import Paper, register


@register(
    "lssl",
    papers=(
        Paper(
            "Combining Recurrent, Convolutional, and Continuous-time Models with Linear State-Space Layers",
            "2110.13985",
            "state-spaces/s4",
        ),
    ),
    task="delay",
)
class LSSL(TimeInvariant):
    """Drives N states a channel by x' = A x + B u, y = C x, with a step of its own for each channel (arXiv 2110.13985).

    x_t = Ad x_{t-1} + Bd u_t by the generalised bilinear transform. Trained as a convolution with K_i = C Ad^i Bd. All
    powers are made by doubling, so a call costs O(D N^2 T) and log T steps. A is one matrix for all channels, fixed to a
    HiPPO measure, to a random stable matrix, or trained from one of them.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        states: int = 16,  # N, states of a channel
        measure: str = "legs",  # that A begins with: legs, legt, lagt, fout, or random
        shortest: float = 10.0,  # tokens of the shortest timescale that a channel begins with
        longest: float = 1000.0,  # tokens of the longest one
        alpha: float = 0.5,  # of the transform: 0 forward Euler, 0.5 bilinear, 1 backward Euler
        trained: bool = False,  # whether A and B are trained
    ) -> None:
        super().__init__(width)
        if measure not in (*hippo.MEASURES, "random"):
            raise InvalidInput(f"there is no measure {measure!r}: choose {', '.join(hippo.MEASURES)} or random.")
        if not 0 <= alpha <= 1:
            raise InvalidInput(f"alpha is {alpha}: give a number from 0 to 1.")
        self.states, self.alpha = states, alpha
        A, B = random_stable(states) if measure == "random" else system(measure, states)
        for name, matrix in (("A", A.float()), ("B", B.float())):
            if trained:
                self.register_parameter(name, nn.Parameter(matrix))
            else:
                self.register_buffer(name, matrix)
        self.C = nn.Parameter(torch.randn(width, states) * states**-0.5)
        self.log_step = nn.Parameter(hippo.timescales(width, shortest, longest).log().float())

    def init_state(self, batch: int) -> State:
        """Return zeros (B, D, N)."""
        return {"system": self.zeros(batch, self.width, self.states)}

    def discrete(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Return Ad (D, N, N), Bd (D, N) and C (D, N)."""
        step = self.log_step.to(dtype).exp()
        Ad, Bd = hippo.discretise(self.A.to(dtype), self.B.to(dtype), step, self.alpha)
        return Ad, Bd, self.C.to(dtype)

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Convolve, and add what was before."""
        before, length = state["system"], x.shape[1]
        Ad, Bd, C = self.discrete(before.dtype)
        u = x.to(before.dtype)
        driven = powers(Ad, Bd[..., None], length)  # (D, N, T): Ad^t Bd
        asked = powers(Ad.transpose(1, 2), C[..., None], length + 1)[..., 1:]  # (D, N, T): Ad'^(t+1) C
        y = convolve(u, (C[:, None] @ driven)[:, 0]) + (before.transpose(0, 1) @ asked).permute(1, 2, 0)
        turned, read = newest_first(u, mask)
        after = (turned.permute(2, 0, 1) @ driven.transpose(1, 2)).transpose(0, 1) + aged(Ad, before, read, length)
        return self.answer(y, x), {"system": after}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Go from state to state."""
        s, out = state["system"], []
        Ad, Bd, C = self.discrete(s.dtype)
        for u in x.to(s.dtype).unbind(1):
            s = (Ad @ s[..., None]).squeeze(-1) + Bd * u[..., None]
            out.append((C * s).sum(-1))
        return self.answer(torch.stack(out, 1), x), {"system": s}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token by the recurrence: O(D N^2)."""
        y, state = self.naive(x[:, None], state)
        return y[:, 0], state


def system(measure: str, size: int) -> tuple[Tensor, Tensor]:
    """Return A and B of a HiPPO measure."""
    made = hippo.MEASURES[measure](size)
    return made.A, made.B


def random_stable(size: int) -> tuple[Tensor, Tensor]:
    """Return a random A whose eigenvalues all have a real part of at most -1/2, and B: a baseline for the measures."""
    A = torch.randn(size, size, dtype=torch.float64)
    shift = torch.linalg.eigvals(A).real.max() + 0.5
    return A - shift * torch.eye(size, dtype=torch.float64), torch.randn(size, dtype=torch.float64)


def powers(A: Tensor, first: Tensor, count: int) -> Tensor:
    """Return first, A first, A^2 first, ... (D, N, count) by doubling: for A (D, N, N), first (D, N, 1)."""
    made = first
    while made.shape[-1] < count:
        made = torch.cat([made, A @ made], -1)
        A = A @ A
    return made[..., :count]


def aged(A: Tensor, state: Tensor, steps: Tensor, most: int) -> Tensor:
    """Return A^steps state for states (B, D, N) and steps (B,) up to `most`, by the bits of the steps."""
    for bit in range(most.bit_length()):
        further = (A @ state[..., None]).squeeze(-1)
        state = torch.where((steps >> bit & 1).bool()[:, None, None], further, state)
        A = A @ A
    return state
