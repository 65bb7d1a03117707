"""Titans with windows of attention: the memory as context, as a gate, or as a layer below."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.linear.attention import Attention
from mnemos.neural.testtime.atlas import Atlas
from mnemos.neural.testtime.titans import Titans
from mnemos.registry import Paper, register


@register(
    "titans-hybrid",
    papers=(
        Paper("Titans: Learning to Memorize at Test Time", "2501.00663"),
        Paper("ATLAS: Learning to Optimally Memorize the Context at Test Time", "2505.23735"),
    ),
    task="testtime",
    baselines=("attention", "linear-attention"),
)
class TitansHybrid(Mixer):
    """Joins a memory that learns with attention over a window and persistent tokens (arXiv 2501.00663; Atlas, 2505.23735).

    'mac': each token brings what the memory answers to it as one more token of context; 'mag': what the window sees and what
    the memory answers, mixed by a gate; 'mal': the memory first, and attention over what it answers. Departures: the window
    slides, instead of jumping from segment to segment; in 'mac' the memory is written from the tokens, not from what
    attention made of them, so that all tokens are read in parallel; the gate of 'mag' chooses between the two sides,
    where the paper multiplies them.
    """

    def __init__(
        self,
        width: int,  # D, channels of a token
        wiring: Literal["mac", "mag", "mal"] = "mag",  # memory as context, as a gate, or as a layer
        window: int = 16,  # tokens that attention sees
        heads: int = 1,  # of attention; the memory has one
        persistent: int = 4,  # P, learned keys and values that every token sees
        key: int | None = None,  # K, channels of a key of the memory
        value: int | None = None,  # V, channels of a value of the memory
        memory: Literal["titans", "atlas"] = "titans",  # which one learns
        chunk: int = 16,  # C, tokens whose gradients are taken at the same memory
        deep: bool = True,  # whether the memory of Titans is a network of two layers; else a matrix
        rate: float | None = None,  # the longest step of the memory of Titans; see there
    ) -> None:
        super().__init__(width)
        if wiring not in ("mac", "mag", "mal") or memory not in ("titans", "atlas"):
            raise InvalidInput(
                f"wiring is {wiring!r}, memory {memory!r}: give 'mac', 'mag' or 'mal', 'titans' or 'atlas'."
            )
        self.wiring = wiring
        titans = memory == "titans"
        shape: Literal["mlp", "matrix"] = "mlp" if deep else "matrix"
        self.learner = (
            Titans(width, 1, key, value, chunk, shape, rate=rate) if titans else Atlas(width, 1, key, value, chunk)
        )
        self.attention = Attention(width, heads, 2 * window if wiring == "mac" else window, persistent)
        self.norm, self.gate = nn.RMSNorm(width), nn.Linear(width, width)

    def init_state(self, batch: int) -> State:
        """Return the states of both, named after them."""
        return self.both(self.learner.init_state(batch), self.attention.init_state(batch))

    def state_size(self, length: int = 0) -> int:
        """Return the sum of both."""
        return self.learner.state_size() + self.attention.state_size(length * (1 + (self.wiring == "mac")))

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Run both in their fast forms."""
        learner, attention = self.apart(state)
        read, learner = self.learner.mix(x, learner, mask)
        context = self.context(x, read)
        doubled = mask if mask is None or self.wiring != "mac" else mask.repeat_interleave(2, 1)
        seen, attention = self.attention.mix(context, attention, doubled)
        return self.joined(x, read, seen), self.both(learner, attention)

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run both by their formulas."""
        learner, attention = self.apart(state)
        read, learner = self.learner.naive(x, learner)
        seen, attention = self.attention.naive(self.context(x, read), attention)
        return self.joined(x, read, seen), self.both(learner, attention)

    def context(self, x: Tensor, read: Tensor) -> Tensor:
        """Return what attention sees; in 'mac' an answer of the memory before each token."""
        if self.wiring == "mac":
            return torch.stack([self.norm(read), x], 2).flatten(1, 2)
        return x if self.wiring == "mag" else self.norm(x + read)

    def joined(self, x: Tensor, read: Tensor, seen: Tensor) -> Tensor:
        """Return the output for what both answer."""
        if self.wiring == "mag":
            gate = self.gate(x).sigmoid()
            return gate * seen + (1 - gate) * read
        return seen[:, 1::2] if self.wiring == "mac" else seen + read

    @staticmethod
    def both(learner: State, attention: State) -> State:
        """Return one state for two."""
        return {f"learner.{n}": t for n, t in learner.items()} | {f"attention.{n}": t for n, t in attention.items()}

    @staticmethod
    def apart(state: State) -> tuple[State, State]:
        """Return the states of both."""
        found: dict[str, State] = {"learner": {}, "attention": {}}
        for name, tensor in state.items():
            of, _, rest = name.partition(".")
            found[of][rest] = tensor
        return found["learner"], found["attention"]
