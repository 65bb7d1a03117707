"""Channels of a frozen network are remapped for each task, by a small kernel each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnemos.parametric.consolidate.made import Maker, MakesWeights, Weights, head_of
from mnemos.registry import Paper, register


class Channels(nn.Module):  # type: ignore[misc]
    """A layer whose channels are remapped, at first to themselves: by a kernel each after a convolution, else by a factor."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, size: int) -> None:
        super().__init__()
        self.layer = layer
        if isinstance(layer, nn.Conv2d):
            self.kernel = nn.Parameter(torch.zeros(layer.out_channels, 1, size, size))
            self.kernel.data[:, :, size // 2, size // 2] = 1.0
        else:
            self.kernel = nn.Parameter(torch.ones(layer.out_features))
        self.shift = nn.Parameter(torch.zeros(len(self.kernel)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the remapped channels."""
        h = self.layer(x)
        if self.kernel.dim() == 1:
            return h * self.kernel + self.shift
        return nn.functional.conv2d(h, self.kernel, self.shift, padding=self.kernel.shape[-1] // 2, groups=h.shape[1])


class Own(Maker):
    """Makes nothing: tasks share what is frozen, and each has the rest for itself."""

    def __init__(self, inner: nn.Module, own: set[str]) -> None:
        self.mine = own
        super().__init__(inner)

    def makes(self, name: str, weight: Tensor) -> bool:
        """Leave to each task what it has for itself."""
        return name not in self.mine

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the frozen weights."""
        return {name: weights[name] for name in self.names}


@register(
    "channel-reprogramming",
    papers=(Paper("CLR: Channel-wise Lightweight Reprogramming for Continual Learning", "2307.11386"),),
    task="tasks in sequence",
    baselines=("plain",),
)
@dataclass
class ChannelReprogramming(MakesWeights):
    """Freezes a network and learns, for each task, a kernel a channel after its convolutions, its normalisation, and a head.

    A linear layer has a factor a unit in a kernel's place. Nothing that a task uses is changed by another, so that answers of a
    named task stay the same to the bit. A task costs kernel^2 + 1 numbers a channel, and a head.
    """

    kernel: int = 3  # side of the kernel; 0: none, a head alone (linear probing)

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Own:
        """Return what each task has for itself, once channels can be remapped."""
        head = head_of(inner)
        if self.kernel:
            insert(inner, head, self.kernel)
        own = {n for n, p in inner.named_parameters() if n.rpartition(".")[0] == head}
        if self.kernel:
            own |= set(remapped(inner))
        return Own(inner, own)


def insert(inner: nn.Module, head: str, size: int) -> None:
    """Let the channels of all layers but the head be remapped."""
    if any(isinstance(m, Channels) for m in inner.modules()):
        return
    found = [n for n, m in inner.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and n != head]
    for name in found:
        layer = inner.get_submodule(name)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        if not (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)):
            inner.set_submodule(name, Channels(layer, size))


def remapped(inner: nn.Module) -> Iterator[str]:
    """Yield the names of what remaps channels, and of normalisations."""
    for name, m in inner.named_modules():
        if isinstance(m, Channels):
            yield from (f"{name}.kernel", f"{name}.shift")
        elif isinstance(m, nn.GroupNorm | nn.LayerNorm):
            yield from (f"{name}.{p}" for p, _ in m.named_parameters())
