"""A frozen backbone grows an adapter in a block only where what the block reads is unlike all that its adapters know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.frozen import Adapters, Backbone, backbone_of
from mnemos.registry import Paper, register


class Descriptor(nn.Module):  # type: ignore[misc]
    """Knows what an adapter was trained on: an autoencoder of what its block reads, with the mean and deviation of its error."""

    def __init__(self, width: int, code: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(width, code, generator=generator) / width**0.5)
        self.up = nn.Parameter(torch.randn(code, width, generator=generator) / code**0.5)
        self.shift = nn.Parameter(torch.zeros(width))
        self.register_buffer("met", torch.zeros(3))  # samples, and the sums of their errors and of these squared

    def error(self, h: Tensor) -> Tensor:
        """Return the squared error (N,) of what is read of h (N, D)."""
        return (((h @ self.down).relu() @ self.up + self.shift) - h).square().sum(1)

    def meet(self, errors: Tensor, decay: float = 0.95) -> None:
        """Let the mean and deviation follow the errors (N,) of a batch, the newest most: earlier ones are of a worse code."""
        self.met.mul_(decay).add_(torch.stack([torch.tensor(float(len(errors))), errors.sum(), errors.square().sum()]))

    def far(self, h: Tensor) -> Tensor:
        """Return by how many deviations (N,) the error of h is above the mean."""
        count, total, squares = self.met.unbind()
        mean = total / count
        return (self.error(h) - mean) / (squares / count - mean.square()).clamp_min(1e-12).sqrt()


class Grown(nn.Module):  # type: ignore[misc]
    """A frozen backbone whose blocks each have adapters, their descriptors, and a router over them."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = cast(nn.Module, backbone)
        self.adapters = nn.ModuleList(nn.ModuleList() for _ in range(backbone.depth))
        self.descriptors = nn.ModuleList(nn.ModuleList() for _ in range(backbone.depth))
        self.routes = nn.ModuleList(nn.ParameterList() for _ in range(backbone.depth))  # (D + 1,) of each adapter
        self.read: list[Tensor] = []  # what each block read in the last pass: means over positions (N, D)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, classes) of x."""
        self.read = []
        base = cast(Backbone, self.backbone)
        said: Tensor = base.head(base.encode(x, None, self.adapt))
        return said

    def adapt(self, block: int, h: Tensor) -> Tensor:
        """Return what the block's adapters add to h (N, T, D): each by its share of the router's softmax."""
        read = h.mean(1)
        self.read.append(read.detach())
        if not len(self.adapters[block]):
            return torch.zeros_like(h)
        routes = torch.stack(list(self.routes[block]), 1)  # (D + 1, adapters)
        shares = (read @ routes[:-1] + routes[-1]).softmax(1)
        made = torch.stack([adapter(0, h) for adapter in self.adapters[block]], 1)
        return (shares[:, :, None, None] * made).sum(1)

    def grow(self, block: int, bottleneck: int, code: int, generator: torch.Generator) -> None:
        """Give a block one more adapter, and freeze the others with their descriptors and routes."""
        width = cast(Backbone, self.backbone).width
        for held in (self.adapters[block], self.descriptors[block], self.routes[block]):
            held.requires_grad_(False)
        self.adapters[block].append(Adapters(1, width, bottleneck, generator))
        self.descriptors[block].append(Descriptor(width, code, generator))
        self.routes[block].append(nn.Parameter(torch.randn(width + 1, generator=generator) / width**0.5))

    def settle(self) -> None:
        """Freeze all adapters, descriptors and routes."""
        for held in (self.adapters, self.descriptors, self.routes):
            held.requires_grad_(False)

    @property
    def counts(self) -> list[int]:
        """Return how many adapters each block has."""
        return [len(found) for found in self.adapters]


@register(
    "self-expansion",
    papers=(Paper("Self-Expansion of Pre-trained Models with Mixture of Adapters for Continual Learning", "2403.18886"),),
    task="classes in sequence",
    baselines=("plain", "adapter-pool")
)  # fmt: skip
@dataclass
class SelfExpansion(Strategy):
    """Adds an adapter to a block of a frozen backbone when the first batch of a task is unlike all that its adapters know.

    Unlike: each of the block's descriptors reads the batch with an error more than `threshold` deviations above those it was
    trained on, in the mean. Blocks are asked from the first to the last; all begin with one adapter at the first batch. The new
    adapter, its descriptor and its route are trained, those before are frozen; a task that is alike trains the head alone. A
    softmax over routes mixes a block's adapters. No samples are stored. The model is a `Backbone`.
    """

    threshold: float = 1.0  # deviations above the mean error
    bottleneck: int = 8  # units of an adapter
    code: int = 4  # units of a descriptor
    model: Grown | None = field(init=False, repr=False, default=None)
    new: bool = field(init=False, repr=False, default=False)  # the next batch is the first of its task
    grown: list[int] = field(init=False, repr=False, default_factory=list)  # blocks, in the order in which they grew

    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "pool before a backbone"

    def __post_init__(self) -> None:
        if self.bottleneck < 1 or self.code < 1:
            raise InvalidInput("bottleneck and code are numbers of units: give at least 1.")

    def before_task(self, learning: Learning) -> None:
        """Wait for the first batch of the task; what earlier tasks trained is frozen."""
        if self.model is None:
            self._begin(learning)
        self._grown.settle()
        self.new = True

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Grow where the first batch of a task is unlike what is known; return the error of the descriptors that are trained."""
        model = self._grown
        if self.new:
            self.new = False
            for block in self.unlike(step.batch.x):
                self._grow(learning, block)
            learning.rebuild()
        step.logits()
        terms = []
        for block, h in enumerate(model.read):
            newest = model.descriptors[block][-1]
            if newest.down.requires_grad:
                errors = newest.error(h[: len(step.batch.x)])
                newest.meet(errors.detach())
                terms.append(errors.mean())
        return torch.stack(terms).sum() if terms else None

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def unlike(self, x: Tensor) -> list[int]:
        """Return the blocks that read x unlike all that their adapters know; all before there is any adapter."""
        model = self._grown
        model(x)
        return [
            block
            for block, h in enumerate(model.read)
            if all(float(d.far(h).mean()) > self.threshold for d in model.descriptors[block])
        ]

    def tensors(self) -> dict[str, Tensor]:
        """Return which blocks grew in which order; the adapters are in the model."""
        if self.model is None:
            return {}
        trained = [
            int(any(p.requires_grad for p in self.model.adapters[b].parameters()))
            for b in range(len(self.model.adapters))
        ]
        return {
            "grown": torch.tensor(self.grown, dtype=torch.long),
            "new": torch.tensor(self.new),
            "trained": torch.tensor(trained),
        }

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Make the same room again; adapters are loaded with the model."""
        if self.model is not None:
            learning.model, self.model, self.grown = self.model.backbone, None, []
        if not tensors:
            return
        self._begin(learning)
        for block in tensors["grown"].tolist():
            self._grow(learning, block)
        for block, trained in enumerate(tensors["trained"].tolist()):
            if not trained:
                for held in (self._grown.adapters, self._grown.descriptors, self._grown.routes):
                    held[block].requires_grad_(False)
        self.new = bool(tensors["new"])

    @property
    def nbytes(self) -> int:
        """Bytes of adapters, descriptors and routes."""
        if self.model is None:
            return 0
        parts = (self.model.adapters, self.model.descriptors, self.model.routes)
        return int(sum(t.numel() * t.element_size() for part in parts for t in part.state_dict().values()))

    @property
    def _grown(self) -> Grown:
        assert self.model is not None
        return self.model

    def _begin(self, learning: Learning) -> None:
        self.model = Grown(backbone_of(learning.model))
        learning.model = self.model

    def _grow(self, learning: Learning, block: int) -> None:
        self._grown.grow(block, self.bottleneck, self.code, learning.generator)
        self.grown.append(block)
