"""A model for each kind of data, made when data comes that none of them knows; needs no tasks."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.parametric.consolidate.gdumb import rehearse
from mnemos.registry import Paper, register


class Component:
    """A frozen or learning model, a Gaussian of what it learned, and some samples of it."""

    def __init__(self, model: nn.Module, items: int, width: int) -> None:
        self.model, self.kept = model, Buffer(items)
        self.count = torch.zeros((), dtype=torch.float64)
        self.total = torch.zeros(width, dtype=torch.float64)
        self.squares = torch.zeros(width, width, dtype=torch.float64)

    def see(self, window: Buffer, generator: torch.Generator) -> None:
        """Take a window of samples into the Gaussian and the kept ones."""
        x = window.held[0].flatten(1).double()
        self.count, self.total = self.count + len(x), self.total + x.sum(0)
        self.squares = self.squares + x.T @ x
        self.kept.see(*window.held, generator=generator)

    def density(self, x: Tensor) -> Tensor:
        """Return log p (N,) of x (N, ...), up to a constant."""
        mean = self.total / self.count
        spread = self.squares / self.count - mean[:, None] * mean
        level = spread.diagonal().mean().clamp_min(1e-6)
        spread = 0.9 * spread + 0.1 * level * torch.eye(len(mean), dtype=torch.float64)
        z = torch.linalg.solve_triangular(torch.linalg.cholesky(spread), (x.flatten(1).double() - mean).T, upper=False)
        return -0.5 * (z.square().sum(0) + torch.logdet(spread))

    def tensors(self) -> dict[str, Tensor]:
        """Return all that it holds."""
        own = {"count": self.count, "total": self.total, "squares": self.squares}
        own |= {f"model.{name}": t for name, t in self.model.state_dict().items()}
        return own | {f"kept.{name}": t for name, t in self.kept.tensors().items()}


def dependence(a: Tensor, b: Tensor) -> float:
    """Return the HSIC of samples and of which set they are from, over that of the samples with themselves; from 0 to 1.

    a (n, D) and b (m, D); a Gaussian kernel as wide as the median distance. 0: the sets are alike.
    """
    x = torch.cat([a, b]).flatten(1)
    which = torch.cat([torch.ones(len(a)), -torch.ones(len(b))])
    apart = torch.cdist(x, x).square()
    kernel = torch.exp(-apart / apart.median().clamp_min(1e-9))
    labels = (which[:, None] * which + 1) / 2
    kernel, labels = (k - k.mean(0) - k.mean(1, keepdim=True) + k.mean() for k in (kernel, labels))
    return float((kernel * labels).sum() / (kernel.norm() * labels.norm()).clamp_min(1e-12))


@register(
    "evolved-mixture",
    papers=(Paper("Learning an evolved mixture model for task-free continual learning", "2207.05080"),),
    task="streams without boundaries",
    baselines=("replay",),
)
@dataclass
class EvolvedMixture(Strategy):
    """Gathers a window of samples and gives it to the model that is learning; freezes that one where the window is unlike all.

    Unlike is an HSIC between window and kept samples above `threshold`, for every component. A window is then learned in
    `epochs` passes beside kept samples. A question is answered by the component whose Gaussian gives it the highest density;
    the paper has a variational autoencoder in its place. Holds, by component, a copy of the model, D^2 numbers and `kept`
    samples.
    """

    window: int = 100  # samples
    kept: int = 50  # samples of a component, compared with windows and learned beside them
    threshold: float = 0.1  # of the dependence, from 0 to 1; windows of one kind have about .04, of two .13 to .4
    epochs: int = 5  # over a window
    batch: int = 10  # of a step
    parts: list[Component] = field(init=False, repr=False, default_factory=list)  # the last one learns
    gathered: Buffer = field(init=False, repr=False)
    first: nn.Module | None = field(init=False, repr=False, default=None)  # the model as it began

    stores_samples: ClassVar[bool] = True
    alone: ClassVar[str] = "model that is served"

    def __post_init__(self) -> None:
        if self.window < 2 or not 0 < self.threshold < 1:
            raise InvalidInput(f"window is {self.window} and threshold {self.threshold}: give at least 2, and a share.")
        self.gathered = Buffer(self.window)

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return nothing to learn: windows are learned when they are full."""
        if self.first is None:
            self.first = copy.deepcopy(learning.model)
        step.weight = 0.0
        return step.cost().detach() + torch.stack([p.sum() * 0 for p in learning.weights().values()]).sum()

    def after_step(self, learning: Learning, step: Step) -> None:
        """Gather the new samples; learn a full window, with a new component if no other knows its like."""
        self.gathered.see(*step.batch, generator=learning.generator)
        if len(self.gathered) < self.window:
            return
        x = self.gathered.held[0]
        apart = [dependence(x.flatten(1), p.kept.held[0].flatten(1)) for p in self.parts]
        if not apart or min(apart) > self.threshold:
            self._grow(learning, x)
        current = self.parts[-1]
        if len(current.kept):
            self.gathered.items += len(current.kept)
            self.gathered.see(*current.kept.held, generator=learning.generator)
        rehearse(learning, self.gathered, self.batch, self.epochs)
        self.gathered.held = tuple(t[: self.window] for t in self.gathered.held)
        current.see(self.gathered, learning.generator)
        current.model.load_state_dict(learning.model.state_dict())
        self.gathered = Buffer(self.window)

    def _grow(self, learning: Learning, x: Tensor) -> None:
        """Add a component, a copy of the model as it began, which learns from now on."""
        assert self.first is not None  # remembered before the first step
        learning.model.load_state_dict(self.first.state_dict())
        learning.rebuild()
        made = copy.deepcopy(learning.model).requires_grad_(False).eval()
        self.parts.append(Component(made, self.kept, x[0].numel()))

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the component says that knows each question best."""
        if not self.parts:
            return None
        best = torch.stack([p.density(x) for p in self.parts]).argmax(0)
        said = torch.stack([p.model.eval()(x) for p in self.parts])
        return said[best, torch.arange(len(x))]

    def tensors(self) -> dict[str, Tensor]:
        """Return the components, the window, and the model as it began."""
        found = {f"{number}.{name}": t for number, p in enumerate(self.parts) for name, t in p.tensors().items()}
        if self.first is not None:
            found |= {f"first.{name}": t for name, t in self.first.state_dict().items()}
        return found | ({f"window.{n}": t for n, t in self.gathered.tensors().items()} if len(self.gathered) else {})

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        by_part: dict[str, dict[str, Tensor]] = {}
        for name, t in tensors.items():
            head, _, rest = name.partition(".")
            by_part.setdefault(head, {})[rest] = t
        if "first" in by_part:
            self.first = copy.deepcopy(learning.model)
            self.first.load_state_dict(by_part.pop("first"))
        if window := by_part.pop("window", None):
            self.gathered.load(window)
        self.parts = []
        for of in sorted(by_part.items(), key=lambda pair: int(pair[0])):
            held = of[1]
            part = Component(copy.deepcopy(learning.model).requires_grad_(False).eval(), self.kept, len(held["total"]))
            part.count, part.total, part.squares = (held[n].clone() for n in ("count", "total", "squares"))
            part.model.load_state_dict({n.removeprefix("model."): t for n, t in held.items() if n.startswith("model.")})
            part.kept.load({n.removeprefix("kept."): t for n, t in held.items() if n.startswith("kept.")})
            self.parts.append(part)
