"""ELM neuron: slow memory units behind leaky synapses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import State
from mnemos.neural.recurrent.cell import Cell, units
from mnemos.registry import Paper, register


@register(
    "elm-neuron",
    papers=(
        Paper(
            "The Expressive Leaky Memory Neuron: an Efficient and Expressive Phenomenological Neuron Model Can Solve "
            "Long-Horizon Tasks",
            "2306.16922",
            "AaronSpieler/elmneuron",
        ),
    ),
    task="recurrent",
    baselines=("lstm", "gru"),
)
class ELMNeuron(Cell):
    """Holds memory units with fixed time constants from short to very long, written by a small network (arXiv 2306.16922).

    s_t = k_s s_{t-1} + w_s x_t (w_s >= 0), summed within a branch; m_t = k_m m_{t-1} + lambda (1 - k_m)
    tanh(MLP([branches, k_m m_{t-1}])), y = W m_t, with k = exp(-1 / tau). The tau of the memory units are spaced evenly in
    their logarithm. An input reaches the synapses of the branches at random. Costs T steps of O(H hidden).
    """

    reads = "m"

    def __init__(
        self,
        width: int,  # D, channels of a token
        hidden: int | None = None,  # H, memory units; D if nothing is said
        branches: int | None = None,  # sums of synapses that the network sees; D if nothing is said
        synapses: int = 4,  # of a branch, each at an input that is drawn
        tau: tuple[float, float] = (1.0, 1000.0),  # shortest and longest time constant of memory units, in tokens
        tau_synapse: float = 5.0,  # time constant of synapses, in tokens
        learned: bool = False,  # whether the time constants of memory units are trained
        gain: float = 5.0,  # lambda
        inner: int | None = None,  # units of the network; 2 H if nothing is said
        seed: int = 0,  # of which input reaches which synapse
    ) -> None:
        super().__init__(width, units(width, hidden))
        if not 0 < tau[0] <= tau[1] or tau_synapse <= 0:
            raise InvalidInput(
                f"tau is {tau}, of synapses {tau_synapse}: give positive time constants, the shorter first."
            )
        branches = units(width, branches)
        self.gain = gain
        drawn = torch.randint(width, (branches, synapses), generator=torch.Generator().manual_seed(seed))
        drawn.view(-1)[:width] = torch.arange(width)[: drawn.numel()]  # every input is heard, where there is room
        self.register_buffer("routes", drawn)
        self.weight = nn.Parameter(torch.rand(branches, synapses))  # w_s
        self.tau_synapse = tau_synapse
        spaced = torch.linspace(math.log(tau[0]), math.log(tau[1]), self.hidden)
        self.register_parameter("log_tau", nn.Parameter(spaced)) if learned else self.register_buffer("log_tau", spaced)
        inner = inner or 2 * self.hidden
        self.branch, self.memory = nn.Linear(branches, inner), nn.Linear(self.hidden, inner, bias=False)
        self.write = nn.Linear(inner, self.hidden)

    def init_state(self, batch: int) -> State:
        """Return zeros for the synapses (B, branches) and the memory units (B, H)."""
        return {"s": self.zeros(batch, len(self.routes)), "m": self.zeros(batch, self.hidden)}

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens add to the sum of each branch: synapses of a branch leak alike, so their sum is enough."""
        return (x[..., self.routes] * self.weight.relu()).sum(-1)

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the next synapses and memory units."""
        keep = torch.exp(-torch.exp(-self.log_tau)).to(drive.dtype)
        s = math.exp(-1 / self.tau_synapse) * state["s"] + drive
        m = keep * state["m"]
        hidden = torch.relu(
            torch.addmm(self.branch.bias.to(s.dtype), s, self.branch.weight.T.to(s.dtype))
            + m @ self.memory.weight.T.to(m.dtype)
        )
        new = torch.tanh(torch.addmm(self.write.bias.to(m.dtype), hidden, self.write.weight.T.to(m.dtype)))
        return {"s": s, "m": m + self.gain * (1 - keep) * new}

    def formula(self, x: Tensor, state: State) -> State:
        """Return the next state as the paper writes it, synapses summed up."""
        k_s, k_m = math.exp(-1 / self.tau_synapse), torch.exp(-1 / self.log_tau.exp())
        s = k_s * state["s"] + (self.weight.clamp_min(0) * x[:, self.routes]).sum(-1)
        before = k_m * state["m"]
        written = self.write(torch.relu(self.branch(s) + self.memory(before)))
        return {"s": s, "m": before + self.gain * (1 - k_m) * torch.tanh(written)}
