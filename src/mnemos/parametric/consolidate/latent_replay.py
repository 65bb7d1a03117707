"""Rehearsal of codes: what the lower layers made of a sample, in a few bytes, in place of the sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.index.codes.product import PQ, ProductCoder
from mnemos.parametric.consolidate.base import NO_TASK, Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.registry import Paper, register


@register(
    "latent-replay",
    papers=(
        Paper("REMIND Your Neural Network to Prevent Catastrophic Forgetting", "1910.02509", "tyler-hayes/REMIND"),
    ),
    task="classes in sequence",
    baselines=("replay",),
)
@dataclass
class LatentReplay(Strategy):
    """Freezes the lower layers after the first task and rehearses their outputs, held as product-quantised codes (REMIND).

    The model is an nn.Sequential; its first `lower` parts are frozen. A held sample is `codes` bytes and a label of 8, whatever
    its size. A full buffer drops a sample of the largest class. Raises InvalidInput for another model, a width that `codes`
    does not divide, or fewer than 256 samples in the first task.
    """

    items: int = 2000  # samples that are held
    batch: int = 50  # of them, learned again at each step (r)
    lower: int = 2  # parts of the model that are frozen
    codes: int = 8  # bytes a sample
    mixup: float = 0.1  # Beta(mixup, mixup) of pairs of one draw; 0 for none
    last: int = 0  # tasks before this one whose classes are still held; 0: all
    buffer: Buffer = field(init=False, repr=False)
    levels: Tensor | None = field(init=False, repr=False, default=None)  # (codes, 256, D / codes)

    stores_samples: ClassVar[bool] = True
    needs_tasks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.buffer, self.recent = Buffer(self.items, "balanced"), 2048

    def before_task(self, learning: Learning) -> None:
        """Drop the codes of classes that were not met lately."""
        if self.last:
            self.buffer.keep(learning.lately(self.last))

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what the held codes cost; there are none in the first task."""
        if not len(self.buffer):
            return None
        codes, y = self.buffer.draw(self.batch, learning.generator)
        z = self.decoded(codes)
        _, upper = self.parts(learning)
        old, new = len(y), len(step.batch.y)
        step.weight *= new / (old + new)
        held = Batch(z, y, torch.full_like(y, NO_TASK))
        if not self.mixup:
            return old / (old + new) * learning.cost(upper(z), held)
        other = torch.randperm(old, generator=learning.generator)
        share = float(_beta(self.mixup, learning.generator))
        logits = upper(share * z + (1 - share) * z[other])
        cost = share * learning.cost(logits, held) + (1 - share) * learning.cost(logits, held._replace(y=y[other]))
        return old / (old + new) * cost

    def after_step(self, learning: Learning, step: Step) -> None:
        """Encode the new samples and show them to the buffer, once there are codes."""
        if self.levels is not None:
            self.hold(learning, step.batch.x, step.batch.y)

    def after_task(self, learning: Learning) -> None:
        """After the first task freeze the lower layers, fit the codes to it, and hold its samples."""
        if self.levels is not None or learning.recent is None:
            return
        lower, _ = self.parts(learning)
        with torch.no_grad():
            seen = lower(learning.recent.held[0])
        coder = PQ(self.codes).fit(seen.numpy())
        self.levels = torch.from_numpy(coder.centroids)
        self.freeze(learning)
        self.hold(learning, *learning.recent.held[:2])

    def freeze(self, learning: Learning) -> None:
        """Train the lower layers no longer."""
        self.parts(learning)[0].requires_grad_(False)
        learning.rebuild()

    def hold(self, learning: Learning, x: Tensor, y: Tensor) -> None:
        """Show samples to the buffer, as codes."""
        lower, _ = self.parts(learning)
        with torch.no_grad():
            seen = lower(x).numpy()
        codes = self.coder(seen.shape[1]).encode(seen)
        self.buffer.see(torch.from_numpy(codes), y, generator=learning.generator)

    def coder(self, width: int) -> ProductCoder:
        """Return what makes codes of outputs (N, width) of the lower layers."""
        assert self.levels is not None  # made in the first task
        levels = self.levels.numpy()
        return ProductCoder(levels, levels, np.eye(width, dtype=np.float32))

    def decoded(self, codes: Tensor) -> Tensor:
        """Return the outputs (N, D) of the lower layers that codes (N, codes) stand for."""
        assert self.levels is not None  # made before any codes
        return self.levels[torch.arange(self.codes), codes.long()].flatten(1)

    def parts(self, learning: Learning) -> tuple[nn.Sequential, nn.Sequential]:
        """Return the lower and the upper layers. Raises InvalidInput for a model that is no longer sequence of parts."""
        model = learning.model
        if not isinstance(model, nn.Sequential) or len(model) <= self.lower:
            raise InvalidInput(
                f"the model is no nn.Sequential of more than {self.lower} parts: make it one, or lower less."
            )
        return model[: self.lower], model[self.lower :]

    def tensors(self) -> dict[str, Tensor]:
        """Return codes and centroids."""
        return {} if self.levels is None else self.buffer.tensors() | {"levels": self.levels}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back, and freeze the lower layers."""
        if tensors:
            self.levels = tensors["levels"].clone()
            self.buffer.load({name: t for name, t in tensors.items() if name != "levels"})
            self.freeze(learning)


def _beta(shape: float, generator: torch.Generator) -> Tensor:
    """Return a draw of Beta(shape, shape), by Johnk's algorithm."""
    while True:
        u, v = (torch.rand(2, generator=generator, dtype=torch.float64) ** (1 / shape)).unbind()
        if 0 < float(u + v) <= 1:
            return u / (u + v)
