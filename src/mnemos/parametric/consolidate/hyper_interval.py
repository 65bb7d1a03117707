"""Regions of weights, written by a network from regions of embeddings that all tasks' overlap: one place in it serves all."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step
from mnemos.parametric.consolidate.hypernetwork import Generated, Hypernetwork
from mnemos.parametric.consolidate.made import Weights, made
from mnemos.registry import Paper, register


class Regions(Generated):
    """Makes weights from the middle of a task's region of embeddings: width / 2 * cos(p) +- width / 2, so that 0 is in all."""

    def __init__(self, inner: nn.Module, knobs: HyperInterval, generator: torch.Generator) -> None:
        super().__init__(inner, knobs, generator)
        self.half = knobs.width / 2

    def middle(self, task: int) -> Tensor:
        """Return the middle (E,) of a task's region."""
        return self.half * self.embeddings[str(task)].cos()

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the weights of the middle."""
        return self.cut(self.network(self.middle(task)).flatten())

    def universal(self) -> dict[str, Tensor]:
        """Return the weights of the middle of what all regions have in common."""
        middles = torch.stack([self.middle(t) for t in self.tasks])
        common = ((middles - self.half).amax(0) + (middles + self.half).amin(0)) / 2
        return self.cut(self.network(common).flatten())

    def region(self, task: int, network: Weights | None = None) -> tuple[Tensor, Tensor]:
        """Return middle and half width (count,) of the weights that a task's region of embeddings can give (interval bounds)."""
        layers = self.network.layers
        given = dict(self.network.named_parameters()) if network is None else network
        places = given["places"]
        e = self.middle(task).expand(len(places), -1)
        middle, half = (
            torch.cat([e, places], 1),
            torch.cat([torch.full_like(e, self.half), torch.zeros_like(places)], 1),
        )
        for number, layer in enumerate(layers):
            if isinstance(layer, nn.Linear):
                w, b = given[f"layers.{number}.weight"], given[f"layers.{number}.bias"]
                middle, half = middle @ w.T + b, half @ w.abs().T
            else:
                low, high = (middle - half).relu(), (middle + half).relu()
                middle, half = (low + high) / 2, (high - low) / 2
        return middle.flatten(), half.flatten()


@register(
    "hyper-interval",
    papers=(
        Paper(
            "HyperInterval: Hypernetwork approach to training weight interval regions in continual learning",
            "2405.15444",
        ),
    ),
    task="tasks in sequence",
    baselines=("hypernetwork",),
    unmeasured="its first run is under way",
)
@dataclass
class HyperInterval(Hypernetwork):
    """Writes a region of weights for each task, all of which tell it right, and holds the regions of earlier tasks.

    The loss is (1 - share) of the middle's and share of the worst logits that any weights of the region give (interval
    bounds), and the term of `Hypernetwork` over both bounds. Regions of embeddings overlap by their making; without a named
    task the middle of what they have in common serves all. The model is a sequence of linear layers and ReLU.
    """

    width: float = field(default=0.1, kw_only=True)  # of the region of embeddings, in each direction
    share: float = field(default=0.5, kw_only=True)  # of the worst case in the loss (kappa)
    ramp: int = field(default=200, kw_only=True)  # steps in which the share grows from 0 to that

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind != "chunks" or self.width <= 0 or not 0 <= self.share <= 1:
            raise InvalidInput(
                "regions are written in chunks, have a width above 0, and the worst case a share from 0 to 1."
            )

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Regions:
        """Return the network that writes regions."""
        layers = [m for m in inner.modules() if not isinstance(m, nn.Sequential)]
        if not isinstance(inner, nn.Sequential) or not all(isinstance(m, nn.Linear | nn.ReLU) for m in layers):
            raise InvalidInput("bounds are known for nn.Sequential of nn.Linear and nn.ReLU alone: give such a model.")
        return Regions(inner, self, generator)

    @property
    def regions(self) -> Regions:
        """Return the maker."""
        found = self.generated
        assert isinstance(found, Regions)
        return found

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return the share of the worst case."""
        share = self.share * min(1.0, learning.steps / max(1, self.ramp))
        step.weight *= 1 - share
        middle, half = self.regions.region(learning.task)
        low, high = (self.regions.cut(flat) for flat in (middle - half, middle + half))
        bounds = worst(made(learning).inner, low, high, step.batch.x)
        truth = nn.functional.one_hot(step.batch.y, bounds[0].shape[1]).bool()
        return share * learning.cost(torch.where(truth, *bounds), step.batch)

    def apart(self, network: Weights, task: int) -> Tensor:
        """Return how far both bounds of an earlier task are from where they were."""
        held = self.regions
        with torch.no_grad():
            before = held.region(task, dict(held.before.named_parameters()))
        now = held.region(task, network)
        return sum(((n - b).square().sum() for n, b in zip(now, before, strict=True)), torch.zeros(()))

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the middle of the task's region says; of what all have in common where none is named."""
        if self.model is None or task in self.model.maker.tasks:
            return super().answer(learning, x, task)
        said: Tensor = functional_call(self.model.inner, self.regions.universal(), (x,))
        return said


def worst(inner: nn.Module, low: Weights, high: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest logits (N, classes) that weights between two bounds can give."""
    least, most = x, x
    for name, layer in inner.named_children():
        if isinstance(layer, nn.ReLU):
            least, most = least.relu(), most.relu()
            continue
        middle, half = (least + most) / 2, (most - least) / 2
        w, b = ((low[f"{name}.{p}"] + high[f"{name}.{p}"]) / 2 for p in ("weight", "bias"))
        wide, shift = ((high[f"{name}.{p}"] - low[f"{name}.{p}"]) / 2 for p in ("weight", "bias"))
        at = middle @ w.T + b
        # |w + dw| <= |w| + wide meets the inputs' half width, and wide meets their middle
        far = half @ (w.abs() + wide).T + middle.abs() @ wide.T + shift
        least, most = at - far, at + far
    return least, most
