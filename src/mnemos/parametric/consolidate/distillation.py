"""Learning without forgetting: what the model said before a task is kept, on the samples of the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.feature_distillation import Of, chosen
from mnemos.registry import Paper, register


@register(
    "distillation",
    papers=(Paper("Learning without Forgetting", "1606.09282"),),
    task="tasks in sequence",
    baselines=("plain",),
)
@dataclass
class Distillation(Strategy):
    """Holds the model to what it said before the task (LwF: on the new samples); nothing is stored but a copy of the model.

    strength * T^2 * KL of softmax(logits / T) over the classes of earlier tasks, task by task in the scenario "task". A step
    costs one more pass forward.
    """

    strength: float = 1.0  # weight of the term
    temperature: float = 2.0  # T
    share: Literal["added", "tasks"] = (
        "added"  # tasks: the new batch counts 1/t and this term 1 - 1/t (van de Ven 2022)
    )
    of: Of = "new"  # samples: of the new batch, of those that strategies before this one add (replay), or all

    needs_tasks: ClassVar[bool] = True
    needs_previous: ClassVar[bool] = True

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return how far the model is from what it said before."""
        numbers = chosen(step, self.of)
        if learning.previous is None or not numbers:
            return None
        with torch.no_grad():
            before, _ = learning.read(torch.cat([step.batches[n].x for n in numbers]), learning.previous)
        now = torch.cat([step.logits(n) for n in numbers])
        terms = [self.apart(before[:, of], now[:, of]) for of in groups(learning)]
        if not terms:
            return None
        part = 1 - 1 / learning.tasks if self.share == "tasks" else 1.0
        if self.share == "tasks":
            step.weight *= 1 - part
        return part * self.strength * torch.stack(terms).mean()

    def apart(self, before: Tensor, now: Tensor) -> Tensor:
        """Return T^2 KL(before, now) of logits (N, classes), in nats a sample."""
        t = self.temperature
        wanted = F.log_softmax(before / t, -1)
        return F.kl_div(F.log_softmax(now / t, -1), wanted, log_target=True, reduction="batchmean") * t * t


def groups(learning: Learning) -> list[list[int]]:
    """Return the classes of earlier tasks: of each in the scenario "task", else of all together; all outputs in "domain"."""
    earlier = {task: classes for task, classes in learning.task_classes.items() if task != learning.task and classes}
    if learning.scenario == "task":
        return list(earlier.values())
    found = sorted({c for classes in earlier.values() for c in classes})
    return [found] if found else []
