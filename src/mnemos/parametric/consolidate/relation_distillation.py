"""Prototypes without stored samples: how each old prototype ranks the samples at hand is what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register


@register(
    "prototype-sample-relations",
    papers=(Paper("Prototype-Sample Relation Distillation: Towards Replay-Free Continual Learning", "2303.14771"),),
    task="tasks in sequence",
    baselines=("distillation", "plain"),
)
@dataclass
class RelationDistillation(Strategy):
    """Learns features by their labels' contrast, and a prototype for each class; answers with the most similar one (PRD).

    Three terms: supervised contrast of the new batch's features (arXiv 2004.11362); cross-entropy of the prototypes p_c, whose
    input is cut off from the features, over the classes of the batch; and `strength` * KL, for each prototype of earlier
    tasks, between its softmax over the batch's samples of sim(p_c, z) / temperature before the task and now. Features z and
    prototypes are of unit length. The model's own classifier is not used, nor is its loss. Stores a vector a class and a copy
    of the model; a step costs one more pass forward. Where `contrast` is off, features learn from the prototypes.
    """

    strength: float = 4.0  # of the relations (beta)
    temperature: float = 0.1  # of similarities (tau)
    rate: float = 0.1  # of plain gradient descent on the prototypes
    contrast: bool = True  # let features learn by contrast alone
    prototypes: Tensor | None = field(init=False, repr=False, default=None)  # (classes, D)
    old: list[int] = field(init=False, repr=False, default_factory=list)  # classes of earlier tasks
    begun: Tensor | None = field(init=False, repr=False, default=None)  # the prototypes when the task began

    needs_tasks: ClassVar[bool] = True
    needs_previous: ClassVar[bool] = True
    alone: ClassVar[str] = "model that is served"

    def __post_init__(self) -> None:
        if self.strength < 0 or self.temperature <= 0 or self.rate <= 0:
            raise InvalidInput("give a strength of at least 0, a temperature and a rate above 0.")

    def before_task(self, learning: Learning) -> None:
        """Note what the prototypes are as the task begins."""
        self.old = sorted({c for task, of in learning.task_classes.items() if task != learning.task for c in of})
        self.begun = None if self.prototypes is None else self.prototypes.detach().clone()

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return the three terms, in the place of the model's own loss."""
        z, y = F.normalize(step.features(), dim=-1), step.batch.y
        if self.prototypes is None:
            shape = (step.logits().shape[1], z.shape[1])
            self.prototypes = torch.randn(shape, generator=learning.generator).to(z).requires_grad_()
        step.weight = 0.0
        classes = y.unique()
        said = self.similar(z.detach() if self.contrast else z, self.prototypes[classes])
        terms = [F.cross_entropy(said, torch.searchsorted(classes, y))]
        if self.contrast:
            terms.append(contrast(z, y, self.temperature))
        if learning.previous is not None and self.begun is not None and self.old:
            with torch.no_grad():
                _, before = learning.read(step.batch.x, learning.previous)
                assert before is not None  # `features` has raised without a classifier
                wanted = self.similar(F.normalize(before, dim=-1), self.begun[self.old]).log_softmax(0)
            now = self.similar(z, self.prototypes[self.old]).log_softmax(0)
            terms.append(self.strength * F.kl_div(now.T, wanted.T, log_target=True, reduction="batchmean"))
        return torch.stack(terms).sum()

    def similar(self, z: Tensor, prototypes: Tensor) -> Tensor:
        """Return cosines / temperature of features (N, D) of unit length and prototypes (C, D): (N, C)."""
        return z @ F.normalize(prototypes, dim=-1).T / self.temperature

    def after_step(self, learning: Learning, step: Step) -> None:
        """Make the prototypes' own step."""
        if self.prototypes is not None and self.prototypes.grad is not None:
            with torch.no_grad():
                self.prototypes -= self.rate * self.prototypes.grad
            self.prototypes.grad = None

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return the similarities to all prototypes of classes seen."""
        if self.prototypes is None:
            return None
        _, features = learning.read(x)
        assert features is not None  # `loss` has raised without a classifier
        said = self.similar(F.normalize(features, dim=-1), self.prototypes.detach())
        unseen = sorted(set(range(said.shape[1])) - set(learning.seen))
        said[:, unseen] = -1 / self.temperature  # below all that a seen class can have
        return said

    def tensors(self) -> dict[str, Tensor]:
        """Return the prototypes, now and as the task began."""
        found = {} if self.prototypes is None else {"prototypes": self.prototypes, "old": torch.tensor(self.old)}
        return found if self.begun is None else found | {"begun": self.begun}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        if tensors:
            self.prototypes = tensors["prototypes"].clone().requires_grad_()
            self.old = [int(c) for c in tensors["old"]]
            self.begun = tensors["begun"].clone() if "begun" in tensors else None


def contrast(z: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of features z (N, D) of unit length with labels y (N,); 0 without a pair.

    Of each sample with others of its label: minus the mean over those of the log share that they have among all others.
    """
    apart = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    logs = (z @ z.T / temperature).masked_fill(~apart, -torch.inf).log_softmax(-1)
    same = (y[:, None] == y[None]) & apart
    paired = same.any(1)
    if not bool(paired.any()):
        return z.sum() * 0
    return -(logs.masked_fill(~same, 0).sum(1)[paired] / same.sum(1)[paired]).mean()
