"""A linear head over embeddings whose items can be taken out again, to the last bit."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from mnemos.errors import InvalidInput, NotFound
from mnemos.registry import register

STEPS = 2**16  # of the grid that features are rounded to, between 0 and their bound: they are counted in steps
ROOM = 2**53  # integers up to this are exact in float64


@register(
    "ridge-head",
    task="intents of embedded texts",
    baselines=("discrete-key-value-bottleneck",),
)
class RidgeHead:
    """Ridge regression to one-hot labels, learned and unlearned item by item; a textbook's closed form.

    All it holds is X^T X, X^T Y and a digest of each item. Features are rounded to integers, in steps of `bound` / 65,536:
    their sums of products are exact in float64: in whatever order items come and go, the sums are those of the items that are
    left, bit for bit, and so are the weights. One item costs width ** 2 additions, new weights a Cholesky decomposition.
    """

    def __init__(
        self,
        width: int,  # of the features; a constant is added to them
        classes: int,  # labels are 0 to classes - 1
        penalty: float = 1.0,  # of the weights' squares; not of the constant's
        bound: float = 1.0,  # of the features: 1 for embeddings of unit length
    ) -> None:
        if not penalty > 0 or not bound > 0:
            raise InvalidInput(f"penalty is {penalty} and bound {bound}: give positive numbers.")
        self.penalty, self.bound = penalty, bound
        self.gram = torch.zeros(width + 1, width + 1, dtype=torch.float64)
        self.moment = torch.zeros(width + 1, classes, dtype=torch.float64)
        self._items: Counter[bytes] = Counter()
        self._weights: Tensor | None = None

    def __len__(self) -> int:
        """Return how many items it knows."""
        return self._items.total()

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Learn items: features (m, D), labels (m,). Raises InvalidInput for what cannot be summed exactly."""
        x, items = self._items_of(features, labels)
        if float(self.gram.diagonal().max() + x.square().sum(0).max()) > ROOM:
            raise InvalidInput(f"{len(self) + len(x)} items are more than can be summed exactly: begin a second head.")
        self._add(x, labels, 1.0)
        self._items.update(items)

    def forget(self, features: Tensor, labels: Tensor) -> None:
        """Take items out again. Raises NotFound, and forgets none, where one of them was never learned or is gone."""
        x, items = self._items_of(features, labels)
        missing = Counter(items) - self._items
        if missing:
            first = next(i for i, item in enumerate(items) if item in missing)
            raise NotFound(
                f"item {first} (label {int(labels[first])}) was not learned, or was forgotten: nothing was changed."
            )
        self._add(x, labels, -1.0)
        self._items -= Counter(items)

    @property
    def weights(self) -> Tensor:
        """The weights (D + 1, classes), the constant's last."""
        if self._weights is None:
            step = self.bound / STEPS
            ridge = torch.full((len(self.gram),), self.penalty, dtype=torch.float64)
            ridge[-1] = 1e-6 * self.bound**2  # the constant is free, but for a head without items
            factor = torch.linalg.cholesky(self.gram * step**2 + ridge.diag())
            self._weights = torch.cholesky_solve(self.moment * step, factor)
        return self._weights

    def scores(self, features: Tensor) -> Tensor:
        """Return the scores (m, classes) of features (m, D)."""
        return self._steps(features) @ self.weights * (self.bound / STEPS)

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored; `load` reads it."""
        digests = b"".join(sorted(self._items.elements()))
        items = (
            torch.frombuffer(bytearray(digests), dtype=torch.uint8) if digests else torch.zeros(0, dtype=torch.uint8)
        )
        return {"gram": self.gram, "moment": self.moment, "items": items}

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], penalty: float = 1.0, bound: float = 1.0) -> RidgeHead:
        """Return the head that `tensors` describe. Raises InvalidInput where they do not fit each other."""
        gram, moment, items = (tensors[name] for name in ("gram", "moment", "items"))
        if gram.shape != (len(moment), len(moment)) or len(items) % 32:
            raise InvalidInput(
                f"gram is {tuple(gram.shape)} and moment {tuple(moment.shape)}: they are not of one head."
            )
        head = cls(len(moment) - 1, moment.shape[1], penalty, bound)
        head.gram, head.moment = gram.clone(), moment.clone()
        stored = bytes(items.tolist())
        head._items.update(stored[at : at + 32] for at in range(0, len(stored), 32))
        return head

    def _add(self, x: Tensor, labels: Tensor, sign: float) -> None:
        self.gram += sign * (x.T @ x)
        self.moment += sign * (x.T @ torch.nn.functional.one_hot(labels, self.moment.shape[1]).double())
        self._weights = None

    def _items_of(self, features: Tensor, labels: Tensor) -> tuple[Tensor, list[bytes]]:
        """Return features in steps with the constant, and a digest of each item."""
        classes = self.moment.shape[1]
        if len(features) != len(labels) or (len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes):
            raise InvalidInput(
                f"{len(features)} features and {len(labels)} labels: give one of 0 to {classes - 1} for each."
            )
        x = self._steps(features)
        return x, [
            hashlib.sha256(row.numpy().tobytes() + bytes(str(int(y)), "ascii")).digest()
            for row, y in zip(x, labels, strict=True)
        ]

    def _steps(self, features: Tensor) -> Tensor:
        """Return features as integers: in steps of the grid, the constant last."""
        x = features.double()
        width = len(self.gram) - 1
        if x.ndim != 2 or x.shape[1] != width or not bool((x.abs() <= self.bound * (1 + 1e-6)).all()):
            raise InvalidInput(
                f"features are {tuple(x.shape)}: give (m, {width}) of finite numbers up to bound ({self.bound})."
            )
        steps = (x * (STEPS / self.bound)).round() + 0.0  # no negative zero
        return torch.cat([steps, torch.full((len(x), 1), float(STEPS), dtype=torch.float64)], 1)
