"""Tokens that leave a model of six layers after the second or the fourth, with and without making up for it.

The model (`shakespeare.EXITS`) was trained with a loss at each exit. The threshold is the lowest of a few that costs less than
a point of the next letters of text from its training. What is reported is of other text, read letter by letter: how often
the next letter is right, layers one after another a letter, and layers of all letters that were computed, those that were read
again included. `as exact` is how often the likeliest letter is that of exits with no cache at all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mnemos.bench.footprint.letters import Letters
from mnemos.bench.footprint.running import Options
from mnemos.bench.footprint.shakespeare import EXITS, trained
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.parts import Row
from mnemos.footprint.generate.early_exit import EarlyExit

PASSAGES, PROMPT, LETTERS = 2, 16, 200
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9)
NEVER = 1.1  # a threshold that no probability reaches
AT_MOST = 0.01  # right less often, where the threshold is chosen


def measure(options: Options) -> dict[str, Row]:
    """Return the rows of the part."""
    text = Letters(options.data)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        model = trained(EXITS, text, seed)
        threshold = chosen(model, text.batch(16, LETTERS, -1 - seed))
        rows = text.tests(options.seeds * PASSAGES, PROMPT + LETTERS)[seed * PASSAGES :][:PASSAGES]
        exact = EarlyExit(EXITS.exits, threshold)
        ways = {
            "all layers": EarlyExit(EXITS.exits, NEVER),
            "exits, read again": exact,
            "exits, read again, at most 4": EarlyExit(EXITS.exits, threshold, most=4),
            "exits, not repaired": EarlyExit(EXITS.exits, threshold, repair=False),
        }
        for name, way in ways.items():
            found.setdefault(name, []).append(_read(model, way, rows) | {"threshold": way.threshold})
    return {name: over_seeds(of_seeds) for name, of_seeds in found.items()}


def chosen(model: Any, rows: Tensor) -> float:
    """Return the lowest threshold that costs less than AT_MOST on some rows, all letters at once."""
    shares = {}
    for threshold in (*THRESHOLDS, NEVER):
        said = by_exits(model, rows, EarlyExit(EXITS.exits, threshold))
        shares[threshold] = float((said == rows[:, 1:]).float().mean())
    return next(threshold for threshold, share in shares.items() if shares[NEVER] - share < AT_MOST)


def by_exits(model: Any, rows: Tensor, way: EarlyExit, begin: int = 0) -> Tensor:
    """Return the likeliest letters (N, T) of exits from a letter on, with what all layers make of all letters at hand."""
    with torch.no_grad():
        states = model.model(rows[:, :-1], output_hidden_states=True, use_cache=False)
        said = model.lm_head(states.last_hidden_state).argmax(-1)
        early = [model.lm_head(model.model.norm(states.hidden_states[exit])) for exit in way.exits]
    sure = torch.stack([logits.softmax(-1).amax(-1) >= way.threshold for logits in early], -1).tolist()
    letters = torch.stack([logits.argmax(-1) for logits in early], -1)
    for row, of_row in enumerate(sure):
        waiting = 0  # letters that left before all layers; where there are too many the next one may not
        for at in range(begin, len(of_row)):
            leaves = any(of_row[at]) and (waiting + 1 < way.most or not way.repair)
            waiting = waiting + 1 if leaves else 0
            if leaves:
                said[row, at] = letters[row, at, of_row[at].index(True)]
    return said[:, begin:]


def _read(model: Any, way: EarlyExit, rows: Tensor) -> dict[str, float]:
    right = same = layers = computed = 0
    for row, exact in zip(
        rows, by_exits(model, rows, way, PROMPT), strict=True
    ):  # the prompt is read through all layers
        with torch.no_grad(), way.reader(model, row[:PROMPT]) as reader:
            for at in range(PROMPT, PROMPT + LETTERS):
                said = int(reader.step(int(row[at])).argmax())
                right += said == int(row[at + 1])
                same += said == int(exact[at - PROMPT])
            layers += reader.layers
            computed += reader.computed
    count = len(rows) * LETTERS
    return {
        "right %": right / count,
        "layers a letter": layers / count,
        "computed a letter": computed / count,
        "as exact %": same / count,
    }
