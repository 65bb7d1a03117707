"""Which held samples are rehearsed: by the age of their task, by what gets lost, by the worst environment."""

from __future__ import annotations

from functools import partial
from statistics import correlation
from typing import Any

import torch

from mnemos.bench.parametric.learning.lives import Life, Strategies, accuracy, live
from mnemos.bench.parametric.learning.methods import RATE, learner_of, lived, row_of
from mnemos.bench.parametric.learning.rehearsal import SIDE, SIZES
from mnemos.bench.parametric.learning.streams import Images, digits, joint, permuted, rotated, split
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.collateral_replay import CollateralReplay
from mnemos.parametric.consolidate.gem import AveragedGEM
from mnemos.parametric.consolidate.power_law_replay import PowerLawReplay
from mnemos.parametric.consolidate.quantile_replay import QuantileReplay
from mnemos.parametric.consolidate.replay import Replay

AGES: dict[str, Strategies] = {
    "plain": (),
    "replay of all samples alike": Replay(500, 20),
    "replay, tasks alike": PowerLawReplay(500, 20, exponent=0),
    "replay, power 1": PowerLawReplay(500, 20, exponent=1),
    "replay, exponential 1": PowerLawReplay(500, 20, law="exponential", exponent=1),
}
STRENGTHS = (1, 3, 10, 30, 100)  # of EWC
SEEN, UNSEEN = (0, 30, 60, 90, 120), (15, 45, 75, 105)  # degrees


def ages(options: Any) -> dict[str, Row]:
    """Return rows of ten permutations of the pixels: accuracy on what was learned after 3, 6 and 10 of them."""
    images = digits(options.data, side=SIDE).fewer(train=200, test=50)

    def run(strategies: Strategies, rate: float, seed: int) -> dict[str, float]:
        found = lived(permuted(images, 10, seed), strategies, SIZES, rate, seed, Life(batch=20, epochs=2))
        ends = [look.accuracies for look in found.accuracies.ends]
        after = {f"after {n} %": sum(ends[n - 1][:n]) / n for n in (3, 6)}
        return {**after, "accuracy %": found.figures()["accuracy"], "forgetting %": found.figures()["forgetting"],
                "first task %": ends[-1][0], "just learned %": found.figures()["learning"]}  # fmt: skip

    found = {name: row_of(partial(run, s), options.seeds, RATE) for name, s in AGES.items()}
    anchored = row_of(lambda strength, seed: run(Anchor(strength), *RATE, seed), options.seeds, STRENGTHS, "strength")
    return found | {"EWC": anchored}


def collateral(options: Any) -> dict[str, Row]:
    """Return rows of digits 0 to 5, then 6 to 9: what stays of the first by which samples are rehearsed."""
    pairs = split(digits(options.data, side=SIDE).fewer(train=500, test=200))
    tasks = [joint(pairs[:3]), joint(pairs[3:])]
    found = {}
    for batch in (4, 10):
        for name, made in (
            ("all alike", CollateralReplay(500, batch, uniform=1.0)),
            ("what gets lost", CollateralReplay(500, batch)),
            ("what gets lost alone", CollateralReplay(500, batch, uniform=0.0)),
        ):
            found[f"{batch} a step, {name}"] = row_of(partial(_lost, tasks, made), options.seeds, RATE)
    return found


def _lost(tasks: Any, strategy: CollateralReplay, rate: float, seed: int) -> dict[str, float]:
    learner = learner_of(strategy, SIZES, rate, seed)
    first, second = tasks
    live(learner, [first], Life(epochs=2), seed)
    before = accuracy(learner, first.test)
    known = {c: _share(learner, first, c) for c in range(6)}
    for rows in torch.randperm(len(second.train.y), generator=torch.Generator().manual_seed(seed)).split(10):
        learner.observe(second.train.x[rows], second.train.y[rows], 1)
    own = learner.strategies[0]
    assert isinstance(own, CollateralReplay)  # it is the one that was given
    rates = own.rates.view(-1, own.levels).mean(1)[:6].tolist()
    lost = [known[c] - _share(learner, first, c) for c in range(6)]
    return {
        "accuracy %": (accuracy(learner, first.test) + accuracy(learner, second.test)) / 2,
        "first before %": before,
        "first after %": accuracy(learner, first.test),
        "second %": accuracy(learner, second.test),
        "rates with losses, by class": correlation(rates, lost),
    }


def _share(learner: Any, task: Any, of: int) -> float:
    """Return the accuracy on the training images of one class."""
    rows = task.train.y == of
    return float((learner.predict(task.train.x[rows]).argmax(-1) == of).float().mean())


def environments(options: Any) -> dict[str, Row]:
    """Return rows of digits turned by five angles in sequence: accuracy at these, the worst of them, and angles between."""
    images = digits(options.data, side=SIDE).fewer(train=200, test=50)
    rows: dict[str, Strategies] = {"A-GEM, 100 held": AveragedGEM(100, 30)}
    for items in (25, 100, 400):
        rows[f"replay, {items} held"] = Replay(items, 30)
    for alpha in (0.6, 0.8, 0.95):
        rows[f"quantile {alpha}, 100 held"] = QuantileReplay(100, 30, alpha=alpha)
    rows["worst fifth, 100 held"] = QuantileReplay(100, 30, alpha=0.8, fit="tail")
    for items in (25, 400):
        rows[f"quantile 0.8, {items} held"] = QuantileReplay(items, 30, alpha=0.8)
    return {name: row_of(partial(_turned, images, s), options.seeds, RATE) for name, s in rows.items()}


def _turned(images: Images, strategies: Strategies, rate: float, seed: int) -> dict[str, float]:
    tasks = rotated(images, SEEN)
    learner = learner_of(strategies, SIZES, rate, seed)
    ends = live(learner, tasks, Life(), seed).accuracies.ends[-1].accuracies
    between = [accuracy(learner, t.test) for t in rotated(Images(images.test, images.test, SIDE), UNSEEN)]
    held = learner.strategies[0].buffer  # type: ignore[attr-defined]
    x, y = held.held[:2]
    return {
        "accuracy %": sum(ends) / len(ends),
        "worst angle %": min(ends),
        "angles between %": sum(between) / len(between),
        "held samples %": float((learner.predict(x).argmax(-1) == y).float().mean()),
    }
