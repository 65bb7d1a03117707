"""Rehearsal of samples that never were: pieces of different samples of a class, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch, Learning, Step
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register


@register(
    "breakup-replay",
    papers=(
        Paper(
            "ConSlide: Asynchronous Hierarchical Interaction Transformer with Breakup-Reorganize Rehearsal for Continual Whole"
            " Slide Image Analysis",
            "2308.13324",
            "HKU-MedAI/ConSlide",
        ),
    ),
    task="bags in sequence",
    baselines=("replay",),
    unmeasured="its first run is under way",
)  # fmt: skip
@dataclass
class BreakupReplay(Replay):
    """Holds a few pieces of each sample and rehearses samples put together of pieces of one class (breakup-reorganise).

    x (N, ...) has `pieces` pieces of the same size, one after the other in its flattened form; a bag (N, R, D) has R. In a bag a
    piece may come to any place, with `places` it comes only to its own. The buffer has room for `items` * `pieces` pieces: the
    bytes of as many samples, and an integer more a piece.
    """

    pieces: int = 4  # of a sample
    keep: int = 2  # pieces of a sample that are shown to the buffer, drawn at random
    places: bool = True  # a piece is used only where it was

    stores_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.pieces:
            raise InvalidInput(f"keep is {self.keep}: give from 1 to the {self.pieces} pieces of a sample.")
        self.buffer = Buffer(self.items * self.pieces, self.policy)
        self._shape: torch.Size | None = None  # of a sample of this step

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what the samples that are put together cost. Raises InvalidInput for x that has no such pieces."""
        x = step.batch.x
        if x[0].numel() % self.pieces:
            raise InvalidInput(f"a sample of {x[0].numel()} numbers is not {self.pieces} pieces: give a divisor of it.")
        self._shape = x.shape[1:]
        return super().loss(learning, step) if self._whole() else None

    def draw(self, learning: Learning) -> Batch:
        """Return samples that are put together, each of pieces of one class."""
        pieces, y, tasks, place = self.buffer.held
        whole = self._whole()
        classes = [whole[int(torch.randint(len(whole), (1,), generator=learning.generator))] for _ in range(self.batch)]
        rows = []
        for c in classes:
            own = y == c
            rooms = [(own & (place == p)).nonzero().flatten() if self.places else own.nonzero().flatten()
                     for p in range(self.pieces)]  # fmt: skip
            rows.append(torch.stack([r[torch.randint(len(r), (), generator=learning.generator)] for r in rooms]))
        chosen = torch.stack(rows)
        shape = (len(chosen), *(self._shape or (-1,)))
        return Batch(pieces[chosen].reshape(shape), y[chosen[:, 0]], tasks[chosen[:, 0]])

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show pieces of the new samples to the buffer."""
        x, y, tasks = step.batch
        cut = x.reshape(len(x), self.pieces, -1)
        chosen = torch.rand(len(x), self.pieces, generator=learning.generator).argsort(1)[:, : self.keep]
        rows = torch.arange(len(x))[:, None]
        self.buffer.see(
            cut[rows, chosen].flatten(0, 1), y.repeat_interleave(self.keep), tasks.repeat_interleave(self.keep),
            chosen.flatten(), generator=learning.generator,
        )  # fmt: skip

    def combinations(self) -> dict[int, int]:
        """Return how many different samples can be put together of what is held, by class."""
        _, y, _, place = self.buffer.held
        found = {}
        for c in self._whole():
            own = y == c
            rooms = [int((own & (place == p)).sum()) if self.places else int(own.sum()) for p in range(self.pieces)]
            total = 1
            for room in rooms:
                total *= room
            found[c] = total
        return found

    def _whole(self) -> list[int]:
        """Return the classes of which every place has a piece."""
        if not len(self.buffer):
            return []
        _, y, _, place = self.buffer.held
        if not self.places:
            return [int(c) for c in y.unique()]
        return [int(c) for c in y.unique() if len(place[y == c].unique()) == self.pieces]
