"""Weights that are made for a task: a model that is read with other weights for each, by masks, factors or a network.

A `Maker` holds what all tasks share and what each has for itself, and makes the weights of a model for a task. `Made` is the
model as it is read with these. A strategy that is a `MakesWeights` puts it in the place of the learner's model when the first
task begins, and serves the weights of the task that is asked about; where none is named it looks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import FAR, NO_TASK, Learning, Strategy

Weights = Mapping[str, Tensor]  # of a model, by name


def key(name: str) -> str:
    """Return the name of a weight as a module may hold it."""
    return name.replace(".", "/")


class Maker(nn.Module):  # type: ignore[misc]
    """Makes weights for tasks. What it does not make (vectors, such as biases) each task has for itself, from the model's."""

    trains_model: ClassVar[bool] = False  # the model's own weights are learned too: makers that choose among them

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.tasks: list[int] = []  # in the order in which they came
        self.own = nn.ModuleDict()  # by task: a ParameterDict of what it has for itself
        self.names = [name for name, p in inner.named_parameters() if self.makes(name, p)]

    def makes(self, name: str, weight: Tensor) -> bool:
        """Tell whether a weight is made; matrices and kernels are, if nothing else is said."""
        return bool(weight.dim() > 1)

    def grow(self, task: int, weights: Weights, generator: torch.Generator) -> None:
        """Make room for a new task: `weights` are the model's own."""

    def trained(self, task: int) -> Iterator[nn.Parameter]:
        """Yield the parameters that are learned in a task, beside what it has for itself."""
        yield from ()

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return weights by name for a task; `weights` are the model's own."""
        raise NotImplementedError

    def begin(self, task: int, weights: Weights, generator: torch.Generator) -> None:
        """Let a task be the one that is learned: the parameters of others are frozen."""
        if task not in self.tasks:
            self.tasks.append(task)
            rest = {key(n): w.detach().clone() for n, w in weights.items() if n not in self.names}
            self.own[str(task)] = nn.ParameterDict(rest)
            self.grow(task, weights, generator)
        self.requires_grad_(False)
        self.own[str(task)].requires_grad_(True)
        for p in self.trained(task):
            p.requires_grad_(True)

    def all_weights(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return what is made for a task, with what it has for itself."""
        mine = self.own[str(task)]
        assert isinstance(mine, nn.ParameterDict)
        return {**self(task, weights), **{n: mine[key(n)] for n in weights if n not in self.names}}


class Made(nn.Module):  # type: ignore[misc]
    """A model that is read with the weights that a maker makes for `task`."""

    def __init__(self, inner: nn.Module, maker: Maker) -> None:
        super().__init__()
        self.inner, self.maker, self.task = inner, maker, NO_TASK
        for name, p in inner.named_parameters():
            p.requires_grad_(maker.trains_model and name in maker.names)

    def begin(self, task: int, generator: torch.Generator) -> None:
        """Let a task be the one that is learned."""
        self.maker.begin(task, dict(self.inner.named_parameters()), generator)
        self.task = task

    def weights(self, task: int) -> dict[str, Tensor]:
        """Return the weights (by the inner model's names) of a task."""
        return self.maker.all_weights(task, dict(self.inner.named_parameters()))

    def read(self, x: Tensor, task: int) -> Tensor:
        """Return the logits (N, classes) of x with the weights of a task."""
        said: Tensor = functional_call(self.inner, self.weights(task), (x,))
        return said

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of x with the weights of the task that is learned."""
        return self.read(x, self.task)


@dataclass
class MakesWeights(Strategy):
    """A strategy whose maker makes the weights of each task. Without a named task it serves the one that is surest of x."""

    # who answers where no task is named: the weights whose answer has the lowest entropy, sample by sample, or the newest
    infer: Literal["entropy", "newest"] = field(default="entropy", kw_only=True)
    model: Made | None = field(init=False, repr=False, default=None)  # the learner's, once it is made

    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "maker of weights"

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Maker:
        """Return a maker for a model."""
        raise NotImplementedError

    def before_task(self, learning: Learning) -> None:
        """Put the made model in the model's place, once, and make room for the task."""
        self._begin(learning, learning.task)
        learning.rebuild()

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the weights of the task say; of the surest one where none is named."""
        if self.model is None:
            return None
        known = self.model.maker.tasks
        if task in known:
            return self.model.read(x, task)
        if self.infer == "newest" or len(known) < 2:
            return None
        said = torch.stack([restricted(learning, x, t) for t in known])
        return said[entropy(said).argmin(0), torch.arange(len(x))]

    def tensors(self) -> dict[str, Tensor]:
        """Return the tasks in their order, and last the one that is learned; the rest is in the model."""
        if self.model is None:
            return {}
        return {"tasks": torch.tensor([*self.model.maker.tasks, self.model.task])}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Make the same room again; the model's weights are loaded after that."""
        if isinstance(learning.model, Made):
            learning.model, self.model = learning.model.inner, None
        for task in tensors.get("tasks", torch.tensor([])).tolist():
            self._begin(learning, task)

    @property
    def nbytes(self) -> int:
        """Bytes of all that makes weights: what tasks share and what each has for itself, beside the model's own."""
        held = () if self.model is None else self.model.maker.state_dict().values()
        return sum(t.numel() * t.element_size() for t in held)

    def _begin(self, learning: Learning, task: int) -> None:
        if self.model is None:
            self.model = Made(learning.model, self.maker(learning.model, learning.generator))
            learning.model = self.model
        self.model.begin(task, learning.generator)


def made(learning: Learning) -> Made:
    """Return a learner's model that is read with made weights. Raises InvalidInput before the first task."""
    if not isinstance(learning.model, Made):
        raise InvalidInput("no task was learned: observe a batch with its task before you ask for its weights.")
    return learning.model


def restricted(learning: Learning, x: Tensor, task: int) -> Tensor:
    """Return the logits (N, classes) of a task's weights, in which the classes of other tasks take no part."""
    said = made(learning).read(x, task)
    if not (classes := learning.task_classes.get(task)):
        return said
    away = torch.ones(said.shape[1], dtype=torch.bool)
    away[classes] = False
    return said.masked_fill(away, FAR)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy (...) in nats of the softmax of logits (..., classes)."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)


def head_of(inner: nn.Module) -> str:
    """Return the name of the last linear layer. Raises InvalidInput where there is none."""
    found: list[str] = [name for name, m in inner.named_modules() if isinstance(m, nn.Linear)]
    if not found:
        raise InvalidInput("the model has no linear layer that could be each task's own head: end it in one.")
    return found[-1]


@torch.no_grad()  # type: ignore[untyped-decorator]
def surprise(learning: Learning, x: Tensor) -> Tensor:
    """Return how unsure (N,) the surest task is of each sample, in nats: high where x is of no task that was learned."""
    return torch.stack([entropy(restricted(learning, x, t)) for t in made(learning).maker.tasks]).amin(0)
