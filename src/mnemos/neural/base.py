"""The contracts of layers that remember.

    B sequences   T tokens   D channels of a token (`width`)

A `Mixer` reads a sequence from left to right and carries what it remembers in a state. One computation has several forms:
`forward` is the fast one, in parallel or chunk by chunk; `step` reads a single token; `naive` follows the paper's formula
token by token and is what the others are compared with. All agree in outputs, gradients and states.

An `AssociativeMemory` keeps patterns and completes a part of one. A `Reader` answers a question over facts.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput

State = dict[str, Tensor]  # what a layer remembers of its sequences, by name; each tensor begins with B


class Mixer(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """A causal layer from (B, T, D) to (B, T, D) with a state. A subclass writes `mix`, `naive` and `init_state`.

    A state holds nothing but tensors, so it is a memory that can be stored, moved to another process and gone on with. It
    is returned by every call and never kept in the layer, so sequences do not meet. It is held in float32 at least, also
    where the weights are in half precision.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 1:
            raise InvalidInput(f"width is {width}: give the number of channels of a token, at least 1.")
        self.width = width

    def forward(self, x: Tensor, state: State | None = None, mask: Tensor | None = None) -> tuple[Tensor, State]:
        """Read tokens x (B, T, D) after what `state` remembers; return (B, T, D) and the new state. The fast form.

        `mask` (B, T) is False for padding, on whichever side: it changes no state and no other token, and its own output is
        0. Without a state a sequence begins. Raises InvalidInput for shapes that do not fit.
        """
        if x.dim() != 3 or x.shape[2] != self.width or not x.shape[1]:
            raise InvalidInput(f"tokens have the shape {tuple(x.shape)}: give (B, T, {self.width}), T at least 1.")
        state = self.checked(state, len(x))
        if mask is None:
            return self.mix(x, state, None)
        if mask.shape != x.shape[:2]:
            raise InvalidInput(
                f"the mask has the shape {tuple(mask.shape)}: give {tuple(x.shape[:2])}, False for padding."
            )
        mask = mask.bool()
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # tokens first, padding behind
        y, state = self.mix(_take(x, order), state, mask.gather(1, order))
        return _take(y, order.argsort(1)) * mask[..., None], state

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Do what `forward` says. `mask` has its padding on the right, where it has any; outputs there are not used."""
        raise NotImplementedError

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return what `forward` returns, computed by the paper's formula token by token; costs O(T) small steps."""
        raise NotImplementedError

    def init_state(self, batch: int) -> State:
        """Return the state of `batch` sequences that have not begun."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token x (B, D); return (B, D) and the new state."""
        y, state = self.forward(x[:, None], state)
        return y[:, 0], state

    def state_size(self, length: int = 0) -> int:
        """Return the numbers that the state of one sequence holds after `length` tokens: a constant, unless it grows."""
        return sum(tensor.numel() for tensor in self.init_state(1).values())

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros for a state: on the device of the weights, in float32 at least."""
        weight = next(self.parameters())
        return torch.zeros(*shape, device=weight.device, dtype=torch.promote_types(weight.dtype, torch.float32))

    def checked(self, state: State | None, batch: int) -> State:
        """Return a state, or a new one in place of None. Raises InvalidInput for one of another layer or batch."""
        fresh = self.init_state(batch)
        if state is None:
            return fresh
        if state.keys() != fresh.keys() or any(len(tensor) != batch for tensor in state.values()):
            given = {name: tuple(tensor.shape) for name, tensor in state.items()}
            raise InvalidInput(
                f"the state {given} is not one of {type(self).__name__} for {batch} sequences: "
                "give what this layer returned for them, or None to begin."
            )
        return state


def _take(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[2]))


@runtime_checkable
class Mergeable(Protocol):
    """What a mixer is whose memory of a whole text can be put together from memories of its parts."""

    def merge(self, earlier: State, later: State) -> State:
        """Return the state after both texts; `later` began without a state."""
        ...


@runtime_checkable
class AssociativeMemory(Protocol):
    """Keeps patterns and completes what resembles one of them."""

    def store(self, patterns: Tensor) -> None:
        """Keep patterns (N, D) besides what is kept. Raises InvalidInput for what does not fit."""
        ...

    def recall(self, cues: Tensor) -> Tensor:
        """Return the completed patterns (M, D) of cues (M, D)."""
        ...


@runtime_checkable
class Reader(Protocol):
    """Answers questions over facts by looking at them one or several times."""

    def forward(self, facts: Tensor, question: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return answers (B, D) and the weights of the facts at each look, (B, hops, N).

        facts (B, N, D), question (B, D), mask (B, N) False where there is no fact.
        """
        ...


KINDS: dict[str, type] = {"mixer": Mixer, "associative-memory": AssociativeMemory, "reader": Reader}
