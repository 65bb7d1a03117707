"""Fit the judgement of which of two texts answers a question now, or comes first as one's own statement.

    python -m benchmarks.fit.newest --data DATA --hand changes.jsonl --cases FOLDER [--report]

DATA has locomo10.json and beam_100k/, of which the development halves are used. Each `--hand` is a file or folder in the
format of `mnemos bench changes`. FOLDER keeps the searches between runs. Two logistic regressions with an L2 penalty, by
Newton's method: `newer` on pairs of the first hits of a search of which the other one was told later, by the same voice;
`older` on those told before, where the question is about its asker. Each with and without the cosines. `--report` leaves
one set out at a time, and prints how its first hits do by what the others give.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit.newest_pairs import load
from mnemos.embed.minilm import MiniLM
from mnemos.text.recall.judgement import Judge, Statement, by_vectors, by_words
from mnemos.text.recall.newest import BARS, SHORT, asks_now, asks_own, first_of
from mnemos.text.recall.telling import read_telling

OUT = Path("src/mnemos/text/recall/newest.json")
L2 = 3.0
CONVERSATIONS = ("locomo", "beam")  # sets of which only the first hit is judged
WEIGHTS = {"a": 3.0, "b": 3.0}  # of a pair, by set: theirs are the hardest; 1 for the others
Floats = NDArray[np.float64]
Case = Mapping[str, Any]
Row = tuple[str, bool, bool, bool]  # kind; the first hit is right, was right, has moved
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


def fit(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, float]:
    """Return weights and bias on the scale of the features."""
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    z = np.hstack([(x - mean) / deviation, np.ones((len(x), 1))])
    ridge = 2 * L2 * np.eye(z.shape[1])
    ridge[-1, -1] = 1e-9
    w = np.zeros(z.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        step = np.linalg.solve(
            (z * (weight * p * (1 - p))[:, None]).T @ z + ridge, z.T @ (weight * (p - y)) + ridge @ w
        )
        w -= step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-9))
        if np.abs(step).max() < 1e-7:
            break
    scaled = w[:-1] / deviation
    return scaled, float(w[-1] - scaled @ mean)


def embedder(folder: Path) -> Embed:
    """Return a function that embeds texts, those of earlier runs by what `folder` keeps."""
    file, names = folder / "emb.npz", folder / "emb.json"
    known: dict[str, NDArray[np.float32]] = {}
    if file.exists():
        known = dict(zip(json.loads(names.read_text(encoding="utf-8")), np.load(file)["v"], strict=True))

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if new := [t for t in dict.fromkeys(texts) if t not in known]:
            known.update(zip(new, MiniLM().embed(new), strict=True))
            names.write_text(json.dumps(list(known)), encoding="utf-8")
            np.savez(file, v=np.stack(list(known.values())))
        return np.stack([known[t] for t in texts])

    return embed


class Cases:
    """The cases of a set, and the features of the pairs of their hits."""

    def __init__(self, name: str, cases: Sequence[Case], embed: Embed) -> None:
        self.name = name
        self.cases = [c for c in cases if len(c["hits"]) > 1]
        self.asked = [not c["sup"] and asks_now(c["q"]) for c in self.cases]
        texts = {t for c in self.cases for t in (c["q"], *(h["text"] for h in c["hits"][:6]))}
        order = sorted(texts)
        vectors = dict(zip(order, embed(order), strict=True))
        self.rows: list[tuple[int, int, int]] = []
        self.found: list[dict[str, float]] = []
        self.statements: list[list[Statement]] = []
        for i, c in enumerate(self.cases):
            q, hits = read_telling(c["q"]), c["hits"][:6]
            stated = [
                Statement(
                    read_telling(h["text"]), h["at"], (h["speaker"], h["role"], h["source"]), h["session"],
                    vectors[h["text"]],
                )
                for h in hits
            ]  # fmt: skip
            self.statements.append(stated)
            for a, x in enumerate(stated if self.asked[i] else ()):
                for b, y in enumerate(stated):
                    if x.at != y.at and (a < 2 or name not in CONVERSATIONS):
                        self.rows.append((i, a, b))
                        words = by_words(c["q"], q, x, y)
                        self.found.append(
                            words
                            | by_vectors(words, vectors[c["q"]], vectors[hits[a]["text"]], vectors[hits[b]["text"]])
                        )

    def taught(self, later: bool) -> list[int]:
        """Return the rows that teach a judgement: one of the two is right and the other not."""
        rows = []
        for n, (i, a, b) in enumerate(self.rows):
            hits, stated = self.cases[i]["hits"], self.statements[i]
            if hits[a]["gold"] == hits[b]["gold"] or (stated[b].at > stated[a].at) != later:
                continue
            if max(len(stated[a].told.words), len(stated[b].told.words)) > SHORT:
                continue
            fair = stated[a].voice == stated[b].voice if later else asks_own(read_telling(self.cases[i]["q"]))
            if fair and (a == 0 or self.name not in CONVERSATIONS):
                rows.append(n)
        return rows

    def gold(self, row: int) -> float:
        i, _, b = self.rows[row]
        return float(self.cases[i]["hits"][b]["gold"])


def learn(sets: Iterable[Cases], names: Sequence[str], without: tuple[str, str] = ("", "")) -> dict[str, Judge]:
    """Return the two judgements fitted on some sets, `without` one conversation, given by set and id."""
    given, judges = list(sets), {}
    for direction in ("newer", "older"):
        x, y, w = [], [], []
        for cases in given:
            for row in cases.taught(direction == "newer"):
                if (cases.name, cases.cases[cases.rows[row][0]]["id"]) != without:
                    x.append([cases.found[row][n] for n in names])
                    y.append(cases.gold(row))
                    w.append(WEIGHTS.get(cases.name, 1.0))
        weights, bias = fit(np.array(x, float), np.array(y), np.array(w))
        judges[direction] = Judge(tuple(names), weights, bias)
    return judges


def chosen(cases: Cases, judges: Mapping[str, Judge]) -> list[Row]:
    """Return of each case its kind, and whether the first hit is right, was right, and has moved."""
    z: dict[tuple[int, int, int], float] = {}
    for (i, a, b), found in zip(cases.rows, cases.found, strict=True):
        later = cases.statements[i][b].at > cases.statements[i][a].at
        z[i, a, b] = judges["newer" if later else "older"].weigh(found)
    out = []
    for i, c in enumerate(cases.cases):
        place, hits = 0, c["hits"]
        if cases.asked[i]:
            weigh = partial(lambda i, a, b: z.get((i, a, b), -99.0), i)
            place = first_of(read_telling(c["q"]), cases.statements[i], weigh, BARS)
        out.append((c["kind"], hits[place]["gold"], hits[0]["gold"], place != 0))
    return out


def shares(rows: Sequence[Row], kinds: bool) -> str:
    """Return the shares that are right, by kind or of all."""
    found: dict[str, list[tuple[bool, ...]]] = {}
    for kind, *row in rows:
        found.setdefault(kind if kinds else "all", []).append(tuple(row))
    means = {kind: np.mean(v, axis=0) for kind, v in found.items()}
    return "; ".join(f"{k} {m[0]:.3f} (before {m[1]:.3f}, {m[2]:.3f} moved)" for k, m in means.items())


def report(sets: Mapping[str, Cases], names: Sequence[str]) -> None:
    """Print how each set does by what the others give; of conversations, each by what the others of its set give too."""
    for name, cases in sets.items():
        rows: list[Row] = []
        if name in CONVERSATIONS:
            for one in sorted({c["id"] for c in cases.cases}):
                judges = learn(sets.values(), names, (name, one))
                found = zip(chosen(cases, judges), cases.cases, strict=True)
                rows += [row for row, c in found if c["id"] == one]
        elif name != "written":
            rows = chosen(cases, learn([s for n, s in sets.items() if n != name], names))
        if rows:
            print(f"{name} left out: {shares(rows, name not in CONVERSATIONS)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--hand", action="append", default=[])
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--words", action="store_true")
    options = parser.parse_args()
    embed = embedder(options.cases)
    sets = {
        n: Cases(n, load(n, options.data, options.cases), embed)
        for n in ("written", "a", "b", *options.hand, "locomo", "beam")
    }
    every = list(next(iter(sets.values())).found[0])
    words = list(by_words("", sets["a"].statements[0][0].told, *sets["a"].statements[0][:2]))
    if options.report:
        for names in (every, words) if options.words else (every,):
            report(sets, names)
        return
    weights = {}
    for name, names in (("vectors", every), ("words", words)):
        judges = learn(sets.values(), names)
        weights[name] = {
            d: {"bias": round(j.bias, 4)} | {n: round(float(w), 4) for n, w in zip(names, j.weights, strict=True)}
            for d, j in judges.items()
        }
    pairs = {n: len(s.taught(True)) + len(s.taught(False)) for n, s in sets.items()}
    about = {"by": "benchmarks/fit/newest.py", "pairs": {Path(n).stem: p for n, p in pairs.items()}, "l2": L2}
    OUT.write_text(
        json.dumps({"fitted on": about, "embedder": MiniLM().name, "weights": weights}, indent=1) + "\n",
        encoding="utf-8",
    )
    for name, cases in sets.items():
        print(name, shares(chosen(cases, learn(sets.values(), every)), name not in CONVERSATIONS))


if __name__ == "__main__":
    main()
