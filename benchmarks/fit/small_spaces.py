"""Fit the experts for small spaces: two more beside those of a fitted model, which stay as they are.

    python -m benchmarks.fit.small_spaces --locomo locomo10.json --beam beam_100k --locomo-plus locomo_plus_even.json \\
        --lifebench lifebench --xquad xquad

In a space of a few statements no word is rare and nothing stands out from the mean, so other weights are right there. The
gate gives these experts nearly all where there are ten cubes or fewer, half at 32 and nothing from 200 on: what a fit of
`recall` does for large spaces is not touched. Questions: small memories that people wrote, with their vectors and with
random ones, and sets in their `few` shape (see `recall_sets`). Each expert begins as what the model does on average there,
and is drawn to that.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.fit.mixture import Batch, batch
from benchmarks.fit.recall import KINDS, MOST, OUT, Candidates, candidates, names
from benchmarks.fit.recall_sets import LOADERS, ask, hands, sets
from mnemos import Mnemos
from mnemos.bench.progress import progress_bar
from mnemos.text.recall.cues import CUES
from mnemos.text.recall.fusion import Model, to_model
from mnemos.text.recall.signals import EITHER_WAY, SIGNALS

NEW, STEPS = 2, 200
SLOPE, AHEAD = 12.0, 1.0  # of the gate: along `few`, and before all others at 32 cubes
LEAN = 1.5  # how far the other cues may move it
PULL = 2e-3  # towards the start, on weights in units of their signal's spread
ITSELF = frozenset({"bm25", "coverage", "words", "matches", "coverage_squared", "cosine", "words_and_cosine"})
BY_HAND = frozenset({"association", "same"})  # weights that no fit changes
Doubles = NDArray[np.float64]


def fit(model: Model, data: Batch, signals: Sequence[str], cues: Sequence[str]) -> tuple[Doubles, Doubles]:
    """Return the weights, (NEW, S), and the rows of the gate, (NEW, 1 + C), of experts beside a model's."""
    spread = data.spread()
    experts, gate = _aligned(model, signals, cues)
    logits = data.cues @ gate.T
    few = 1 + cues.index("few")
    s, c = len(signals), 1 + len(cues)
    rng = np.random.default_rng(1)
    average = _softmax(logits).mean(0) @ experts * spread
    start_experts = average * (1 + rng.normal(0, 0.1, (NEW, s)))
    start_gate = np.zeros((NEW, c))
    start_gate[:, 0], start_gate[:, few] = logits.max(1).mean() + AHEAD, SLOPE
    start = np.r_[start_experts.ravel(), start_gate.ravel()]

    def objective(x: Doubles) -> tuple[float, Doubles]:
        new, rows = x[: NEW * s].reshape(NEW, s), x[NEW * s :].reshape(NEW, c)
        shares = _softmax(np.hstack([logits, data.cues @ rows.T]))
        every = np.vstack([experts, new / spread])
        value, slope = data.loss(shares @ every)
        toward = slope @ every.T
        of_logits = (shares * (toward - (shares * toward).sum(1, keepdims=True)))[:, -NEW:]
        of_experts = shares[:, -NEW:].T @ slope / spread
        moved = x - start
        gradient = np.r_[of_experts.ravel(), (of_logits.T @ data.cues).ravel()] + 2 * PULL * moved
        return value + PULL * float(moved @ moved), gradient

    bounds = [_bounds(name, weight) for row in start_experts for name, weight in zip(signals, row, strict=True)]
    for row in start_gate:
        bounds += [(v, v) if i in (0, few) else (v - LEAN, v + LEAN) for i, v in enumerate(row)]
    x = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}).x
    new, rows = x[: NEW * s].reshape(NEW, s) / spread, x[NEW * s :].reshape(NEW, c)
    before = _best(data, _softmax(logits) @ experts)
    after = _best(data, _softmax(np.hstack([logits, data.cues @ rows.T])) @ np.vstack([experts, new]))
    return new * (before / after), rows


def _bounds(name: str, weight: float) -> tuple[float | None, float | None]:
    """Return the bounds of a weight: what a text says itself may gain, what stands near it may lose.

    In a small space everything stands near everything: the turn after "The marmalade cat sleeps" is no answer to "cat".
    """
    if name in BY_HAND:
        return weight, weight
    if name in ITSELF:
        return weight, None
    if name in EITHER_WAY:
        return -abs(weight), abs(weight)
    return 0, weight


def _best(data: Batch, weights: Doubles) -> float:
    """Return the mean of the best scores: hits of small and large spaces are to be of one scale."""
    scores = np.matmul(data.tables, weights[:, :, None])[:, :, 0]
    return float(np.where(data.there, scores, -np.inf).max(1).mean())


def _aligned(model: Model, signals: Sequence[str], cues: Sequence[str]) -> tuple[Doubles, Doubles]:
    """Return the experts and the gate of a model in the order of these signals and cues; 0 for what it lacks."""
    experts, gate = np.zeros((len(model.experts), len(signals))), np.zeros((len(model.gate), 1 + len(cues)))
    for i, name in enumerate(model.signals):
        experts[:, signals.index(name)] = model.experts[:, i]
    gate[:, 0] = model.gate[:, 0]
    for i, name in enumerate(model.cues, 1):
        gate[:, 1 + cues.index(name)] = model.gate[:, i]
    return experts, gate


def _softmax(logits: Doubles) -> Doubles:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def with_new(data: Mapping[str, Any], kind: str, questions: Sequence[Candidates]) -> dict[str, Any]:
    """Return a model of weights.json with experts for small spaces; those of an earlier run are replaced."""
    old = [i for i, row in enumerate(data["gate"]) if not row.get("few")]
    kept = {part: [data[part][i] for i in old] for part in ("experts", "gate")}
    signals, cues = names(SIGNALS, kind), names(CUES, kind)
    model = to_model(kept)
    count = {name: sum(q.set == name for q in questions) for name in {q.set for q in questions}}
    examples = [q.example(kind, 1 / count[q.set]) for q in questions if not q.gold.all()]
    experts, gate = fit(model, batch(examples, MOST), signals, cues)
    used = [name for name in signals if name in model.signals or experts[:, signals.index(name)].max() > 1e-3]
    first = [{name: expert.get(name, 0.0) for name in used} for expert in kept["experts"]]
    new = [{name: round(float(row[signals.index(name)]), 4) for name in used} for row in experts]
    rows = [{"1": row["1"]} | {name: row.get(name, 0.0) for name in cues} for row in kept["gate"]]
    rows += [dict(zip(("1", *cues), np.round(row, 4).tolist(), strict=True)) for row in gate]
    return {"experts": first + new, "gate": rows}


def main() -> None:
    """Add the experts to the models of `--out`, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in LOADERS:
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--root", type=Path, help="keep the spaces here, so that another run embeds nothing")
    options = parser.parse_args()
    paths = {name: path for name in LOADERS if (path := getattr(options, name.replace("-", "_")))}
    rng = np.random.default_rng(0)
    questions: list[Candidates] = []
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-fit-") as temporary,
        Mnemos(options.root or temporary, timezone="UTC") as memory,
        progress_bar("sets") as step,
    ):
        of_sets = sets(paths)
        step.expect(len(of_sets) + 2 * len(hands()))
        for variant, tasks in (("", hands()), ("noise", hands()), ("few", of_sets)):
            for name, task in tasks.items():
                questions += [candidates(asked, rng) for asked in ask(name, task, memory, variant)]
                step(1)
    written = json.loads(options.out.read_text(encoding="utf-8"))
    for kind in KINDS:
        written["models"][f"cubes{kind}"] = with_new(written["models"][f"cubes{kind}"], kind, questions)
    written["small_spaces"] = (
        f"the experts with a weight of `few` in the gate: benchmarks/fit/small_spaces.py, on hands a and d and {', '.join(paths)}"
    )
    options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
