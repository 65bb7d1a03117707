"""Intervals of weights: five tasks of two digits each, told as the first or the second, by networks anywhere in a box.

"sampled %" and "lowest %" are of 20 draws of the weights in the box of each earlier task, at the end; "corner %" is of the corner
of the box to which the gradient of the loss points, "surely %" where no network of the box answers otherwise, by interval
arithmetic. A plain hypernetwork has no boxes: its weights are moved by the radii of those with boxes, of the same seed; "wide" by
those of the wide ones. "one set of weights %" is where no task is named. Rates and knobs are chosen on a seed that is
not reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from mnemos.bench.parametric.learning.lives import Life, accuracy, perceptron
from mnemos.bench.parametric.learning.rehearsal import SIDE
from mnemos.bench.parametric.learning.streams import Labelled, Task, digits, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.hyper_interval import HyperInterval
from mnemos.parametric.consolidate.hypernetwork import Hypernetwork
from mnemos.parametric.consolidate.intervals import Box, answers, check, worst
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.made import Made

CHUNK, DRAWS = 500, 20
NARROW, WIDE = 0.03, 0.1  # radii of embeddings
Boxes = Mapping[str, Box]  # of all weights of a model, by name


def measure(options: Any) -> dict[str, Row]:
    """Return every row."""
    tasks = split(digits(options.data, side=SIDE).fewer(train=300, test=40), within=True)
    lent: dict[int, dict[float, list[Boxes]]] = {}  # by seed and radius, of the boxes that are measured first

    def also(learner: Learner, tasks: Sequence[Task]) -> dict[str, float]:
        return within(learner, tasks, lent)

    strengths = (1e-3, 1e-2)
    trials = {
        "hypernetwork of boxes": Trial(lambda s: HyperInterval(s, radius=NARROW, chunk=CHUNK), strengths, (1e-2,)),
        "hypernetwork of wide boxes": Trial(lambda s: HyperInterval(s, radius=WIDE, chunk=CHUNK), strengths, (1e-2,)),
        "hypernetwork of boxes that share a region": Trial(
            lambda s: HyperInterval(s, radius=1.0, chunk=CHUNK), (1e-3, 1e-2, 1e-1), (1e-2,)
        ),
        "hypernetwork": Trial(lambda s: Hypernetwork(s, chunk=CHUNK), strengths, (1e-2,)),
        "boxes of weights": Trial(WeightBoxes, (0.1, 0.3, 1.0), (1e-3, 3e-3)),
        "plain": Trial(rates=(1e-3, 3e-3)),
    }  # fmt: skip
    life = Life(batch=25, epochs=8, asked=True)
    setting = Setting(
        lambda _: tasks, lambda seed: perceptron((SIDE**2, 100, 2), seed), life, {"scenario": "domain"}, also, torch.optim.Adam
    )  # fmt: skip
    return beside(setting, trials, options.seeds)


def within(learner: Learner, tasks: Sequence[Task], lent: dict[int, dict[float, list[Boxes]]]) -> dict[str, float]:
    """Return the accuracies in the boxes of earlier tasks, and of one set of weights for all."""
    seed, earlier = learner.generator.initial_seed(), tasks[:-1]
    one = {"one set of weights %": fmean(_one(learner, task.test) for task in tasks)}
    first = learner.strategies[0] if learner.strategies else None
    own: list[Boxes]
    if isinstance(first, HyperInterval):
        with torch.no_grad():
            own = [first.generated.boxes(first.generated.centre(task), first.radius) for task in range(len(earlier))]
        lent.setdefault(seed, {})[first.radius] = own
        return in_boxes(learner, own, earlier) | one
    if isinstance(first, WeightBoxes):
        own = [_moved({n: w.detach() for n, w in learner.model.named_parameters()}, first.boxes(learner))] * len(
            earlier
        )
        return in_boxes(learner, own, earlier) | one
    if not isinstance(first, Hypernetwork):
        return one
    with torch.no_grad():
        near, far = ([_moved(first.generated(t, {}), b) for t, b in enumerate(lent[seed][r])] for r in (NARROW, WIDE))
    wide = {name.replace(" %", ", wide %"): f for name, f in in_boxes(learner, far, earlier).items() if "%" in name}
    return in_boxes(learner, near, earlier) | wide | one


def in_boxes(learner: Learner, found: Sequence[Boxes], tasks: Sequence[Task]) -> dict[str, float]:
    """Return the accuracies in the boxes of tasks, and how large these are."""
    generator = torch.Generator().manual_seed(learner.generator.initial_seed())
    inner = check(learner.model.inner if isinstance(learner.model, Made) else learner.model)
    pairs = [(boxes, task.test) for boxes, task in zip(found, tasks, strict=True)]
    sampled = [
        _right(inner, {n: b.drawn(generator) for n, b in boxes.items()}, part)
        for boxes, part in pairs
        for _ in range(DRAWS)
    ]
    with torch.no_grad():
        sure = [float((worst(answers(inner, b, p.x), p.y).argmax(-1) == p.y).float().mean()) for b, p in pairs]
        sizes = [
            float(sum(b.radius.sum() for b in boxes.values()) / sum(b.centre.abs().sum() for b in boxes.values()))
            for boxes in found
        ]
    return {
        "sampled %": fmean(sampled), "lowest %": min(sampled),
        "corner %": fmean(_right(inner, corner(inner, boxes, part), part) for boxes, part in pairs),
        "surely %": fmean(sure), "radius, in sizes of weights": fmean(sizes),
    }  # fmt: skip


def corner(model: Any, boxes: Boxes, part: Labelled) -> dict[str, Tensor]:
    """Return the weights at the corner of their boxes to which the gradient of the loss points from the middle."""
    middle = {n: b.centre.detach().clone().requires_grad_() for n, b in boxes.items()}
    loss = F.cross_entropy(functional_call(model, middle, (part.x,)), part.y)
    back = torch.autograd.grad(loss, list(middle.values()))
    return {n: b.centre + b.radius * g.sign() for (n, b), g in zip(boxes.items(), back, strict=True)}


def _moved(weights: Mapping[str, Tensor], boxes: Boxes) -> Boxes:
    return {name: Box(w, boxes[name].radius) for name, w in weights.items()}


@torch.no_grad()  # type: ignore[untyped-decorator]
def _right(model: Any, weights: Mapping[str, Tensor], part: Labelled) -> float:
    return float((functional_call(model, dict(weights), (part.x,)).argmax(-1) == part.y).float().mean())


def _one(learner: Learner, part: Labelled) -> float:
    """Return the accuracy of one set of weights: of a plain hypernetwork, those of the mean of all embeddings."""
    first = learner.strategies[0] if learner.strategies else None
    if not isinstance(first, Hypernetwork) or isinstance(first, HyperInterval) or first.model is None:
        return accuracy(learner, part)
    made = first.generated
    with torch.no_grad():
        mean = torch.stack([made.embeddings[str(t)] for t in made.tasks]).mean(0)
        found: float = _right(first.model.inner, made.cut(made.network(mean).flatten()), part)
        return found


@dataclass
class WeightBoxes(Strategy):
    """Trains weights and the worst of a box around them; the box of a later task lies within that of the task before.

    InterContiNet (arXiv 2206.07996) with radii that are not learned: each task's are `shrink` times those of the task before.
    """

    radius: float = 0.3  # of a weight in the first task, in mean sizes of its matrix at first
    shrink: float = 0.7  # of the radius from task to task
    worst: float = 0.3  # share of the loss that is of the worst logits
    warm: int = 100  # steps of the first task until radius and share are reached
    bounds: dict[str, Box] = field(init=False, repr=False, default_factory=dict)  # the boxes of the task before
    radii: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # of the task now, a number a matrix

    needs_tasks = True

    def before_task(self, learning: Learning) -> None:
        """Take the boxes of the task before as bounds, and make the radii smaller."""
        weights = dict(check(learning.model).named_parameters())
        if self.radii:
            self.bounds = {n: Box(w.detach().clone(), r) for n, (w, r) in self.boxes(learning).items()}
            self.radii = {name: self.shrink * r for name, r in self.radii.items()}
        else:  # a bias has the radius of its layer's weights
            of = {n: weights[f"{n.rpartition('.')[0]}.weight"] for n in weights}
            self.radii = {n: self.radius * w.detach().abs().mean() for n, w in of.items()}

    def boxes(self, learning: Learning) -> dict[str, Box]:
        """Return the box of each weight."""
        return {n: Box(w, self.radii[n].expand_as(w)) for n, w in learning.model.named_parameters()}

    def loss(self, learning: Learning, step: Step) -> Tensor:
        """Return what the worst logits of the box cost."""
        done = 1.0 if self.bounds else min(1.0, (learning.steps + 1) / self.warm)
        step.weight *= 1 - done * self.worst
        boxes = {name: Box(w, done * r) for name, (w, r) in self.boxes(learning).items()}
        said = answers(check(learning.model), boxes, step.batch.x)
        return done * self.worst * learning.cost(worst(said, step.batch.y), step.batch)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Put weights back into the bounds."""
        for name, w in learning.model.named_parameters() if self.bounds else ():
            (centre, wide), r = self.bounds[name], self.radii[name]
            w.copy_(torch.maximum(torch.minimum(w, centre + wide - r), centre - wide + r))
