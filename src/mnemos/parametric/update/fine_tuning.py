"""Fine-tuning of one matrix within a bound, the baseline of editing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mnemos.parametric.answers import answer_loss, differentiable, encode
from mnemos.parametric.base import Edit
from mnemos.parametric.changes import Change, recorded
from mnemos.parametric.feedforward import chosen_blocks, middle
from mnemos.parametric.update.locate import as_example, place, targets
from mnemos.registry import Paper, register


@register(
    "constrained-fine-tuning",
    papers=(Paper("Modifying Memories in Transformer Models", "2012.00363"),),
    task="editing",
)
@dataclass(frozen=True)
class ConstrainedFineTuning:
    """Trains the last matrix of one feed-forward block on all edits at once, no number moving further than a bound.

    After each step of Adam the change is clamped to `bound` (the paper's L-infinity constraint); it stops when every answer
    is sure. Costs a step of the batch of all edits, at most `steps` times. Other editors have to beat it.
    """

    layer: int | None = None  # which block; None: the middle one
    bound: float = 5e-3  # the furthest a number may move; 0: any distance
    rate: float = 5e-4  # of Adam
    steps: int = 200  # at most
    enough: float = 0.05  # loss of the hardest answer at which it stops

    def edit(self, model: Any, tokenizer: Any, edits: Sequence[Edit]) -> Change:
        """Change the model's weights in place; see `Editor`."""
        for edit in edits:
            place(tokenizer, edit.prompt, edit.subject)
            targets(tokenizer, edit)
        (block,) = chosen_blocks(model, (middle(model) if self.layer is None else self.layer,))
        batch = [encode(tokenizer, as_example(edit)) for edit in edits]
        name = block.down.name
        with recorded(model, [name]) as recording, differentiable(model, [name]) as weights:
            weight = weights[name]
            before = weight.detach().clone()
            optimiser = torch.optim.Adam([weight], lr=self.rate)
            for _ in range(self.steps if batch else 0):
                losses = answer_loss(model, batch)
                if float(losses.detach().max()) < self.enough:
                    break
                (weight.grad,) = torch.autograd.grad(losses.mean(), [weight])
                optimiser.step()
                if self.bound:
                    with torch.no_grad():
                        weight.copy_(before + (weight - before).clamp(-self.bound, self.bound))
            weight.grad = None
        return recording.change
