"""Training at a fixed sparsity: few weights, few samples and few gradients take part in a step."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register


@register(
    "sparse-training",
    papers=(Paper("SparCL: Sparse Continual Learning on the Edge", "2209.09476"),),
    task="classes in sequence",
    baselines=("replay", "dark-experience-replay"),
)
@dataclass
class SparseTraining(Strategy):
    """Keeps a share of every matrix and trains that alone; compose it with rehearsal, which it stands before (SparCL).

    At the first step of a task `extra` more weights are grown at zero; `span` steps later the least important are pruned, by
    |w| + gradient * |dL/dw|, where the loss is of new and held samples both. Samples that were told right the last `easy`
    times they were met are left out. Of the gradients only the largest share `updated` is applied. `work` counts
    multiplications: a row costs one for every weight in use forward, one backward, and one for its gradient.
    """

    density: float = 0.25  # share of each matrix that is used
    extra: float = 0.1  # share that is grown when a task begins, and pruned again
    span: int = 50  # steps until it is pruned
    gradient: float = 1.0  # weight of the gradient in the importance; 0: magnitude alone
    easy: int = 0  # times in a row that a sample is told right before it is left out; 0: none is
    updated: float = 1.0  # share of gradients that is applied
    masks: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)
    rights: dict[float, int] = field(init=False, repr=False, default_factory=dict)  # by sample: right in a row
    begun: int = field(init=False, repr=False, default=-1)  # step at which weights were grown; -1: pruned since
    work: float = field(init=False, repr=False, default=0.0)

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1 or not 0 < self.updated <= 1 or self.extra < 0 or self.density + self.extra > 1:
            raise InvalidInput("density and updated are shares above 0, and density with extra at most 1.")

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def before_task(self, learning: Learning) -> None:
        """Draw the first mask; later, grow."""
        for name, w in learning.weights().items():
            if w.dim() > 1:
                if name not in self.masks:
                    self.masks[name] = drawn(torch.zeros_like(w, dtype=torch.bool), self.density, learning.generator)
                    w.mul_(self.masks[name])
                elif self.extra:
                    self.masks[name] = drawn(self.masks[name], self.extra, learning.generator)
        if learning.tasks > 1 and self.extra:
            self.begun = learning.steps

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Leave out samples that are easy."""
        if self.easy:
            hard = torch.tensor([self.rights.get(k, 0) < self.easy for k in keys(step.batch.x)])
            if not bool(hard.all()) and bool(hard.any()):
                step.replace(step.batch.rows(hard))
        return None

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_backward(self, learning: Learning, step: Step) -> None:
        """Keep the gradients of the weights in use, or the largest of these."""
        for name, w in learning.weights().items():
            if name in self.masks and w.grad is not None:
                w.grad.mul_(self.masks[name])
                if self.updated < 1:
                    count = int(self.updated * int(self.masks[name].sum()))
                    least = w.grad.abs().flatten().topk(max(1, count)).values[-1]
                    w.grad.mul_(w.grad.abs() >= least)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Hold what is not used at zero, prune when it is time, and note which samples were told right."""
        weights = learning.weights()
        due = self.begun >= 0 and learning.steps - self.begun >= self.span
        for name, mask in self.masks.items():
            w = weights[name]
            if due:
                grad = torch.zeros_like(w) if w.grad is None else w.grad
                value = torch.where(mask, w.abs() + self.gradient * grad.abs(), -torch.inf)
                kept = value.flatten().topk(round(self.density * w.numel())).indices
                mask.zero_().view(-1)[kept] = True
            w.mul_(mask)
        if due:
            self.begun = -1
        rows = sum(len(b.x) for b in step.batches)
        self.work += 3 * rows * sum(int(mask.sum()) for mask in self.masks.values())
        if self.easy:
            right = (step.logits().argmax(-1) == step.batch.y).tolist()
            for k, told in zip(keys(step.batch.x), right, strict=True):
                self.rights[k] = self.rights.get(k, 0) + 1 if told else 0

    def tensors(self) -> dict[str, Tensor]:
        """Return masks, and what is known of samples."""
        if not self.masks:
            return {}
        found = {f"mask.{name}": mask for name, mask in self.masks.items()}
        known = torch.tensor([[k, float(n)] for k, n in self.rights.items()], dtype=torch.float64).view(-1, 2)
        return found | {"state": torch.tensor([float(self.begun), self.work], dtype=torch.float64), "rights": known}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.masks = {n.removeprefix("mask."): t.clone() for n, t in tensors.items() if n.startswith("mask.")}
        if tensors:
            begun, self.work = tensors["state"].tolist()
            self.begun = int(begun)
            self.rights = {k: int(n) for k, n in tensors["rights"].tolist()}


def drawn(mask: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return a mask with a share of all places more, drawn among those that it has not."""
    free = (~mask).flatten().nonzero().flatten()
    count = min(len(free), round(share * mask.numel()))
    found = mask.clone()
    found.view(-1)[free[torch.randperm(len(free), generator=generator)[:count]]] = True
    return found


def keys(x: Tensor) -> list[float]:
    """Return a number for each sample by which it is known again."""
    flat = x.flatten(1).double()
    found: list[float] = (flat @ torch.arange(1, flat.shape[1] + 1, dtype=torch.float64).sqrt()).tolist()
    return found
