"""Hash functions of several views that learn new categories while the codes of old items stay as they are.

`n` items of a batch, `m` items stored before, `V` views of an item (its text, its picture), `L` labels. Codes are +1 and -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mnemos.errors import InvalidInput
from mnemos.index.adam import Adam
from mnemos.index.base import Floats
from mnemos.registry import Paper, register

OLD = 512  # stored codes that a step looks at


@register(
    "lifelong",
    papers=(Paper("Deep Lifelong Cross-modal Hashing"),),
    task="lifelong",
)
@dataclass
class LifelongHash:
    """Learn a batch of new categories without encoding what is stored again: old codes are targets and never change.

    The loss pulls and pushes the new outputs h against old codes and one another, across views, by how many labels two
    items share, and adds |h - sign(h)|. Deviations: each view has one linear map with tanh for a network; and the maps may
    move little where old inputs vary (their second moments are kept, not the inputs), so that old categories are still
    asked for by the codes that they have. `anchor` 0 is the paper's loss alone; with `old` 0, too, it is naive fine-tuning.
    """

    widths: tuple[int, ...]  # numbers of a vector of each view
    bits: int = 64  # of a code
    steps: int = 150  # of Adam, a batch of categories
    rate: float = 0.02  # of Adam
    old: float = 1.0  # weight of the loss against old codes
    quantisation: float = 0.05  # weight of |h - sign(h)|
    anchor: float = 1.0  # weight of what the maps may not change on old inputs
    seed: int = 0  # of the first maps and of the old codes that a step looks at
    maps: list[Floats] = field(default_factory=list)  # (D, bits) of each view
    codes: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (m, bits) of all items so far
    labels: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (m, L) of unit length
    moments: list[Floats] = field(default_factory=list)  # (D, D) of each view, of all inputs so far

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.maps = [
            rng.standard_normal((w, self.bits)).astype(np.float32) / np.float32(np.sqrt(w)) for w in self.widths
        ]
        self.moments = [np.zeros((w, w), dtype=np.float32) for w in self.widths]

    def learn(self, views: Sequence[Floats], labels: Floats) -> None:
        """Learn a batch: the views (n, D) of its items and their labels (n, L), and store one code an item."""
        if len(views) != len(self.widths) or any(
            v.shape != (len(labels), w) for v, w in zip(views, self.widths, strict=True)
        ):
            raise InvalidInput(f"views of shape {[v.shape for v in views]}: give (n, D) with D of {self.widths}.")
        unit = labels / np.maximum(np.linalg.norm(labels, axis=1, keepdims=True), 1e-9)
        if not len(self.codes):
            self.codes = np.zeros((0, self.bits), dtype=np.float32)
            self.labels = np.zeros((0, labels.shape[1]), dtype=np.float32)
        start = [m.copy() for m in self.maps]
        steps = [Adam(m, self.rate) for m in self.maps]  # changed in place
        rng = np.random.default_rng((self.seed, len(self.codes)))
        for _ in range(self.steps):
            some = rng.permutation(len(self.codes))[:OLD]
            gradients = self._gradients(views, unit, some)
            for view, moment in enumerate(self.moments):
                gradients[view] += self.anchor * (moment @ (self.maps[view] - start[view])) / max(len(self.codes), 1)
            for adam, gradient in zip(steps, gradients, strict=True):
                adam.step(gradient)
        made = np.sign(sum(np.tanh(v @ m) for v, m in zip(views, self.maps, strict=True)) + 1e-9)
        self.codes = np.concatenate([self.codes, made.astype(np.float32)])
        self.labels = np.concatenate([self.labels, unit.astype(np.float32)])
        for view, rows in enumerate(views):
            self.moments[view] += rows.T @ rows

    def hash(self, view: int, rows: Floats) -> Floats:
        """Return the codes (n, bits) that ask for vectors (n, D) of a view."""
        asked: Floats = np.where(rows @ self.maps[view] > 0, 1, -1).astype(np.float32)
        return asked

    def _gradients(self, views: Sequence[Floats], labels: Floats, some: np.ndarray) -> list[Floats]:
        """Return the gradient of the loss by each map, without the anchor."""
        outputs = [np.tanh(rows @ m) for rows, m in zip(views, self.maps, strict=True)]
        within = labels @ labels.T
        found = []
        for view, h in enumerate(outputs):
            slope = self.quantisation * 2 * (h - np.sign(h)) / len(h) / self.bits
            for other, g in enumerate(outputs):
                both = 2 if other == view else 1  # h is on both sides of its own products
                slope += both * _pull(h, g, within)
            if len(some) and self.old:
                slope += self.old * _pull(h, self.codes[some], labels @ self.labels[some].T)
            gradient: Floats = views[view].T @ (slope * (1 - h**2))
            found.append(gradient)
        return found


def _pull(h: Floats, codes: Floats, wanted: Floats) -> Floats:
    """Return the gradient by h (n, bits) of the mean of (h b / bits - wanted)^2 over pairs, times the pairs of a row."""
    bits = h.shape[1]
    apart = h @ codes.T / bits - wanted
    gradient: Floats = 2 * apart @ codes / bits / len(codes)
    return gradient
