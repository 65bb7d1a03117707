"""Chimera: a state space layer in two directions, along time and across the variates of a series."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.statespace import scan
from mnemos.registry import Paper, register


@register(
    "chimera",
    papers=(
        Paper(
            "Chimera: Effectively Modeling Multivariate Time Series with 2-Dimensional State Space Models", "2406.04320"
        ),
    ),
    task="series",
    baselines=("s4d",),
)
class Chimera(Mixer):
    """Carries one state along time and one across variates, each fed by the other (arXiv 2406.04320).

    h1_{v,t} = A1 h1_{v,t-1} + A2 h2_{v,t-1} + B1 x_{v,t}, h2_{v,t} = A3 h1_{v-1,t} + A4 h2_{v-1,t} + B2 x_{v,t},
    y_{v,t} = C1 h1 + C2 h2: the channels of a token are the variates. Steps, B and C depend on the input. Half of the states
    only decay (trend), half turn too (season: the diagonal form of a companion matrix). The fast form is a scan in time
    for one variate after the other, O(T V N) in V scans; both orders of variates are read.
    Departure: A1 + A2 and A3 + A4 are at most 1 in size, by a learned share, as sums of two such factors could explode.
    """

    def __init__(
        self,
        width: int,  # V, variates
        states: int = 8,  # N, states of a variate in each direction; an even number
        features: int = 8,  # of an input, from which its step, B and C are made
        both: bool = True,  # whether variates are read in both orders
        across: bool = True,  # whether anything passes between variates; without, each is a 1-D layer
    ) -> None:
        super().__init__(width)
        if states < 2 or states % 2:
            raise InvalidInput(f"states is {states}: give an even number, for trend and season.")
        self.states, self.orders, self.across = states, 1 + both, across
        self.variate = nn.Parameter(torch.randn(width, features) * 0.1)
        self.scale = nn.Parameter(torch.randn(features))
        self.to_parts = nn.Linear(features, self.orders * (2 + 8 * states))
        self.log_rate = nn.Parameter(torch.linspace(-4, 0, states).repeat(self.orders, 2, 1))
        turning = torch.cat([torch.zeros(states // 2), torch.linspace(0.1, 3.0, states // 2)])
        self.turn = nn.Parameter(turning.repeat(self.orders, 1))
        self.share = nn.Parameter(torch.full((self.orders, 2, states), -2.0))
        self.skip = nn.Parameter(torch.ones(width))

    def init_state(self, batch: int) -> State:
        """Return zeros: both states of each variate, real and imaginary, (B, orders, 2, V, N, 2)."""
        return {"system": self.zeros(batch, self.orders, 2, self.width, self.states, 2)}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Scan along time for one variate after the other."""
        system, y, after = torch.view_as_complex(state["system"]), self.skip * x, []
        for order in range(self.orders):
            a, b, c = self.parts(x, order, state["system"].dtype, mask)
            flow = range(self.width) if order == 0 else range(self.width - 1, -1, -1)
            read: dict[int, Tensor] = {}
            ends: dict[int, Tensor] = {}
            h1 = h2 = torch.zeros_like(b[0][:, :, 0])  # (T, B, N) of the variate before
            for v in flow:
                h2 = a[2][:, :, v] * h1 + a[3][:, :, v] * h2 + b[1][:, :, v]
                begun1, begun2 = system[:, order, 0, v], system[:, order, 1, v]
                h2 = self.held(h2, begun2, mask)
                earlier = torch.cat([begun2[None], h2[:-1]])
                h1 = scan.linear(a[0][:, :, v], a[1][:, :, v] * earlier + b[0][:, :, v], begun1)
                read[v] = (c[0][:, :, v] * h1 + c[1][:, :, v] * h2).sum(-1).real
                ends[v] = torch.stack([h1[-1], h2[-1]], 1)  # (B, 2, N)
            y = y + torch.stack([read[v] for v in range(self.width)], -1).transpose(0, 1).to(x.dtype)
            after.append(torch.stack([ends[v] for v in range(self.width)], 2))
        return y, {"system": torch.view_as_real(torch.stack(after, 1))}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Go from time to time, and from variate to variate."""
        system, y = torch.view_as_complex(state["system"]), []
        parts = [self.parts(x, order, state["system"].dtype, None) for order in range(self.orders)]
        for t in range(x.shape[1]):
            said, now = self.skip * x[:, t], []
            for order, (a, b, c) in enumerate(parts):
                flow = list(range(self.width))[:: 1 if order == 0 else -1]
                h1 = h2 = torch.zeros_like(system[:, 0, 0, 0])
                read, ends = {}, {}
                for v in flow:
                    before1, before2 = system[:, order, :, v].unbind(1)
                    h2 = a[2][t, :, v] * h1 + a[3][t, :, v] * h2 + b[1][t, :, v]
                    h1 = a[0][t, :, v] * before1 + a[1][t, :, v] * before2 + b[0][t, :, v]
                    read[v] = (c[0][t, :, v] * h1 + c[1][t, :, v] * h2).sum(-1).real
                    ends[v] = torch.stack([h1, h2], 1)
                said = said + torch.stack([read[v] for v in sorted(read)], -1).to(x.dtype)
                now.append(torch.stack([ends[v] for v in sorted(ends)], 2))
            system = torch.stack(now, 1)
            y.append(said)
        return torch.stack(y, 1), {"system": torch.view_as_real(system)}

    def parts(
        self, x: Tensor, order: int, dtype: torch.dtype, mask: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return A1 to A4, B1 x and B2 x, C1 and C2, each (T, B, V, N), tokens first; padding leaves h1 alone."""
        features = F.silu(x[..., None] * self.scale + self.variate)
        made = self.to_parts(features).to(dtype).transpose(0, 1).unflatten(-1, (self.orders, -1))[..., order, :]
        steps, B1, B2, C1, C2 = made.split([2, *(2 * self.states,) * 4], -1)
        steps, u = F.softplus(steps), x.to(dtype).transpose(0, 1)[..., None]
        real = torch.ones_like(u) if mask is None else mask.T[..., None, None].to(dtype)
        steps = steps * real
        rate, share = self.log_rate[order].to(dtype).exp(), self.share[order].to(dtype).sigmoid()
        turn = torch.complex(-rate, self.turn[order].to(dtype).expand_as(rate))
        along, across = ((steps[..., i : i + 1] * turn[i]).exp() for i in range(2))
        time, space = (share[i] * (real if self.across else 0 * real) for i in range(2))  # (T, B, 1, N)
        a = [along * (1 - time), along * time, across * space, across * (1 - space)]
        b1, b2, c1, c2 = (torch.view_as_complex(t.unflatten(-1, (-1, 2)).contiguous()) for t in (B1, B2, C1, C2))
        if not self.across:
            a[2:] = [torch.zeros_like(t) for t in a[2:]]
        return a, [steps[..., :1] * b1 * u, steps[..., 1:] * b2 * u], [c1, c2]

    @staticmethod
    def held(h: Tensor, begun: Tensor, mask: Tensor | None) -> Tensor:
        """Return states (T, B, N) of which padding repeats the last real one; `begun` (B, N) where there is none."""
        if mask is None:
            return h
        last = mask.sum(1)  # padding is on the right
        place = torch.minimum(torch.arange(len(h), device=h.device)[:, None], last[None] - 1)
        all_of = torch.cat([begun[None], h])
        return all_of.gather(0, (place + 1)[..., None].expand_as(h))
