"""Sparse units that are frozen with age, and rehearsal of the last classes' activations alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.rounding import Rounded, RoundToNearest
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.relation_distillation import contrast
from mnemos.parametric.consolidate.units import Units
from mnemos.registry import Paper, register

PHASES = 30  # the share of activity of chosen units falls as (1 + cos(pi n / PHASES)) / 2 in phase n
BITS = 8  # a number that is held
PARTS = ("planes", "scale", "low")  # tensors of rounded rows


@register(
    "sparse-activation-replay",
    papers=(
        Paper(
            "SHARP: Sparsity and Hidden Activation RePlay for Neuro-Inspired Continual Learning",
            "2305.18563",
            "BurakGurbuz97/SHARP-Continual-Learning",
        ),
    ),
    task="classes in sequence",
    baselines=("replay", "latent-replay"),
)
@dataclass
class SparseReplay(Strategy):
    """Learns each task by units that are frozen once their classes are rehearsed no longer (SHARP).

    The model is an nn.Sequential of linear layers and activations; its first `lower` parts are frozen after the first task. In
    phases of `every` steps the most active units above are chosen and rewired (`Units`); at the task's end they are promoted,
    and the free ones drawn anew. Features learn by their labels' contrast, together with activations of the last tasks'
    classes, eight bits a number. The answer is a vote of the k nearest features held of all classes, each compared by
    the units that were there when its class was learned. The model's own classifier is not used.

    Deviations: what is held for answers is of eight bits too; free units are drawn by He's rule over all inputs.
    """

    each: int = 25  # activations, and features, that are held a class
    last: int = 1  # tasks whose classes are rehearsed; units of these are not frozen yet
    lower: int = 2  # parts of the model that are frozen
    density: float = 0.4  # share of connections
    least: float = 0.4  # share of a layer's activity that chosen units have at least
    every: int = 60  # steps of a phase
    temperature: float = 0.05  # of the contrast
    k: int = 5  # neighbours that vote
    units: Units | None = field(init=False, repr=False, default=None)
    held: dict[int, Rounded] = field(init=False, repr=False, default_factory=dict)  # activations, by class
    met: dict[int, Rounded] = field(init=False, repr=False, default_factory=dict)  # features, by class
    born: dict[int, int] = field(init=False, repr=False, default_factory=dict)  # the how manyth task a class came in
    begun: int = field(init=False, repr=False, default=0)  # step at which the task began
    before: list[tuple[Tensor, Tensor, Tensor]] = field(init=False, repr=False, default_factory=list)  # of frozen units

    stores_samples: ClassVar[bool] = True
    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "model that is served"

    def __post_init__(self) -> None:
        if min(self.each, self.last, self.every, self.k) < 1 or not 0 < self.density <= 1 or not 0 < self.least <= 1:
            raise InvalidInput("each, last, every and k are counts from 1, density and least shares above 0.")
        self.recent = 20 * self.each

    def before_task(self, learning: Learning) -> None:
        """Draw connections before the first task."""
        self.begun = learning.steps
        if self.units is None:
            self.units = Units(self.layers(learning), self.density, learning.generator)

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return the contrast of the new samples and as many held ones, in the place of the model's own loss."""
        passed = learning.steps - self.begun
        if passed % self.every == 0:
            seen = learning.recent.held[0] if learning.recent is not None else step.batch.x
            self.rewire(learning, seen, passed // self.every + 1)
        step.weight = 0.0
        z, y = step.features(), step.batch.y
        if self.held:
            old, labels = self.activations()
            rows = torch.randperm(len(labels), generator=learning.generator)[: len(y)]
            z, y = torch.cat([z, self.features(learning, old[rows])]), torch.cat([y, labels[rows]])
        return contrast(F.normalize(z * (self.known.ages[-1] > 0), dim=-1), y, self.temperature)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def rewire(self, learning: Learning, x: Tensor, phase: int) -> None:
        """Choose units by what samples make of them, and rewire."""
        z, active = self.parts(learning)[: self.lower](x), []
        for part in self.parts(learning)[self.lower : -1]:
            z = part(z)
            if not isinstance(part, nn.Linear):
                active.append(z.relu().sum(0))
        share = max(self.least, (1 + math.cos(math.pi * phase / PHASES)) / 2 if phase < PHASES else 0.0)
        self.known.choose(active, share)
        self.known.rewire(learning.generator)

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Remember what must not change."""
        self.before = self.known.frozen(self.last + 1)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Put it back, whatever the optimiser did, and let no other connection grow."""
        for p, rows, values in self.before:
            p[rows] = values
        self.known.cut()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_task(self, learning: Learning) -> None:
        """Promote the chosen units, hold activations of the new classes, and features of all that are rehearsed."""
        assert learning.recent is not None  # `recent` is not 0
        self.known.promote()
        if learning.tasks == 1:
            self.parts(learning)[: self.lower].requires_grad_(False)
            learning.rebuild()
        x, y = learning.recent.held[:2]
        for c in y.unique().tolist():
            self.born[c] = learning.tasks
            self.held[c] = rounded(self.parts(learning)[: self.lower](x[y == c][: self.each]))
        self.known.redraw(learning.generator)
        for c, z in self.held.items():
            self.met[c] = rounded(self.features(learning, z.decompress()))
        rehearsed = sorted(c for c in self.held if learning.tasks - self.born[c] < self.last)
        self.held = {c: self.held[c] for c in rehearsed}

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return the votes of the nearest features; the nearest decides where two classes have as many."""
        if not self.met:
            return None
        z = self.features(learning, self.parts(learning)[: self.lower](x))
        newest, near, labels = max(self.born.values()), [], []
        for c, held in self.met.items():
            mask = self.known.ages[-1] >= 2 + newest - self.born[c]
            near.append(F.normalize(z * mask, dim=-1) @ F.normalize(held.decompress() * mask, dim=-1).T)
            labels += [c] * near[-1].shape[1]
        found = torch.cat(near, 1).topk(min(self.k, len(labels)))
        votes = torch.zeros(len(x), self.parts(learning)[-1].out_features)
        return votes.scatter_add_(1, torch.tensor(labels)[found.indices], 1 + 1e-3 * found.values)

    def features(self, learning: Learning, z: Tensor) -> Tensor:
        """Return features (N, D) of activations (N, H) of the lower parts."""
        said: Tensor = self.parts(learning)[self.lower : -1](z)
        return said

    def activations(self) -> tuple[Tensor, Tensor]:
        """Return the activations (N, H) that are rehearsed, and their classes."""
        parts = [z.decompress() for z in self.held.values()]
        return torch.cat(parts), torch.cat([torch.full((len(z),), c) for c, z in zip(self.held, parts, strict=True)])

    @property
    def known(self) -> Units:
        """The units."""
        assert self.units is not None  # made before the first task
        return self.units

    def parts(self, learning: Learning) -> nn.Sequential:
        """Return the model. Raises InvalidInput where it is no sequence that ends with its classifier."""
        model = learning.model
        if not isinstance(model, nn.Sequential) or model[-1] is not learning.classifier or len(model) < self.lower + 3:
            raise InvalidInput(
                f"the model is no nn.Sequential of {self.lower} lower parts, hidden layers and a last nn.Linear: make it one."
            )
        return model

    def layers(self, learning: Learning) -> list[nn.Linear]:
        """Return the layers between the lower parts and the classifier."""
        return [m for m in self.parts(learning)[self.lower : -1] if isinstance(m, nn.Linear)]

    def tensors(self) -> dict[str, Tensor]:
        """Return ages, connections (eight a byte), and what is held."""
        if self.units is None:
            return {}
        found = {"begun": torch.tensor(self.begun), "born": torch.tensor([list(pair) for pair in self.born.items()])}
        for number, (ages, mask) in enumerate(zip(self.units.ages, self.units.masks, strict=True)):
            found |= {f"ages.{number}": ages, f"mask.{number}": torch.from_numpy(np.packbits(mask.flatten().numpy()))}
        for name, of in (("held", self.held), ("met", self.met)):
            for c, z in of.items():
                found |= {f"{name}.{c}.{part}": getattr(z, part) for part in PARTS}
        return found

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back, and freeze the lower parts where a task has ended."""
        if not tensors:
            return
        self.begun = int(tensors["begun"])
        self.born = {int(c): int(n) for c, n in tensors["born"].tolist()}
        self.units = Units(self.layers(learning), 1.0, torch.Generator())
        for number, mask in enumerate(self.units.masks):
            self.units.ages[number] = tensors[f"ages.{number}"].clone()
            bits = np.unpackbits(tensors[f"mask.{number}"].numpy(), count=mask.numel())
            mask.copy_(torch.from_numpy(bits).view(mask.shape))
        layers = self.units.layers
        for name, of, width in (("held", self.held, layers[0].in_features), ("met", self.met, layers[-1].out_features)):
            for c in sorted(self.born):
                if f"{name}.{c}.planes" in tensors:
                    planes, scale, low = (tensors[f"{name}.{c}.{part}"].clone() for part in PARTS)
                    of[c] = Rounded(planes, scale, low, width, width, torch.float32)
        if self.born:
            self.parts(learning)[: self.lower].requires_grad_(False)
            learning.rebuild()


def rounded(z: Tensor) -> Rounded:
    """Return rows (N, D) at eight bits a number, with a range for each row."""
    return RoundToNearest(BITS, z.shape[1]).compress(z)
