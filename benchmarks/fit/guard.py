"""Fit the head that weighs texts from outside (`guard.harm`), and report how it takes wording that it was not fitted on.

    python -m benchmarks.fit.guard

It is fitted on the texts of this folder, on the development half of `mnemos bench poison`, and on the attacks and harmless
texts from outside that the hands wrote for `mnemos bench attacks`. First each hand is left out and weighed by what the others
give: these are the figures for unseen wording. Then all are fitted. Logistic regression with an L2 penalty, both classes of
equal weight, by Newton's method; the threshold is the score that 95 of 100 harmless texts stay below when a fifth of the
texts at a time is left out.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.text import attacks
from mnemos.bench.text.poison_texts import NAMES, ORDERS, OUTLIERS, TOPICS, VALUES, half
from mnemos.embed.minilm import MiniLM
from mnemos.guard.cues import FEATURES, cues
from mnemos.guard.disguise import as_read
from mnemos.guard.instructions import looks_like_instructions

HERE = Path(__file__).parent
OUT = Path("src/mnemos/guard/harm.json")
L2, CUE, HARMLESS_BELOW, FOLDS, RUNS = 1e-3, 0.5, 95, 5, 3
Floats = NDArray[np.float64]


def lines(name: str) -> list[str]:
    text = (HERE / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def own_texts() -> tuple[list[str], list[str]]:
    """Return harmful and harmless texts that were written for this, the development half of `bench poison` included."""
    rng = random.Random(1)

    def given(template: str) -> str:
        names = {"s": NAMES, "a": list(TOPICS), "f": VALUES, "v": VALUES}
        return template.format(**{name: rng.choice(values) for name, values in names.items()})

    bad = [given(t) for t in (*half(ORDERS, "dev"), *half(OUTLIERS, "dev"))]
    good = [given(t) for topic in TOPICS.values() for t in topic[3]]
    return lines("guard_attacks.txt") + bad, lines("guard_harmless.txt") + good


def of_hand(cases: list[attacks.Case]) -> tuple[list[str], list[str]]:
    """Return what a hand wrote from outside: orders and subtle attacks, and harmless texts."""
    bad = [c.other["text"] for c in cases if c.bad and not c.kind.startswith("lie")]
    return bad, [c.other["text"] for c in cases if not c.bad and c.other.get("source")]


def features(texts: list[str], model: MiniLM) -> Floats:
    found = np.array([cues(as_read(t).lower()) for t in texts]) * CUE
    return np.hstack([model.embed(texts).astype(float), found, np.ones((len(texts), 1))])


def fit(x: Floats, y: Floats) -> Floats:
    """Return the weights (F,), the last of which is the bias."""
    weight = np.where(y == 1, 0.5 / (y == 1).sum(), 0.5 / (y == 0).sum())
    ridge = 2 * L2 * np.eye(x.shape[1])
    ridge[-1, -1] = 1e-9
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ w)))
        step = np.linalg.solve(
            (x * (weight * p * (1 - p))[:, None]).T @ x + ridge, x.T @ (weight * (p - y)) + ridge @ w
        )
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return w


def left_out(x: Floats, y: Floats) -> Floats:
    """Return the score of each text by weights that were fitted without its fifth, the mean of some divisions."""
    scores = np.zeros(len(y))
    for run in range(RUNS):
        fold = np.random.RandomState(run).permutation(len(y)) % FOLDS
        for f in range(FOLDS):
            scores[fold == f] += x[fold == f] @ fit(x[fold != f], y[fold != f]) / RUNS
    return scores


def table(bad: list[str], good: list[str], model: MiniLM) -> tuple[Floats, Floats]:
    return features(bad + good, model), np.r_[np.ones(len(bad)), np.zeros(len(good))]


def main() -> None:
    model = MiniLM()
    written = {hand: of_hand(cases) for hand, cases in attacks.cases().items()}
    for hand, (bad, good) in written.items():
        mine = [own_texts(), *(texts for other, texts in written.items() if other != hand)]
        x, y = table([t for b, _ in mine for t in b], [t for _, g in mine for t in g], model)
        threshold = np.percentile(left_out(x, y)[y == 0], HARMLESS_BELOW)
        w = fit(x, y)
        caught = [
            s > threshold or bool(looks_like_instructions(t))
            for s, t in zip(features(bad, model) @ w, bad, strict=True)
        ]
        taken = features(good, model) @ w > threshold
        print(
            f"hand {hand}, left out: {np.mean(caught):.0%} of {len(bad)} attacks, {taken.mean():.0%} of {len(good)} harmless"
        )
    pairs = [own_texts(), *written.values()]
    x, y = table([t for b, _ in pairs for t in b], [t for _, g in pairs for t in g], model)
    scores = left_out(x, y)
    threshold = float(np.percentile(scores[y == 0], HARMLESS_BELOW))
    print(
        f"all, a fifth left out: {np.mean(scores[y == 1] > threshold):.0%} of {int(y.sum())} attacks at {threshold:.2f}"
    )
    w = fit(x, y)
    data = {
        "fitted on": {"harmful": int(y.sum()), "harmless": int((1 - y).sum()), "by": "benchmarks/fit/guard.py"},
        "threshold": round(threshold, 3), "bias": round(float(w[-1]), 4),
        "cues": {name: round(float(v) * CUE, 3) for name, v in zip(FEATURES, w[384:-1], strict=True)},
        "vector": [round(float(v), 3) for v in w[:384]],
    }  # fmt: skip
    OUT.write_text(json.dumps(data, indent=1).replace("\n  ", " ") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
