"""What strategies share that bound each step of a layer: the step itself is changed, whatever optimiser made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.parametric.consolidate.base import Learning, Step, Strategy


@dataclass
class BoundedSteps(Strategy):
    """Changes the step of every nn.Linear that is trained, once `bounds` has something to say; all else then stands still.

    Momentum and adaptive rates carry a gradient on that has been projected, so it is the step, not the gradient, that is
    projected here. A layer is a matrix [weight, bias] (out, in + 1). Costs a copy of the weights at a step.
    """

    before: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # weights before this step

    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "projection of steps"

    @property
    def bounds(self) -> bool:
        """Tell whether steps are bounded by now."""
        raise NotImplementedError

    def bounded(self, layer: str, step: Tensor) -> Tensor:
        """Return what may be done of the step (out, in + 1) of a layer."""
        raise NotImplementedError

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Remember the weights before the step."""
        if self.bounds:
            self.before = {name: w.detach().clone() for name, w in learning.weights().items()}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Undo what may not be done of the step."""
        if not self.bounds:
            return
        weights, covered = learning.weights(), set()
        for name, layer in layers(learning).items():
            weight, bias = (f"{name}.{part}" if name else part for part in ("weight", "bias"))
            made = joint(layer.weight, layer.bias) - joint(self.before[weight], self.before.get(bias))
            allowed, width = self.bounded(name, made), layer.weight.shape[1]
            layer.weight.copy_(self.before[weight] + allowed[:, :width])
            covered.add(weight)
            if layer.bias is not None:
                layer.bias.copy_(self.before[bias] + allowed[:, width])
                covered.add(bias)
        for name in weights.keys() - covered:
            weights[name].copy_(self.before[name])


def layers(learning: Learning) -> dict[str, nn.Linear]:
    """Return the nn.Linear layers whose weights are trained, by name."""
    return {
        name: m
        for name, m in learning.model.named_modules()
        if isinstance(m, nn.Linear) and m.weight.requires_grad and (m.bias is None or m.bias.requires_grad)
    }


def joint(weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return [weight, bias] (out, in + 1); the weight alone without a bias."""
    return weight if bias is None else torch.cat([weight, bias[:, None]], 1)


@torch.no_grad()  # type: ignore[untyped-decorator]
def inputs(learning: Learning, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what every such layer reads (M, in), with a 1 after it where it has a bias, and what it makes (M, out), of x."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def note(name: str, layer: nn.Linear, given: Tensor, made: Tensor) -> None:
        read = given.flatten(0, -2)
        if layer.bias is not None:
            read = torch.cat([read, torch.ones(len(read), 1)], 1)
        found[name] = (read, made.flatten(0, -2))

    handles = [
        layer.register_forward_hook(lambda m, given, made, name=name: note(name, m, given[0], made))
        for name, layer in layers(learning).items()
    ]
    was = learning.model.training
    learning.model.eval()
    try:
        learning.model(x)
    finally:
        learning.model.train(was)
        for handle in handles:
            handle.remove()
    return found
