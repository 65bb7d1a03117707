"""What strategies share that put another classifier in the place of the model's own."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Strategy

SHORT = (
    1.0  # features below this length are not made longer where cosines are taken: the gradient would be without bound
)


@dataclass
class ReplacedHead(Strategy):
    """Puts a classifier in the place of the last layer, an nn.Linear, when learning begins; it stays there."""

    placed: bool = field(init=False, repr=False, default=False)

    def head(self, width: int, classes: int, generator: torch.Generator) -> nn.Module:
        """Return the classifier of features (N, width), with weights drawn from the generator."""
        raise NotImplementedError

    def before_task(self, learning: Learning) -> None:
        """Put it there, once."""
        if not self.placed:
            self.place(learning)

    def place(self, learning: Learning) -> None:
        """Put it there. Raises InvalidInput where the learner's classifier is not an nn.Linear."""
        old = learning.classifier
        if not isinstance(old, nn.Linear):
            raise InvalidInput(
                f"the classifier is {type(old).__name__}: give the learner an nn.Linear as `classifier`."
            )
        new = self.head(old.in_features, old.out_features, learning.generator).to(old.weight)
        learning.put(old, new)
        if isinstance(new, nn.Sequential):  # its own embedding first: features are what its last part reads
            learning.classifier = new[-1]
        self.placed = True

    def tensors(self) -> dict[str, Tensor]:
        """Return that it was placed; its weights are the model's."""
        return {"placed": torch.tensor(1)} if self.placed else {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Place it, for the weights that are read next."""
        if tensors and not self.placed:
            self.place(learning)


def linear(width: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a layer whose weights are drawn from a generator (Glorot's uniform draw, biases 0)."""
    layer = nn.Linear(width, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
