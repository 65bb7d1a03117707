"""The contract of continual learning: what a strategy may do at which moment of a learner's life, and what it is shown.

A `Learner` (learner.py) draws the loop once. At five moments it calls its strategies, in the order in which they are given:

| moment | what a strategy does there |
|---|---|
| `before_task` | make room: grow, freeze, take a snapshot |
| `loss` | add a term: a penalty, a replayed batch, a distillation; or change what the new batch counts |
| `after_backward` | change the gradients: project, mask |
| `after_step` | look at the step: store samples, average weights |
| `after_task` | sum up: importance, subspaces, prototypes |

Shapes: a batch has x (N, ...), y (N,) of classes, or what the loss function takes, and tasks (N,), -1 where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.buffer import Buffer

Scenario = Literal["class", "domain", "task"]
Rivals = Literal["all", "seen", "batch"]
Loss = Callable[[Tensor, Tensor], Tensor]
Optimise = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
NO_TASK = -1
FAR = -1e9  # a logit of a class that does not take part


class Batch(NamedTuple):
    """Samples: x (N, ...), y (N,) or what the loss takes, tasks (N,)."""

    x: Tensor
    y: Tensor
    tasks: Tensor

    def rows(self, which: Tensor | slice) -> Batch:
        """Return some of the samples."""
        return Batch(self.x[which], self.y[which], self.tasks[which])


def joined(batches: Sequence[Batch]) -> Batch:
    """Return batches as one."""
    return Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def default_optimiser(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Return plain stochastic gradient descent at a rate of .1."""
    return torch.optim.SGD(parameters, lr=0.1)


@dataclass
class Learning:
    """What a strategy is shown: a model as it learns, and what is known of its stream."""

    model: nn.Module
    scenario: Scenario = "class"  # "task": who asks names the task, whose classes alone take part
    rivals: Rivals = "all"  # classes that a softmax is over: all outputs, those seen so far, or those of the batch
    criterion: Loss = F.cross_entropy
    optimise: Optimise = default_optimiser
    classifier: nn.Module | None = None  # its input is called features; the last nn.Linear if nothing else is said
    generator: torch.Generator = field(default_factory=torch.Generator)
    previous: nn.Module | None = None  # the model before this task, where a strategy asks for it
    recent: Buffer | None = None  # samples of this task alone, where a strategy asks for them; dropped at its end
    steps: int = 0
    task: int = NO_TASK  # the one being learned
    tasks: int = 0  # how many were begun
    task_classes: dict[int, list[int]] = field(default_factory=dict)  # the classes of every task that were seen
    optimiser: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.rebuild()

    def rebuild(self) -> None:
        """Make a new optimiser for the parameters that are trained now: for a strategy that adds, frees or freezes some."""
        self.optimiser = self.optimise(list(self.weights().values()))

    @property
    def seen(self) -> list[int]:
        """Return the classes seen so far, sorted."""
        return sorted({c for classes in self.task_classes.values() for c in classes})

    def lately(self, tasks: int) -> list[int]:
        """Return the classes of the last tasks before the one being learned."""
        before = [classes for task, classes in self.task_classes.items() if task != self.task]
        return sorted({c for classes in before[-tasks:] for c in classes})

    def read(self, x: Tensor, model: nn.Module | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits and features of x, by the model or by an earlier copy of it; features (N, D) if there is a classifier."""
        asked = self.model if model is None else model
        if self.classifier is None:
            return asked(x), None
        found: list[Tensor] = []
        at = self.classifier if model is None else asked.get_submodule(self.classifier_name)
        handle = at.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
        try:
            return asked(x), found[-1] if found else None
        finally:
            handle.remove()

    @property
    def classifier_name(self) -> str:
        """Return the name by which the model knows its classifier. Raises InvalidInput where there is none."""
        for name, module in self.model.named_modules():
            if module is self.classifier:
                return str(name)
        raise InvalidInput("the model has no classifier: give the learner one of its modules as `classifier`.")

    def put(self, old: nn.Module, new: nn.Module) -> None:
        """Put a module in another's place in the model and make a new optimiser. Raises InvalidInput if `old` is not in it."""
        name = next((name for name, module in self.model.named_modules() if module is old), None)
        if name is None:
            raise InvalidInput(f"the model has no such {type(old).__name__}: give one of its modules.")
        if name:
            above, _, own = name.rpartition(".")
            setattr(self.model.get_submodule(above), own, new)
        else:
            self.model = new
        if self.classifier is old:
            self.classifier = new
        self.rebuild()

    def taking_part(self, logits: Tensor, tasks: Tensor, y: Tensor | None = None) -> Tensor:
        """Return logits in which classes that take no part are far below all others.

        In the scenario "task" those of the row's own task take part, else those that `rivals` names.
        """
        if logits.dim() != 2 or (self.scenario != "task" and self.rivals == "all"):
            return logits
        keep = torch.ones_like(logits, dtype=torch.bool)
        if self.scenario == "task":
            for task in tasks.unique().tolist():
                if task in self.task_classes:
                    rows = (tasks == task).nonzero()
                    keep[rows] = False
                    keep[rows, torch.tensor(self.task_classes[task])] = True
        elif self.rivals == "seen" or (self.rivals == "batch" and y is None):
            keep[:] = False
            keep[:, self.seen] = True
        elif self.rivals == "batch" and y is not None:
            keep[:] = False
            keep[:, y.unique()] = True
        return logits if bool(keep.all()) else logits.masked_fill(~keep, FAR)

    def cost(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of a batch whose logits are known."""
        return self.criterion(self.taking_part(logits, batch.tasks, batch.y), batch.y)

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the parameters that are trained, by name."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}


class Step:
    """One step of a learner. What a strategy adds to it is read together with the new batch, in one pass where it can be."""

    def __init__(self, learning: Learning, batch: Batch) -> None:
        self.learning = learning
        self.batches = [batch]  # the new one first, then what strategies add
        self.weight = 1.0  # of the new batch's own loss
        self.loss = 0.0  # what the step's terms sum to, once they are known
        self._read: list[tuple[Tensor, Tensor | None]] = []

    @property
    def batch(self) -> Batch:
        """Return the new batch."""
        return self.batches[0]

    def add(self, batch: Batch) -> int:
        """Let a batch be read in this step too; return its number, by which `logits` and `features` know it."""
        self.batches.append(batch)
        return len(self.batches) - 1

    def replace(self, batch: Batch) -> None:
        """Read another batch in the new one's place. Raises InvalidInput once that has been read."""
        if self._read:
            raise InvalidInput("the new batch was read: a strategy that replaces it comes before those that read it.")
        self.batches[0] = batch

    def logits(self, number: int = 0) -> Tensor:
        """Return the logits (N, classes) of a batch of this step."""
        self._look(number)
        return self._read[number][0]

    def features(self, number: int = 0) -> Tensor:
        """Return the input (N, D) of the classifier for a batch of this step. Raises InvalidInput without a classifier."""
        self._look(number)
        found = self._read[number][1]
        if found is None:
            raise InvalidInput("the model has no classifier: give the learner one of its modules as `classifier`.")
        return found

    def cost(self, number: int = 0) -> Tensor:
        """Return the mean loss of a batch of this step."""
        return self.learning.cost(self.logits(number), self.batches[number])

    def _look(self, number: int) -> None:
        if number < len(self._read):
            return
        new = self.batches[len(self._read) :]
        logits, features = self.learning.read(torch.cat([b.x for b in new]) if len(new) > 1 else new[0].x)
        sizes = [len(b.x) for b in new]
        parts = [None] * len(new) if features is None else features.split(sizes)
        self._read += list(zip(logits.split(sizes), parts, strict=True))


class Strategy:
    """Keeps what was learned while something else is learned. Every hook does nothing unless a strategy says otherwise.

    A dataclass of knobs; what it holds beside them is made by its hooks, and is all in `tensors()`. A learner works on a copy,
    so that one set of knobs serves many learners.
    """

    stores_samples: ClassVar[bool] = False  # holds inputs of earlier tasks (rehearsal)
    needs_tasks: ClassVar[bool] = False  # does nothing on a stream without boundaries
    needs_previous: ClassVar[bool] = False  # reads `learning.previous`
    only_holds_weights: ClassVar[bool] = False  # a penalty on weights alone: cannot tell classes apart that never met
    alone: ClassVar[str] = ""  # two strategies of one such name contradict each other
    recent: int = 0  # samples of the current task that it needs at its end

    def before_task(self, learning: Learning) -> None:
        """Prepare for `learning.task`."""

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what is added to the loss of a step, a scalar; None for nothing."""

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Change the gradients before they are applied."""

    def after_step(self, learning: Learning, step: Step) -> None:
        """Look at a step that was made."""

    def after_task(self, learning: Learning) -> None:
        """Sum up `learning.task`, of which `learning.recent` has samples."""

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return the logits (N, classes) that are served for x, without gradients; None to serve the model's own."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what the strategy holds beside its knobs, by name."""
        return {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` returned. Raises InvalidInput for what it does not know."""
        if tensors:
            raise InvalidInput(f"{type(self).__name__} holds nothing, but is given {', '.join(sorted(tensors))}.")

    @property
    def nbytes(self) -> int:
        """Bytes of what it holds."""
        return sum(t.numel() * t.element_size() for t in self.tensors().values())

    def __add__(self, other: Strategy | Composed) -> Composed:
        """Return both, one after the other at every moment."""
        return Composed((self,)) + other


class Composed(tuple[Strategy, ...]):
    """Strategies that act one after the other, as `Replay(200) + DistillOld() + EMA()` makes."""

    __slots__ = ()

    def __add__(self, other: Strategy | tuple[Strategy, ...]) -> Composed:  # type: ignore[override]
        """Return these and others, in this order."""
        return Composed((*self, *(other if isinstance(other, tuple) else (other,))))


KINDS: dict[str, type] = {"strategy": Strategy}
