"""Training the adapters of a few layers a step, the more often the more a layer matters."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Layer = Sequence[nn.Module]  # the adapters of a layer: modules whose outputs are added to those of the layer's own


@register(
    "layer-sampling",
    papers=(
        Paper("Layer-wise Importance Matters: Less Memory for Better Performance in Parameter-efficient Fine-tuning of Large "
              "Language Models", "2410.11772", "Kaiseem/IST"),
    ),
)  # fmt: skip
@dataclass
class LayerSampling:
    """Draws `count` layers a step by their scores, trains their adapters, and learns the scores by damping adapters.

    `chosen` is a step's context: the other adapters have no gradients and no update. `judge`, called every few steps, damps the
    adapters of some layers at random; where the loss then is higher than with others damped, their scores rise (a policy
    gradient).
    """

    count: int = 4  # layers that are trained in a step
    damped: float = 0.25  # what is left of an adapter's output while it is damped: the paper's beta
    subsets: int = 4  # that are compared in one `judge`
    rate: float = 10.0  # by which scores follow rewards: the paper's mu
    explored: float = 0.1  # share of draws in which all layers are as likely
    seed: int = 0  # of the draws

    def __post_init__(self) -> None:
        if self.count < 1 or self.subsets < 2 or not 0 <= self.explored <= 1:
            raise InvalidInput(f"count is {self.count}, subsets {self.subsets}: give at least 1 layer and 2 subsets.")
        self.scores: list[float] = []
        self._random = random.Random(self.seed)

    @contextmanager
    def chosen(self, layers: Sequence[Layer]) -> Iterator[list[int]]:
        """Train the adapters of the layers that are drawn, inside the context; yield their places."""
        places = self.draw(len(layers))
        frozen = [adapter for place, layer in enumerate(layers) if place not in places for adapter in layer]
        flags = [(p, p.requires_grad) for adapter in frozen for p in adapter.parameters()]
        try:
            for parameter, _ in flags:
                parameter.requires_grad_(False)
                parameter.grad = None
            yield places
        finally:
            for parameter, flag in flags:
                parameter.requires_grad_(flag)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def judge(self, layers: Sequence[Layer], loss: Callable[[], float]) -> None:
        """Move the scores by the losses that are measured while adapters of random layers are damped."""
        self._begin(len(layers))
        tried = [self._random.sample(range(len(layers)), min(self.count, len(layers))) for _ in range(self.subsets)]
        losses = []
        for places in tried:
            with ExitStack() as stack:
                for adapter in (a for place in places for a in layers[place]):
                    stack.enter_context(damping(adapter, self.damped))
                losses.append(loss())
        mean = sum(losses) / len(losses)
        for places, value in zip(tried, losses, strict=True):
            for place in places:
                self.scores[place] += self.rate * (value - mean) / self.subsets

    def draw(self, layers: int) -> list[int]:
        """Return the places of different layers, drawn by the softmax of their scores."""
        self._begin(layers)
        if self._random.random() < self.explored:
            return sorted(self._random.sample(range(layers), min(self.count, layers)))
        chances = torch.tensor(self.scores, dtype=torch.double).softmax(0).clamp(min=1e-12)
        generator = torch.Generator().manual_seed(self._random.getrandbits(32))
        return sorted(torch.multinomial(chances, min(self.count, layers), generator=generator).tolist())

    def _begin(self, layers: int) -> None:
        if not self.scores:
            self.scores = [0.0] * layers
        if len(self.scores) != layers:
            raise InvalidInput(
                f"there are {layers} layers, and scores of {len(self.scores)}: make another LayerSampling."
            )


@contextmanager
def damping(adapter: nn.Module, share: float) -> Iterator[None]:
    """Let a share of what an adapter adds through inside the context."""

    def less(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return share * output

    handle = adapter.register_forward_hook(less)
    try:
        yield
    finally:
        handle.remove()
