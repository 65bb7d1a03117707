"""A small model drafts a tree of tokens, and the large one reads it in one pass.

A node is a token behind its parent's; its confidence is the product of the small model's probabilities along its path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from mnemos.footprint.generate.base import Generated, check, keep, read
from mnemos.registry import Paper, register

LEAST, MOST = 1e-4, 0.5  # of the threshold


class _Node(NamedTuple):
    token: int
    parent: int  # -1: the last token of the text
    depth: int  # 1 behind that
    confidence: float


@register(
    "token-tree",
    papers=(Paper("LLMCad: Fast and Scalable On-device Large Language Model Inference", "2309.04255"),),
    baselines=("greedy",),
)
@dataclass
class TokenTree:
    """Draft a tree of likely tokens with a small model, and take the path of it that the large model would have taken.

    The tree grows by its most confident nodes, as long as these are above a threshold and there are fewer than `size`. The large
    model reads it in one pass in which a node sees its ancestors alone. So its layers, which may be on disk, are loaded once for
    all tokens of the path and the one behind it. The threshold is halved where the path reached the deepest node of the tree,
    and doubled elsewhere. The paper also drafts on while layers come from disk; that is left out.
    """

    draft: Any  # the small model, with the same tokens
    size: int = 16  # nodes of a tree at most
    branches: int = 3  # children of a node at most; 1 is a chain
    threshold: float = 0.01  # confidence that a node has at least, at first
    adapt: bool = True  # change the threshold by what is accepted
    temperature: float = 1.0  # of the small model's probabilities; below 1 a tree is deeper, and branches less
    exact: ClassVar[bool] = True
    accepted: list[int] = field(
        default_factory=list, init=False
    )  # tokens that each pass of the large model gave, in the last call
    drafted: int = field(default=0, init=False)  # nodes of all trees of the last call

    def generate(self, model: Any, prompt: Tensor, count: int) -> Generated:
        """Return `count` tokens that follow a prompt (T), those of greedy decoding."""
        check(prompt, count)
        self.accepted, self.drafted, threshold = [], 0, self.threshold
        tokens = prompt.tolist()
        with torch.no_grad():
            large, small = read(model, prompt[:-1]), read(self.draft, prompt[:-1])
            while len(tokens) < len(prompt) + count:
                nodes = self._drafted(small, tokens, threshold)
                path, more = _followed(model, large, tokens, nodes)
                self.drafted += len(nodes)
                new = [nodes[node].token for node in path] + [more]
                if self.adapt:
                    deepest = len(path) == max((node.depth for node in nodes), default=0)
                    threshold = min(MOST, max(LEAST, threshold * (0.5 if deepest else 2.0)))
                keep(large, torch.tensor([*range(len(tokens)), *(len(tokens) + node for node in path)]))
                keep(small, slice(0, len(tokens)))
                tokens += new
                self.accepted.append(len(new))
        passes = len(self.accepted)
        return Generated(torch.tensor(tokens[len(prompt) :][:count]), passes, passes * len(model.model.layers))

    def _drafted(self, cache: Any, tokens: list[int], threshold: float) -> list[_Node]:
        """Return the nodes of a tree, parents first; reads the tokens that the small model has not read yet."""
        base = len(tokens)
        unread = torch.tensor([tokens[cache.get_seq_length() :]])
        logits = self.draft(unread, past_key_values=cache, use_cache=True).logits[0, -1:]
        nodes: list[_Node] = []
        candidates = self._children(logits, [_Node(-1, -1, 0, 1.0)], [-1])
        while len(nodes) < self.size:
            best = max(candidates, key=lambda node: node.confidence)
            if best.confidence < threshold:
                break
            candidates.remove(best)
            nodes.append(best)
            if len(nodes) < self.size:
                number = len(nodes) - 1
                mask = _mask(nodes, [number], range(len(nodes)), base)
                logits = _read_nodes(self.draft, cache, nodes, [number], mask, base)
                candidates += self._children(logits, [best], [number])
        return nodes

    def _children(self, logits: Tensor, parents: list[_Node], numbers: list[int]) -> list[_Node]:
        chances, tokens = (logits / self.temperature).softmax(-1).topk(self.branches)
        return [
            _Node(token, number, parent.depth + 1, parent.confidence * chance)
            for parent, number, row, known in zip(parents, numbers, chances.tolist(), tokens.tolist(), strict=True)
            for chance, token in zip(row, known, strict=True)
        ]


def _followed(model: Any, cache: Any, tokens: list[int], nodes: list[_Node]) -> tuple[list[int], int]:
    """Return the nodes of the path that a model takes in a tree, and the token that it says behind it."""
    base = len(tokens)
    root = _Node(tokens[-1], -1, 0, 1.0)
    everything = [root, *(node._replace(parent=node.parent + 1) for node in nodes)]
    numbers = list(range(len(everything)))
    mask = _mask(everything, numbers, numbers, base - 1)
    said = _read_nodes(model, cache, everything, numbers, mask, base - 1).argmax(-1).tolist()
    children = {(node.parent, node.token): number for number, node in enumerate(nodes)}
    path: list[int] = []
    at = -1
    while (at, said[at + 1]) in children:
        at = children[at, said[at + 1]]
        path.append(at)
    return path, said[at + 1]


def _mask(nodes: list[_Node], numbers: Sequence[int], columns: Sequence[int], before: int) -> Tensor:
    """Return what nodes (1, 1, q, before + columns) see: all text before, their ancestors, and themselves; bool."""
    place = {number: at for at, number in enumerate(columns)}
    seen = torch.zeros(len(numbers), before + len(columns), dtype=torch.bool)
    seen[:, :before] = True
    for row, number in enumerate(numbers):
        while number >= 0:
            seen[row, before + place[number]] = True
            number = nodes[number].parent if nodes[number].depth else -1
    return seen[None, None]


def _read_nodes(model: Any, cache: Any, nodes: list[_Node], numbers: list[int], mask: Tensor, base: int) -> Tensor:
    """Return the logits (q, vocabulary) behind nodes; their positions are `base` and their depth."""
    ids = torch.tensor([[nodes[number].token for number in numbers]])
    first = 0 if nodes[0].depth == 0 else -1  # a tree without its root begins a place later
    positions = torch.tensor([[base + nodes[number].depth + first for number in numbers]])
    added = torch.zeros(mask.shape, dtype=model.dtype).masked_fill(~mask, torch.finfo(model.dtype).min)
    logits: Tensor = model(
        ids, attention_mask=added, position_ids=positions, past_key_values=cache, use_cache=True
    ).logits[0]
    return logits
