"""Classifiers and activations that forget less by themselves; no buffer, if a row does not say so.

`measure`: 14 x 14 digits, 100 of each class, two classes at a time, four passes in batches of 16, 100 hidden units.
`activations`: a sine met point by point, and one pass over 200 digits of each class in batches of 10. `names`: intents by
what they are called. `points`: five digits, then one at a time. Rates and knobs are chosen on a seed that is not reported.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mnemos.bench.parametric.learning.lives import Life, perceptron
from mnemos.bench.parametric.learning.streams import Images, Labelled, Task, digits, split
from mnemos.bench.parametric.learning.trials import Setting, Trial, beside, hidden
from mnemos.bench.parametric.slots_heads import intents
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.elephant import Elephant, spread
from mnemos.parametric.consolidate.energy_head import EnergyHead
from mnemos.parametric.consolidate.feature_distillation import FeatureDistillation
from mnemos.parametric.consolidate.fixed_targets import FixedTargets
from mnemos.parametric.consolidate.local_similarity import LocalSimilarityHead
from mnemos.parametric.consolidate.replay import Replay

LIFE, RATES = Life(batch=16, epochs=4), (0.01, 0.03, 0.1)
BATCH = {"rivals": "batch"}


def measure(options: Any) -> dict[str, Row]:
    """Return the rows of classes in turn: a softmax over what, and energies."""
    images = digits(options.data, side=14).fewer(train=100, test=50)
    setting = Setting(lambda _: split(images), hidden(images, 100), LIFE)
    trials = {
        "softmax over all classes": Trial(rates=RATES),
        "softmax over classes of the batch": Trial(rates=RATES, with_=BATCH),
        "energies, all labels": Trial(lambda _: EnergyHead(), rates=RATES),
        "energies, labels of the batch (EBM)": Trial(lambda _: EnergyHead(), rates=RATES, with_=BATCH),
        "replay, 50": Trial(lambda _: Replay(50, 16), rates=RATES),
        "EBM and replay, 50": Trial(lambda _: (EnergyHead(), Replay(50, 16)), rates=RATES, with_=BATCH),
    }
    return beside(setting, trials, options.seeds)


def activations(options: Any) -> dict[str, Row]:
    """Return the rows of activations of the last hidden layer: a sine met from left to right, and digits in one pass."""
    found = {}
    for name, make in {"ReLU": nn.ReLU, "tanh": nn.Tanh, "elephant": partial(Elephant, 0.08, 8.0)}.items():
        rate = min((3e-4, 1e-3, 3e-3), key=lambda r: sine(make, r, 100)["error of the sine"])
        found[name] = seeded(options.seeds, lambda seed: sine(make, rate, seed))  # noqa: B023
    images = digits(options.data, side=14).fewer(train=200, test=50)
    setting = Setting(lambda _: split(images), hidden(images, 300), Life(batch=10))
    rates = (0.01, 0.03, 0.1, 0.3)
    trials = {
        "ReLU": Trial(rates=rates, with_=BATCH),
        "tanh": Trial(rates=rates, with_=BATCH, model=_wide(images, nn.Tanh)),
        "elephant": Trial(rates=rates, with_=BATCH, model=_wide(images, partial(Elephant, 0.3, 4.0), 1.0)),
    }
    for name, row in beside(setting, trials, options.seeds).items():
        found[name] |= {f"digits: {column}": value for column, value in row.items() if column.startswith("accuracy")}
    return found


def _wide(images: Images, activation: Callable[[], nn.Module], deviation: float = 0.0) -> Callable[[int], nn.Module]:
    """Return what makes one hidden layer of 300 with an activation, biases spread by a deviation."""

    def make(seed: int) -> nn.Module:
        model = perceptron([images.side**2, 300, images.classes], seed, activation)  # type: ignore[arg-type]
        if deviation:
            spread(model[0], deviation)
        return model

    return make


def sine(activation: Callable[[], nn.Module], rate: float, seed: int, points: int = 200, units: int = 1000) -> Row:
    """Return the error on sin(pi x), x from 0 to 2, met from left to right, and how far a step reaches.

    Each point is learned for 10 steps of Adam and never seen again. Interference: the mean |cosine| of the gradients of what is
    said of the present point and of points met before, at every 20th point: to first order the share of a step they feel.
    """
    torch.manual_seed(seed)
    first = nn.Linear(1, units)
    model = nn.Sequential(first, activation(), nn.Linear(units, 1))
    if isinstance(model[1], Elephant):
        spread(first, 2.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    x = torch.linspace(0, 2, points)[:, None]
    y = torch.sin(torch.pi * x)
    disturbed = []
    for at in range(points):
        if at and at % 20 == 0:
            disturbed.append(interference(model, x[at : at + 1], x[:at]))
        for _ in range(10):
            optimiser.zero_grad()
            (model(x[at : at + 1]) - y[at : at + 1]).square().mean().backward()
            optimiser.step()
    with torch.no_grad():
        error = float((model(x) - y).square().mean())
    return {"error of the sine": error, "interference": sum(disturbed) / len(disturbed)}


def interference(model: nn.Module, new: Tensor, before: Tensor) -> float:
    """Return the mean |cosine| of the gradients of what is said of a new point (1, D) and of points (N, D) met before."""

    def gradient(x: Tensor) -> Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(model(x).sum(), list(model.parameters()))])

    some = torch.linspace(0, len(before) - 1, min(len(before), 20)).long().tolist()
    own, others = gradient(new), [gradient(before[i : i + 1]) for i in some]
    return float(torch.stack([torch.cosine_similarity(own, other, 0).abs() for other in others]).mean())


def names(options: Any) -> dict[str, Row]:
    """Return the rows of ten intents at a time, 50 in all, with targets that say what the intents are called, or do not."""
    from mnemos.embed import load

    folder, embedder = options.data / "clinc150", load("bundled")
    assert embedder is not None  # it is a part of the package
    x, y, asked_x, asked_y = intents(folder)
    with (folder / "train.jsonl").open(encoding="utf-8") as lines:
        called = list(dict.fromkeys(json.loads(line)["label"] for line in lines))[: int(y.max()) + 1]
    vectors = torch.tensor(np.asarray(embedder.embed([name.replace("_", " ") for name in called])), dtype=torch.float32)
    images = Images(Labelled(x, y), Labelled(asked_x, asked_y), 0)

    def tasks(seed: int) -> list[Task]:
        return split(images, 10, torch.randperm(50, generator=torch.Generator().manual_seed(seed)).tolist())

    setting = Setting(tasks, lambda seed: perceptron([x.shape[1], 100, 50], seed), Life(batch=16, epochs=10))
    targets: dict[str, Callable[[], tuple[Strategy, ...]]] = {
        "learned": lambda: (),
        "random, fixed": lambda: (
            FixedTargets(torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0))),
        ),
        "names, fixed (LingoCL)": lambda: (FixedTargets(vectors),),
    }
    trials = {}
    for name, make in targets.items():
        trials[f"targets {name}"] = Trial(lambda _, m=make: m(), rates=(0.1, 0.3, 1.0))  # type: ignore[misc]
        trials[f"targets {name}; replay, 100"] = Trial(
            lambda _, m=make: (*m(), Replay(100, 16)),  # type: ignore[misc]
            rates=(0.1, 0.3, 1.0),
        )
    return beside(setting, trials, options.seeds)


def points(options: Any) -> dict[str, Row]:
    """Return the rows of five classes, then one at a time, 10 samples of each held."""
    images = digits(options.data, side=14).fewer(train=100, test=50)
    strengths = (0.3, 1.0, 3.0)
    found: dict[str, Row] = {}
    for name, tasks in {
        "five classes, then one at a time": _steps(images, 5, 1),
        "two classes at a time": split(images),
    }.items():
        setting = Setting(lambda _, t=tasks: t, hidden(images, 100), LIFE, {"rivals": "seen"})  # type: ignore[misc]
        trials = {
            "replay, 50": Trial(lambda _: Replay(50, 16, "balanced"), rates=RATES),
            "and logits held": Trial(
                lambda s: (Replay(50, 16, "balanced"), Distillation(s, of="all")), strengths, RATES[1:2]
            ),
            "and directions held (POD-flat)": Trial(
                lambda s: (Replay(50, 16, "balanced"), FeatureDistillation(s, "directions")), strengths, RATES[1:2]
            ),
            "and ten points a class (PODNet)": Trial(
                lambda s: (LocalSimilarityHead(), Replay(50, 16, "balanced"), FeatureDistillation(s, "directions")),
                strengths, RATES[1:2],
            ),
            "the same, one point": Trial(
                lambda s: (LocalSimilarityHead(1), Replay(50, 16, "balanced"), FeatureDistillation(s, "directions")),
                strengths, RATES[1:2],
            ),
        }  # fmt: skip
        found |= {f"{name}: {row}": figures for row, figures in beside(setting, trials, options.seeds).items()}
    return found


def _steps(images: Images, first: int, each: int) -> list[Task]:
    """Return a task of some classes, then tasks of fewer."""
    return split(images, first)[:1] + split(images, each)[first // each :]
