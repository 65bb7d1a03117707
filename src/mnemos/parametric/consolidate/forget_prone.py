"""Train again only the parts of a model that forget, on a small buffer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer, Policy
from mnemos.parametric.consolidate.gdumb import rehearse
from mnemos.registry import Paper, register


@register(
    "forget-prone",
    papers=(Paper("Does Continual Learning Equally Forget All Parameters?", "2304.04158"),),
    task="classes in sequence",
    baselines=("replay", "plain"),
)
@dataclass
class ForgetProne(Strategy):
    """Fine-tunes the modules that change most at a change of task, on held samples, at the end of a task (FPF).

    With `every` it does so after that many steps too, in place of rehearsal at each step (k-FPF). A module's `change` is the mean
    |w - w'|_1 / |w|_1 over spans of `span` steps; `across` a change of task over `within` tasks says how prone it is. The first
    fine-tuning, which has seen no change of task, takes those that change most.
    """

    items: int = 200  # samples that are held
    batch: int = 10  # of a step of fine-tuning
    epochs: int = 10  # over the held samples
    every: int = 0  # steps between fine-tunings (k-FPF); 0: at the ends of tasks alone (FPF)
    count: int = 2  # modules that are fine-tuned
    modules: tuple[str, ...] = ()  # their names, if they are known; else they are measured
    span: int = 10  # steps between two looks at the weights
    policy: Policy = "balanced"  # which samples are held
    buffer: Buffer = field(init=False, repr=False)
    looked: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # weights at the last look
    within: dict[str, list[float]] = field(init=False, repr=False, default_factory=dict)  # sum of changes, and looks
    across: dict[str, list[float]] = field(init=False, repr=False, default_factory=dict)  # right after a new task began
    steps: int = field(init=False, repr=False, default=0)  # of this task

    stores_samples: ClassVar[bool] = True
    needs_tasks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.span < 1 or self.count < 1:
            raise InvalidInput(f"span is {self.span} and count {self.count}: give at least 1 step, and 1 module.")
        self.buffer = Buffer(self.items, self.policy)

    def before_task(self, learning: Learning) -> None:
        """Count the steps of the task."""
        self.steps, self.looked = 0, weights_of(learning.model)

    def after_step(self, learning: Learning, step: Step) -> None:
        """Hold samples, look at the weights now and then, and fine-tune if it is time."""
        self.buffer.see(*step.batch, generator=learning.generator)
        self.steps += 1
        if self.steps % self.span == 0:
            now = weights_of(learning.model)
            into = self.across if self.steps == self.span and learning.tasks > 1 else self.within
            for name, w in now.items():
                change = float((w - self.looked[name]).abs().sum() / self.looked[name].abs().sum().clamp_min(1e-12))
                total = into.setdefault(name, [0.0, 0.0])
                total[0], total[1] = total[0] + change, total[1] + 1
            self.looked = now
        if self.every and learning.steps % self.every == 0:
            self.fine_tune(learning)

    def after_task(self, learning: Learning) -> None:
        """Fine-tune once more."""
        self.fine_tune(learning)

    def fine_tune(self, learning: Learning) -> None:
        """Train the modules that forget on what is held."""
        if not len(self.buffer):
            return
        chosen = dict.fromkeys(self.prone(learning))
        only = [p for name in chosen for p in learning.model.get_submodule(name).parameters(recurse=False)]
        rehearse(learning, self.buffer, self.batch, self.epochs, only)
        self.looked = weights_of(learning.model)

    def prone(self, learning: Learning) -> list[str]:
        """Return the names of the modules that are fine-tuned, the most prone first."""
        if self.modules:
            return list(self.modules)
        found = self.sensitivity() or dict.fromkeys(reversed(weights_of(learning.model)), 0.0)
        return sorted(found, key=lambda name: -found[name])[: self.count]

    def sensitivity(self) -> dict[str, float]:
        """Return by module how much more it changes at a change of task than within one; before one, how much it changes."""
        mean = {name: total / looks for name, (total, looks) in self.within.items()}
        first = {name: total / looks for name, (total, looks) in self.across.items()}
        return {name: first[name] / max(mean.get(name, 0.0), 1e-12) for name in first} if first else mean

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held and what was measured."""
        if not len(self.buffer):
            return {}
        found = self.buffer.tensors() | {"steps": torch.tensor(self.steps)}
        found |= {f"looked.{name}": t for name, t in self.looked.items()}
        for kind, of in (("within", self.within), ("across", self.across)):
            found |= {f"{kind}.{name}": torch.tensor(total, dtype=torch.float64) for name, total in of.items()}
        return found

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        rest = dict(tensors)
        self.steps = int(rest.pop("steps", torch.tensor(0)))
        self.looked, self.within, self.across = {}, {}, {}
        for full in list(rest):
            kind, _, name = full.partition(".")
            if kind == "looked":
                self.looked[name] = rest.pop(full).clone()
            elif kind in ("within", "across"):
                getattr(self, kind)[name] = rest.pop(full).tolist()
        if rest:
            self.buffer.load(rest)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights of each module that has some of its own, as one vector."""
    found = {}
    for name, module in model.named_modules():
        own = [p.detach().flatten() for p in module.parameters(recurse=False)]
        if own:
            found[name] = torch.cat(own).clone()
    return found
