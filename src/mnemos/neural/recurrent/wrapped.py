"""What the layers around `torch.nn`'s recurrent networks share: states, padding and the output.

B sequences   T tokens   D channels of a token   H units of the state
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.recurrent.cell import chosen


class Wrapped(Mixer):
    """A recurrent network of `torch.nn` with one layer, and a linear output. A subclass writes `build` and `gates`.

    In half precision torch holds the state in half precision within a call; between calls it is in float32.
    """

    states: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width)
        if hidden < 1:
            raise InvalidInput(f"hidden is {hidden}: give the number of units of the state, at least 1.")
        self.hidden = hidden
        self.cell = self.build()
        self.out = nn.Linear(hidden, width)

    def build(self) -> nn.RNNBase:
        """Return the network, batch first."""
        raise NotImplementedError

    def gates(self, given: Tensor, back: Tensor, state: State) -> State:
        """Return the next state for W x + b and U h + c, (B, gates x H) each: the formula."""
        raise NotImplementedError

    def init_state(self, batch: int) -> State:
        """Return zeros."""
        return {name: self.zeros(batch, self.hidden) for name in self.states}

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Run torch's network; sequences with padding are packed."""
        starts = [state[name].to(x.dtype)[None] for name in self.states]
        start = tuple(starts) if len(starts) > 1 else starts[0]
        if mask is None:
            y, end = self.cell(x, start)
        else:
            lengths = mask.sum(1)
            packed = pack_padded_sequence(x, lengths.clamp_min(1).cpu(), batch_first=True, enforce_sorted=False)
            y, end = self.cell(packed, start)
            y, _ = pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
        ends = end if isinstance(end, tuple) else (end,)
        after = {name: t[0].to(state[name].dtype) for name, t in zip(self.states, ends, strict=True)}
        if mask is not None:
            after = chosen(lengths > 0, after, state)
        return self.out(y), after

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read token by token by the formula."""
        cell, out = self.cell, []
        for token in x.unbind(1):
            given = token @ cell.weight_ih_l0.T + cell.bias_ih_l0
            back = state["h"].to(x.dtype) @ cell.weight_hh_l0.T + cell.bias_hh_l0
            state = self.gates(given, back, state)
            out.append(self.out(state["h"].to(x.dtype)))
        return torch.stack(out, 1), state
