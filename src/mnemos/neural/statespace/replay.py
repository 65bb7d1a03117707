"""State memory replay: a layer in front of another that mixes each input with a few before it, as the token says."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.neural.base import Mixer, State
from mnemos.neural.convolution import ShortConvolution
from mnemos.neural.statespace.s4d import S4D
from mnemos.registry import Paper, register


@register(
    "state-memory-replay",
    papers=(Paper("SMR: State Memory Replay for Long Sequence Modeling", "2405.17534"),),
    task="resampled",
    baselines=("s4d",),
)
class StateMemoryReplay(Mixer):
    """Adjusts the input of a state space layer by a few earlier inputs, so that it stands other sampling (arXiv 2405.17534).

    u'_t = u_t + sum_j g_{j,t} m_j u_{t-j}, j < memory, with learnable memories m_j (a channel each) and gates g that a short
    causal convolution of the inputs opens. The layer behind stays a convolution. Costs O(T D memory). The sums are the idea
    of the paper; that the gate is tanh of a convolution, one a place, is our reading of it.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        memory: int = 4,  # inputs that are mixed, the newest among them
        layer: Mixer | None = None,  # that reads the mixture; an S4D if nothing is said
    ) -> None:
        super().__init__(width)
        self.layer = layer or S4D(width)
        self.memories = nn.Parameter(torch.randn(memory, width) * memory**-0.5)
        self.sense = ShortConvolution(width, memory)
        self.to_gates = nn.Linear(width, memory)

    def init_state(self, batch: int) -> State:
        """Return the last inputs and the state of the layer behind."""
        return {"inputs": self.sense.init_state(batch)["last"], **self.layer.init_state(batch)}

    def state_size(self, length: int = 0) -> int:
        """Return the last inputs and what the layer behind holds."""
        return self.layer.state_size(length) + (len(self.memories) - 1) * self.width

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Mix all inputs at once, and let the layer read them."""
        sensed, last = self.sense.mix(x, {"last": state["inputs"]}, mask)
        y, after = self.layer.mix(self.mixed(x, sensed, state["inputs"]), self.behind(state), mask)
        return y, {"inputs": last["last"], **after}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Mix token by token."""
        last, inner, out = {"last": state["inputs"]}, self.behind(state), []
        for token in x.split(1, 1):
            window = torch.cat([last["last"].to(x.dtype), token], 1).flip(1)  # (B, memory, D), the newest first
            sensed, last = self.sense.naive(token, last)
            gate = torch.tanh(self.to_gates(sensed[:, 0]))
            y, inner = self.layer.naive(token + (gate[..., None] * self.memories * window).sum(1)[:, None], inner)
            out.append(y)
        return torch.cat(out, 1), {"inputs": last["last"], **inner}

    def mixed(self, x: Tensor, sensed: Tensor, last: Tensor) -> Tensor:
        """Return u' (B, T, D)."""
        gates, length = torch.tanh(self.to_gates(sensed)), x.shape[1]
        seen, count = torch.cat([last.to(x.dtype), x], 1), len(self.memories)
        for j in range(count):
            x = x + gates[..., j : j + 1] * self.memories[j] * seen[:, count - 1 - j : count - 1 - j + length]
        return x

    @staticmethod
    def behind(state: State) -> State:
        """Return the part of a state that is the layer's behind."""
        return {name: tensor for name, tensor in state.items() if name != "inputs"}
