"""What is held of features: with a small replay, over classes in turn, over domains, over tasks.

14 x 14 digits, four passes in batches of 16: 100 of each class, two classes at a time, or 50 of each turned by 0 to 80 degrees;
100 hidden units. Strengths are chosen on a seed that is not reported. "probe": accuracy on earlier classes of a ridge regression
over the final features, fitted to all training images: how separable the classes still are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from mnemos.bench.parametric.learning.lives import Life
from mnemos.bench.parametric.learning.streams import Task, digits, joint, rotated, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside, hidden
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.center_loss import CenterLoss
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.feature_distillation import FeatureDistillation, Kept
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.relation_distillation import RelationDistillation
from mnemos.parametric.consolidate.replay import Replay

LIFE = Life(batch=16, epochs=4)
STRENGTHS = (0.03, 0.3, 3.0)


def measure(options: Any) -> dict[str, Row]:
    """Return the rows of classes in turn with replays of two sizes."""
    images = digits(options.data, side=14).fewer(train=100, test=50)
    setting = Setting(lambda _: split(images), hidden(images, 100), LIFE, also=probe)

    def features(keep: Kept, items: int) -> Trial:
        return Trial(lambda s: (Replay(items, 16), FeatureDistillation(s, keep)), STRENGTHS)

    trials: dict[str, Trial] = {}
    for items in (50, 250):
        trials |= {
            f"replay, {items}": Trial(lambda _, n=items: Replay(n, 16)),  # type: ignore[misc]
            f"replay, {items}, and logits": Trial(
                lambda s, n=items: (Replay(n, 16), Distillation(s, of="held")),  # type: ignore[misc]
                STRENGTHS,
            ),
            f"replay, {items}, and features": features("values", items),
            f"replay, {items}, and both": Trial(
                lambda s, n=items: (Replay(n, 16), FeatureDistillation(s), Distillation(s, of="held")),  # type: ignore[misc]
                STRENGTHS,
            ),
            f"replay, {items}, and features up to a map": features("map", items),
        }
    return beside(setting, trials, options.seeds)


def probe(learner: Learner, tasks: Sequence[Task]) -> dict[str, float]:
    """Return what a ridge regression over the final features tells of the classes of all tasks but the last."""
    old = joint(tasks[:-1])
    with torch.no_grad():
        seen, asked = (learner.read(part.x)[1] for part in (old.train, old.test))
    assert seen is not None  # a perceptron has a classifier
    assert asked is not None
    x = torch.cat([seen, torch.ones(len(seen), 1)], 1).double()
    y = F.one_hot(old.train.y).double()
    weights = torch.linalg.solve(x.T @ x + 0.1 * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
    said = torch.cat([asked, torch.ones(len(asked), 1)], 1).double() @ weights
    return {"probe of earlier classes %": float((said.argmax(-1) == old.test.y).float().mean())}


def domains(options: Any) -> dict[str, Row]:
    """Return the rows of turned digits: features are drawn to the centres of their class."""
    images = digits(options.data, side=14).fewer(train=50, test=50)
    tasks = rotated(images, (0, 20, 40, 60, 80))
    setting = Setting(lambda _: tasks, hidden(images, 100), LIFE, {"scenario": "domain"})
    pulls = (0.001, 0.01, 0.1, 1.0)
    trials = {
        "plain": Trial(),
        "EWC": Trial(lambda s: Anchor(s, samples=200), (0.1, 1.0, 10.0, 100.0)),
        "centres": Trial(CenterLoss, pulls),
        "replay, 50": Trial(lambda _: Replay(50, 16)),
        "replay, 50, and centres": Trial(lambda s: (Replay(50, 16), CenterLoss(s)), pulls),
    }
    return beside(setting, trials, options.seeds)


def relations(options: Any) -> dict[str, Row]:
    """Return the rows of tasks of two classes whose number is told: prototypes without stored samples."""
    images = digits(options.data, side=14).fewer(train=100, test=50)
    setting = Setting(
        lambda _: split(images), hidden(images, 100), Life(batch=16, epochs=4, asked=True), {"scenario": "task"}
    )
    strengths = (0.3, 1.0, 3.0, 10.0)
    trials = {
        "plain": Trial(),
        "logits held (LwF)": Trial(Distillation, strengths),
        "contrast and prototypes": Trial(lambda _: RelationDistillation(0.0)),
        "contrast, prototypes and relations (PRD)": Trial(RelationDistillation, strengths),
    }
    return beside(setting, trials, options.seeds)
