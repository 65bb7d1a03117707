"""A head that keeps every item and asks the nearest ones."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.index.hnsw import HnswIndex
from mnemos.registry import Paper, register

ROWS = 256  # questions compared with all items at a time


@register(
    "neighbours-head",
    papers=(Paper("Online Continual Learning Without the Storage Constraint", "2305.09253", "drimpossible/ACM"),),
    task="classes in sequence",
    baselines=("discrete-key-value-bottleneck",),
    unmeasured="its first run is under way",
)
class NeighboursHead:
    """Votes of the k nearest items by cosine; learning is to store (ACM: adaptive continual memory).

    An item that was stored is answered with its label for ever. "exact" compares all items, "hnsw" walks a graph of them in
    O(log N) (extra `ann`). Holds all items, 4 D bytes each; "hnsw" 2 D and the links more.
    """

    def __init__(
        self,
        width: int,  # of the features
        classes: int,  # labels are 0 to classes - 1
        k: int = 1,  # neighbours that vote; each with exp(-(1 - cosine) / temperature)
        temperature: float = 0.05,  # of the votes
        index: Literal["exact", "hnsw"] = "exact",  # how they are found
    ) -> None:
        if k < 1 or not temperature > 0:
            raise InvalidInput(
                f"k is {k} and temperature {temperature}: give at least 1 neighbour, and a number above 0."
            )
        self.classes, self.k, self.temperature = classes, k, temperature
        self.rows = torch.zeros(0, width)
        self.labels = torch.zeros(0, dtype=torch.long)
        self.graph = HnswIndex(width) if index == "hnsw" else None

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Store items: features (m, D), labels (m,). Raises InvalidInput for a label that is no class."""
        if len(features) != len(labels) or (
            len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes
        ):
            raise InvalidInput(
                f"{len(features)} features and {len(labels)} labels: give one of 0 to {self.classes - 1} for each."
            )
        rows = torch.nn.functional.normalize(features.float(), dim=-1)
        if self.graph is not None:
            self.graph.add(np.arange(len(self.labels), len(self.labels) + len(rows)), rows.numpy())
        self.rows = torch.cat([self.rows, rows])
        self.labels = torch.cat([self.labels, labels])

    def scores(self, features: Tensor) -> Tensor:
        """Return the share of the votes (m, classes) for features (m, D); zeros while nothing is stored."""
        votes = torch.zeros(len(features), self.classes)
        if not len(self.labels):
            return votes
        near, found = self._nearest(torch.nn.functional.normalize(features.float(), dim=-1))
        weights = ((near - near[:, :1]) / self.temperature).exp()
        votes.scatter_add_(1, self.labels[found], weights)
        return votes / votes.sum(1, keepdim=True)

    def _nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosines and places of the k nearest items, nearest first."""
        k = min(self.k, len(self.labels))
        if self.graph is None:
            parts = [(part @ self.rows.T).topk(k) for part in x.split(ROWS)]
            return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])
        found = [self.graph.search(row, k) for row in x.numpy()]
        return (
            torch.from_numpy(np.stack([f.scores for f in found])),
            torch.from_numpy(np.stack([f.keys for f in found])),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored: the items, and their labels."""
        return {"rows": self.rows, "labels": self.labels}

    @property
    def nbytes(self) -> int:
        """Bytes held; of the graph, what the library says."""
        held: int = sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())
        return held + (self.graph.nbytes if self.graph is not None else 0)
