"""Fit a mixture of linear experts to rankings: what `mnemos.text.recall.fusion.Model` applies.

A question's answer is a choice among its candidates. The loss is the cross-entropy of each gold candidate against those
that are not gold; where only one of the gold is needed (a session is found by any of its turns), that of the best ones
together. Q questions, N candidates, S signals, C cues, K experts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
FREE = 4  # experts besides plain words and plain cosines
L2_EXPERTS, L2_GATE = 1e-3, 2e-3  # on signals in units of their spread, and on cues
SMALL = 0.004  # weights below it, in the same unit, are left out
NONE = -1e9


@dataclass(frozen=True, slots=True)
class Example:
    """One question: the signals and the gold of its candidates, and the cues."""

    table: Floats  # (N, S)
    gold: NDArray[np.bool_]  # (N,)
    cues: Doubles  # (C,)
    weight: float = 1.0
    any_of: bool = False  # one of the gold is enough
    hard: NDArray[np.bool_] | None = None  # (N,) those that come before other candidates where there is no room for all


@dataclass
class Batch:
    """Examples of one length, padded."""

    tables: Floats  # (Q, N, S)
    there: NDArray[np.bool_]  # (Q, N)
    gold: NDArray[np.bool_]  # (Q, N)
    cues: Doubles  # (Q, 1 + C), as the gate reads them
    weight: Doubles  # (Q,) summing to 1
    any_of: NDArray[np.bool_]  # (Q,)

    def spread(self) -> Doubles:
        """Return the standard deviation of each signal within a question, (S,)."""
        count = self.there.sum(1)[:, None]
        there = self.there[:, :, None]
        mean = (self.tables * there).sum(1) / count
        square = (((self.tables - mean[:, None]) * there) ** 2).sum(1) / count
        return np.maximum(np.sqrt((square * self.weight[:, None]).sum(0)), 1e-3)

    def loss(self, weights: Doubles) -> tuple[float, Doubles]:
        """Return the loss of weights by question, (Q, S), and its gradient."""
        scores = np.matmul(self.tables, weights[:, :, None].astype(np.float32))[:, :, 0].astype(np.float64)
        scores[~self.there] = NONE
        others, spread = _softmax(np.where(self.gold, NONE, scores))
        together, within = _softmax(np.where(self.gold, scores, NONE))
        each = _sigmoid(scores - others[:, None])
        count = self.gold.sum(1)
        value = np.where(self.gold, -np.log(np.maximum(each, 1e-30)), 0).sum(1) / count
        slope = np.where(self.gold, each - 1, 0) / count[:, None]
        some = _sigmoid(together - others)
        value = np.where(self.any_of, -np.log(np.maximum(some, 1e-30)), value)
        slope = np.where(self.any_of[:, None], (some - 1)[:, None] * within, slope)
        slope -= slope.sum(1, keepdims=True) * np.where(self.gold, 0, spread)
        slope = (slope * self.weight[:, None]).astype(np.float32)
        return float(value @ self.weight), np.matmul(slope[:, None, :], self.tables)[:, 0].astype(np.float64)


def batch(examples: Sequence[Example], most: int, seed: int = 0) -> Batch:
    """Return examples as one batch of at most `most` candidates each: up to half of them gold, the others at random.

    What is hard for an example is taken before the others.
    """
    rng = np.random.default_rng(seed)
    kept = []
    for e in examples:
        hard = np.zeros(len(e.gold), dtype=bool) if e.hard is None else e.hard
        gold = rng.permutation(np.flatnonzero(e.gold))[: most // 2]
        others = [rng.permutation(np.flatnonzero(~e.gold & which)) for which in (hard, ~hard)]
        kept.append(np.r_[gold, np.concatenate(others)[: most - len(gold)]])
    tables = np.zeros((len(examples), most, examples[0].table.shape[1]), dtype=np.float32)
    there, gold_there = np.zeros((2, len(examples), most), dtype=bool)
    for q, (e, places) in enumerate(zip(examples, kept, strict=True)):
        tables[q, : len(places)] = e.table[places]
        there[q, : len(places)] = True
        gold_there[q, : len(places)] = e.gold[places]
    weight = np.array([e.weight for e in examples])
    cues = np.stack([np.r_[1.0, 2 * e.cues - 1] for e in examples])
    return Batch(tables, there, gold_there, cues, weight / weight.sum(), np.array([e.any_of for e in examples]))


@dataclass
class Mixture:
    """A mixture over named signals and cues; `either` may speak against a candidate, all others only for it.

    Besides the free experts there is one for each of `alone`, which has that signal and no other: in its limit the ranking
    is that of plain words, or of plain cosines.
    """

    signals: Sequence[str]
    cues: Sequence[str]
    either: Collection[str]
    alone: Sequence[str]
    free: int = FREE

    def fit(self, data: Batch, steps: int, start: Doubles | None = None) -> Mixture:
        """Fit by L-BFGS-B; returns self. `start` is the `solution` of another fit of the same signals."""
        s, k, c = len(self.signals), self.free + len(self.alone), 1 + len(self.cues)
        self.scale = data.spread()
        strict = np.ones((k, s))
        strict[self.free :] = 0.1

        def objective(x: Doubles) -> tuple[float, Doubles]:
            experts, gate = x[: k * s].reshape(k, s), x[k * s :].reshape(k, c)
            shares = _shares(data.cues, gate)
            value, slope = data.loss(shares @ experts / self.scale)
            slope = slope / self.scale
            toward = slope @ experts.T
            of_gate = (shares * (toward - (shares * toward).sum(1, keepdims=True))).T @ data.cues + 2 * L2_GATE * gate
            of_experts = shares.T @ slope + 2 * L2_EXPERTS * strict * experts
            penalty = L2_EXPERTS * float((strict * experts**2).sum()) + L2_GATE * float((gate**2).sum())
            return value + penalty, np.r_[of_experts.ravel(), of_gate.ravel()]

        bounds: list[tuple[float | None, float | None]] = []
        for expert in range(k):
            for name in self.signals:
                if expert >= self.free:
                    bounds.append((0, None) if name == self.alone[expert - self.free] else (0, 0))
                else:
                    bounds.append((None, None) if name in self.either else (0, None))
        bounds += [(None, None)] * (k * c)
        x = self._start(k, s, c) if start is None else start
        result = minimize(objective, x, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps})
        self.solution = result.x
        self.experts = result.x[: k * s].reshape(k, s) / self.scale
        self.gate = result.x[k * s :].reshape(k, c)
        return self

    def _start(self, k: int, s: int, c: int) -> Doubles:
        rng = np.random.default_rng(0)
        experts = np.abs(rng.normal(0, 0.2, (k, s)))
        for i, name in enumerate(self.alone):
            experts[self.free + i] = [float(other == name) for other in self.signals]
        return np.r_[experts.ravel(), rng.normal(0, 0.3, k * c)]

    def scores(self, example: Example) -> Doubles:
        """Return the scores of the candidates of one example, (N,)."""
        shares = _shares(np.r_[1.0, 2 * example.cues - 1][None], self.gate)
        return example.table @ (shares @ self.experts)[0]

    def to_json(self) -> dict[str, Any]:
        """Return what `fusion.to_model` reads. Signals that no expert uses are left out."""
        kept = np.where(np.abs(self.experts * self.scale) < SMALL, 0, self.experts)
        used = [i for i in range(len(self.signals)) if kept[:, i].any()]
        return {
            "experts": [{self.signals[i]: round(float(expert[i]), 4) for i in used} for expert in kept],
            "gate": [dict(zip(("1", *self.cues), np.round(row, 4).tolist(), strict=True)) for row in self.gate],
        }


def _shares(cues: Doubles, gate: Doubles) -> Doubles:
    logits = cues @ gate.T
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _softmax(scores: Doubles) -> tuple[Doubles, Doubles]:
    """Return the logarithm of the sum of exponentials of each row, (Q,), and the shares, (Q, N)."""
    top = scores.max(1, keepdims=True)
    shares = np.exp(scores - top)
    total = shares.sum(1, keepdims=True)
    return (top + np.log(total))[:, 0], shares / total


def _sigmoid(x: Doubles) -> Doubles:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -50, 50))))
