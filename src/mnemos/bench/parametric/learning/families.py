"""A method of each family of continual learning with every figure of the metric set, and what it costs beside joint training.

Digits in five tasks of two classes; who asks names the task. Five passes, batches of 20, SGD at .1, looks every 50 steps. The
families are those of the survey arXiv 2302.00487.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mnemos.bench.parametric.learning.lives import Life, Lived, fresh, live, live_head, perceptron
from mnemos.bench.parametric.learning.rehearsal import SIDE, SIZES
from mnemos.bench.parametric.learning.streams import Task, digits, joint, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.dark_experience import DarkExperienceReplay
from mnemos.parametric.consolidate.expansion import ModelExpansion
from mnemos.parametric.consolidate.gem import AveragedGEM
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.recall.random_features import RandomFeaturesHead

ROWS: dict[str, Any] = {
    "plain": (),
    "regularisation: EWC": Anchor(100),
    "replay: 200 samples": Replay(200, 20),
    "replay: DER++, 200 samples": DarkExperienceReplay(200, 20, 0.5, 0.5),
    "gradients: A-GEM, 200 samples": AveragedGEM(200, 20),
    "architecture: upper layers of each task": ModelExpansion(),
    "representation: random features, ridge, no task asked": None,
}


def measure(options: Any) -> dict[str, Row]:
    """Return every row."""
    tasks = split(digits(options.data, side=SIDE).fewer(train=500, test=100))
    whole = {seed: _life([joint(tasks)], (), seed).figures()["seconds"] for seed in range(options.seeds)}
    return {name: seeded(options.seeds, partial(once, tasks, s, whole)) for name, s in ROWS.items()}


def once(tasks: list[Task], strategies: Any, whole: dict[int, float], seed: int) -> dict[str, float]:
    """Return all figures of a life; `whole` are the seconds of joint training by seed."""
    if strategies is None:
        lived = live_head(RandomFeaturesHead(SIDE**2, 10, 500, seed=seed), tasks)
    else:
        lived = _life(tasks, strategies, seed)
    found = lived.figures()
    names = {
        "accuracy": "ACC %", "anytime": "anytime %", "learning": "just learned %", "forgetting": "forgetting %",
        "backward": "BWT %", "forward": "FWT %", "lowest": "min-ACC %", "worst_case": "WC-ACC %", "gap": "gap %",
        "windowed_forgetting": "WF %", "windowed_plasticity": "WP %",
    }  # fmt: skip
    return {column: found[name] for name, column in names.items()} | {
        "kB held": found["nbytes"] / 1000,
        "seconds beside joint training": found["seconds"] / whole[seed],
    }


def _life(tasks: list[Task], strategies: Any, seed: int) -> Lived:
    learner = fresh(lambda: perceptron(SIZES, seed), strategies, seed, scenario="task")
    return live(learner, tasks, Life(batch=20, epochs=5, every=50, asked=True), seed)
