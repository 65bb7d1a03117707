"""Masks over weights that all tasks share: what a finished mask uses is frozen, and masks are held as bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mnemos.parametric.consolidate.base import NO_TASK, Learning, Step
from mnemos.parametric.consolidate.made import Made, Maker, MakesWeights, Weights, key


class Masks(Maker):
    """Makes W * m_t from the model's own weights W, and knows which of these an earlier mask uses."""

    trains_model = True

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        weights = dict(inner.named_parameters())
        self.shapes = {name: weights[name].shape for name in self.names}
        self.masks = nn.ModuleDict()  # by task
        self.used = Bits(self.shapes)  # by any task that has ended
        self.register_buffer("newest", torch.tensor(NO_TASK))  # the task whose mask is still being chosen
        self._held: dict[str, tuple[Tensor, Tensor]] = {}  # by weight: what may change, and all values before

    def grow(self, task: int, weights: Weights, generator: torch.Generator) -> None:
        """Make room for a mask."""
        self.masks[str(task)] = Bits(self.shapes)
        self.newest.fill_(task)

    def mask(self, task: int) -> dict[str, Tensor]:
        """Return the stored mask (bool) of a task by weight."""
        return self._bits(task).read()

    def chosen(self) -> dict[str, Tensor]:
        """Return the mask (bool) of the newest task as it is chosen now."""
        return self.mask(int(self.newest))

    def movable(self) -> dict[str, Tensor]:
        """Return which weights may change now (bool): those that no finished mask uses."""
        return {name: ~used for name, used in self.used.read().items()}

    def finish(self, task: int) -> None:
        """Store the newest task's mask, and count its weights among those that are used."""
        if task == int(self.newest):
            mine, before = self.chosen(), self.used.read()
            self._bits(task).write(mine)
            self.used.write({name: mine[name] | before[name] for name in self.names})
            self.newest.fill_(NO_TASK)

    def hold(self, weights: Weights) -> None:
        """Remember the weights that must not change, before a step."""
        if not self._held:
            self._held = {n: (may, weights[n].detach().clone()) for n, may in self.movable().items()}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def put_back(self, weights: Weights) -> None:
        """Put these weights back after a step, whatever the optimiser did with them."""
        for name, (may, before) in self._held.items():
            weights[name].copy_(torch.where(may, weights[name], before))

    def let_go(self) -> None:
        """Look again at what may change, in the next step."""
        self._held = {}

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the weights that the stored mask of a task leaves; zeros elsewhere."""
        return {name: weights[name] * mask for name, mask in self.mask(task).items()}

    def _bits(self, task: int) -> Bits:
        found = self.masks[str(task)]
        assert isinstance(found, Bits)
        return found


class Bits(nn.Module):  # type: ignore[misc]
    """Masks by name, eight weights a byte."""

    def __init__(self, shapes: dict[str, torch.Size]) -> None:
        super().__init__()
        self.shapes = shapes
        for name, shape in shapes.items():
            self.register_buffer(key(name), torch.zeros(-(-shape.numel() // 8), dtype=torch.uint8))

    def read(self) -> dict[str, Tensor]:
        """Return the masks (bool)."""
        found = {}
        for name, shape in self.shapes.items():
            bits = np.unpackbits(self.get_buffer(key(name)).numpy(), count=shape.numel())
            found[name] = torch.from_numpy(bits).view(shape).bool()
        return found

    def write(self, masks: Weights) -> None:
        """Hold other masks."""
        for name in self.shapes:
            self.get_buffer(key(name)).copy_(torch.from_numpy(np.packbits(masks[name].flatten().numpy())))


class MasksWeights(MakesWeights):
    """A strategy whose tasks each have a mask; weights of finished masks never change, to the bit."""

    def before_task(self, learning: Learning) -> None:
        """Make room for a mask."""
        super().before_task(learning)
        self.masks.let_go()

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Remember the weights that must not change."""
        self.masks.hold(self.own_weights)

    def after_step(self, learning: Learning, step: Step) -> None:
        """Put them back."""
        self.masks.put_back(self.own_weights)

    def after_task(self, learning: Learning) -> None:
        """Make the mask final, and freeze what it uses."""
        self.masks.finish(learning.task)

    @property
    def masks(self) -> Masks:
        """Return the maker."""
        assert isinstance(self.model, Made)
        assert isinstance(self.model.maker, Masks)
        return self.model.maker

    @property
    def own_weights(self) -> dict[str, Tensor]:
        """Return the weights that all tasks share, by name."""
        assert isinstance(self.model, Made)
        return dict(self.model.inner.named_parameters())
