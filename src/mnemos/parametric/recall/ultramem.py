"""UltraMem V2 (arXiv 2508.18756): slots found by Tucker-decomposed scores, whose values are experts of one hidden unit.

The scores of slot (i, j) are S_row[:, i]^T C S_col[:, j], of rank r with a core C for each pair of row and column tables
(TDQKR, arXiv 2411.12364). What is read is W (V^T ((P x) * s)): a slot is a linear expert with one hidden unit (PEER, arXiv
2407.04153, without its activation: the choice of slots is one), and W expands narrow values to the width of the model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.recall.lookup import Values
from mnemos.registry import Paper, register


@register(
    "ultramem",
    papers=(
        Paper(
            "UltraMemV2: Memory Networks Scaling to 120B Parameters with Superior Long-Context Learning", "2508.18756"
        ),
        Paper("Ultra-Sparse Memory Network", "2411.12364"),
        Paper("Mixture of A Million Experts", "2407.04153"),
    ),
    task="closed-book facts",
    baselines=("product-keys",),
)
class UltraMemory(nn.Module):  # type: ignore[misc]
    """Layer of n * n one-unit experts in a grid, scored by a Tucker decomposition; h tables give h * h heads.

    The best slots are looked for among `candidates` rows and columns, which the largest singular vectors of the core choose,
    and scored exactly there. It starts with the variance of a feed-forward block's output, `std` squared, on inputs of
    unit variance. Scores weigh slots as they are: there is no softmax.
    """

    def __init__(
        self,
        width: int,  # D, of the hidden states
        n: int = 512,  # keys of a table; there are n * n slots
        tables: int = 2,  # h, of rows and of columns; each pair is a head
        k: int = 16,  # slots of a head that take part in an answer
        key_width: int = 64,  # of a row key or a column key
        rank: int = 2,  # r, of the scores
        value_width: int | None = None,  # of an expert's output and input; None is half of D
        experts: bool = True,  # PEER; without it a value is a vector that does not see the input
        candidates: int | None = None,  # rows and columns that are scored exactly; None is twice k
        std: float = 0.1,  # of the output at the start
        sparse: bool = True,  # gradients of touched values only; needs an optimiser that takes them
    ) -> None:
        super().__init__()
        self.n, self.tables, self.k, self.rank = n, tables, k, rank
        self.candidates = min(n, 2 * k if candidates is None else candidates)
        if k > self.candidates**2:
            raise InvalidInput(f"k is {k}: {self.candidates} candidates make {self.candidates**2} slots; raise them.")
        inner = value_width or max(1, width // 2)
        self.query = nn.Linear(width, 2 * rank * key_width, bias=False)  # of rows and columns, one for each rank
        self.query_norm = nn.LayerNorm(key_width, elementwise_affine=False)
        self.keys = nn.Parameter(torch.randn(2, tables, rank, n, key_width) * key_width**-0.5)
        cores = torch.eye(rank).repeat(tables, tables, 1, 1)  # a sum over ranks, which learning may turn
        self.cores = nn.Parameter(cores + 0.1 * torch.randn_like(cores))
        self.values = Values(n * n, inner, sparse)
        self.inputs = nn.Embedding(n * n, inner, sparse=sparse) if experts else None  # P
        self.project = nn.Linear(width, inner, bias=False) if experts else None  # of x for P
        self.expand = nn.Linear(inner, width, bias=False)  # W
        with torch.no_grad():
            found = self(torch.randn(256, width)).std()
            self.values.weight.mul_(std / found.clamp_min(1e-9))  # the output is linear in the values

    def scores(self, queries: Tensor) -> Tensor:
        """Return the scores of rows and columns for hidden states (B, D): (2, B, h, r, n)."""
        q = self.query(queries).unflatten(-1, (2, self.rank, -1))
        return torch.einsum("btrd,thrnd->tbhrn", self.query_norm(q), self.keys)

    def look_up(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slots of queries (B, D) and their weights, both (B, h * h, k), the heaviest first."""
        rows, columns = self.scores(queries)
        left, _, right = torch.linalg.svd(self.cores.detach())  # (h, h, r, r)
        by_row = torch.einsum("ijr,birn->bijn", left[..., 0], rows)
        by_column = torch.einsum("ijr,bjrn->bijn", right[..., 0, :], columns)
        i, j = self._shortlist(by_row), self._shortlist(by_column)  # (B, h, h, c)
        expanded = rows[:, :, None].expand(-1, -1, self.tables, -1, -1)
        chosen_rows = expanded.gather(-1, i[..., None, :].expand(*i.shape[:3], self.rank, -1))
        expanded = columns[:, None].expand(-1, self.tables, -1, -1, -1)
        chosen_columns = expanded.gather(-1, j[..., None, :].expand(*j.shape[:3], self.rank, -1))
        grid = torch.einsum("bijrx,ijrs,bijsy->bijxy", chosen_rows, self.cores, chosen_columns).flatten(-2)
        best, at = grid.topk(self.k, -1)
        slots = (i[..., :, None] * self.n + j[..., None, :]).flatten(-2).gather(-1, at)
        return slots.flatten(1, 2), best.flatten(1, 2)

    def _shortlist(self, scores: Tensor) -> Tensor:
        """Return half of the candidates from each end: a large product of two negative scores counts too."""
        c = self.candidates
        if c == self.n:
            return torch.arange(self.n).expand(*scores.shape[:-1], -1)
        return torch.cat([scores.topk(c - c // 2, -1).indices, (-scores).topk(c // 2, -1).indices], -1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return what the memory adds for hidden states (..., D); the same shape."""
        flat = hidden.reshape(-1, hidden.shape[-1])
        slots, weights = self.look_up(flat)
        if self.inputs is not None and self.project is not None:
            seen = torch.einsum("bhkp,bp->bhk", self.inputs(slots), self.project(flat))
            weights = weights * seen
        added: Tensor = self.expand(self.values(slots, weights))
        return added.reshape(hidden.shape)
