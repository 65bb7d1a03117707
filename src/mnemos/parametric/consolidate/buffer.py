"""Samples of a stream, held in a bounded room."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput

Policy = Literal["reservoir", "balanced", "ring"]


class Buffer:
    """Rows of several tensors side by side (x, y, tasks, and what else a strategy stores of a sample), at most `items` of them.

    `reservoir`: every row of the stream is as likely to be held (Vitter's algorithm R). `balanced`: as many of each class, y
    being the second tensor; a row of a class that has its share is dropped, another takes the place of one of the largest
    class (GDumb, ECCV 2020). `ring`: the newest. A row seen costs one draw, and a copy if it is taken in.
    """

    def __init__(self, items: int, policy: Policy = "reservoir") -> None:
        if items < 1:
            raise InvalidInput(f"a buffer of {items} samples holds nothing: give at least 1.")
        self.items, self.policy = items, policy
        self.met = 0  # rows that were shown to it
        self.held: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        """Return how many rows it holds."""
        return len(self.held[0]) if self.held else 0

    def see(self, *rows: Tensor, generator: torch.Generator) -> None:
        """Show it rows: tensors of the same length, as many as ever before."""
        rows = tuple(t.detach() for t in rows)
        free = max(0, min(self.items - len(self), len(rows[0])))
        if free:
            first = [t[:free] for t in rows]
            self.held = tuple(torch.cat(pair) for pair in zip(self.held, first, strict=True)) if self.held else tuple(
                t.clone() for t in first
            )  # fmt: skip
        for row in range(free, len(rows[0])):
            place = self._place(rows, row, generator)
            if place is not None:
                for mine, given in zip(self.held, rows, strict=True):
                    mine[place] = given[row]
        self.met += len(rows[0])

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return some of the rows, each at most once; all where there are no more."""
        return self.at(torch.randperm(len(self), generator=generator)[:count])

    def at(self, places: Tensor) -> tuple[Tensor, ...]:
        """Return the rows of some places."""
        return tuple(t[places] for t in self.held)

    def keep(self, labels: list[int]) -> None:
        """Drop the rows of all other classes, y being the second tensor."""
        if self.held:
            which = torch.isin(self.held[1], torch.tensor(labels, dtype=self.held[1].dtype))
            self.held = tuple(t[which] for t in self.held)
            self.met = len(self)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return sum(t.numel() * t.element_size() for t in self.held)

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored."""
        return {"met": torch.tensor(self.met), **{f"held{i}": t for i, t in enumerate(self.held)}}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` returned."""
        self.met = int(tensors["met"])
        self.held = tuple(tensors[f"held{i}"].clone() for i in range(len(tensors) - 1))

    def _place(self, rows: tuple[Tensor, ...], row: int, generator: torch.Generator) -> int | None:
        """Return the place that a row takes in a full buffer; None where it is not taken in."""
        if self.policy == "ring":
            return (self.met + row) % self.items
        if self.policy == "reservoir":
            place = int(torch.randint(self.met + row + 1, (1,), generator=generator))
            return place if place < self.items else None
        labels = self.held[1]
        classes, counts = labels.unique(return_counts=True)
        own = counts[classes == rows[1][row]]
        if len(own) and int(own) >= int(counts.max()):
            return None
        largest = (labels == classes[counts.argmax()]).nonzero().flatten()
        return int(largest[torch.randint(len(largest), (1,), generator=generator)])
