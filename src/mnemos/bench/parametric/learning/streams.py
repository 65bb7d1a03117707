"""Streams of tasks, made of labelled images: classes in turn, pixels permuted, images turned, classes that recur."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import NotFound


class Labelled(NamedTuple):
    """x (N, D) and y (N,)."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Task:
    """What is learned, and what is asked."""

    train: Labelled
    test: Labelled


@dataclass(frozen=True)
class Images:
    """Training and test images of some classes, x (N, side^2) from 0 to 1."""

    train: Labelled
    test: Labelled
    side: int

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.train.y.max()) + 1

    def fewer(self, train: int, test: int, seed: int = 0) -> Images:
        """Return at most so many images of each class, drawn by a seed."""
        return Images(_each(self.train, train, seed), _each(self.test, test, seed), self.side)


def digits(data: Path, side: int = 28) -> Images:
    """Return the handwritten digits of a folder with mnist/mnist.npz, averaged to side x side pixels.

    Raises NotFound where they are not there.
    """
    path = data / "mnist" / "mnist.npz"
    if not path.exists():
        raise NotFound(f"{path} is not there: give a folder with mnist/mnist.npz as --data.")
    with np.load(path) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in ("x_train", "y_train", "x_test", "y_test")}

    def images(name: str) -> Labelled:
        x = arrays[f"x_{name}"].float().div(255)
        if side != x.shape[-1]:
            x = F.adaptive_avg_pool2d(x[:, None], side)[:, 0]
        return Labelled(x.flatten(1), arrays[f"y_{name}"].long())

    return Images(images("train"), images("test"), side)


def glyphs(
    classes: int = 10, side: int = 8, train: int = 40, test: int = 20, noise: float = 0.25, seed: int = 0
) -> Images:
    """Return images that need no data: each class a pattern of random strokes, shifted by up to a pixel, with noise."""
    generator = torch.Generator().manual_seed(seed)
    patterns = F.interpolate(torch.rand(classes, 1, side // 2, side // 2, generator=generator), size=side)[:, 0].round()

    def drawn(each: int) -> Labelled:
        y = torch.arange(classes).repeat_interleave(each)
        x = patterns[y]
        moves = torch.randint(-1, 2, (len(y), 2), generator=generator).tolist()
        x = torch.stack([image.roll(move, (0, 1)) for image, move in zip(x, moves, strict=True)])
        return Labelled((x + noise * torch.randn(x.shape, generator=generator)).clamp(0, 1).flatten(1), y)

    return Images(drawn(train), drawn(test), side)


def split(images: Images, each: int = 2, order: Sequence[int] | None = None, within: bool = False) -> list[Task]:
    """Return tasks of `each` classes in turn; `within`: labels are 0 to each - 1 in every task (domain-incremental)."""
    classes = list(range(images.classes)) if order is None else list(order)
    groups = [classes[i : i + each] for i in range(0, len(classes), each)]
    return [Task(_of(images.train, group, within), _of(images.test, group, within)) for group in groups]


def permuted(images: Images, tasks: int, seed: int, share: float = 1.0) -> list[Task]:
    """Return the same images with pixels in other places: the first task as they are, then a `share` of them permuted."""
    generator = torch.Generator().manual_seed(seed)
    size, found = images.train.x.shape[1], [Task(images.train, images.test)]
    for _ in range(tasks - 1):
        places = torch.arange(size)
        some = torch.randperm(size, generator=generator)[: int(share * size)]
        places[some] = some[torch.randperm(len(some), generator=generator)]
        found.append(Task(*(Labelled(part.x[:, places], part.y) for part in (images.train, images.test))))
    return found


def rotated(images: Images, degrees: Sequence[float]) -> list[Task]:
    """Return the same images turned by some angles, one task each (bilinear, about the middle)."""
    return [
        Task(turned(images.train, images.side, angle), turned(images.test, images.side, angle)) for angle in degrees
    ]


def turned(images: Labelled, side: int, degrees: float) -> Labelled:
    """Return images turned about their middle."""
    angle = torch.tensor(degrees * torch.pi / 180)
    turn = torch.stack(
        [
            torch.stack([angle.cos(), -angle.sin(), torch.zeros(())]),
            torch.stack([angle.sin(), angle.cos(), torch.zeros(())]),
        ]
    )
    parts = []
    for x in images.x.view(-1, 1, side, side).split(10_000):
        grid = F.affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
        parts.append(F.grid_sample(x, grid, align_corners=False).flatten(1))
    return Labelled(torch.cat(parts), images.y)


def recurring(images: Images, tasks: int, each: int, samples: int, seed: int) -> list[Task]:
    """Return many small tasks of random classes, which come back (SCoLe, arXiv 2207.04543); all are tested on all classes."""
    generator = torch.Generator().manual_seed(seed)
    places = [(images.train.y == c).nonzero().flatten() for c in range(images.classes)]
    found = []
    for _ in range(tasks):
        chosen = torch.randperm(images.classes, generator=generator)[:each].tolist()
        rows = torch.cat(
            [p[torch.randint(len(p), (samples // each,), generator=generator)] for p in (places[c] for c in chosen)]
        )
        found.append(Task(Labelled(images.train.x[rows], images.train.y[rows]), images.test))
    return found


def joint(tasks: Sequence[Task]) -> Task:
    """Return all tasks as one."""
    return Task(
        *(
            Labelled(torch.cat([p.x for p in parts]), torch.cat([p.y for p in parts]))
            for parts in ([t.train for t in tasks], [t.test for t in tasks])
        )
    )


def _of(part: Labelled, classes: Sequence[int], within: bool) -> Labelled:
    rows = torch.isin(part.y, torch.tensor(classes)).nonzero().flatten()
    y = part.y[rows]
    if within:
        y = torch.stack([y == c for c in classes], 1).long().argmax(1)
    return Labelled(part.x[rows], y)


def _each(part: Labelled, count: int, seed: int) -> Labelled:
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for c in part.y.unique().tolist():
        found = (part.y == c).nonzero().flatten()
        rows.append(found[torch.randperm(len(found), generator=generator)[:count]])
    return Labelled(part.x[torch.cat(rows)], part.y[torch.cat(rows)])
