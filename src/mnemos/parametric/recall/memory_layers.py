"""Memory layers at scale (arXiv 2412.09764): product keys with normed queries, one pool for all layers, and a gate."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mnemos.parametric.recall.lookup import Values
from mnemos.parametric.recall.product_keys import ProductKeyMemory
from mnemos.registry import Paper, register


@register(
    "memory-layers",
    papers=(Paper("Memory Layers at Scale", "2412.09764", "facebookresearch/memory"),),
    task="closed-book facts",
    baselines=("product-keys",),
)
class MemoryLayer(nn.Module):  # type: ignore[misc]
    """Product keys with what helps at scale: normed queries and keys, a pool shared by layers, and an input gate.

    With the gate ("Memory+") y = W2 (silu(W1 x) * read); without it, y = read. Give the same `values` to several layers and
    they share one pool. The width of the pool may be less than D with the gate, whose W2 brings it back.
    """

    def __init__(
        self,
        width: int,  # D, of the hidden states
        n: int = 1024,  # half keys of a table; there are n * n slots
        heads: int = 4,  # each with its own half keys
        k: int = 32,  # slots of a head that take part in an answer
        key_width: int = 512,  # of a whole key
        gate: bool = True,  # Memory+
        values: Values | None = None,  # the pool of other layers; None makes one
        sparse: bool = True,  # gradients of touched values only; needs an optimiser that takes them
    ) -> None:
        super().__init__()
        pool = values if values is not None else Values(n * n, width, sparse)
        self.memory = ProductKeyMemory(width, n, heads, k, key_width, "qk", pool)
        inner = pool.weight.shape[1]
        self.gate = nn.Linear(width, inner, bias=False) if gate else None
        self.out = nn.Linear(inner, width, bias=False) if gate else nn.Identity()

    def look_up(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slots of queries (B, D) and their weights, both (B, H, k), the heaviest first."""
        return self.memory.look_up(queries)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return what the memory adds for hidden states (..., D); the same shape."""
        read = self.memory(hidden)
        if self.gate is not None:
            read = read * functional.silu(self.gate(hidden))
        added: Tensor = self.out(read)
        return added
