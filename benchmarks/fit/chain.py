"""Fit which of several statements held at a moment (`mnemos.text.recall.chain`).

    python -m benchmarks.fit.chain

The histories of `mnemos bench past`, each by itself and among 24 texts of `chain_others.txt`. A conditional logit (McFadden,
1974) over the statements that had begun, and none of them; the penalty pulls towards weights that were set by hand, and
what must not be negative is not. Where the answer and all as likely are taken away none is right. First each hand is left
out, and how often the likeliest is right is printed. Then all are fitted.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from mnemos.bench.text.hands import packaged
from mnemos.system import Mnemos
from mnemos.text.recall import then
from mnemos.text.recall.chain import FEATURES, Chain, features
from mnemos.text.recall.topic import Floats

OUT, OTHERS = Path("src/mnemos/text/recall/chain.json"), Path(__file__).parent / "chain_others.txt"
AMONG = 24  # texts of others
BY_HAND = {"states": 1.0, "no later": 0.5, "none in its place": 0.5, "in its place": 1.0, "comes after": 0.5,
           "named later": 0.5, "named": 1.0, "ever": -0.7}  # fmt: skip
FREE = {
    "in its place": 4.0,
    "comes after": 2.0,
    "named later": 2.0,
    "named": 2.0,
    "ever": 2.0,
}  # how little they are pulled
SIGNED = ("best", "named", "ever")  # may be negative
PENALTY, STEPS, RATE, NONE = 0.02, 800, 0.03, 0.3


@dataclass(frozen=True, slots=True)
class Case:
    """A question: features of n statements, which may be the answer, which is (-1: none), and its weight."""

    table: Floats  # (n, F)
    may: Any  # (n,)
    right: int
    weight: float


def told(item: Mapping[str, Any], others: Sequence[str], rng: random.Random) -> tuple[list[dict[str, Any]], int]:
    """Return what an item tells, with some of `others` told between, and the place of the answer."""
    texts = [dict(t) for t in item["told"]]
    years = [int(t["at"][:4]) for t in texts]
    for text in others:
        day = f"{rng.randint(min(years), max(years) + 1)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        if day < item["asked_at"]:
            texts.append(
                {"text": text, "at": f"{day}T{rng.randint(8, 20):02d}:00"}
                | {k: v for k, v in texts[0].items() if k == "speaker"}
            )
    texts.sort(key=lambda t: t["at"])
    return texts, next(i for i, t in enumerate(texts) if t["text"] == item["told"][item["answer"]]["text"])


def cases(items: Sequence[Mapping[str, Any]], among: int) -> Iterator[Case]:
    """Yield the cases of items: what `then` weighs for each question."""
    rng, pool = random.Random(5), [t for t in OTHERS.read_text(encoding="utf-8").splitlines() if t[:1] not in ("", "#")]
    seen: dict[str, Any] = {}
    group_of, weigh = then._statements, then.weigh

    def note_group(*given: Any) -> Any:
        seen["group"] = group_of(*given)
        return seen["group"]

    def note(time: then.Then, chain: Chain) -> Floats:
        seen["then"], seen["chain"] = time, chain
        return weigh(time, chain)

    with (
        tempfile.TemporaryDirectory() as root,
        Mnemos(root, timezone="UTC") as memory,
        mock.patch.object(then, "_statements", note_group),
        mock.patch.object(then, "weigh", note),
    ):
        for n, item in enumerate(items):
            texts, answer = told(item, rng.sample(pool, among), rng)
            space = memory.space(f"item-{n}")
            cubes = [space.add(t["text"], at=t["at"], speaker=t.get("speaker")) for t in texts]
            seen.clear()
            space.search(item["question"], asked_at=item["asked_at"])
            if "chain" in seen:
                yield from _cases(seen["then"], seen["chain"], seen["group"], cubes[answer].id)


def _cases(time: then.Then, chain: Chain, group: Sequence[tuple[int, Any]], answer: str) -> Iterator[Case]:
    ids = [hit.cube.id for _, hit in group]
    if answer not in ids or time.order is not None or time.side == "after":
        return
    right = ids.index(answer)
    moments = [time.start - 1] if time.side == "before" else [time.start]
    if not time.event and time.side == "during":
        moments.append((time.start + time.end) // 2)
    for moment in moments:
        table, holds = features(chain, moment)
        if time.event and time.side != "during":
            holds = holds & np.array([key != time.event[0] for key, _ in group])
        if holds[right]:
            yield Case(table, holds, right, 1 / len(moments))
            none = holds & (table[:, 0] < min(-1.0, table[right, 0] - 0.5))
            if none.any():
                yield Case(table, none, -1, NONE / len(moments))


def fit(given: Sequence[Case]) -> tuple[Floats, float]:
    """Return the weights and the bias, by Adam (arXiv 1412.6980)."""
    scale = np.maximum(np.concatenate([case.table for case in given]).std(0), 0.1)
    prior = np.array([BY_HAND.get(name, 0.0) for name in FEATURES]) * scale
    free = np.array([FREE.get(name, 1.0) for name in FEATURES])
    least = np.array([-np.inf if name in SIGNED else 0.0 for name in FEATURES] + [-np.inf])
    w, total = np.r_[prior, 0.0], sum(case.weight for case in given)
    mean, square = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS):
        gradient = np.zeros_like(w)
        for case in given:
            z = np.where(case.may, case.table / scale @ w[:-1] + w[-1], -1e9)
            e, none = np.exp(z - max(z.max(), 0)), np.exp(-max(z.max(), 0))
            gap = e / (e.sum() + none)
            if case.right >= 0:
                gap[case.right] -= 1
            gradient += case.weight * np.r_[(case.table / scale * gap[:, None]).sum(0), gap.sum()] / total
        gradient[:-1] += PENALTY * (w[:-1] - prior) / free
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        w = np.maximum(w - RATE * mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.99**t)) + 1e-8), least)
    return w[:-1] / scale, float(w[-1])


def right(given: Sequence[Case], weights: Floats) -> float:
    """Return how often the likeliest statement is right."""
    asked = [case for case in given if case.right >= 0]
    return float(np.mean([int(np.argmax(np.where(c.may, c.table @ weights, -np.inf))) == c.right for c in asked]))


def main() -> None:
    """Fit and write the weights."""
    hands = {
        (hand, among): list(cases(items, among))
        for hand, items in packaged("past", lambda _: True).items()
        for among in (0, AMONG)
    }
    for hand in sorted({hand for hand, _ in hands}):
        weights, _ = fit([case for (name, _), found in hands.items() if name != hand for case in found])
        print(hand, "left out:", {among: round(right(hands[hand, among], weights), 3) for among in (0, AMONG)})
    weights, bias = fit([case for found in hands.values() for case in found])
    print("all:", {f"{hand} {among}": round(right(found, weights), 3) for (hand, among), found in hands.items()})
    named = {name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)}
    OUT.write_text(json.dumps({"weights": named, "bias": round(bias, 4)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
