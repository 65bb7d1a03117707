"""XQuant: hold what the attention of a layer reads, in few bits, and compute its keys and values again.

B batch, T tokens, W width of what a layer reads, H key/value heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mnemos.activation.base import Setup
from mnemos.activation.compress.bits import WIDTHS, Packed, can_join, check_bits, joined, open_into, pack, rows_of
from mnemos.activation.compress.packed_store import without_vectors
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod
from mnemos.activation.models import attention_modules
from mnemos.activation.plain import Plain
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
    """Holds X, (B, T, W), from which K = X W_k (then rotated) and V = X W_v are computed again.

    X is rounded per token. In the latent form it is X U_k and X U_v instead, with W_k = A S U_k^T by singular values,
    rounded per channel and per token: smaller where keys and values together are no wider than X (grouped heads). With
    `across` (XQuant-CL) layer l holds X_l - X'_{l-1} only, where X'_{l-1} is what the layers below sum up to.

    Reading costs 4 T W H D operations a layer and call, 2 T W H D for a single token, whose values are computed after
    attention: more than attention itself, so that a token takes several times as long as with a full cache. All heads
    hold all tokens: nothing can be evicted, and padding is refused. The factors of the weights are computed once for
    this object. On the small models X_l - X_{l-1} is larger than X_l (they have two layers), and `across` answers less
    than the same bits without it.
    """

    bits: int | None = 4  # per number: 1, 2, 4 or 8; None: not rounded
    group: int = 128  # numbers that share a scale
    residual: int = 0  # newest tokens that are not rounded; up to a group more wait to be
    latent: bool | None = None  # hold X U_k and X U_v; None: where they are no wider than X
    across: bool = False  # hold differences between layers (XQuant-CL)
    early: int = 2  # with `across`: first layers that have `early_bits`
    early_bits: int = 4  # per number, of those layers
    share: float | None = None  # choose the most bits that fit into this share of keys and values
    factors: WeakKeyDictionary[nn.Module, list[tuple[Tensor, Tensor]]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_bits(self.bits or 8, self.early_bits)
        if self.group < 1 or self.residual < 0:
            raise InvalidInput(
                f"group is {self.group} and residual {self.residual}: give a group of 1 or more and a residual of 0 or more."
            )
        if self.across and self.latent:
            raise InvalidInput("layers have no latent space in common: use across=True with latent=False.")

    def __deepcopy__(self, memo: dict[int, Any]) -> XQuant:
        return self

    def __call__(self, setup: Setup) -> XQuantStore:
        """Return the store of a layer."""
        return XQuantStore(self, setup)

    def factor(self, projection: nn.Linear) -> tuple[Tensor, Tensor]:
        """Return U (W, H D) and what turns X U into keys or values before the bias, (H D, H D)."""
        if projection not in self.factors:
            left, scale, right = torch.linalg.svd(projection.weight.detach().float(), full_matrices=False)
            self.factors[projection] = [(right.T.contiguous(), (left * scale).T.contiguous())]
        return self.factors[projection][0]

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Hold what layers read, in as many bits as the share affords."""
        return CacheMethod(store=XQuant(share=share))


class XQuantStore(Plain):
    """The store of `XQuant`: entries while the prompt is read, then entries without keys and values, and X."""

    def __init__(self, xquant: XQuant, setup: Setup) -> None:
        super().__init__()
        self.xquant, self.setup = xquant, setup
        named = [name for name, m in attention_modules(setup.model).items() if m.layer_idx == setup.layer]
        if not named:
            raise InvalidInput("this model has no projection to keys that could be repeated: use another store.")
        self.name, self.heads = named[0], 0
        self.states: Tensor | None = None  # X of this call, (B, q, W)
        self.newest: list[Tensor] = []  # X, or X U_k and X U_v, of what is not in parts, (B, 1, n, W)
        self.parts: list[list[Packed | Tensor]] = []
        self.done = False  # whether the prompt has been read
        self.single = False  # whether what was read last has X for values
        width, both = self.module.k_proj.in_features, 2 * self.module.k_proj.out_features
        self.latent = (both <= width and not xquant.across) if xquant.latent is None else xquant.latent
        self.bits = xquant.early_bits if xquant.across and setup.layer < xquant.early else xquant.bits
        if xquant.share is not None:
            room = xquant.share * both * torch.finfo(setup.model.dtype).bits / (both if self.latent else width) - 1
            self.bits = max((bits for bits in WIDTHS if bits <= room), default=0)
            if not self.bits:
                raise InvalidInput(
                    f"a share of {xquant.share} is below 1 bit a number with its scales: give a larger share."
                )
        setup.shared[f"xquant.{setup.layer}"] = self

    @property
    def module(self) -> Any:
        """The attention module."""
        return self.setup.model.get_submodule(self.name)

    # -- writing

    def put_hidden_states(self, states: Tensor) -> None:
        """Take what the layer reads in a call, (B, q, W)."""
        self.states = states

    def put(self, new: Entries) -> None:
        """Append the entries of a call, and what the layer read. Raises InvalidInput for padding."""
        if self.states is None or new.valid is not None:
            what = "this model does not show what its layers read" if self.states is None else "a batch with padding"
            raise InvalidInput(f"{what}: XQuant cannot compute keys and values again; use another store.")
        x, self.states = self.states.detach()[:, None], None
        if self.entries is None:
            self.heads = new.keys.shape[1]
            self._check(x, new)
        while self.done and self.newest[0].shape[2] >= self.xquant.residual + self.xquant.group:
            self._pack_oldest(self.xquant.group)
        streams = [x @ self.xquant.factor(p)[0].to(x.dtype) for p in self._projections()] if self.latent else [x]
        self.newest = (
            [torch.cat(pair, 2) for pair in zip(self.newest, streams, strict=True)] if self.newest else streams
        )
        super().put(without_vectors(new) if self.done else new)

    def _pack_oldest(self, count: int) -> None:
        oldest = [t[:, :, :count] for t in self.newest]
        if self._below is not None:
            first = sum(part[0].shape[2] for part in self.parts)
            oldest[0] = oldest[0] - self._below.summed()[:, :, first : first + count]
        axes = (2, 3) if self.latent else (3,)
        if self.bits is None:
            part: list[Packed | Tensor] = [t.clone() for t in oldest]
        else:
            part = [pack(t, self.bits, axis, self._even(t.shape[axis])) for t, axis in zip(oldest, axes, strict=True)]
        if self.parts and all(can_join(*pair) for pair in zip(self.parts[-1], part, strict=True)):
            part = [joined(*pair) for pair in zip(self.parts.pop(), part, strict=True)]
        self.parts.append(part)
        self.newest = [t[:, :, count:].clone() for t in self.newest]

    def _even(self, size: int) -> int:
        return -(-size // -(-size // self.xquant.group))

    def on_prefill_end(self) -> None:
        """Free the keys and values of the prompt, and round X."""
        if self.entries is None or self.done:
            return
        self.entries, self.done = without_vectors(self.entries), True
        if (count := self.newest[0].shape[2] - self.xquant.residual) > 0:
            self._pack_oldest(count)

    def replace(self, entries: Entries) -> None:
        """Raise InvalidInput: what a layer reads belongs to all heads."""
        raise InvalidInput("XQuant holds all tokens for all heads: use a method without a budget.")

    # -- reading

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries, keys computed again from X, and values too unless a single query asks; O(T W H D).

        For a single query values are X itself, the same for all heads: `finish` computes values of what was attended to.
        """
        entries = super().read(query, start)
        self.single = self.done and query.dim() > 2 and query.shape[2] == 1
        if not self.done:
            return entries
        streams = self.opened()
        keys = self._keys(streams[0], torch.arange(streams[0].shape[2], device=streams[0].device))
        values = streams[-1].expand(-1, self.heads, -1, -1) if self.single else self._values(streams[-1])
        return Entries(keys, values, entries.position_ids, entries.valid, entries.bias, entries.extra)

    def finish(self, output: Tensor) -> Tensor:
        """Return the attention output (B, H*G, 1, D), computed from that over X (B, H*G, 1, W)."""
        if not self.single:
            return output
        weight = self._matrix(self.module.v_proj, output.dtype).unflatten(1, (self.heads, -1))  # (W, H, D)
        groups = output.unflatten(1, (self.heads, -1)).squeeze(3)  # (B, H, G, W)
        found = groups @ weight.transpose(0, 1)
        if self.module.v_proj.bias is not None:
            found = found + self.module.v_proj.bias.view(self.heads, 1, -1)
        return found.flatten(1, 2).unsqueeze(2)

    def opened(self) -> list[Tensor]:
        """Return X, or X U_k and X U_v, rounded where they are, (B, 1, T, W) each."""
        if not self.parts:
            return self.newest
        whole = [t.new_empty(*t.shape[:2], self.held, t.shape[3]) for t in self.newest]
        end = 0
        for part in self.parts:
            first, end = end, end + part[0].shape[2]
            for tensor, out in zip(part, whole, strict=True):
                open_into(tensor, out[:, :, first:end])
        if self._below is not None:
            whole[0][:, :, :end] += self._below.summed()[:, :, :end]
        for tensor, out in zip(self.newest, whole, strict=True):
            out[:, :, end:] = tensor
        if self.xquant.across:
            self.setup.shared["xquant"] = (self.setup.layer, whole[0])
            if self.setup.layer == self.setup.layers - 1:
                del self.setup.shared["xquant"]
        return whole

    @property
    def _below(self) -> XQuantStore | None:
        first = not self.xquant.across or self.setup.layer == 0
        return None if first else self.setup.shared[f"xquant.{self.setup.layer - 1}"]

    def summed(self) -> Tensor:
        """Return X', (B, 1, T, W): as this layer was read just before the next one, or computed again."""
        layer, found = self.setup.shared.get("xquant", (None, None))
        return found if layer == self.setup.layer and found.shape[2] == self.held else self.opened()[0]

    def _projections(self) -> tuple[nn.Linear, nn.Linear]:
        return self.module.k_proj, self.module.v_proj

    def _matrix(self, projection: nn.Linear, dtype: torch.dtype) -> Tensor:
        """Return what turns X, or X U, into keys or values before the bias, (W, H D)."""
        return self.xquant.factor(projection)[1].to(dtype) if self.latent else projection.weight.T.to(dtype)

    def _keys(self, x: Tensor, positions: Tensor) -> Tensor:
        """Return keys (B, H, T, D) of X, or X U_k, (B, 1, T, W)."""
        keys = self._turned(x, self.module.k_proj)
        norm = dict(self.module.named_children()).get("k_norm")
        if norm is not None and norm.weight.numel() == keys.shape[1] * keys.shape[3]:  # of all heads together (OLMo 2)
            keys = norm(keys.transpose(1, 2).flatten(2)).unflatten(2, (keys.shape[1], -1)).transpose(1, 2)
        elif norm is not None:
            keys = norm(keys)
        return self.setup.rotary().shift(keys, positions)

    def _values(self, x: Tensor) -> Tensor:
        """Return values (B, H, T, D) of X, or X U_v, (B, 1, T, W)."""
        return self._turned(x, self.module.v_proj)

    def _turned(self, x: Tensor, projection: nn.Linear) -> Tensor:
        found = x[:, 0] @ self._matrix(projection, x.dtype)
        found = found if projection.bias is None else found + projection.bias
        return found.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _check(self, x: Tensor, new: Entries) -> None:
        """Raise InvalidInput unless keys and values come out as the model makes them."""
        positions = torch.arange(x.shape[2], device=x.device)
        latent, self.latent = self.latent, False
        computed = self._keys(x, positions), self._values(x)
        self.latent = latent
        for one, other in zip(computed, (new.keys, new.values), strict=True):
            if (one - other).abs().max() > 2e-2 * other.abs().max().clamp_min(1e-9):
                raise InvalidInput(
                    "this model does not compute keys and values from what a layer reads alone: use another store."
                )

    # -- rows and bytes

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        self.setup.shared.pop("xquant", None)
        self.newest = [t.index_select(0, index.to(t.device)) for t in self.newest]
        self.parts = [[rows_of(t, index) for t in part] for part in self.parts]

    def crop(self, end: int) -> None:
        """Remove the tokens at or after position `end`. Raises InvalidInput where one of them is rounded."""
        left = end - sum(part[0].shape[2] for part in self.parts)
        if left < 0:
            raise InvalidInput(
                f"{-left} of the tokens to remove are rounded together with others: give a larger residual."
            )
        super().crop(end)
        self.setup.shared.pop("xquant", None)
        self.newest = [t[:, :, :left].clone() for t in self.newest]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors; the factors of the weights are the model's, not the cache's."""
        return super().nbytes + sum(int(t.nbytes) for part in [self.newest, *self.parts] for t in part)
