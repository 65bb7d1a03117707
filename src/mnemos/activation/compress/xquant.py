"""XQuant: what a layer reads is kept in few bits, and its keys and values are computed again.

B batch, T tokens, W width of what a layer reads, H key/value heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mnemos.activation.compress.bits import WIDTHS
from mnemos.activation.compress.inputs import Inputs
from mnemos.activation.method import CacheMethod, Setup
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "xquant",
    papers=(Paper("XQuant: Breaking the Memory Wall for LLM Inference with KV Cache Rematerialization", "2508.10395"),),
    task="key-value",
    baselines=("kivi", "random-eviction"),
    phase="decode",
)
@dataclass(frozen=True)
class XQuant:
    """Keeps X, (B, T, W), from which K = X W_k (then rotated) and V = X W_v: a `store`.

    X is rounded per token. Where keys and values together are no wider than X (grouped heads) it keeps X U_k and X U_v
    instead, with W_k = A S U_k^T by singular values, rounded per channel and per token. The `residual` newest and less
    than a group more are not rounded. With `across` (XQuant-CL) layer l keeps X_l - X'_{l-1} only, where X'_{l-1} is
    what the layers below make of it, added up; the first `early` layers have `early_bits`. `bits` None rounds nothing;
    with `share` bits are as many as fit into this share of keys and values. Reading costs 4 T W H D operations a layer
    and call.

    All heads keep all tokens: nothing can be evicted, and padding is refused. The factors of the weights are computed
    once for this object. On the small models X_l - X_{l-1} is larger than X_l (they have two layers), and `across`
    answers less than the same bits without it.
    """

    bits: int | None = 4
    group: int = 128
    residual: int = 0
    latent: bool | None = None  # None: where it is not wider
    across: bool = False
    early: int = 2
    early_bits: int = 4
    share: float | None = None
    factors: WeakKeyDictionary[nn.Module, list[tuple[Tensor, Tensor]]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )
    needs_hidden_states = True

    def __post_init__(self) -> None:
        for bits in (self.bits or 8, self.early_bits):
            if bits not in WIDTHS:
                raise InvalidInput(f"{bits} bits cannot be packed: choose from {', '.join(map(str, WIDTHS))}.")
        if self.group < 1 or self.residual < 0:
            raise InvalidInput(f"group {self.group} and residual {self.residual}: give 1 or more, and 0 or more.")
        if self.across and self.latent:
            raise InvalidInput("layers have no latent space in common: use across=True with latent=False.")

    def __deepcopy__(self, memo: dict[int, Any]) -> XQuant:
        return self

    def __call__(self, setup: Setup) -> Inputs:
        """Return the store of a layer."""
        return Inputs(self, setup)

    def factor(self, projection: nn.Linear) -> tuple[Tensor, Tensor]:
        """Return U (W, H D) and what turns X U into keys or values before the bias, (H D, H D)."""
        if projection not in self.factors:
            left, scale, right = torch.linalg.svd(projection.weight.detach().float(), full_matrices=False)
            self.factors[projection] = [(right.T.contiguous(), (left * scale).T.contiguous())]
        return self.factors[projection][0]

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """What layers read, in as many bits as the share affords."""
        return CacheMethod(store=XQuant(share=share))
