"""Fit how likely a statement answers a question, whatever time it is of (`mnemos.text.recall.topic`).

    python -m benchmarks.fit.topic --data FOLDER [FOLDER ...]

A folder has what a hand wrote: changes.jsonl (told, question, old, answer) and silence.jsonl (told, asked). The statements
of `mnemos bench statements` that end others are added. Each statement is shown twice: among what was told with it, and with
eight texts of other items whose questions are unlike. Logistic regression with an L2 penalty of 1, by Newton's method. First
each set is left out, and the area under the curve on it is printed: the figures for unseen wording. Then all are fitted.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.text.hands import packaged
from mnemos.bench.text.statements import valid
from mnemos.embed.minilm import MiniLM
from mnemos.text.recall.topic import FEATURES, features

OUT = Path("src/mnemos/text/recall/topic.json")
WEIGHTS = {"changes": 1.0, "statements": 0.3, "silence": 0.5}  # of a text of each set
OTHERS, UNLIKE = 8, 0.35  # texts of other items, and the cosine of questions below which they are unlike
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """A question, texts, and which of them state what it asks for."""

    origin: str
    question: str
    texts: list[str]
    states: list[int]


def lines(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def load(folders: list[Path]) -> list[Group]:
    found = []
    for folder in folders:
        for item in lines(folder / "changes.jsonl"):
            texts, right = [t["text"] for t in item["told"]], {item["answer"], item.get("old")}
            found.append(Group("changes", item["question"], texts, [int(i in right) for i in range(len(texts))]))
        for item in lines(folder / "silence.jsonl"):
            for asked in item["asked"]:
                states = [int(i in asked["answer"]) for i in range(len(item["told"]))]
                found.append(Group("silence", asked["question"], item["told"], states))
    for items in packaged("statements", valid).values():
        for item in items:
            if item["kind"] == "end":
                found.append(Group("statements", item["question"], [t["text"] for t in item["told"]], [1, 1]))
    return found


def crowded(groups: list[Group], model: MiniLM) -> list[Group]:
    """Return groups among texts of others, whose questions are unlike."""
    rng = random.Random(0)
    told = [g for g in groups if g.origin != "silence"]
    vectors = model.embed([g.question for g in told])
    made = []
    for i, group in enumerate(told):
        near = vectors @ vectors[i]
        pool = [text for j, other in enumerate(told) if near[j] < UNLIKE for text in other.texts]
        made.append(
            Group(group.origin, group.question, group.texts + rng.sample(pool, OTHERS), group.states + [0] * OTHERS)
        )
    return made


def fit(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, float]:
    """Return the weights of the features and the bias."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    a = np.hstack([(x - mean) / spread, np.ones((len(x), 1))])
    b = np.zeros(a.shape[1])
    penalty = np.diag([*np.ones(a.shape[1] - 1), 1e-9])
    for _ in range(30):
        p = 1 / (1 + np.exp(-a @ b))
        step = np.linalg.solve(
            (a * (weight * p * (1 - p))[:, None]).T @ a + penalty, a.T @ (weight * (p - y)) + penalty @ b
        )
        b -= step
    return b[:-1] / spread, float(b[-1] - (b[:-1] * mean / spread).sum())


def area(y: Floats, score: Floats) -> float:
    """Return the area under the ROC curve."""
    rank = np.argsort(np.argsort(score)) + 1
    ones = y.sum()
    return float((rank[y == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(y) - ones)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit how likely a statement answers a question.")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders with changes.jsonl and silence.jsonl"
    )
    model, groups = MiniLM(), load(parser.parse_args().data)
    groups += crowded(groups, model)
    texts = list(dict.fromkeys(text for g in groups for text in (g.question, *g.texts)))
    vectors = dict(zip(texts, model.embed(texts), strict=True))
    x = np.concatenate([features(g.question, g.texts, lambda t: np.array([vectors[one] for one in t])) for g in groups])
    y = np.concatenate([np.array(g.states, dtype=float) for g in groups])
    origin = np.array([g.origin for g in groups for _ in g.texts])
    weight = np.array([WEIGHTS[name] for name in origin])
    for name in WEIGHTS:
        out = origin == name
        w, b = fit(x[~out], y[~out], weight[~out])
        print(f"{name}, left out: {out.sum()} texts, area {area(y[out], x[out] @ w + b):.3f}")
    w, b = fit(x, y, weight)
    model_of = {"weights": {n: round(float(v), 4) for n, v in zip(FEATURES, w, strict=True)}, "bias": round(b, 4)}
    OUT.write_text(json.dumps(model_of, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
