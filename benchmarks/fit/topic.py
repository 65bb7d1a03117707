"""Fit how likely a statement answers a question, whatever time it is of (`mnemos.text.recall.topic`).

    python -m benchmarks.fit.topic

What people wrote for the benchmarks `changes`, `silence` and `statements`, and the blocks of `benchmarks.fit.newest`, in the
present and the past tense. Each statement is shown among what was told with it; those of `changes` and `statements` also
with eight texts of other items. Logistic regression with an L2 penalty of 1, by Newton's method. First each set is left
out, and the area under the curve on it is printed: the figures for unseen wording. Then all are fitted.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit.newest_pairs import MANY, blocks
from mnemos.bench.text.hands import packaged
from mnemos.bench.text.statements import valid
from mnemos.embed.minilm import MiniLM
from mnemos.text.recall.topic import FEATURES, features

OUT = Path("src/mnemos/text/recall/topic.json")
CHANGES, REST = 1.0, 0.5  # weight of a text of `changes`, and of the others
OTHERS = 8  # texts of other items
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """A question, texts, and which of them state what it asks for."""

    origin: str
    question: str
    texts: list[str]
    states: list[int]


def load() -> Iterator[Group]:
    """Yield the questions of the package and of the blocks."""
    rng, every = random.Random(0), blocks()
    for block in every:
        alike = [b for b in every if b is not block and (b["name"] == MANY) == (block["name"] == MANY)]
        for tense in range(2):
            states = [block["="][tense % len(block["="])], *block["+"][tense : tense + 1]]
            rest = rng.sample(block["-"], min(len(block["-"]), 3))
            rest += [
                text
                for b in rng.sample(alike, 4)
                for text in (rng.choice(b["="]), *rng.sample(b["+"], min(1, len(b["+"]))))
            ]
            question = rng.choice(block["?"])
            yield Group(
                block["name"],
                in_past(question) if tense else question,
                states + rest,
                [1] * len(states) + [0] * len(rest),
            )
    for item in packaged("changes", lambda _: True)["hand_d"]:
        right = {item["answer"], item.get("old")}
        yield Group(
            "changes",
            item["question"],
            [t["text"] for t in item["told"]],
            [int(i in right) for i in range(len(item["told"]))],
        )
    for item in packaged("silence", lambda _: True)["hand_d"]:
        for asked in item["asked"]:
            yield Group(
                "silence",
                asked["question"],
                item["told"],
                [int(i in asked["answer"]) for i in range(len(item["told"]))],
            )
    for items in packaged("statements", valid).values():
        for item in items:
            if item["kind"] == "end":
                yield Group("statements", item["question"], [t["text"] for t in item["told"]], [1, 1])


def in_past(question: str) -> str:
    """Return a question in the present tense as it is asked of the past: "Where did I live?"."""
    question = re.sub(r"\bdo\b(?= (?:i|we|you|they)\b)|\bdoes\b", "did", question, flags=re.IGNORECASE)
    question = re.sub(r"\bam\b|\bis\b|(?<=who)'s|(?<=what)'s", "was", question, flags=re.IGNORECASE)
    return re.sub(r"\bare\b", "were", question, flags=re.IGNORECASE)


def crowded(groups: list[Group]) -> list[Group]:
    """Return groups among texts of others."""
    rng, told = random.Random(1), [g for g in groups if g.origin in ("changes", "statements")]
    made = []
    for group in told:
        pool = [text for other in told if other is not group for text in other.texts]
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
    """Fit and write the weights."""
    model, groups = MiniLM(), list(load())
    groups += crowded(groups)
    texts = list(dict.fromkeys(text for g in groups for text in (g.question, *g.texts)))
    vectors = dict(zip(texts, model.embed(texts), strict=True))
    x = np.concatenate([features(g.question, g.texts, lambda t: np.array([vectors[one] for one in t])) for g in groups])
    y = np.concatenate([np.array(g.states, dtype=float) for g in groups])
    origin = np.array([g.origin for g in groups for _ in g.texts])
    weight = np.where(origin == "changes", CHANGES, REST)
    for name in sorted(set(origin)):
        out = origin == name
        w, b = fit(x[~out], y[~out], weight[~out])
        print(f"{name}, left out: {out.sum()} texts, area {area(y[out], x[out] @ w + b):.3f}")
    w, b = fit(x, y, weight)
    model_of = {"weights": {n: round(float(v), 4) for n, v in zip(FEATURES, w, strict=True)}, "bias": round(b, 4)}
    OUT.write_text(json.dumps(model_of, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
