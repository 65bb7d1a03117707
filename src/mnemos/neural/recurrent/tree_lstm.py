"""Tree LSTM: a memory of a node is made of those of its children."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@dataclass(frozen=True, slots=True)
class Trees:
    """Binary trees laid into one list of nodes: children stand before their parent, -1 is no child."""

    left: Tensor  # (N) place of the left child, -1 for leaves
    right: Tensor  # (N)
    level: Tensor  # (N) 0 for leaves, else 1 + that of the higher child
    roots: Tensor  # (trees) places of the roots

    @classmethod
    def of(cls, left: Sequence[int], right: Sequence[int], roots: Sequence[int]) -> Trees:
        """Return trees with their levels. Raises InvalidInput where a child does not stand before its parent."""
        level: list[int] = []
        for place, children in enumerate(zip(left, right, strict=True)):
            if any(child >= place for child in children) or (min(children) < 0) != (max(children) < 0):
                raise InvalidInput(f"node {place} has the children {children}: give two before it, or -1 and -1.")
            level.append(0 if children[0] < 0 else 1 + max(level[child] for child in children))
        return cls(*(torch.tensor(list(values), dtype=torch.long) for values in (left, right, level, roots)))


@register(
    "tree-lstm",
    papers=(
        Paper("Long Short-Term Memory Over Tree Structures", "1503.04881"),
        Paper("Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks", "1503.00075"),
    ),
    task="recurrent",
    baselines=("lstm",),
)
class TreeLSTM(nn.Module):  # type: ignore[misc]
    """Encodes binary trees from the leaves up; each child has a forget gate of its own (arXiv 1503.04881).

    c = f_l c_l + f_r c_r + i g, h = o tanh(c); the gates see both children's h and c (peepholes) and the vector of the node,
    which the paper has at leaves only. A leaf is a node with empty children. `plain` leaves gates and c out: h = tanh(W [h_l,
    h_r, x] + b), a recursive network. All nodes of a level are computed at once, so costs are `depth` steps.
    """

    def __init__(
        self,
        width: int,  # D, channels of a node
        hidden: int | None = None,  # H, units; D if nothing is said
        plain: bool = False,  # whether it is a recursive network without gates
    ) -> None:
        super().__init__()
        H = self.hidden = hidden or width
        self.plain = plain
        self.enter = nn.Linear(width, H if plain else 5 * H)
        self.below = nn.Linear(2 * H, H if plain else 5 * H, bias=False)
        if not plain:
            self.peep = nn.Parameter(torch.zeros(2, 3, H))  # of each child's c, into i, f_l and f_r
            self.peep_out = nn.Parameter(torch.zeros(H))
            with torch.no_grad():
                self.enter.bias[H : 3 * H] = 1.0  # forget gates

    def forward(self, x: Tensor, trees: Trees) -> tuple[Tensor, Tensor]:
        """Return h and c (N, H) of all nodes for their vectors x (N, D); that of a tree is at `trees.roots`."""
        if len(x) != len(trees.level):
            raise InvalidInput(f"there are {len(x)} vectors and {len(trees.level)} nodes: give one of each node.")
        given = self.enter(x)
        h, c = x.new_zeros(len(x) + 1, self.hidden), x.new_zeros(len(x) + 1, self.hidden)  # the last one is no child
        for level in range(int(trees.level.max()) + 1):
            at = (trees.level == level).nonzero()[:, 0]
            left, right = trees.left[at] % len(h), trees.right[at] % len(h)
            new_h, new_c = self.node(given[at], h[left], h[right], c[left], c[right])
            h, c = h.index_copy(0, at, new_h), c.index_copy(0, at, new_c)
        return h[:-1], c[:-1]

    def node(self, given: Tensor, h_l: Tensor, h_r: Tensor, c_l: Tensor, c_r: Tensor) -> tuple[Tensor, Tensor]:
        """Return h and c of nodes with these children."""
        heard = given + self.below(torch.cat([h_l, h_r], -1))
        if self.plain:
            return heard.tanh(), c_l
        gates, o, g = heard.split([3 * self.hidden, self.hidden, self.hidden], -1)
        peep = c_l[:, None] * self.peep[0] + c_r[:, None] * self.peep[1]
        i, f_l, f_r = (gates.unflatten(-1, (3, -1)) + peep).sigmoid().unbind(1)
        c = f_l * c_l + f_r * c_r + i * g.tanh()
        return torch.sigmoid(o + self.peep_out * c) * c.tanh(), c
