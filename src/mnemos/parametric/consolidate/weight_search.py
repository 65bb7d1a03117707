"""A task's weights are put together from a shared pool of frozen pieces: it stores which pieces, not weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import NO_TASK, Learning
from mnemos.parametric.consolidate.made import Maker, MakesWeights, Weights, key
from mnemos.registry import Paper, register


class Pieces(Maker):
    """Makes every row of a matrix of pieces (L,) of the matrix's pool (256, L), times a size of the row.

    While a task is learned its pieces are free weights, read as the nearest pieces of the pool (gradients pass as if they were
    these); afterwards one byte a piece is left.
    """

    def __init__(self, inner: nn.Module, length: int, generator: torch.Generator) -> None:
        super().__init__(inner)
        self.length = length
        self.shapes = {n: w.shape for n, w in inner.named_parameters() if n in self.names}
        self.register_buffer("newest", torch.tensor(NO_TASK))
        self.free, self.sizes = nn.ParameterDict(), nn.ModuleDict()
        self.places = nn.ModuleDict()  # by task: which piece
        for name, w in inner.named_parameters():
            if name in self.names:
                pieces = self._cut(w.detach() / w.detach().flatten(1).norm(dim=1).view(-1, *[1] * (w.dim() - 1)))
                self.register_buffer(f"pool/{key(name)}", centres(pieces, 256, generator))
                self.free[key(name)] = torch.zeros_like(pieces)

    def grow(self, task: int, weights: Weights, generator: torch.Generator) -> None:
        """Let the free weights begin as the model's own are, in the rows' sizes."""
        rows, held = nn.ParameterDict(), nn.Module()
        for name in self.names:
            w = weights[name].detach()
            rows[key(name)] = w.flatten(1).norm(dim=1)
            self.free[key(name)].data = self._cut(w / rows[key(name)].view(-1, *[1] * (w.dim() - 1)))
            held.register_buffer(key(name), torch.zeros(len(self.free[key(name)]), dtype=torch.uint8))
        self.sizes[str(task)], self.places[str(task)] = rows, held
        self.newest.fill_(task)

    def trained(self, task: int) -> Iterator[nn.Parameter]:
        """Yield the free weights, and the sizes of the task's rows."""
        if task == int(self.newest):
            yield from self.free.parameters()
        yield from self.sizes[str(task)].parameters()

    def nearest(self, name: str) -> Tensor:
        """Return which piece of the pool is nearest to each free one."""
        return torch.cdist(self.free[key(name)].detach(), self.get_buffer(f"pool/{key(name)}")).argmin(1)

    def finish(self, task: int) -> None:
        """Keep which pieces the newest task chose."""
        if task == int(self.newest):
            for name in self.names:
                self.places[str(task)].get_buffer(key(name)).copy_(self.nearest(name).to(torch.uint8))
            self.newest.fill_(NO_TASK)

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the weights that a task's pieces make."""
        found = {}
        for name, shape in self.shapes.items():
            pool, free = self.get_buffer(f"pool/{key(name)}"), self.free[key(name)]
            if task == int(self.newest):
                pieces = pool[self.nearest(name)] + (free - free.detach())
            else:
                pieces = pool[self.places[str(task)].get_buffer(key(name)).long()]
            rows = self.sizes[str(task)].get_parameter(key(name)).view(-1, *[1] * (len(shape) - 1))
            found[name] = pieces.view(shape[0], -1)[:, : shape[1:].numel()].view(shape) * rows
        return found

    def _cut(self, w: Tensor) -> Tensor:
        """Return rows as pieces (rows * pieces, L), with zeros at the end of a row where it does not divide."""
        flat = w.flatten(1)
        return nn.functional.pad(flat, (0, -flat.shape[1] % self.length)).view(-1, self.length).clone()


def centres(points: Tensor, count: int, generator: torch.Generator, rounds: int = 5) -> Tensor:
    """Return up to `count` centres (count, L) of points (N, L) by k-means."""
    found = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(rounds):
        near = torch.cdist(points, found).argmin(1)
        sums = torch.zeros_like(found).index_add_(0, near, points)
        counts = torch.bincount(near, minlength=len(found))
        found = torch.where((counts > 0)[:, None], sums / counts.clamp_min(1)[:, None], found)
    return found


@register(
    "weight-search",
    papers=(Paper("Neural Weight Search for Scalable Task Incremental Learning", "2211.13823"),),
    task="tasks in sequence",
    baselines=("plain",),
)
@dataclass
class WeightSearch(MakesWeights):
    """Learns, for each task, which frozen pieces its weights are made of, of 256 that are cut from each matrix of the model.

    Free weights are learned and read as the nearest piece, with gradients straight through; a byte a piece, a size a row, and
    the vectors are stored. The pool never changes, so that answers of a named task stay the same to the bit. A step costs a
    search of the pool for each piece. (The paper adds a small pool that is trained; here the pool is all frozen.)
    """

    length: int = 4  # weights of a piece

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InvalidInput(f"length is {self.length}: a piece has at least 1 weight.")

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Pieces:
        """Return the pools."""
        return Pieces(inner, self.length, generator)

    def after_task(self, learning: Learning) -> None:
        """Keep which pieces the task chose."""
        assert self.model is not None
        assert isinstance(self.model.maker, Pieces)
        self.model.maker.finish(learning.task)
