"""What the layers with a matrix for a memory share: projections, heads, the two rules, the gate of what is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mixer, State
from mnemos.neural.linear import rules


@dataclass(frozen=True, slots=True)
class Parts:
    """What the tokens say to the memory: see `rules` for the shapes."""

    q: Tensor
    k: Tensor
    v: Tensor
    decay: Tensor
    beta: Tensor  # of the delta rule; ones elsewhere


class MatrixMemory(Mixer):
    """A layer with one matrix of (key, value) channels a head: written by an outer product, read by a query.

    A subclass chooses the rule, and says by `features`, `decay` and `beta` what it makes of a token. Where `normalised` is
    set, a read is divided by what the sum of all keys answers, as in softmax attention.
    """

    rule: ClassVar[Literal["additive", "delta"]] = "additive"
    normalised: ClassVar[bool] = False

    def __init__(
        self,
        width: int,  # D, channels of a token
        heads: int = 1,  # H, memories beside each other
        key: int | None = None,  # K, channels of a key of one head; width / heads if nothing is said
        value: int | None = None,  # V, channels of a value of one head; width / heads if nothing is said
        chunk: int | None = None,  # C, tokens that are computed together; the fastest one if nothing is said
    ) -> None:
        super().__init__(width)
        if heads < 1 or width % heads:
            raise InvalidInput(f"heads is {heads}: give a divisor of the width, {width}.")
        self.heads, self.chunk = heads, chunk
        self.key, self.value = key or width // heads, value or width // heads
        self.to_q, self.to_k = (nn.Linear(width, heads * self.key, bias=False) for _ in range(2))
        self.to_v, self.to_gate = (nn.Linear(width, heads * self.value, bias=False) for _ in range(2))
        self.norm = nn.RMSNorm(self.value)
        self.out = nn.Linear(heads * self.value, width, bias=False)
        self.build()

    # -- what a subclass says of a token

    def build(self) -> None:
        """Make the weights that a subclass has besides."""

    def features(self, x: Tensor) -> Tensor:
        """Return what the memory sees of queries or keys (B, H, T, K)."""
        return x

    def decay(self, x: Tensor) -> Tensor:
        """Return the logarithm of what tokens x (B, T, D) leave of the memory, (B, H, T, 1) or (B, H, T, K)."""
        return x.new_zeros(len(x), self.heads, x.shape[1], 1)

    def beta(self, x: Tensor) -> Tensor:
        """Return how far tokens write, (B, H, T, 1)."""
        return x.new_ones(len(x), self.heads, x.shape[1], 1)

    # -- the forms

    def init_state(self, batch: int) -> State:
        """Return an empty memory, (B, H, K, V); one more column where reads are normalised."""
        return {"memory": self.zeros(batch, self.heads, self.channels, self.value + self.normalised)}

    @property
    def channels(self) -> int:
        """Return the channels of a key as the memory sees it."""
        return self.key

    def mix(self, x: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Read and write chunk by chunk."""
        parts, S = self.parts(x, state, mask), state["memory"]
        if self.rule == "delta":
            read, S = rules.delta(parts.q, parts.k, parts.v, parts.decay, parts.beta, S, self.chunk)
        else:
            read, S = rules.additive(parts.q, parts.k, parts.v, parts.decay, S, self.chunk)
        return self.answer(read, x), {"memory": S}

    def naive(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read and write token by token."""
        parts, S = self.parts(x, state, None), state["memory"]
        if self.rule == "delta":
            read, S = rules.delta_naive(parts.q, parts.k, parts.v, parts.decay, parts.beta, S)
        else:
            read, S = rules.additive_naive(parts.q, parts.k, parts.v, parts.decay, S)
        return self.answer(read, x), {"memory": S}

    def parts(self, x: Tensor, state: State, mask: Tensor | None) -> Parts:
        """Return what tokens say to the memory, in its precision; padding says nothing."""
        q, k = self.features(self.split(self.to_q(x))), self.features(self.split(self.to_k(x)))
        v, decay, beta = self.split(self.to_v(x)), self.decay(x), self.beta(x)
        if self.normalised:
            v = F.pad(v, (0, 1), value=1.0)
        if mask is not None:
            real = mask[:, None, :, None]
            k, decay, beta = k * real, decay.masked_fill(~real, 0.0), beta * real
        return Parts(*(part.to(state["memory"].dtype) for part in (q, k, v, decay, beta)))

    def answer(self, read: Tensor, x: Tensor) -> Tensor:
        """Return the output (B, T, D) for reads (B, H, T, V)."""
        if self.normalised:
            read = read[..., :-1] / read[..., -1:].abs().clamp_min(1e-6)
        read = self.norm(read.to(x.dtype)).transpose(1, 2).flatten(2)
        return self.out(read * F.silu(self.to_gate(x)))

    def split(self, x: Tensor) -> Tensor:
        """Return (B, H, T, channels) for (B, T, H channels)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
