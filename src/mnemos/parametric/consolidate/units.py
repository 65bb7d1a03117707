"""Units of a layered network by age: sparse connections into them are rewired while they are young, and frozen with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

OLD = 200  # the age of what the lowest layer reads


class Units:
    """Ages of the units of layers in a row: 0 free, 1 chosen in this task, n + 1 promoted n tasks ago.

    A chosen unit loses its connections from free ones, so that a unit reads only units that are as old or older: once it is
    frozen with them, its output for an input never changes again.
    """

    def __init__(self, layers: Sequence[nn.Linear], density: float, generator: torch.Generator) -> None:
        """Draw the share `density` of all connections, and put the other weights to 0."""
        self.layers = list(layers)
        self.ages = [torch.zeros(layer.out_features, dtype=torch.uint8) for layer in layers]
        self.masks = [torch.rand(layer.weight.shape, generator=generator) < density for layer in layers]
        self.cut()

    def choose(self, activity: Sequence[Tensor], share: float) -> None:
        """Choose, in each layer, the most active units that have a share of all activity, among those not promoted."""
        for ages, active in zip(self.ages, activity, strict=True):
            order = active.argsort(descending=True)
            passed = active[order].cumsum(0) - active[order]  # of those before it
            picked = torch.zeros(len(ages), dtype=torch.bool)
            picked[order] = passed < share * active.sum()
            ages[ages <= 1] = picked[ages <= 1].to(torch.uint8)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def rewire(self, generator: torch.Generator) -> None:
        """Drop what older units read of free ones, and grow as many connections into free ones, at zero."""
        below = torch.full((self.layers[0].in_features,), OLD, dtype=torch.uint8)
        for layer, ages, mask in zip(self.layers, self.ages, self.masks, strict=True):
            drop = mask & (ages > 0)[:, None] & (below == 0)[None]
            mask &= ~drop
            places = (~mask & (ages == 0)[:, None]).flatten().nonzero().flatten()
            grown = places[torch.randperm(len(places), generator=generator)[: int(drop.sum())]]
            layer.weight.view(-1)[grown] = 0.0
            mask.view(-1)[grown] = True
            below = ages
        self.cut()

    def promote(self) -> None:
        """Let all but the free units be a task older."""
        for ages in self.ages:
            ages[ages > 0] += 1

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def redraw(self, generator: torch.Generator) -> None:
        """Give free units new weights (He's draw)."""
        for layer, ages in zip(self.layers, self.ages, strict=True):
            fresh = torch.randn(layer.weight.shape, generator=generator) * (2 / layer.in_features) ** 0.5
            layer.weight[ages == 0] = fresh[ages == 0]
            layer.bias[ages == 0] = 0.0
        self.cut()

    def frozen(self, age: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return, by parameter of the layers, which rows are older than an age, and what they hold (a copy)."""
        found = []
        for layer, ages in zip(self.layers, self.ages, strict=True):
            for p in (layer.weight, layer.bias):
                found.append((p, ages > age, p.detach()[ages > age].clone()))
        return found

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def cut(self) -> None:
        """Put weights of connections that there are not to 0."""
        for layer, mask in zip(self.layers, self.masks, strict=True):
            layer.weight.mul_(mask)
