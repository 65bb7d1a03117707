"""A task is learned as a correction of what the frozen model of the tasks before it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Strategy
from mnemos.registry import Paper, register


class Corrected(nn.Module):  # type: ignore[misc]
    """y_n(x) = A [x, y_{n-1}(x)] + net([x, y_{n-1}(x)]): the earlier model is frozen.

    A begins as the identity on y_{n-1}, and net as nothing.
    """

    def __init__(self, earlier: nn.Module, inputs: int, outputs: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.earlier = earlier.requires_grad_(False)
        self.linear = nn.Linear(inputs + outputs, outputs)
        self.net = nn.Sequential(nn.Linear(inputs + outputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))
        for p in self.parameters():
            if p.requires_grad:
                p.data = (torch.rand(p.shape, generator=generator) * 2 - 1) / p.shape[-1] ** 0.5
        for layer in (self.linear, self.net[2]):
            layer.weight.data.zero_(), layer.bias.data.zero_()
        self.linear.weight.data[:, inputs:] = torch.eye(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return y_n (N, outputs) for x (N, inputs)."""
        with torch.no_grad():
            before = self.earlier(x)
        both = torch.cat([x, before], 1)
        made: Tensor = self.linear(both) + self.net(both)
        return made


@register(
    "corrections",
    papers=(Paper("A multifidelity approach to continual learning for physical systems", "2304.03894"),),
    task="tasks in sequence",
    baselines=("plain", "anchor"),
)
@dataclass
class Corrections(Strategy):
    """Freezes the model before every task but the first and learns a correction of what it says (multifidelity).

    A new task begins exactly where the earlier model is. One pass reads all earlier models; each is kept, so that a named
    task's own is served to the bit, and the newest where none is named. Inputs are (N, inputs). Compose it with
    `Replay`, which holds the whole domain: a correction is free to change what the earlier model said.
    """

    hidden: int = 32  # units of a correction
    tasks: list[int] = field(init=False, repr=False, default_factory=list)

    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "maker of weights"

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise InvalidInput(f"hidden is {self.hidden}: give a correction at least 1 unit.")

    def before_task(self, learning: Learning) -> None:
        """Put a correction on the model; on the first task, nothing."""
        if learning.task not in self.tasks:
            self._begin(learning, learning.task)
        learning.rebuild()

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the model of a task says."""
        if task not in self.tasks:
            return None
        model = learning.model
        for _ in range(len(self.tasks) - 1 - self.tasks.index(task)):
            assert isinstance(model, Corrected)
            model = model.earlier
        said: Tensor = model(x)
        return said

    def tensors(self) -> dict[str, Tensor]:
        """Return the tasks in their order; models are in the learner's."""
        return {"tasks": torch.tensor(self.tasks)} if self.tasks else {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Make the same models again; their weights are loaded after that."""
        while isinstance(learning.model, Corrected):
            learning.model = learning.model.earlier
        self.tasks = []
        for task in tensors.get("tasks", torch.tensor([])).tolist():
            self._begin(learning, task)

    def _begin(self, learning: Learning, task: int) -> None:
        if self.tasks:
            first = learning.model
            while isinstance(first, Corrected):
                first = first.earlier
            layers = [m for m in first.modules() if isinstance(m, nn.Linear)]
            if not layers:
                raise InvalidInput(
                    "the model has no linear layers that say how many numbers it reads and returns: use another."
                )
            sizes = layers[0].in_features, layers[-1].out_features
            learning.model = Corrected(learning.model, *sizes, self.hidden, learning.generator)
        self.tasks.append(task)
