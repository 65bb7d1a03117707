"""Synthetic gradients: what later segments will say of a memory is predicted from it, so that a segment is learned from at once.

B texts   S numbers of a state
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.slots.memformer import Step
from mnemos.registry import Paper, register


class Learned(NamedTuple):
    """What a segment gave: its loss, the state after it without a graph, and the error of the prediction for the state before."""

    loss: Tensor
    state: Tensor
    error: Tensor


@register(
    "synthetic-gradients",
    papers=(
        Paper("Fast & Slow Learning: Incorporating Synthetic Gradients in Neural Memory Controllers", "2011.05438"),
        Paper("Decoupled Neural Interfaces using Synthetic Gradients", "1608.05343"),
    ),
    task="slot-readers",
    baselines=("memory-replay",),
)
class SyntheticGradients(nn.Module):  # type: ignore[misc]
    """Predicts the gradient of a memory's state from the state, so that its controllers need not wait (arXiv 2011.05438).

    After a segment the controllers get the gradient of its loss, and through the state after it the predicted gradient g(s') of
    all that comes; the gradient that arrives at the state before is the target of g(s), by its mean squared error. The
    controllers may so take a step after every segment (the fast clock); g has an optimiser of its own (the slow one) and may
    serve several memories of one shape. g is an MLP whose last layer begins at 0: at first this is truncated back-propagation.
    Departure: one prediction for the state that all controllers share, where the paper has one for each controller.
    """

    def __init__(
        self,
        size: int,  # S, numbers of a state of one text
        inner: int = 64,  # channels inside the MLP
        keep: float = 1.0,  # of what is predicted; less: nearer to truncated back-propagation
    ) -> None:
        super().__init__()
        if size < 1 or inner < 1 or not 0 <= keep <= 1:
            raise InvalidInput(f"size is {size}, inner {inner}, keep {keep}: give at least 1, 1, and 0 to 1.")
        self.size, self.keep = size, keep
        self.net = nn.Sequential(nn.Linear(size, inner), nn.GELU(), nn.Linear(inner, size))
        nn.init.zeros_(self.net[2].weight)
        nn.init.zeros_(self.net[2].bias)

    def forward(self, state: Tensor) -> Tensor:
        """Return the predicted gradient of a state (B, ...), of the loss of each text by itself."""
        if state[0].numel() != self.size:
            raise InvalidInput(
                f"a state has {state[0].numel()} numbers: give {self.size}, or make this with that size."
            )
        predicted: Tensor = self.net(state.flatten(1)).view_as(state)
        return predicted

    def learn(self, step: Step, segment: Any, state: Tensor, last: bool = False) -> Learned:
        """Read a segment after a state; add gradients to the weights of the memory and to those of the predictor.

        `step` returns a loss that is a mean over texts, and the state after the segment; nothing comes after the `last` one.
        """
        start = state.detach().requires_grad_()
        loss, after = step(segment, start)
        if last:
            loss.backward()
        else:
            with torch.no_grad():
                told = self.keep * self(after) / len(after)  # of a mean over texts
            torch.autograd.backward([loss, after], [None, told])
        target = torch.zeros_like(start) if start.grad is None else start.grad
        error = F.mse_loss(self(start.detach()), target * len(start))
        error.backward()
        return Learned(loss.detach(), after.detach(), error.detach())
