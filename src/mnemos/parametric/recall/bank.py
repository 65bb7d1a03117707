"""Hierarchical memories (arXiv 2510.02375): a tree of feed-forward blocks, of which a context loads one path.

Contexts are clustered by hierarchical k-means; every node of the tree has a few hidden units beside the feed-forward block
of each layer. A context goes from the root to its leaf and the units of the nodes on its path take part:
y = FFN(x) + sum over the path of V act(K x). What is common settles near the root, what is rare in the leaves, which can
stay on disk (`ColdBank`) and be removed one by one.

B contexts, T tokens, D width, L layers with a memory, u units of a node and layer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from mnemos.errors import InvalidInput, NotFound
from mnemos.parametric.base import Example
from mnemos.parametric.recall.beside import Beside, check, layers_at, width_of
from mnemos.parametric.recall.tree import grow, paths
from mnemos.registry import Paper, register

Blocks = tuple[Tensor, Tensor]  # K and V of one node for each context, (B, L, u, D) both


@register(
    "hierarchical-bank",
    papers=(Paper("Pretraining with hierarchical memories: separating long-tail and common knowledge", "2510.02375"),),
    task="facts of topics",
    baselines=(),
)
@dataclass(frozen=True)
class HierarchicalBank:
    """Holds memories in a tree of feed-forward blocks beside a frozen model; a context adds one path's blocks.

    What a context is about is read from its first tokens, by the mean of their embeddings in the model: ask with the words
    that open what was learned. Costs 2 * u * D numbers a node and layer, and depth * u more hidden units a token.
    """

    rate: ClassVar[float] = 2e-2
    branching: int = 4  # children of a node
    depth: int = 2  # levels below the root, which has no block; there are branching ** depth leaves
    units: int = 16  # u, hidden units of a node in each layer
    depths: tuple[float, ...] = (0.5, 1.0)  # layers with a memory, as shares of the model's depth
    opening: int = 16  # tokens at the beginning of a context that tell what it is about

    def create(self, model: Any, examples: Sequence[Example], tokenizer: Any, seed: int = 0) -> BankWeights:
        """Return a bank whose tree fits the examples, and whose blocks change nothing yet."""
        if not examples:
            raise InvalidInput("there are no examples: the tree is grown from what they are about.")
        texts = dict.fromkeys(example.prompt or example.answer for example in examples)
        read = [torch.tensor([tokenizer(text).input_ids], device=model.device) for text in texts]
        about = torch.cat([_about(model, ids, None, self.opening) for ids in read])
        centres = grow(about, self.branching, self.depth, seed)
        layers, width = layers_at(model, self.depths), width_of(model)
        made = torch.Generator().manual_seed(seed)
        keys = [torch.randn(len(c), len(layers), self.units, width, generator=made) * width**-0.5 for c in centres]
        bank: BankWeights = BankWeights(self, layers, centres, keys, [torch.zeros_like(k) for k in keys]).to(
            model.device
        )
        return bank

    def load(self, model: Any, tensors: Mapping[str, Tensor]) -> BankWeights:
        """Return the bank of `BankWeights.tensors`; raises InvalidInput where it does not fit model and knobs."""
        layers, width = layers_at(model, self.depths), width_of(model)
        wanted: dict[str, tuple[int, ...]] = {}
        for level in range(self.depth):
            nodes = self.branching ** (level + 1)
            wanted[f"centres_{level}"] = (nodes, width)
            wanted |= {f"{part}.{level}": (nodes, len(layers), self.units, width) for part in ("keys", "values")}
        check(tensors, wanted)
        parts = [
            [tensors[f"{part}{level}"] for level in range(self.depth)] for part in ("centres_", "keys.", "values.")
        ]
        bank: BankWeights = BankWeights(self, layers, *parts).to(model.device)
        return bank


class Routed(Beside):
    """A bank that reads the path of every context from the model's input."""

    def __init__(self, knobs: HierarchicalBank, layers: Sequence[int], centres: Sequence[Tensor]) -> None:
        super().__init__(layers, centres[0].shape[-1])
        self.knobs = knobs
        for level, each in enumerate(centres):
            self.register_buffer(f"centres_{level}", each)
        self._path: Tensor | None = None  # (B, depth), of the contexts that the model is reading
        self._fixed: Tensor | None = None

    def blocks(self, level: int, nodes: Tensor) -> Blocks:
        """Return the blocks of nodes (B,) of a level."""
        raise NotImplementedError

    def route(self, model: Any, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the path (B, depth) of contexts (B, T): a node of each level, numbered within it; the last is the leaf."""
        centres = [getattr(self, f"centres_{level}").cpu() for level in range(self.knobs.depth)]
        return paths(_about(model, ids, mask, self.knobs.opening), centres, self.knobs.branching)

    @contextmanager
    def fixed(self, path: Sequence[int]) -> Iterator[None]:
        """Let every context take one path inside the block, whatever it is about."""
        self._fixed = torch.tensor([list(path)])
        try:
            yield
        finally:
            self._fixed = None

    def added(self, at: int, hidden: Tensor) -> Tensor:
        """Return the sum of what the path's blocks add for hidden states (B, T, D)."""
        path = self._path
        if path is None:
            raise InvalidInput(
                "the model read no token ids: call it with input_ids, which say what a context is about."
            )
        hidden = hidden.float()
        total = torch.zeros_like(hidden)
        for level in range(self.knobs.depth):
            keys, values = self.blocks(level, path[:, level])
            total = total + functional.silu(hidden @ keys[:, at].mT) @ values[:, at]
        return total

    def _hooks(self, model: Any, blocks: Sequence[nn.Module]) -> Iterator[Any]:
        def read(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            past = kwargs.get("past_key_values")
            if past is not None and past.get_seq_length() > 0:
                return  # further tokens of what was routed
            ids = kwargs.get("input_ids", args[0] if args else None)
            if ids is None:
                self._path = None
            elif self._fixed is not None:
                self._path = self._fixed.expand(len(ids), -1)
            else:
                self._path = self.route(model, ids, kwargs.get("attention_mask"))

        yield model.register_forward_pre_hook(read, with_kwargs=True)
        yield from super()._hooks(model, blocks)


class BankWeights(Routed):
    """A bank in memory, to be trained; a leaf can be removed."""

    def __init__(
        self,
        knobs: HierarchicalBank,
        layers: Sequence[int],
        centres: Sequence[Tensor],
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
    ) -> None:
        super().__init__(knobs, layers, centres)
        self.keys = nn.ParameterList(nn.Parameter(k) for k in keys)  # (nodes, L, u, D) a level
        self.values = nn.ParameterList(nn.Parameter(v) for v in values)

    def blocks(self, level: int, nodes: Tensor) -> Blocks:
        """Return the blocks of nodes (B,) of a level."""
        return self.keys[level][nodes], self.values[level][nodes]

    def remove(self, leaf: int) -> None:
        """Set the block of a leaf to zero: what only this leaf knows is gone. Raises NotFound for an unknown leaf."""
        leaves = len(self.values[-1])
        if not 0 <= leaf < leaves:
            raise NotFound(f"there is no leaf {leaf}: the bank has {leaves}, from 0 to {leaves - 1}.")
        with torch.no_grad():
            self.values[-1][leaf].zero_()
            self.keys[-1][leaf].zero_()


class ColdBank(Routed):
    """A bank whose upper levels are in memory and whose leaves stay in a safetensors file until a context needs them."""

    def __init__(self, knobs: HierarchicalBank, model: Any, file: Path, warm: int = 8) -> None:
        """Open a file of `BankWeights.tensors`; the `warm` leaves used last stay in memory."""
        opened: Any = safe_open(str(file), framework="pt")
        depth = knobs.depth
        super().__init__(
            knobs, layers_at(model, knobs.depths), [opened.get_tensor(f"centres_{i}") for i in range(depth)]
        )
        self._file, self._warm = opened, warm
        self._hot = [tuple(opened.get_tensor(f"{part}.{i}") for part in ("keys", "values")) for i in range(depth - 1)]
        self._leaves: OrderedDict[int, Blocks] = OrderedDict()
        self.bytes_read = 0  # of leaves, from the file

    @property
    def bytes_hot(self) -> int:
        """Bytes of the levels that are always in memory."""
        return sum(part.numel() * part.element_size() for level in self._hot for part in level)

    def blocks(self, level: int, nodes: Tensor) -> Blocks:
        """Return the blocks of nodes (B,) of a level; a leaf is read from the file where it is not warm."""
        if level < len(self._hot):
            keys, values = self._hot[level]
            return keys[nodes], values[nodes]
        found = [self._leaf(node) for node in nodes.tolist()]
        return torch.stack([keys for keys, _ in found]), torch.stack([values for _, values in found])

    def _leaf(self, node: int) -> Blocks:
        if node not in self._leaves:
            last = self.knobs.depth - 1
            keys, values = (self._file.get_slice(f"{part}.{last}")[node] for part in ("keys", "values"))
            self.bytes_read += sum(part.numel() * part.element_size() for part in (keys, values))
            self._leaves[node] = keys, values
            if len(self._leaves) > self._warm:
                self._leaves.popitem(last=False)
        self._leaves.move_to_end(node)
        return self._leaves[node]


def _about(model: Any, ids: Tensor, mask: Tensor | None, opening: int) -> Tensor:
    """Return the mean embeddings (B, D) of the first tokens of contexts (B, T), padding left out."""
    table = model.get_input_embeddings().weight.detach()
    seen = torch.ones_like(ids) if mask is None else mask[:, -ids.shape[1] :].long()
    counted = ((seen.cumsum(-1) <= opening) & (seen > 0)).to(table.dtype)[..., None]
    mean: Tensor = (table[ids] * counted).sum(1) / counted.sum(1).clamp_min(1)
    return mean.float().cpu()
