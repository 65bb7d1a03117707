"""One objective that has regularisation, replay and distillation as special cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.parametric.consolidate.importance import fisher
from mnemos.registry import Paper, register


def square(values: Tensor) -> Tensor:
    """Return sum v^2 by row: its divergence is the squared distance."""
    return values.square().sum(-1)


def negative_entropy(values: Tensor) -> Tensor:
    """Return sum v log v by row of chances: its divergence is that of Kullback and Leibler."""
    return torch.xlogy(values, values).sum(-1)


def bregman(generator: Literal["square", "entropy"], p: Tensor, q: Tensor) -> Tensor:
    """Return D(p, q) = phi(p) - phi(q) - <grad phi(q), p - q> by row of (N, C), phi the generator."""
    if generator == "square":
        return square(p) - square(q) - (2 * q * (p - q)).sum(-1)
    slope = q.clamp_min(1e-30).log() + 1
    return negative_entropy(p) - negative_entropy(q) - (slope * (p - q)).sum(-1)


@register(
    "unified",
    papers=(Paper("A Unified and General Framework for Continual Learning", "2403.13249"),),
    task="classes in sequence",
    baselines=("replay", "dark-experience-replay", "anchor"),
    unmeasured="its first run is under way",
)
@dataclass
class Unified(Strategy):
    """Adds outputs * D_phi(what is held, what is said now) + weights / 2 * D_psi(w, w*), both Bregman divergences.

    phi = "entropy" over chances, held labels: replay (ER). "square" over logits, held logits: DER, whose mean over logits is
    `outputs` / classes here. psi is the quadratic form of the Fisher information at the end of the last task: online EWC.
    """

    outputs: float = 1.0  # weight of the divergence of outputs (alpha)
    phi: Literal["entropy", "square"] = "entropy"  # what generates it
    weights: float = 0.0  # of the divergence of weights (beta); above 0 it needs tasks
    items: int = 200  # samples that are held
    batch: int = 10  # of them, a step
    samples: int = 1024  # of a task, for the Fisher information
    buffer: Buffer = field(init=False, repr=False)
    anchor: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # w*
    importance: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # psi

    stores_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.buffer = Buffer(self.items)
        self.recent = self.samples if self.weights else 0

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return both divergences; None while there is nothing to be near to."""
        terms = []
        if self.outputs and len(self.buffer):
            *held, said = self.buffer.draw(self.batch, learning.generator)
            now = step.logits(step.add(Batch(*held)))
            if self.phi == "entropy":
                wanted, now = F.one_hot(held[1], now.shape[-1]).to(now.dtype), now.softmax(-1)
            else:
                wanted = said
            terms.append(self.outputs * bregman(self.phi, wanted, now).mean())
        if self.anchor:
            held_weights = learning.weights()
            terms.append(
                self.weights / 2 * torch.stack(
                    [(self.importance[n] * (held_weights[n] - w).square()).sum() for n, w in self.anchor.items()]
                ).sum()
            )  # fmt: skip
        return torch.stack(terms).sum() if terms else None

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show the new batch and its logits to the buffer."""
        if self.outputs:
            self.buffer.see(*step.batch, step.logits(), generator=learning.generator)

    def after_task(self, learning: Learning) -> None:
        """Anchor the weights where they are."""
        if learning.recent is None or not self.weights:
            return
        self.anchor = {name: w.detach().clone() for name, w in learning.weights().items()}
        for name, new in fisher(learning, Batch(*learning.recent.held)).items():
            self.importance[name] = self.importance[name] + new if name in self.importance else new

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held."""
        found = self.buffer.tensors() if len(self.buffer) else {}
        for kind, of in (("anchor", self.anchor), ("importance", self.importance)):
            found |= {f"{kind}.{name}": t for name, t in of.items()}
        return found

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        rest = dict(tensors)
        for kind in ("anchor", "importance"):
            names = [n for n in rest if n.startswith(f"{kind}.")]
            setattr(self, kind, {n.removeprefix(f"{kind}."): rest.pop(n).clone() for n in names})
        if rest:
            self.buffer.load(rest)
