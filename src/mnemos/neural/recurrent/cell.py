"""What cells share: the next state is a nonlinear function of the last one, so tokens are read one by one.

    B sequences   T tokens   D channels of a token   H units of the state   P channels that a token gives to its step

All that depends on the token alone is computed for all tokens at once; the loop holds the rest. Costs T steps of O(H^2).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State


class Cell(Mixer):
    """A layer that is one cell: a subclass writes `drive`, `advance`, `formula` and `init_state`."""

    reads: ClassVar[str] = "h"  # the state that the output is read from

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(width)
        if hidden < 1:
            raise InvalidInput(f"hidden is {hidden}: give the number of units of the state, at least 1.")
        self.hidden = hidden
        self.out = nn.Linear(hidden, width)

    def drive(self, x: Tensor) -> Tensor:
        """Return what tokens x (B, T, D) give to their steps, (B, T, P)."""
        raise NotImplementedError

    def advance(self, drive: Tensor, state: State) -> State:
        """Return the state after a step that is given (B, P)."""
        raise NotImplementedError

    def formula(self, x: Tensor, state: State) -> State:
        """Return the state after a token (B, D), as the paper writes it."""
        raise NotImplementedError

    def init_state(self, batch: int) -> State:
        """Return zeros."""
        return {"h": self.zeros(batch, self.hidden)}

    def seen(self, state: State) -> Tensor:
        """Return what is read of a state, (B, H)."""
        return state[self.reads]

    def features(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Return what is read after each token of x, (B, T, H), and the state after the last; padding is on the right."""
        state = self.checked(state, len(x))
        out = []
        for t, drive in enumerate(self.drive(x).to(state[self.reads].dtype).unbind(1)):
            after = self.advance(drive, state)
            state = after if mask is None else chosen(mask[:, t], after, state)
            out.append(self.seen(state))
        return torch.stack(out, 1), state

    def read(self, h: Tensor) -> Tensor:
        """Return outputs (..., D) for what is read of the state, (..., H)."""
        y: Tensor = self.out(h)
        return y

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Step through the tokens; padding leaves the state alone."""
        features, state = self.features(x, state, mask)
        return self.read(features.to(x.dtype)), state

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read token by token by the formula."""
        out = []
        for token in x.unbind(1):
            state = self.formula(token, state)
            out.append(self.read(self.seen(state).to(x.dtype)))
        return torch.stack(out, 1), state


def chosen(real: Tensor, after: State, before: State) -> State:
    """Return the state `after` for sequences whose token is real (B), and `before` for the others."""
    return {name: torch.where(real.view(-1, *(1,) * (new.dim() - 1)), new, before[name]) for name, new in after.items()}


def units(width: int, hidden: int | None) -> int:
    """Return the number of units: as many as the token has channels if nothing is said."""
    return width if hidden is None else hidden
