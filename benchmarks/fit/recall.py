"""Fit the weights with which recall fuses its signals, on development conversations only.

    python -m benchmarks.fit.recall --locomo locomo10.json --beam beam_100k

A question's answer is a choice among all cubes of its conversation: the weights minimise the cross-entropy between the
softmax of the scores and the gold cubes (a listwise loss), with a small L2 penalty on standardised signals. LoCoMo's
and BEAM's development splits are fitted together, a question of BEAM counting twice, since it has fewer. The figures
printed are cross-validated: each fifth of the conversations is scored with weights fitted on the other four. The
report halves are not read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mnemos import Mnemos
from mnemos.bench.progress import progress_bar
from mnemos.bench.text import beam, locomo
from mnemos.bench.text.retrieval import only_splits
from mnemos.bench.text.task import Task
from mnemos.text.encode.messages import moment
from mnemos.text.recall.fusion import HALF, brevity
from mnemos.text.recall.query import make_query
from mnemos.text.recall.sessions import session_signals
from mnemos.text.recall.signals import SIGNALS, VECTOR_SIGNALS, signals

OUT = Path("src/mnemos/text/recall/weights.json")
L2 = 1e-3
FOLDS = 5
# What may speak against a cube; all others only count for it, so that `why` never holds a found word against one.
EITHER_WAY = (
    "bm25_before", "bm25_after", "cosine_before", "cosine_after", "question", "length", "long", "opening",
    "assistant", "user_me", "assistant_you",
)  # fmt: skip
ROLES = ("assistant", "user_me", "assistant_you")  # seen in BEAM's long messages only: they count 1 - brevity
LOADERS = {"locomo": locomo.load, "beam": beam.load}
TASK_WEIGHT = {"locomo": 1.0, "beam": 2.0}


@dataclass
class Example:
    """One question: the signals of all candidates (N, F), and which of them are gold."""

    fold: int
    task: str
    table: NDArray[np.float64]
    gold: list[int]
    wanted: int  # gold items asked for, found in the corpus or not
    brief: float


@dataclass
class Asked:
    """One question with what its sessions need too."""

    cubes: Example
    sessions: list[int]  # gold sessions, by number
    corpus: Any
    found: Any


def ask(task: Task, memory: Mnemos, step: Any) -> list[Asked]:
    """Store the haystacks and return the signals of every question."""
    asked = []
    for number, haystack in enumerate(task.haystacks):
        space = memory.space(f"{task.name}-{haystack.name}")
        cubes = space.add_many(haystack.messages, progress=step)
        space.search("warm up", 1)
        assert space.text.view.snapshot is not None
        corpus, at = space.text.view.snapshot.corpus, {cube.id: i for i, cube in enumerate(cubes)}
        embedder = memory.embedder
        assert embedder is not None
        for question in haystack.questions:
            when = moment(question.asked_at, "asked_at") or datetime.now(UTC)
            found = signals(corpus, make_query(question.text, embedder.embed([question.text])[0], when))
            gold = next(iter(question.gold.values()))
            nothing = np.zeros(len(corpus), dtype=np.float32)
            table = np.stack([found.get(name, nothing) for name in SIGNALS], axis=1)
            example = Example(
                number % FOLDS, task.name, table, [at[g] for g in gold if g in at], len(gold), brevity(corpus)
            )
            names = question.gold.get("session", ())
            sessions = [corpus.session_names.index(s) for s in names if s in corpus.session_names]
            asked.append(Asked(example, sessions, corpus, found))
            step(1)
    return asked


class Fit:
    """A listwise fit over some columns of the tables."""

    def __init__(self, names: Sequence[str], kept: Sequence[str]) -> None:
        self.names = list(kept)
        self.columns = [list(names).index(n) for n in kept]
        self.scale = np.ones(2 * len(self.columns))
        self.weights = np.zeros(len(self.scale))

    def table(self, example: Example) -> NDArray[np.float64]:
        """Return the standardised columns as long messages have them, and as brief ones have them."""
        x = example.table[:, self.columns].astype(np.float64)
        tied = np.array([n in ROLES for n in self.names])
        return np.hstack([x * (1 - example.brief), np.where(tied, 0, x * example.brief)]) / self.scale

    def fit(self, examples: Sequence[Example]) -> Fit:
        """Fit the weights to the examples; returns self."""
        self.scale = np.ones(len(self.scale))
        stacked = np.concatenate([self.table(e) for e in examples])
        self.scale = np.maximum(stacked.std(axis=0), 1e-6)
        data = [(self.table(e), e.gold, TASK_WEIGHT[e.task]) for e in examples if e.gold]
        total = sum(weight for *_, weight in data)

        def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, gradient = 0.0, np.zeros_like(w)
            for x, gold, weight in data:
                scores = x @ w
                top = scores.max()
                shares = np.exp(scores - top)
                norm = shares.sum()
                value -= weight * (scores[gold].mean() - top - np.log(norm))
                gradient += weight * (x.T @ (shares / norm) - x[gold].mean(axis=0))
            return value / total + L2 * float(w @ w), gradient / total + 2 * L2 * w

        bounds = [(None, None) if n in EITHER_WAY else (0.0, None) for n in self.names] * 2
        options = {"maxiter": 120}
        self.weights = minimize(loss, self.weights, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
        return self

    def recall(self, example: Example, k: int = 10) -> float:
        """Return the fraction of the gold among the k best."""
        best = np.argsort(-(self.table(example) @ self.weights), kind="stable")[:k]
        return len({int(i) for i in best} & set(example.gold)) / example.wanted

    def pairs(self) -> dict[str, list[float]]:
        """Return the weights in raw units: name to [a, b]."""
        raw = self.weights / self.scale
        pairs = zip(self.names, raw[: len(self.names)], raw[len(self.names) :], strict=True)
        return {name: [round(float(a), 5), round(float(b - a), 5)] for name, a, b in pairs}


def cross_validate(examples: Sequence[Example], names: Sequence[str], kept: Sequence[str]) -> dict[str, float]:
    """Return recall@10 by task, each fold scored with weights fitted on the others."""
    found: dict[str, list[float]] = {}
    for fold in range(FOLDS):
        fit = Fit(names, kept).fit([e for e in examples if e.fold != fold])
        for e in examples:
            if e.fold == fold:
                found.setdefault(e.task, []).append(fit.recall(e))
    return {task: round(float(np.mean(values)), 4) for task, values in found.items()}


def of_sessions(asked: Sequence[Asked], cubes: Fit, without: frozenset[str]) -> tuple[list[Example], list[str]]:
    """Return the examples whose candidates are sessions, with the scores of `cubes`; and the signals' names."""
    examples, names = [], []
    for a in asked:
        if not a.sessions:
            continue
        scores = (cubes.table(a.cubes) @ cubes.weights).astype(np.float32)
        values, best = session_signals(a.corpus, scores, {n: v for n, v in a.found.items() if n not in without})
        numbers = list(a.corpus.layout().session[best])
        names = list(values)
        table = np.stack(list(values.values()), axis=1)
        gold = [numbers.index(s) for s in a.sessions]
        examples.append(Example(a.cubes.fold, a.cubes.task, table, gold, len(gold), a.cubes.brief))
    return examples, names


def main() -> None:
    """Fit the four sets of weights and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locomo", type=Path, required=True)
    parser.add_argument("--beam", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--root", type=Path, help="keep the spaces here, so that another run embeds nothing")
    options = parser.parse_args()
    asked: list[Asked] = []
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-fit-") as temporary,
        Mnemos(options.root or temporary, timezone="UTC") as memory,
    ):
        for name in TASK_WEIGHT:
            task = only_splits(LOADERS[name](getattr(options, name)), ["development"])
            with progress_bar(name) as step:
                step.expect(sum(len(h.messages) + len(h.questions) for h in task.haystacks))
                asked += ask(task, memory, step)
        model = f"{memory.embedder.name} {memory.embedder.revision}" if memory.embedder else "none"
    names = list(SIGNALS)
    examples = [a.cubes for a in asked]
    written: dict[str, Any] = {
        "fitted_on": "the development splits of LoCoMo (conv-26, 30, 41, 42, 43) and of BEAM 100K (chats 1 to 10)",
        "fitted_by": "benchmarks/fit/recall.py",
        "embedder": model,
        "brevity": f"1 / (1 + median terms of a message / {HALF:.0f})",
        "cross_validated_recall@10": {},
        "weights": {},
    }
    for ending, without in (("", frozenset()), ("_words", VECTOR_SIGNALS)):
        kept = [n for n in names if n not in without]
        checks = {"cubes": cross_validate(examples, names, kept)}
        fit = Fit(names, kept).fit(examples)
        rows, row_names = of_sessions(asked, fit, without)
        checks["sessions"] = cross_validate(rows, row_names, row_names)
        of_session = Fit(row_names, row_names).fit(rows)
        for what, weights in (("cubes", fit), ("sessions", of_session)):
            written["weights"][what + ending] = weights.pairs()
            written["cross_validated_recall@10"][what + ending] = checks[what]
            print(what + ending, checks[what], flush=True)
        top = np.mean([of_session.recall(e, 1) > 0 for e in rows])
        print(f"sessions{ending}: gold session first, in sample: {top:.4f}")
    options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
