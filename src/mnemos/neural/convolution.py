"""Short causal convolutions: each token sees itself and the few before it, channel by channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.neural.base import Mixer, State


class ShortConvolution(Mixer):
    """A depthwise causal convolution; the state holds the last `kernel - 1` tokens. Costs O(T D kernel).

    The state space layers of H3 (arXiv 2212.14052) and Mamba (arXiv 2312.00752) begin with one.
    """

    def __init__(self, width: int, kernel: int = 4) -> None:
        super().__init__(width)
        self.weight = nn.Parameter(torch.empty(width, kernel).uniform_(-1, 1) * kernel**-0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def init_state(self, batch: int) -> State:
        """Return zeros: nothing was before the first token."""
        return {"last": self.zeros(batch, self.weight.shape[1] - 1, self.width)}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Convolve the tokens with those before them."""
        before = self.weight.shape[1] - 1
        seen = torch.cat([state["last"].to(x.dtype), x], 1)  # (B, before + T, D)
        y = F.conv1d(seen.transpose(1, 2), self.weight[:, None], self.bias, groups=self.width).transpose(1, 2)
        read = mask.sum(1) if mask is not None else torch.full((len(x),), x.shape[1], device=x.device)
        places = read[:, None] + torch.arange(before, device=x.device)  # the last ones that were read
        last = seen.gather(1, places[..., None].expand(-1, -1, self.width))
        return y, {"last": last.to(state["last"].dtype)}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Sum over the kernel at every token."""
        last, out = state["last"], []
        for token in x.unbind(1):
            window = torch.cat([last.to(x.dtype), token[:, None]], 1)  # (B, kernel, D)
            out.append((window * self.weight.T).sum(1) + self.bias)
            last = window[:, 1:].to(last.dtype)
        return torch.stack(out, 1), {"last": last}


class GatedConvolution(Mixer):
    """A short convolution of one projection, gated by another: what stands before each mixer in zoology's models.

    Source: arXiv 2312.04927 (BaseConv), with a short kernel.
    """

    def __init__(self, width: int, kernel: int = 3) -> None:
        super().__init__(width)
        self.project = nn.Linear(width, 2 * width)
        self.convolve = ShortConvolution(width, kernel)

    def init_state(self, batch: int) -> State:
        """Return the state of its convolution."""
        return self.convolve.init_state(batch)

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Convolve and gate."""
        value, gate = self.project(x).chunk(2, -1)
        y, state = self.convolve.mix(value, state, mask)
        return y * gate, state

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Do the same with the naive convolution."""
        value, gate = self.project(x).chunk(2, -1)
        y, state = self.convolve.naive(value, state)
        return y * gate, state
