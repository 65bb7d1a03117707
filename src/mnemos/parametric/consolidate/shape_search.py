"""Which shape of a network to give a stream, under a limit of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Shape = tuple[int, ...]  # units of the hidden layers


@register(
    "shape-search",
    papers=(
        Paper("Revisiting Neural Networks for Continual Learning: An Architectural Perspective", "2404.14829"),
        Paper("Architecture Matters in Continual Learning", "2202.00275"),
    ),
    task="classes in sequence"
)  # fmt: skip
def search(
    score: Callable[[Shape], float],
    weights: Callable[[Shape], int],
    limit: int,
    tries: int = 30,  # shapes that are scored
    depths: Sequence[int] = (1, 2, 3),  # hidden layers
    widths: Sequence[int] = (16, 24, 32, 48, 64, 96, 128, 192, 256),  # units of a layer
    seed: int = 0,  # of the draw
) -> Shape:
    """Return the shape with the highest score of those drawn at random with at most `limit` weights (ArchCraft).

    The space is restricted as the paper restricts its own: few layers, and none wider than the one before it. `score` is what a
    stream gives a learner of this shape, on data that is not reported. Costs `tries` lives. Raises InvalidInput where no shape
    has so few weights.
    """
    space = sorted({shape for depth in depths for shape in _narrowing(depth, widths) if weights(shape) <= limit})
    if not space:
        raise InvalidInput(f"no shape has at most {limit:,} weights: raise the limit, or give narrower widths.")
    drawn = torch.randperm(len(space), generator=torch.Generator().manual_seed(seed))[:tries].tolist()
    return max((space[i] for i in drawn), key=score)


def _narrowing(depth: int, widths: Sequence[int]) -> list[Shape]:
    """Return all shapes of a depth in which no layer is wider than the one before it."""
    if depth == 0:
        return [()]
    above = _narrowing(depth - 1, widths)
    return [(*shape, width) for shape in above for width in widths if not shape or width <= shape[-1]]
