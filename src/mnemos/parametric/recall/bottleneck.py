"""Discrete key-value bottleneck (arXiv 2207.11240): frozen keys choose which few values an example may write."""

from __future__ import annotations

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

ROWS = 1024  # features compared with the keys at a time


@register(
    "discrete-key-value-bottleneck",
    papers=(Paper("Discrete Key-Value Bottleneck", "2207.11240"),),
    task="classes one after the other",
    baselines=(),
)
class DiscreteKeyValueBottleneck:
    """Head over frozen features that snaps them to the nearest key in each of C random projections and averages values.

    Keys follow unlabelled features by exponential moving averages and are frozen then; values, one row of logits a key,
    are learned by the gradient of cross-entropy. An example writes C of C * K rows, 1 / K of the values, so that classes
    which come one after the other hardly meet. There is nothing else to learn: the decoder is the mean (section 4 of
    the paper).
    """

    def __init__(
        self,
        width: int,  # of the features
        classes: int,  # labels are 0 to classes - 1
        heads: int = 256,  # C, random projections with their own keys
        keys: int = 64,  # K of each head
        key_width: int = 8,  # of a projection
        rate: float = 0.3,  # of a value for an example, as if it were alone in its batch
        decay: float = 0.2,  # of the averages of keys: how fast they move
        seed: int = 0,  # of projections and first keys
    ) -> None:
        made = torch.Generator().manual_seed(seed)
        self.rate, self.decay = rate, decay
        self.project = torch.randn(heads, width, key_width, generator=made) * width**-0.5
        self.keys = torch.zeros(heads, keys, key_width)
        self.values = torch.zeros(heads, keys, classes)
        self._made, self._fitted = made, False

    def fit_keys(self, features: Tensor, rounds: int = 10) -> None:
        """Move the keys to where features (m, D) are; afterwards they stay. Raises InvalidInput for fewer than K features.

        Keys start at features drawn at random; a key that no feature is nearest to stays where it is.
        """
        heads, count, _ = self.keys.shape
        if len(features) < count:
            raise InvalidInput(f"{len(features)} features for {count} keys: give more, they need no labels.")
        z = torch.einsum("md,hde->hme", features.float(), self.project)
        drawn = torch.stack([torch.randperm(len(features), generator=self._made)[:count] for _ in range(heads)])
        self.keys = z.gather(1, drawn[..., None].expand(-1, -1, z.shape[-1])).clone()
        first = torch.arange(heads)[:, None] * count  # of a head, where all keys are in one row
        for _ in range(rounds):
            nearest = (torch.cdist(z, self.keys).argmin(-1) + first).flatten()  # (C * m,)
            size = torch.bincount(nearest, minlength=heads * count).view(heads, count)
            total = torch.zeros(heads * count, z.shape[-1]).index_add_(0, nearest, z.flatten(0, 1)).view_as(self.keys)
            mean = total / size.clamp_min(1)[..., None]
            moved = self.keys + (1 - self.decay) * (mean - self.keys)
            self.keys = torch.where(size[..., None] > 0, moved, self.keys)
        self._fitted = True

    def look_up(self, features: Tensor) -> Tensor:
        """Return the nearest key (m, C) of every head for features (m, D)."""
        parts = [
            torch.cdist(torch.einsum("md,hde->hme", part.float(), self.project), self.keys).argmin(-1).T
            for part in features.split(ROWS)
        ]
        return torch.cat(parts)

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Take one gradient step for features (m, D) and labels (m,). Raises InvalidInput before `fit_keys`."""
        if not self._fitted:
            raise InvalidInput("the keys were not fitted: call fit_keys with features of any kind first.")
        chosen = self.look_up(features)
        heads = torch.arange(len(self.keys)).expand_as(chosen)
        logits = self.values[heads, chosen].mean(1)
        error = torch.nn.functional.one_hot(labels, self.values.shape[-1]) - logits.softmax(-1)  # (m, classes)
        self.values.index_put_(
            (heads, chosen), (self.rate * error)[:, None].expand(-1, heads.shape[1], -1), accumulate=True
        )

    def scores(self, features: Tensor) -> Tensor:
        """Return the scores (m, classes) of features (m, D): the means of the chosen values."""
        chosen = self.look_up(features)
        return self.values[torch.arange(len(self.keys)).expand_as(chosen), chosen].mean(1)

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored."""
        return {"project": self.project, "keys": self.keys, "values": self.values}

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())
